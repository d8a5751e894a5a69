//! Guards training on tables with a row for each caption: a photo's other captions and the same caption elsewhere aren't wrong.

use std::fs;

use super::train::{Job, pictures};
use super::{Place, assert_contains, path};

#[test]
fn a_photo_in_several_rows_is_no_negative_of_itself_and_the_run_says_how_many() {
    let place = Place::new();
    let dir = pictures(&place, 4, 0);
    // The same bytes under another name are the same photo.
    fs::copy(dir.join("00.png"), dir.join("copy.png")).unwrap();
    let photos = ["00", "00", "00", "00", "copy", "01", "02", "03"];
    let captions =
        ["a cat", "a dog", "a red car", "two birds", "a tree", "a boat", "a boat", "rain"];
    let rows = photos.iter().zip(captions);
    let rows: Vec<String> =
        rows.map(|(photo, caption)| format!("{photo}.png,{caption}\n")).collect();
    let table = "image,caption\n".to_owned() + &rows.concat();
    let table = place.file("table.csv", table.as_bytes());
    let body = format!(
        "[model]\ninit = {:?}\n[data]\nkind = \"table\"\npath = {table:?}\nimages = {:?}\n\
         [negatives]\nstyle = \"none\"\n[train]\nsteps = 2\nbatch = 8\n",
        place.model,
        path(&dir)
    );
    // Every batch has all rows: five of one photo, 5 x 4 pairs, and two of one caption.
    let job = Job::new(&place, "run", &body);
    assert_contains(&job.train(&[]), &["44 pairs left out of the loss"]);
    let masked: Vec<_> =
        job.lines("metrics.jsonl").iter().map(|line| line["masked"].as_u64()).collect();
    assert_eq!(masked, [Some(22), Some(22)]);

    let rows = ["00.png,a cat\n", "01.png,a dog\n", "02.png,rain\n", "03.png,a boat\n"];
    fs::write(&table, "image,caption\n".to_owned() + &rows.concat()).unwrap();
    let log = Job::new(&place, "distinct", &body).train(&["--set", "train.batch=4"]);
    assert!(!log.contains("left out of the loss"), "{log}");
}
