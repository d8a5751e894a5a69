//! Guards the embeddings that the browser's engines check their device with.

use clove::score::Scorer;
use clove_lab as lab;
use clove_scenes::suite::twins;
use clove_scenes::{Kind, Split, draw};
use clove_tests::{cpu, held, package, wait, worst};
use serde_json::{Value, json};

/// The file has six digits, an error of half a millionth; the rest is for another order of summation.
const TOLERANCE: f32 = 1e-5;

#[test]
fn the_engines_known_embeddings_are_those_of_the_shipped_model() {
    let device = cpu();
    let tokenizer = lab::tokenizer().unwrap();
    let config = lab::config(&tokenizer);
    let clip = config.build(&mut lab::pretrained().unwrap(), &device).unwrap();
    let preprocess = lab::preprocess().unwrap();
    // Sample 0 of web/src/engine/images.rs.
    let pair = twins(Kind::ReplaceRelation, Split::Test, 0, 0);
    let picture = draw(&pair.scenes[0], preprocess.size(), &mut pair.drawing[0].clone());
    let pixels = lab::pixels(picture, &preprocess);
    let scorer = wait(Scorer::new(clip, config, tokenizer, preprocess, &device));
    let image = wait(scorer.embed_pixels(pixels));
    let text = wait(scorer.embed_texts(&pair.captions[..1], &mut |_| ()));
    let known = held(&package().join("../web/src/engine/known.json"), || {
        let short = |row: &[f32]| -> Vec<f64> {
            row.iter().map(|value| (f64::from(*value) * 1e6).round() / 1e6).collect()
        };
        format!("{}\n", json!({ "image": short(image.row(0)), "text": short(text.row(0)) }))
    });
    let known: Value = serde_json::from_str(&known).unwrap();
    for (name, row) in [("image", image.row(0)), ("text", text.row(0))] {
        let known: Vec<f32> = serde_json::from_value(known[name].clone()).unwrap();
        let (difference, at) = worst(&known, row);
        assert!(difference < TOLERANCE, "{name}[{at}] differs by {difference}");
    }
}
