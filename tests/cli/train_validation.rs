//! Guards validation during training: rows of one photo are one sample, and photos that can't be read decide nothing.

use std::fs;

use serde_json::json;

use super::train::{BLANK, Job, folder, pictures};
use super::{Place, assert_contains, path};

const TWO_STEPS: &str = "[train]\nsteps = 2\nbatch = 4\n";

/// Flickr8k's captions.txt has a row for each of the five captions of a photo.
#[test]
fn rows_of_one_photo_are_one_held_out_sample() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    let rows = (0..18).map(|row| format!("{:02}.png,caption {row}\n", row / 3));
    let table = place.file(
        "held-out.csv",
        ("image,caption\n".to_owned() + &rows.collect::<String>()).as_bytes(),
    );
    let held_out = format!("[validation]\nkind = \"table\"\npath = {table:?}\nimages = {dir:?}\n");
    let job = Job::new(&place, "run", &format!("{BLANK}{}{TWO_STEPS}{held_out}", folder(&dir)));
    assert_contains(
        &job.train(&[]),
        &[
            "validation: 6 images with 18 captions",
            "12 rows merged into others with the same photo",
            "warning: 6 of the 6 held-out photos are also in the training data",
        ],
    );
    for line in job.lines("validation.jsonl") {
        assert_eq!((&line["images"], &line["captions"]), (&json!(6), &json!(18)), "{line}");
        // Every caption of a photo is right for it: among six photos, all are within the first ten.
        assert_eq!(line["text_to_image"]["at_10"], 1.0, "{line}");
    }
}

#[test]
fn unreadable_held_out_photos_are_counted_and_none_readable_ends_the_run() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    let held_out = place.out("held-out");
    fs::create_dir(&held_out).unwrap();
    for number in 0..4 {
        let file = held_out.join(format!("{number}.png"));
        fs::write(&file, "these are words").unwrap();
        fs::write(file.with_extension("txt"), format!("a square {number}\n")).unwrap();
    }
    let model = format!("[model]\ninit = {:?}\n", place.model);
    let validation = format!("[validation]\npath = {:?}\n", path(&held_out));
    let body = format!("{model}{}{TWO_STEPS}{validation}", folder(&dir));
    let job = Job::new(&place, "none", &body);
    let (_, end) = job.end_badly(&[]);
    let start = "clove: validation.path: none of the 4 photos can be read; the first: ";
    assert!(end.starts_with(start) && end.contains("0.png: not an image"), "{end}");
    assert!(!job.out.join("model").exists() && !job.out.join("patched").exists());

    fs::copy(dir.join("00.png"), held_out.join("1.png")).unwrap();
    let job = Job::new(&place, "one", &body);
    assert_contains(&job.train(&[]), &["among 1 photo:", "; 3 photos can't be read"]);
    for line in job.lines("validation.jsonl").iter().chain(&job.lines("patching.jsonl")) {
        assert_eq!((&line["images"], &line["unreadable"]), (&json!(1), &json!(3)), "{line}");
    }
}
