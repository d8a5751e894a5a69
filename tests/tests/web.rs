//! Guards what the browser's engines check their device with: embeddings that were computed here.

use std::fs;

use burn::tensor::Device;
use clove::score::Scorer;
use clove_lab as lab;
use clove_scenes::suite::twins;
use clove_scenes::{Kind, Split, draw};
use clove_tests::{package, worst};
use serde_json::{Value, json};

/// A file of six digits holds a number to half a millionth; the rest is for another order of summation.
const TOLERANCE: f32 = 1e-5;

#[test]
fn the_engines_known_embeddings_are_those_of_the_shipped_model() {
    let device = Device::flex();
    let tokenizer = lab::tokenizer().unwrap();
    let config = lab::config(&tokenizer);
    let clip = config.build(&mut lab::pretrained().unwrap(), &device).unwrap();
    let preprocess = lab::preprocess().unwrap();
    // Sample 0 of web/src/engine/images.rs.
    let pair = twins(Kind::ReplaceRelation, Split::Test, 0, 0);
    let picture = draw(&pair.scenes[0], preprocess.size(), &mut pair.drawing[0].clone());
    let pixels = lab::pixels(picture, &preprocess);
    let (image, text) = pollster::block_on(async {
        let scorer = Scorer::new(clip, config, tokenizer, preprocess, &device).await.unwrap();
        let image = scorer.embed_pixels(pixels).await.unwrap();
        let text = scorer.embed_texts(&pair.captions[..1], &mut |_| ()).await.unwrap();
        (image.row(0).to_vec(), text.row(0).to_vec())
    });
    let file = package().join("../web/src/engine/known.json");
    if std::env::var_os("CLOVE_WRITE_GOLDEN").is_some_and(|value| value == "1") {
        let short = |row: &[f32]| -> Vec<f64> {
            row.iter().map(|value| (f64::from(*value) * 1e6).round() / 1e6).collect()
        };
        let known = json!({ "image": short(&image), "text": short(&text) });
        fs::write(&file, format!("{known}\n")).unwrap();
    }
    let known: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    for (name, row) in [("image", image), ("text", text)] {
        let held: Vec<f32> = serde_json::from_value(known[name].clone()).unwrap();
        let (difference, at) = worst(&held, &row);
        assert!(difference < TOLERANCE, "{name}[{at}] differs by {difference}");
    }
}
