//! Guards `clove data inspect --split`: the rows of the splits that are asked for.

use serde_json::json;

use super::train::pictures;
use super::{Place, answer, assert_contains, fail, line, path};

#[test]
fn the_splits_that_are_asked_for_are_inspected() {
    let place = Place::new();
    let dir = pictures(&place, 4, 0);
    let splits = ["train", "train", "test", "validation"];
    let rows = splits.iter().enumerate().map(|(row, split)| {
        json!({"image": format!("{row:02}.png"), "caption": format!("picture {row}"), "split": split})
    });
    let list = place.json_lines("list.jsonl", rows);
    let (out, dir) = (place.out("page.html"), path(&dir).to_owned());
    let inspect = "data inspect --kind json-lines --path _ --images _ --out _";
    let inspect = line(inspect, &[&list, &dir, path(&out)]);
    for (splits, samples) in
        [(&["train"][..], 2), (&[], 2), (&["test"], 1), (&["test", "validation"], 2), (&["all"], 4)]
    {
        let asked: Vec<&str> = splits.iter().flat_map(|split| ["--split", *split]).collect();
        let report = answer(&[&inspect[..], &asked].concat());
        assert_eq!(report["samples"], samples, "{splits:?}");
        assert_eq!(report["of_other_splits"], 4 - samples, "{splits:?}");
    }
    let error = fail(&[&inspect[..], &["--split", "night"]].concat());
    assert_contains(&error, &["list.jsonl", "night"]);
}
