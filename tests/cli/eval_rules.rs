//! Guards the rules of the benchmarks' authors where files have odd rows: boxes beyond photos, equal texts, equal names of classes. And
//! that a kept embedding is only found for the content that it's of.

use std::fs;

use clove_tests::{copy_folder, golden, json, json_lines};
use serde_json::{Value, json};

use super::eval::{expected, file, refused, report};
use super::{Place, assert_contains, path};

/// f32 sums in another order than PyTorch's; the margins of the goldens are at least twice as large.
const MARGIN: f64 = 1e-5;

fn write(place: &Place, name: &str, value: &Value) -> String {
    place.file(name, value.to_string().as_bytes())
}

/// A row's set and id, its margin, and whether it's right.
type Row = (String, f64, bool);

/// A report on the golden photos, and its rows.
fn rows(place: &Place, suite: &str, data: &str) -> (Value, Vec<Row>) {
    rows_of(place, suite, data, &["--images", &file("images")])
}

fn rows_of(place: &Place, suite: &str, data: &str, more: &[&str]) -> (Value, Vec<Row>) {
    let rows = place.out("rows.jsonl");
    let args = ["--data", data, "--rows", path(&rows)];
    let found = report(place, suite, &[&args[..], more].concat());
    let row = |line: Value| {
        let name = |key: &str| line[key].as_str().unwrap();
        let margin = line["margin"].as_f64().unwrap();
        (format!("{}/{}", name("set"), name("id")), margin, line["right"].as_bool().unwrap())
    };
    (found, json_lines(&rows).into_iter().map(row).collect())
}

/// By the code of both (mertyg/vision-language-models-are-bows: dataset_zoo/aro_datasets.py; Netflix/clove: src/training/zero_shot.py)
/// an option of the caption's token ids can't be chosen in its place.
#[test]
fn orders_that_equal_their_caption_are_wrong_by_no_rule() {
    let place = Place::new();
    let kept = json(&golden("evaluate/order.json"));
    let mut options = kept[1]["caption_options"].clone();
    let caption = options[0].clone();
    options.as_array_mut().unwrap().push(caption);
    // The file that CLoVe's code keeps calls photos `image_path`, relative to COCO's folder.
    let data = json!([
        {"image_path": "val2014/000000000001.png", "caption_options": options},
        {"image_path": "000000000002.png", "caption_options": ["a man's dog", "a man's dog", "a man 's dog"]},
    ]);
    let data = write(&place, "instances.json", &data);
    let (found, rows) = rows(&place, "order", &data);
    let margin = expected()["order"]["order"]["1"].as_f64().unwrap();
    for (at, set) in ["order", "order ARO"].into_iter().enumerate() {
        let [one, other] = &rows[2 * at..][..2] else { panic!("{rows:?}") };
        assert_eq!((one.0.as_str(), one.2), (&*format!("{set}/0"), margin > 0.0));
        assert!((one.1 - margin).abs() < MARGIN, "{one:?} {margin}");
        assert_eq!((other.0.as_str(), other.2), (&*format!("{set}/1"), true));
        assert_eq!(found["subsets"][at]["rows"], 2);
    }
    assert_contains(&found["notes"].to_string(), &["2 rows have options", "ARO's rule"]);
    let none = write(&place, "none.json", &json!([{"image": "a.png", "caption_options": []}]));
    let images = file("images");
    let error = refused(&place, "order", &["--data", &none, "--images", &images]);
    assert_contains(&error, &["caption_options", "must be"]);
}

/// Sri-Harsha/scpp: VLMs/test_Variants_CLIP.py counts every row.
#[test]
fn two_equal_captions_of_sugar_crepe_pp_count() {
    let place = Place::new();
    let folder = place.out("scpp");
    copy_folder(&golden("evaluate/sugar-crepe-pp"), &folder);
    let pair = &json(&golden("evaluate/sugar-crepe/swap_obj.json"))["3"];
    let set = folder.join("swap_obj.json");
    let mut data = json(&set);
    data.as_array_mut().unwrap().push(json!({
        "id": 98,
        "filename": pair["filename"],
        "caption": pair["caption"],
        "caption2": pair["caption"],
        "negative_caption": pair["negative_caption"],
    }));
    fs::write(&set, data.to_string()).unwrap();
    let (found, rows) = rows(&place, "sugar-crepe-pp", path(&folder));
    let row = |name: &str| rows.iter().find(|row| row.0 == name).unwrap();
    let margin = expected()["sugar-crepe"]["swap_obj"]["3"].as_f64().unwrap();
    let itt = row("swap_obj ITT/98");
    assert!((itt.1 - margin).abs() < MARGIN && itt.2 == (margin > 0.0), "{itt:?} {margin}");
    assert!(row("swap_obj TOT/98").2);
    for subset in found["subsets"].as_array().unwrap().iter().filter(|s| s["name"] == "swap_obj") {
        assert_eq!((&subset["rows"], &subset["skipped"]), (&json!(9), &json!(1)), "{subset}");
    }
    assert_eq!(found["skipped_rows"], json!(["swap_obj/99"]));
}

#[test]
fn a_row_counts_for_each_metric_that_it_can_answer() {
    let place = Place::new();
    let text = fs::read_to_string(golden("evaluate/winoground.jsonl")).unwrap();
    let row = json!({
        "id": 7,
        "image_0": "000000000000",
        "image_1": "000000000001",
        "caption_0": "a square",
        "caption_1": "a square",
    });
    let data = place.file("winoground.jsonl", format!("{text}{row}\n").as_bytes());
    let (found, _) = rows(&place, "winoground", &data);
    let counts: Vec<(&Value, &Value)> =
        found["subsets"].as_array().unwrap().iter().map(|s| (&s["rows"], &s["skipped"])).collect();
    // No photo is closer to one of two equal captions, but each caption is closer to one of the photos.
    let (seven, eight) = (json!(7), json!(8));
    let (none, one) = (json!(0), json!(1));
    assert_eq!(counts, [(&seven, &one), (&seven, &one), (&eight, &none)]);
    assert_eq!(found["skipped_rows"], json!(["winoground group/7", "winoground text/7"]));
}

