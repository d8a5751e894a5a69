//! Guards evaluations of several models and suites, and of embeddings that aren't finite.

use std::fs;
use std::path::Path;

use clove_tests::{copy_folder, golden, json};
use serde_json::{Value, json};

use super::eval::{file, report};
use super::{Place, assert_contains, clove, failed, line, path, program, refuse, run, text};

#[test]
fn models_are_put_side_by_side_and_a_page_shows_rows_with_their_pictures() {
    let place = Place::new();
    let other = golden("tiny-clip/open_clip");
    let (data, images, page) = (file("cola.json"), file("images"), place.out("page.html"));
    let more = ["--model", path(&other), "--data", &data, "--images", &images];
    let found = report(&place, "cola", &[&more[..], &["--html", path(&page)]].concat());
    let models = found["models"].as_array().unwrap();
    assert_eq!(models.len(), 2);
    // The same model in another layout.
    assert_eq!(models[0]["macro_mean"], models[1]["macro_mean"]);
    assert_eq!(found["differences"], json!([{"macro_mean": 0.0, "interval": [0.0, 0.0]}]));
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("Comparison") && html.contains("Lowest margins"), "{html}");
    // Four rows, best and worst, of two photos, of two models.
    assert_eq!(html.matches("data:image/jpeg;base64,").count(), 4 * 2 * 2 * 2);
    assert!(!html.contains("<script") && !html.contains("http:"));
    let plain = ["eval", "--model", &place.model, "--device", "cpu", "--suite", "cola"];
    let mut plain = program(&[&plain[..], &more].concat());
    let text = text(&plain.env("CLOVE_CACHE", place.out("cache")).output().unwrap().stdout);
    assert!(text.contains("side by side") && text.contains("+0.0 points over model 1"), "{text}");
    let (data, page) = (file("classes"), place.out("classes.html"));
    report(&place, "zero-shot", &["--data", &data, "--html", path(&page)]);
    assert_contains(&fs::read_to_string(&page).unwrap(), &["tall triangle", "Chance, %"]);
}

#[test]
fn an_alpha_is_chosen_on_one_suite_and_measured_on_another() {
    let place = Place::new();
    let (data, images, out) = (file("karpathy.json"), file("images"), place.out("patched"));
    let cola = file("cola.json");
    let table = run(
        "patch --pretrained _ --finetuned _ --sweep 0:1:0.5 --select retrieval --data _ --images _ --beside cola --beside-data _ --beside-images _ --out _ --device cpu",
        &[&place.model, &place.model, &data, &images, &cola, &images, path(&out)],
    );
    assert_contains(
        &table,
        &["chosen on retrieval", "cola was only measured", "don't report the patched model on it"],
    );
    let error = refuse(
        "patch --pretrained _ --finetuned _ --sweep 0:1:0.5 --select cola --data _ --images _ --beside cola --beside-data _ --out _",
        &[&place.model, &place.model, &cola, &images, &cola, path(&place.out("other"))],
    );
    assert!(error.contains("chosen and measured on the same rows"), "{error}");
    let sweep = json(&out.join("sweep.json"));
    let cola = report(&place, "cola", &["--data", &cola, "--images", &images]);
    let points = sweep["points"].as_array().unwrap();
    assert_eq!(points.len(), 3);
    // Both models are the same.
    for point in points {
        assert_eq!(point["beside"], cola["macro_mean"]);
        assert_eq!(point["composition"], points[0]["composition"]);
    }
}

/// A copy of a model with other values, f16 or f32 as they are there, at the beginning of a tensor.
fn spoilt(place: &Place, name: &str, from: &Path, tensor: &str, values: &[u8]) -> String {
    let dir = place.out(name);
    copy_folder(from, &dir);
    let weights = dir.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let whole = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let found = whole.tensor(tensor).unwrap();
    let at = found.data().as_ptr() as usize - bytes.as_ptr() as usize;
    bytes[at..at + values.len()].copy_from_slice(values);
    fs::write(weights, bytes).unwrap();
    path(&dir).to_owned()
}

