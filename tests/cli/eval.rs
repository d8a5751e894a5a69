//! Guards `clove eval`: every row of every suite gets what the benchmark's published rule gives it (tests/golden/make_evaluate.py),
//! embeddings are cached, and rows that can't be scored are reported.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

use clove_tests::{copy_folder, golden, json, json_lines};
use serde_json::{Value, json};

use super::{Place, assert_contains, failed, path, program, succeeded};

/// f32 sums in another order than PyTorch's; the margins of the goldens are at least twice as large.
const MARGIN: f64 = 1e-5;

pub fn file(name: &str) -> String {
    path(&golden("evaluate").join(name)).to_owned()
}

pub fn eval(place: &Place, suite: &str, more: &[&str]) -> Output {
    // The reference's photos are cropped as in open_clip's layout; Hugging Face's crop of two of them is one pixel off.
    let model = golden("tiny-clip/open_clip");
    program(&["eval", "--model", path(&model), "--device", "cpu", "--suite", suite, "--json"])
        .args(more)
        .env("CLOVE_CACHE", place.out("cache"))
        .output()
        .unwrap()
}

pub fn report(place: &Place, suite: &str, more: &[&str]) -> Value {
    serde_json::from_str(&succeeded(&eval(place, suite, more)).0).unwrap()
}

pub fn refused(place: &Place, suite: &str, more: &[&str]) -> String {
    failed(&eval(place, suite, more))
}

/// The reference's results.
pub fn expected() -> Value {
    json(&golden("evaluate").join("expected.json"))
}

/// The suites of trials, with their files.
pub const TRIALS: [(&str, &str); 8] = [
    ("sugar-crepe", "sugar-crepe"),
    ("sugar-crepe-pp", "sugar-crepe-pp"),
    ("cola", "cola.json"),
    ("winoground", "winoground.jsonl"),
    ("vg-relation", "visual_genome_relation.json"),
    ("vg-attribution", "visual_genome_attribution.json"),
    ("order", "order.json"),
    ("svo-probes", "svo_probes.csv"),
];

#[test]
fn every_row_of_every_suite_gets_what_its_published_rule_gives_it() {
    let place = Place::new();
    let expected = expected();
    let images = file("images");
    for (suite, data) in TRIALS {
        let (data, rows) = (file(data), place.out("rows.jsonl"));
        let args = ["--data", &data, "--images", &images, "--rows", path(&rows)];
        let report = report(&place, suite, &args);
        let mut found: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
        for line in json_lines(&rows) {
            let name = |key: &str| line[key].as_str().unwrap().to_owned();
            let set = found.entry(name("set")).or_default();
            set.insert(name("id"), line["margin"].as_f64().unwrap());
        }
        let expected = expected[suite].as_object().unwrap();
        let sets: Vec<&String> = found.keys().collect();
        let mut wanted: Vec<&String> = expected.keys().collect();
        wanted.sort();
        assert_eq!(sets, wanted, "{suite}");
        let mut right = 0;
        for (set, rows) in expected {
            let rows = rows.as_object().unwrap();
            assert_eq!(found[set].len(), rows.len(), "{suite} {set}");
            for (id, margin) in rows {
                let (found, margin) = (found[set][id], margin.as_f64().unwrap());
                assert!((found - margin).abs() < MARGIN, "{suite} {set} {id}: {found} {margin}");
                assert_eq!(found > 0.0, margin > 0.0);
                right += u64::from(margin > 0.0);
            }
        }
        let subsets = report["subsets"].as_array().unwrap();
        let correct = subsets.iter().map(|s| s["correct"].as_u64().unwrap());
        assert_eq!(correct.sum::<u64>(), right, "{suite}");
        let blind = report["blind"].as_array().unwrap();
        let names: Vec<&str> = blind.iter().map(|b| b["baseline"].as_str().unwrap()).collect();
        assert_eq!(
            names.join("; "),
            "chance; shorter caption (words); shorter caption (characters); no final full stop; text tower, mean photo; text tower, \
             other photos",
            "{suite}"
        );
        for subset in subsets {
            let [low, high] = [0, 1].map(|end| subset["interval"][end].as_f64().unwrap());
            let accuracy = subset["accuracy"].as_f64().unwrap();
            assert!(low <= accuracy && accuracy <= high, "{suite} {subset}");
        }
    }
}

