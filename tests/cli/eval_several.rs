//! Guards evaluations of several models and suites, and of embeddings that aren't finite.

use std::fs;

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

#[test]
fn an_embedding_that_is_no_number_is_named_and_not_scored() {
    let place = Place::new();
    let dir = place.out("spoilt");
    copy_folder(&golden("tiny-clip/hf"), &dir);
    let weights = dir.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let whole = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = whole.tensor("visual_projection.weight").unwrap();
    let at = tensor.data().as_ptr() as usize - bytes.as_ptr() as usize;
    // Not a number, in f16.
    bytes[at..at + 2].copy_from_slice(&0x7e00_u16.to_le_bytes());
    fs::write(&weights, bytes).unwrap();
    let (data, images) = (file("cola.json"), file("images"));
    let eval = "eval --model _ --device cpu --suite cola --data _ --images _ --no-cache";
    let output = clove(&line(eval, &[path(&dir), &data, &images]));
    assert_contains(&failed(&output), &["000000000000.png", "isn't finite"]);
    assert!(output.stdout.is_empty());
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