#[test]
fn what_is_not_finite_is_named_and_not_scored() {
    let place = Place::new();
    let tiny = golden("tiny-clip/hf");
    let whole = place.out("f32");
    run("convert --model _ --to hugging-face --dtype f32 --out _", &[path(&tiny), path(&whole)]);
    let (data, images) = (file("cola.json"), file("images"));
    let (texts, out) = (place.file("texts.txt", b"a cat\n"), place.out("features.safetensors"));
    // In f16 NaN and infinity; a scale instead of its logarithm, and one that's far too large.
    for (number, (from, tensor, values, parts)) in [
        (&tiny, "visual_projection.weight", &0x7e00_u16.to_le_bytes()[..], ["NaN", "finite"]),
        (&tiny, "text_projection.weight", &0x7c00_u16.to_le_bytes(), ["inf", "finite"]),
        (&whole, "logit_scale", &100_f32.to_le_bytes(), ["100", "ln(100) = 4.6"]),
        (&whole, "logit_scale", &1000_f32.to_le_bytes(), ["1000", "ln(100) = 4.6"]),
        (&whole, "logit_scale", &f32::NAN.to_le_bytes(), ["NaN", "finite"]),
    ]
    .into_iter()
    .enumerate()
    {
        let model = spoilt(&place, &format!("spoilt-{number}"), from, tensor, values);
        for args in [
            line("score --model _ --image _ --caption x", &[&model, &place.picture]),
            line("score --model _ --image _ --caption x --json", &[&model, &place.picture]),
            line("embed --model _ --texts _ --out _", &[&model, &texts, path(&out)]),
            line("eval --model _ --suite cola --data _ --images _", &[&model, &data, &images]),
        ] {
            let output = clove(&[&args[..], &["--device", "cpu"]].concat());
            let error = failed(&output);
            assert_contains(&error, &[tensor, parts[0], parts[1], &format!("spoilt-{number}")]);
            assert!(output.stdout.is_empty() && !out.exists(), "{args:?}");
        }
    }
    // Finite weights whose products aren't: the photo or the text is named.
    let large = f32::MAX.to_le_bytes().repeat(16);
    for (tensor, embeds, parts) in [
        ("visual_projection.weight", "--images", ["square-circle.png", "isn't finite"]),
        ("text_projection.weight", "--texts", ["embedding row 0", "isn't finite"]),
    ] {
        let model = spoilt(&place, &format!("large-{tensor}"), &whole, tensor, &large);
        let input = if embeds == "--images" { &place.picture } else { &texts };
        let embed = "embed --model _ --out _ --device cpu _ _";
        let output = clove(&line(embed, &[&model, path(&out), embeds, input]));
        assert_contains(&failed(&output), &parts);
        assert!(!out.exists());
    }
}

#[test]
fn orders_are_drawn_with_a_seed_and_can_be_kept() {
    let place = Place::new();
    let (data, images, kept) = (file("karpathy.json"), file("images"), place.out("orders.json"));
    let args = ["--data", &data, "--images", &images, "--split", "test"];
    let drawn = report(&place, "order", &[&args[..], &["--orders", path(&kept)]].concat());
    assert_eq!(drawn["notes"][0], "orders drawn with seed 0");
    let rows = json(&kept);
    let each = rows.as_array().unwrap();
    assert_eq!(each.len() as u64, drawn["subsets"][0]["rows"].as_u64().unwrap());
    for row in each {
        let options = row["caption_options"].as_array().unwrap();
        assert!((2..=5).contains(&options.len()), "{row}");
        let words = |option: &Value| {
            let mut words: Vec<&str> = option.as_str().unwrap().split(' ').collect();
            words.sort_unstable();
            words.join(" ")
        };
        for option in &options[1..] {
            assert_ne!(option, &options[0]);
            assert_eq!(words(option), words(&options[0]));
        }
    }
    let again = report(&place, "order", &["--data", path(&kept), "--images", &images]);
    assert_eq!(again["subsets"], drawn["subsets"]);
    let other =
        report(&place, "order", &[&args[..], &["--seed", "1", "--orders", path(&kept)]].concat());
    assert_eq!(other["notes"][0], "orders drawn with seed 1");
    assert_ne!(json(&kept), rows);
}