#[test]
fn chance_is_that_of_each_suite_and_what_cannot_be_scored_is_told() {
    let place = Place::new();
    let images = file("images");
    let chance = |suite: &str, data: &str| {
        let data = file(data);
        let report = report(&place, suite, &["--data", &data, "--images", &images]);
        let of = |set: &Value| (100.0 * set["accuracy"].as_f64().unwrap()).round();
        let sets = report["blind"][0]["subsets"].as_array().unwrap();
        (sets.iter().map(of).collect::<Vec<f64>>(), report)
    };
    // The chance of a group is one in six, and of two captions that both must beat a third one in three.
    assert_eq!(chance("winoground", "winoground.jsonl").0, [17.0, 25.0, 25.0]);
    assert_eq!(chance("cola", "cola.json").0, [25.0]);
    let (shares, report) = chance("sugar-crepe-pp", "sugar-crepe-pp");
    assert_eq!(shares, [33.0; 10]);
    assert_eq!(report["skipped_rows"], json!(["swap_obj/99"]));
    let report = chance("svo-probes", "svo_probes.csv").1;
    let expected = expected();
    for key in ["positive", "negative"] {
        assert_eq!(report["matching"][key], expected["svo-probes-matching"][key]);
    }
    let report = chance("sugar-crepe-pp", "sugar-crepe-pp").1;
    // Rules on texts don't apply to the similarity of two texts.
    assert!(report["blind"][1]["subsets"][1]["accuracy"].is_null());
    let groups = report["groups"].as_array().unwrap();
    let groups: Vec<&str> = groups.iter().map(|g| g["name"].as_str().unwrap()).collect();
    assert_eq!(
        groups,
        ["replace ITT", "swap ITT", "all ITT", "replace TOT", "swap TOT", "all TOT"]
    );
    // Three of eight rows have one option fewer, by CLoVe's rule and by ARO's.
    let (shares, report) = chance("order", "order.json");
    assert_eq!(shares, [((5.0 / 5.0 + 3.0 / 4.0) / 8.0 * 100.0_f64).round(); 2]);
    assert!(report["notes"][0].as_str().unwrap().starts_with("3 rows have options"));
    let notes = &chance("vg-relation", "visual_genome_relation.json").1["notes"];
    assert!(notes[0].as_str().unwrap().starts_with("9 rows with a symmetric relation"), "{notes}");
    let notes = &chance("vg-attribution", "visual_genome_attribution.json").1["notes"];
    assert!(notes[0].as_str().unwrap().starts_with("2 rows of attributes"), "{notes}");
}

#[test]
fn photos_and_captions_find_one_another_and_photos_their_classes() {
    let place = Place::new();
    let expected = expected();
    let (data, images) = (file("karpathy.json"), file("images"));
    let rows = place.out("rows.jsonl");
    let args = ["--data", &data, "--images", &images, "--split", "test"];
    let found = report(&place, "retrieval", &[&args[..], &["--rows", path(&rows)]].concat());
    assert_eq!((&found["images"], &found["captions"]), (&json!(7), &json!(21)));
    for direction in ["image_to_text", "text_to_image"] {
        for k in [1, 5, 10] {
            let wanted = expected["retrieval"][format!("{direction}_at_{k}")].as_f64().unwrap();
            let got = found[direction][format!("at_{k}")].as_f64().unwrap();
            assert!((got - wanted).abs() < 1e-6, "{direction} {k}: {got} {wanted}");
        }
    }
    for set in ["image to text", "text to image"] {
        let of: Vec<Value> = json_lines(&rows)
            .into_iter()
            .filter(|line| line["set"] == set)
            .map(|line| line["above"].clone())
            .collect();
        assert_eq!(json!(of), expected["retrieval"][set.replace(' ', "_")], "{set}");
    }
    let chance = found["chance"]["text_to_image"][1].as_f64().unwrap();
    assert!((chance - 5.0 / 7.0).abs() < 1e-12);
    let (data, templates) = (file("classes"), file("templates.txt"));
    let args = ["--data", &data, "--templates", &templates, "--rows", path(&rows)];
    let found = report(&place, "zero-shot", &args);
    assert_eq!(found["top1"], expected["zero-shot"]["top1"]);
    let classes = found["classes"].as_array().unwrap();
    let right: Vec<&Value> = classes.iter().map(|class| &class["correct"]).collect();
    assert_eq!(json!(right), expected["zero-shot"]["classes"]);
    let said = json_lines(&rows).into_iter().map(|line| {
        let name = line["id"].as_str().unwrap().rsplit('/').next().unwrap();
        (name.to_owned(), line["said"].clone())
    });
    let said: serde_json::Map<String, Value> = said.collect();
    assert_eq!(Value::Object(said), expected["zero-shot"]["said"]);
    assert_eq!(found["names"][3], "tall triangle");
    assert_eq!(found["chance"], 0.25);
}