/// A row of `visual_genome_relation.json`.
fn relation(photo: &str, [x, y, width, height]: [Value; 4]) -> Value {
    json!({
        "image_path": photo,
        "bbox_x": x,
        "bbox_y": y,
        "bbox_w": width,
        "bbox_h": height,
        "true_caption": "the black circle is above the yellow square",
        "false_caption": "the yellow square is above the black circle",
        "relation_name": "above",
    })
}

#[test]
fn boxes_beyond_a_photo_are_black_there() {
    let place = Place::new();
    let folder = place.out("photos");
    copy_folder(&golden("evaluate/images"), &folder);
    let photo = image::open(folder.join("000000000001.png")).unwrap().into_rgb8();
    let (width, height) = photo.dimensions();
    let mut padded = image::RgbImage::new(width + 12, height + 10);
    image::imageops::replace(&mut padded, &photo, 1, 3);
    padded.save(folder.join("padded.png")).unwrap();
    let data = json!([
        relation(
            "000000000001.png",
            [json!(-1), json!(-3.0), json!(width + 12), json!(f64::from(height + 10))]
        ),
        relation("padded.png", [json!(0), json!(0.0), json!(width + 12), json!(height + 10)]),
        relation("000000000001.png", [json!(10_000), json!(1.0), json!(20), json!(20)]),
        relation("000000000001.png", [json!(1), json!(1), json!(0), json!(20)]),
    ]);
    let data = write(&place, "relations.json", &data);
    let (found, rows) = rows_of(&place, "vg-relation", &data, &["--images", path(&folder)]);
    let names: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(names, ["above/0", "above/1", "above/2"]);
    assert!((rows[0].1 - rows[1].1).abs() < MARGIN, "{rows:?}");
    // Nothing can be made of no pixel.
    let unreadable = found["unreadable"].as_array().unwrap();
    assert_eq!((unreadable.len(), &found["subsets"][0]["missing"]), (1, &json!(1)));
    assert_contains(&unreadable[0].to_string(), &["has no pixel"]);
}

#[test]
fn parts_of_one_photo_are_drawn_together() {
    let place = Place::new();
    let boxes = |photos: [&str; 2]| {
        let row = |at: usize| relation(photos[at % 2], [json!(at), json!(0), json!(30), json!(30)]);
        write(&place, "relations.json", &(0..6).map(row).collect())
    };
    let (one, other) = ("000000000001.png", "000000000002.png");
    let (found, _) = rows(&place, "vg-relation", &boxes([one, one]));
    assert!(found.get("intervals").is_none() && found["subsets"][0]["rows"] == 6, "{found}");
    let (found, _) = rows(&place, "vg-relation", &boxes([one, other]));
    assert!(found.get("intervals").is_some(), "{found}");
}

/// LAION-AI/CLIP_benchmark: clip_benchmark/metrics/zeroshot_classification.py takes `logits.argmax(axis=1)`, the first of equals;
/// ImageNet's list in clip_benchmark/datasets/en_classnames.json has "missile" and "sunglasses" twice.
#[test]
fn photos_of_two_classes_of_one_name_go_to_the_first() {
    let place = Place::new();
    let names = place.file("names.txt", b"tall triangle\ncircle\nsquare\ntall triangle\n");
    let (data, templates) = (file("classes"), file("templates.txt"));
    let args = ["--data", &data, "--templates", &templates, "--class-names", &names];
    let found = report(&place, "zero-shot", &args);
    // The model finds a tall triangle in every photo (expected.json), and two photos are of the first class.
    assert_eq!((&found["top1"], &found["ties"]), (&json!(0.25), &json!(4)));
    let correct = found["classes"].as_array().unwrap().iter().map(|class| &class["correct"]);
    assert_eq!(correct.collect::<Vec<_>>(), [&json!(2), &json!(0), &json!(0), &json!(0)]);
    assert_contains(&found["notes"].to_string(), &["same name", "tall triangle", "(0, 3)"]);
}

#[test]
fn a_kept_embedding_is_not_that_of_another_file() {
    let place = Place::new();
    let folder = place.out("photos");
    copy_folder(&golden("evaluate/images"), &folder);
    let name = "000000000001.png";
    let part = [7_u32, 8, 52, 78];
    // A file whose last bytes, behind the end of the picture, are what the part was once keyed by.
    let mut bytes = fs::read(folder.join(name)).unwrap();
    bytes.extend(part.iter().flat_map(|number| number.to_le_bytes()));
    fs::write(folder.join("crafted.png"), bytes).unwrap();
    let data = write(&place, "part.json", &json!([relation(name, part.map(|n| json!(n)))]));
    let own = json!({
        "image": path(&folder.join("crafted.png")),
        "caption": "a black circle",
        "negatives": ["a yellow square"],
    });
    place.json_lines("pairs.jsonl", [own].into_iter());
    let suite = place.file("suite.toml", b"[[sets]]\nname = \"mine\"\npath = \"pairs.jsonl\"\n");
    let (found, _) = rows_of(&place, "vg-relation", &data, &["--images", path(&folder)]);
    assert_eq!(found["embedded"], 3);
    let (kept, with_cache) = rows_of(&place, "own", &suite, &[]);
    let (_, without) = rows_of(&place, "own", &suite, &["--no-cache"]);
    assert_eq!((with_cache, &kept["known"]), (without, &json!(0)));
}
