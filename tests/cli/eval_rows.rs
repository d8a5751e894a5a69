//! Guards the rows that an evaluation counts: rows of one image are one sample, missing rows are counted once, and no figure is one of no
//! rows.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use clove::weights::{Precision, Snapshot};
use clove_data::run::write_model_dir;
use clove_lab as lab;
use clove_tests::{companions, copy_folder, cpu, golden, json, wait};
use serde_json::{Value, json};

use super::eval::{TRIALS, eval, expected, file, refused, report};
use super::{Place, assert_contains, clove, failed, line, path, program, refuse, succeeded};

/// A copy of the benchmarks' photos.
fn photos(place: &Place) -> PathBuf {
    let folder = place.out("photos");
    copy_folder(&golden("evaluate/images"), &folder);
    folder
}

/// The test split of `karpathy.json` as open_clip's table, with a row for each caption: the first of each photo, then the second, and so
/// on. Its columns and separator are open_clip's defaults (mlfoundations/open_clip: src/open_clip_train/params.py: csv-img-key,
/// csv-caption-key, csv-separator).
fn table(more: &[(&str, &str)]) -> String {
    let set = json(&golden("evaluate/karpathy.json"));
    let mut rows = Vec::new();
    for (photo, image) in set["images"].as_array().unwrap().iter().enumerate() {
        if image["split"] == "test" {
            let captions = image["sentences"].as_array().unwrap().iter().enumerate();
            rows.extend(captions.map(|(number, caption)| (number, photo, image, caption)));
        }
    }
    rows.sort_by_key(|(number, photo, ..)| (*number, *photo));
    let rows = rows.iter().map(|(_, _, image, caption)| {
        (image["filename"].as_str().unwrap(), caption["raw"].as_str().unwrap())
    });
    let lines = [("filepath", "title")].into_iter().chain(rows).chain(more.iter().copied());
    let lines = lines.map(|(name, caption)| format!("{name}\t{caption}\n"));
    lines.collect::<Vec<_>>().concat()
}

#[test]
fn a_table_with_a_row_for_each_caption_gives_pytorchs_recall() {
    let place = Place::new();
    let expected = expected();
    let (data, images) = (place.file("captions.tsv", table(&[]).as_bytes()), file("images"));
    let found = report(&place, "retrieval", &["--data", &data, "--images", &images]);
    assert_eq!((&found["images"], &found["captions"]), (&json!(7), &json!(21)));
    assert_eq!(found["missing"], 0);
    for direction in ["image_to_text", "text_to_image"] {
        for k in [1, 5, 10] {
            let wanted = expected["retrieval"][format!("{direction}_at_{k}")].as_f64().unwrap();
            let got = found[direction][format!("at_{k}")].as_f64().unwrap();
            assert!((got - wanted).abs() < 1e-6, "{direction} {k}: {got} {wanted}");
        }
    }
    let notes = found["notes"].to_string();
    assert_contains(
        &notes,
        &["rows with the same image are one sample (by path): 21 rows, 7 images"],
    );
}

#[cfg(unix)]
#[test]
fn a_link_is_the_same_image_and_a_copy_is_if_asked() {
    let place = Place::new();
    let folder = photos(&place);
    std::os::unix::fs::symlink("000000000002.png", folder.join("link.png")).unwrap();
    fs::copy(folder.join("000000000001.png"), folder.join("copy.png")).unwrap();
    let more = [("link.png", "a linked picture"), ("copy.png", "a copied picture")];
    let data = place.file("captions.tsv", table(&more).as_bytes());
    for (by, images) in [("path", 8), ("bytes", 7)] {
        let args = ["--data", &data, "--images", path(&folder), "--same-image", by];
        let found = report(&place, "retrieval", &args);
        assert_eq!((&found["images"], &found["captions"]), (&json!(images), &json!(23)), "{by}");
    }
}

