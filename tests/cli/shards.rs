//! Guards shards as people have them: every member is read or counted, and evaluation reads what training reads.

use std::collections::BTreeSet;
use std::fs;

use clove_tests::{golden, json, tar};
use serde_json::{Value, json};

use super::eval::{expected, file, refused, report};
use super::train::pictures;
use super::{Place, answer, assert_contains, line, path};

/// A photo of the evaluation's goldens.
fn photo(name: &str) -> Vec<u8> {
    fs::read(golden("evaluate/images").join(name)).unwrap()
}

#[test]
fn retrieval_from_shards_with_texts_has_the_figures_of_their_list() {
    let place = Place::new();
    let list = json(&golden("evaluate/karpathy.json"));
    let images = list["images"].as_array().unwrap().iter().filter(|image| image["split"] == "test");
    let members = images.flat_map(|image| {
        let name = image["filename"].as_str().unwrap();
        let sentences = image["sentences"].as_array().unwrap().iter();
        let texts: Vec<&str> = sentences.map(|text| text["raw"].as_str().unwrap()).collect();
        let text = name.replace(".png", ".txt");
        [(name.to_owned(), photo(name)), (text, texts.join("\n").into_bytes())]
    });
    let members: Vec<_> = members.collect();
    fs::create_dir(place.out("test")).unwrap();
    for (number, part) in members.chunks(6).enumerate() {
        place.file(&format!("test/{number}.tar"), &tar(part.iter().cloned()));
    }
    let wanted = expected();
    for data in ["test", "test/*.tar", "test/{0..2}.tar"] {
        let found = report(&place, "retrieval", &["--data", path(&place.out(data))]);
        assert_eq!((&found["images"], &found["captions"]), (&json!(7), &json!(21)), "{data}");
        for direction in ["image_to_text", "text_to_image"] {
            let got = found[direction]["at_5"].as_f64().unwrap();
            let wanted = wanted["retrieval"][format!("{direction}_at_5")].as_f64().unwrap();
            assert!((got - wanted).abs() < 1e-6, "{direction}: {got} {wanted}");
        }
    }
}

/// The layout of LAION-AI/CLIP_benchmark: clip_benchmark/webdataset_builder.py.
#[test]
fn zero_shot_from_shards_has_the_figures_of_their_folders() {
    let place = Place::new();
    let names = ["bar", "circle", "square", "tall_triangle"];
    let photos = names.iter().enumerate().flat_map(|(class, name)| {
        let files = fs::read_dir(golden("evaluate/classes").join(name)).unwrap();
        files.map(move |file| (class, fs::read(file.unwrap().path()).unwrap()))
    });
    let members = photos.enumerate().flat_map(|(number, (class, photo))| {
        let key = format!("s{number:07}");
        [(format!("{key}.png"), photo), (format!("{key}.cls"), class.to_string().into_bytes())]
    });
    let members: Vec<_> = members.collect();
    fs::create_dir(place.out("test")).unwrap();
    for (number, part) in members.chunks(10).enumerate() {
        place.file(&format!("test/{number}.tar"), &tar(part.iter().cloned()));
    }
    place.file("classnames.txt", (names.join("\n").replace('_', " ") + "\n").as_bytes());
    let templates = fs::read(file("templates.txt")).unwrap();
    place.file("zeroshot_classification_templates.txt", &templates);
    let wanted = &expected()["zero-shot"];
    let last = (members.len() - 1) / 10;
    for data in ["test".to_owned(), format!("test/{{0..{last}}}.tar")] {
        let found = report(&place, "zero-shot", &["--data", path(&place.out(&data))]);
        assert_eq!(found["top1"], wanted["top1"], "{data}");
        let classes = found["classes"].as_array().unwrap();
        let right: Vec<&Value> = classes.iter().map(|class| &class["correct"]).collect();
        assert_eq!(json!(right), wanted["classes"], "{data}");
        assert_eq!((&found["names"][3], &found["templates"]), (&json!("tall triangle"), &json!(3)));
    }
    // A shard without a photo is no result.
    let none = place.file("none.tar", &tar([("a.cls", "0")]));
    assert_contains(&refused(&place, "zero-shot", &["--data", &none]), &["none.tar: no photo ("]);
}

#[test]
fn samples_and_skipped_are_all_that_a_shard_has() {
    let place = Place::new();
    let dir = pictures(&place, 8, 0);
    let mut files: Vec<_> = fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let name = |file: &std::path::Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    let mut members: Vec<(String, Vec<u8>)> =
        files.iter().map(|file| (name(file), fs::read(file).unwrap())).collect();
    let image = members[0].1.clone();
    for (name, bytes) in [
        ("a.heic", image.clone()),
        ("a.txt", b"a".to_vec()),
        ("b.jpg", image.clone()),
        ("c.txt", b"c".to_vec()),
        ("d.jpg", image.clone()),
        ("d.json", b"{".to_vec()),
        ("e.mp4", b"e".to_vec()),
    ] {
        members.push((name.to_owned(), bytes));
    }
    // Packed by type: the texts after all images.
    members.sort_by_key(|(name, _)| name.rsplit('.').next() == Some("txt"));
    let keys: BTreeSet<String> =
        members.iter().map(|(name, _)| name.split('.').next().unwrap().to_owned()).collect();
    let hidden = [("._00.png".to_owned(), b"x".to_vec()), ("__MACOSX/00.png".to_owned(), image)];
    let shard = place.file("s.tar", &tar(members.into_iter().chain(hidden)));
    let out = place.out("page.html");
    let args = line("data inspect --kind webdataset --path _ --out _", &[&shard, path(&out)]);
    let report = answer(&args);
    let skipped: Value = report["skipped"].clone();
    let count = |kind: &str| {
        let counts = skipped.as_array().unwrap().iter();
        counts.filter(|count| count[0] == kind).map(|count| count[1].as_u64().unwrap()).sum::<u64>()
    };
    let all: u64 = skipped.as_array().unwrap().iter().map(|count| count[1].as_u64().unwrap()).sum();
    assert_eq!((report["samples"].as_u64().unwrap(), count("hidden file")), (8, 2), "{skipped}");
    assert_eq!(8 + all - count("hidden file"), keys.len() as u64, "{skipped}");
    for kind in ["format not read", "without an image", "without a caption", "not JSON"] {
        assert!(count(kind) > 0, "{kind}: {skipped}");
    }
}

#[test]
fn a_repository_of_parquet_is_read_by_its_train_split() {
    let place = Place::new();
    let lists = fs::read(golden("parquet/lists.parquet")).unwrap();
    fs::create_dir(place.out("data")).unwrap();
    for name in ["train-00000-of-00001", "validation-00000-of-00001", "test-00000-of-00001"] {
        place.file(&format!("data/{name}.parquet"), &lists);
    }
    let out = place.out("page.html");
    for path_of in ["", "data", "data/*.parquet"] {
        let data = place.out(path_of);
        let args = line("data inspect --kind parquet --path _ --out _", &[path(&data), path(&out)]);
        let report = answer(&args);
        assert_eq!(
            (&report["samples"], &report["skipped"]),
            (&json!(2), &json!([["without a caption", 1]]))
        );
    }
}