#[test]
fn what_was_embedded_once_is_read_again() {
    let place = Place::new();
    let (data, images) = (file("sugar-crepe"), file("images"));
    let args = ["--data", &data, "--images", &images];
    let first = report(&place, "sugar-crepe", &args);
    let again = report(&place, "sugar-crepe", &args);
    assert_eq!(first["known"], 0);
    assert_eq!((&again["embedded"], &again["known"]), (&json!(0), &first["embedded"]));
    let figures = |report: &Value| {
        let mut report = report.clone();
        for key in ["embedded", "known", "seconds"] {
            report.as_object_mut().unwrap().remove(key);
        }
        report
    };
    assert_eq!(figures(&first), figures(&again));
    // A damaged cache is read up to the damage.
    let folder = place.out("cache").join("embeddings");
    let store: PathBuf = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&store).unwrap();
    let mut damaged = bytes.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    for (bytes, least) in [(&bytes[..bytes.len() - 3], 1), (&damaged[..], 2)] {
        fs::write(&store, bytes).unwrap();
        let report = report(&place, "sugar-crepe", &args);
        assert!(report["embedded"].as_u64().unwrap() >= least, "{report}");
        assert_eq!(figures(&first), figures(&report));
    }
    let forgetful = report(&place, "sugar-crepe", &[&args[..], &["--no-cache"]].concat());
    assert_eq!(forgetful["known"], 0);
}

#[test]
fn pairs_of_ones_own_are_a_suite_and_bad_files_are_named() {
    let place = Place::new();
    let image = |number: usize| golden("evaluate").join(format!("images/{number:012}.png"));
    let rows = (0..4).map(|number| {
        let negatives = [vec![], vec!["a cat"], vec!["a cat", "a dog"]][number % 3].clone();
        json!({"image": path(&image(number)), "caption": "a square", "negatives": negatives})
    });
    place.json_lines("pairs.jsonl", rows);
    let suite = place.file("suite.toml", b"[[sets]]\nname = \"mine\"\npath = \"pairs.jsonl\"\n");
    let found = report(&place, "own", &["--data", &suite]);
    let subset = &found["subsets"][0];
    assert_eq!((&subset["name"], &subset["rows"]), (&json!("mine"), &json!(2)));
    assert_eq!(found["notes"], json!(["mine: 2 rows have no negative"]));
    let misspelt = place.file("suite.toml", b"[[sets]]\nname = \"mine\"\npaht = \"pairs.jsonl\"\n");
    assert!(refused(&place, "own", &["--data", &misspelt]).contains("paht"));

    let images = file("images");
    let row = r#"{"id": 1, "image_0": "a", "image_1": "b", "caption_0": "c", "caption_1": "d"}"#;
    let twice = format!("{row}\n{row}\n");
    for (suite, name, content, part) in [
        (
            "winoground",
            "w.jsonl",
            "{\"id\": 1, \"image_0\": \"a\"}\n",
            "row \"line 1\": field \"image_1\" is missing",
        ),
        ("winoground", "w.jsonl", twice.as_str(), "an earlier row has the same id"),
        ("cola", "c.json", "[[\"a\", \"b\", \"c\"]]", "c.json"),
        (
            "vg-relation",
            "v.json",
            r#"[{"image_path": "a", "bbox_x": -1.5, "bbox_y": "1"}]"#,
            "row \"0\": field \"bbox_y\" must be a number",
        ),
        ("svo-probes", "s.csv", "sentence,pos_image_id\na,b\n", "it has no column neg_image_id"),
    ] {
        let file = place.file(name, content.as_bytes());
        assert_contains(&refused(&place, suite, &["--data", &file, "--images", &images]), &[part]);
    }
    let error = refused(&place, "cola", &["--data", &file("cola.json")]);
    assert!(error.contains("the suite cola needs --images"), "{error}");
    assert_contains(&refused(&place, "retrieval", &[]), &["the suite retrieval needs --data"]);

    // An unreadable photo is named, and its rows are missing.
    let folder = place.out("photos");
    copy_folder(&golden("evaluate/images"), &folder);
    fs::write(folder.join("000000000003.png"), "no photo").unwrap();
    let data = file("cola.json");
    let found = report(&place, "cola", &["--data", &data, "--images", path(&folder)]);
    let subset = &found["subsets"][0];
    assert_eq!((&subset["rows"], &subset["missing"]), (&json!(3), &json!(1)));
    assert_eq!(found["unreadable"][0][0], "000000000003.png");
    assert_eq!((&found["missing_image_count"], &found["missing_images"]), (&json!(0), &json!([])));
}