#[test]
fn missing_rows_and_photos_are_counted_once() {
    let place = Place::new();
    let folder = photos(&place);
    let (absent, broken) = ("000000000002.png", "000000000005.png");
    fs::remove_file(folder.join(absent)).unwrap();
    fs::write(folder.join(broken), "no photo").unwrap();
    // By separate code, from the benchmark's files.
    let (mut rows, mut lost) = (0, 0);
    for entry in fs::read_dir(golden("evaluate/sugar-crepe")).unwrap() {
        for row in json(&entry.unwrap().path()).as_object().unwrap().values() {
            if row["caption"] != row["negative_caption"] {
                rows += 1;
                lost += u64::from([absent, broken].contains(&row["filename"].as_str().unwrap()));
            }
        }
    }
    assert!(0 < lost && lost < rows);
    let data = file("sugar-crepe");
    let args = ["--data", &data, "--images", path(&folder)];
    let found = report(&place, "sugar-crepe", &args);
    let sum = |key: &str| {
        let subsets = found["subsets"].as_array().unwrap().iter();
        subsets.map(|subset| subset[key].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((sum("rows"), sum("missing")), (rows - lost, lost));
    assert_eq!(
        (&found["missing_image_count"], &found["missing_images"]),
        (&json!(1), &json!([absent]))
    );
    let unreadable = found["unreadable"].as_array().unwrap();
    assert_eq!((unreadable.len(), &unreadable[0][0]), (1, &json!(broken)));
    let plain = ["eval", "--model", &place.model, "--device", "cpu", "--suite", "sugar-crepe"];
    let mut plain = program(&[&plain[..], &args].concat());
    let output = plain.env("CLOVE_CACHE", place.out("cache")).output().unwrap();
    let missing =
        format!("1 photo missing from the folder, whose rows count as missing: {absent}\n");
    assert_contains(&succeeded(&output).0, &[&missing, "1 photo unreadable, whose rows"]);

    // Retrieval and zero-shot classification have a row for each photo.
    let data = place.file("captions.tsv", table(&[]).as_bytes());
    fs::write(folder.join(absent), "no photo").unwrap();
    let found = report(&place, "retrieval", &["--data", &data, "--images", path(&folder)]);
    assert_eq!((&found["images"], &found["missing"]), (&json!(5), &json!(2)));
    let classes = place.out("classes");
    copy_folder(&golden("evaluate/classes"), &classes);
    fs::write(classes.join("square/000000000002.png"), "no photo").unwrap();
    let found = report(&place, "zero-shot", &["--data", path(&classes)]);
    assert_eq!((&found["rows"], &found["missing"]), (&json!(7), &json!(1)));
}

#[test]
fn a_part_without_a_pixel_is_unreadable_and_a_photo_is_so_once() {
    let place = Place::new();
    let folder = photos(&place);
    let data = golden("evaluate/visual_genome_relation.json");
    let whole = report(&place, "vg-relation", &["--data", path(&data), "--images", path(&folder)]);
    let sum = |report: &Value, key: &str| {
        let subsets = report["subsets"].as_array().unwrap().iter();
        subsets.map(|subset| subset[key].as_u64().unwrap()).sum::<u64>()
    };
    let names: Vec<&str> =
        whole["subsets"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    let mut rows = json(&data);
    let rows = rows.as_array_mut().unwrap();
    let is_counted = |row: &Value| names.contains(&row["relation_name"].as_str().unwrap());
    // The photo with the most parts.
    let mut parts: HashMap<String, u64> = HashMap::new();
    for row in rows.iter().filter(|row| is_counted(row)) {
        *parts.entry(row["image_path"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let (broken, count) = parts.into_iter().max_by_key(|(_, count)| *count).unwrap();
    assert!(count > 1);
    let empty =
        rows.iter_mut().find(|row| is_counted(row) && row["image_path"] != *broken).unwrap();
    (empty["bbox_x"], empty["bbox_w"]) = (json!(10_000), json!(0));
    let data = place.file("relations.json", json!(rows).to_string().as_bytes());
    fs::write(folder.join(&broken), "no photo").unwrap();
    let found = report(&place, "vg-relation", &["--data", &data, "--images", path(&folder)]);
    assert_eq!(sum(&found, "missing"), count + 1);
    assert_eq!(sum(&found, "rows"), sum(&whole, "rows") - count - 1);
    assert_eq!(found["missing_image_count"], 0);
    let unreadable: Vec<String> =
        found["unreadable"].as_array().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(unreadable.len(), 2, "{unreadable:?}");
    let [part, whole] = [10_000.to_string(), broken].map(|name| {
        unreadable.iter().find(|photo| photo.contains(&name)).unwrap_or_else(|| panic!("{name}"))
    });
    assert!(part.contains("has no pixel"), "{part}");
    assert!(whole.contains("not an image"), "{whole}");
}

#[test]
fn no_figure_is_one_of_no_rows() {
    let place = Place::new();
    let empty = place.out("empty");
    fs::create_dir(&empty).unwrap();
    for (suite, data) in TRIALS {
        let data = file(data);
        let output = eval(&place, suite, &["--data", &data, "--images", path(&empty)]);
        assert_contains(&failed(&output), &[suite, "has no row to score", "isn't in the folder"]);
        assert!(output.stdout.is_empty(), "{suite}");
    }
    let broken = photos(&place);
    for photo in fs::read_dir(&broken).unwrap() {
        fs::write(photo.unwrap().path(), "no photo").unwrap();
    }
    let data = place.file("captions.tsv", table(&[]).as_bytes());
    let of_retrieval = ["--data", &data, "--images", path(&broken)];
    assert_contains(
        &refused(&place, "retrieval", &of_retrieval),
        &["the suite retrieval has no row to score: 7 rows", "not an image"],
    );
    let classes = place.out("classes");
    fs::create_dir(&classes).unwrap();
    copy_folder(&broken, &classes.join("square"));
    assert_contains(
        &refused(&place, "zero-shot", &["--data", path(&classes)]),
        &["no row to score"],
    );

    // A sweep doesn't choose from them either, and writes nothing.
    let (cola, out) = (file("cola.json"), place.out("patched"));
    let output = clove(&line(
        "patch --pretrained _ --finetuned _ --sweep 0:1:0.5 --select cola --data _ --images _ --out _ --device cpu",
        &[&place.model, &place.model, &cola, path(&empty), path(&out)],
    ));
    assert_contains(&failed(&output), &["at alpha 0", "has no row to score: 4 rows"]);
    assert!(output.stdout.is_empty() && !out.exists());
}

/// The directory of a scene model.
fn scene_model(place: &Place, name: &str, model: &Snapshot) -> String {
    let out = place.out(name);
    write_model_dir(&out, model, &companions(), Precision::F32).unwrap();
    path(&out).to_owned()
}

#[test]
fn a_sweep_without_an_alpha_that_keeps_recognition_writes_nothing() {
    let place = Place::new();
    let before = scene_model(&place, "before", &lab::pretrained().unwrap());
    // A random model recognises nothing.
    let config = lab::config(&lab::tokenizer().unwrap());
    let random = wait(Snapshot::of(&config.init(1, &cpu()), &config));
    let after = scene_model(&place, "after", &random);
    let out = place.out("swept");
    let error = failed(&clove(&line(
        "patch --pretrained _ --finetuned _ --sweep 1:1:0.1 --select scenes --out _ --device cpu",
        &[&before, &after, path(&out)],
    )));
    assert_contains(&error, &["no alpha of the sweep keeps recognition within 1 point"]);
    assert!(!out.exists());
}

#[test]
fn alpha_is_not_measured_on_the_rows_that_chose_it_by_another_path() {
    let place = Place::new();
    let (cola, images) = (file("cola.json"), file("images"));
    let again = path(&golden("evaluate/images/../cola.json")).to_owned();
    let linked = place.out("linked.json");
    let copy = place.file("cola.json", &fs::read(&cola).unwrap());
    fs::hard_link(&copy, &linked).unwrap();
    for (data, beside) in [(&*cola, &*again), (&copy, path(&linked))] {
        let error = refuse(
            "patch --pretrained _ --finetuned _ --sweep 0:1:0.5 --select cola --data _ --images _ --beside cola --beside-data _ --out _",
            &[&place.model, &place.model, data, &images, beside, path(&place.out("patched"))],
        );
        assert_contains(&error, &["chosen and measured on the same rows"]);
    }
}

#[test]
fn figures_over_different_photos_are_not_compared() {
    let place = Place::new();
    let (folder, cola, out) = (photos(&place), file("cola.json"), place.out("patched"));
    let mut sweep = program(&line(
        "patch --pretrained _ --finetuned _ --sweep 0:1:0.001 --select cola --data _ --images _ --out _ --device cpu",
        &[&place.model, &place.model, &cola, path(&folder), path(&out)],
    ))
    .stdout(Stdio::null())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(sweep.stderr.take().unwrap()).lines().map(Result::unwrap);
    // The first alpha is scored; then a photo goes.
    assert!(lines.any(|line| line.starts_with("alpha 0: ")));
    fs::remove_file(folder.join("000000000003.png")).unwrap();
    let last = lines.last().unwrap();
    assert_contains(&last, &["scored on different photos", "000000000003.png"]);
    assert_eq!(sweep.wait().unwrap().code(), Some(1));
    assert!(!out.exists());
}
