//! Guards `clove data inspect`: its counts, its page and its errors.

use std::fs;

use serde_json::json;

use super::train::{BLANK, Job, SCENES, folder, pictures};
use super::{Place, answer, assert_contains, fail, path, program, succeed, text};

/// A folder of ten samples, the last with an unreadable image, and a text without an image.
fn set(place: &Place) -> String {
    let dir = pictures(place, 10, 1);
    fs::write(dir.join("05.txt"), "A red  square 4.\n猫 <b>& mat</b>\n").unwrap();
    fs::write(dir.join("lost.txt"), "a dog").unwrap();
    path(&dir).to_owned()
}

#[test]
fn a_set_is_counted_and_measured() {
    let place = Place::new();
    let (dir, out) = (set(&place), place.out("page.html"));
    let base = ["data", "inspect", "--kind", "folder", "--path", &dir];
    let more = ["--style", "replace", "--style", "shuffle", "--out", path(&out)];
    let args = [&base[..], &more].concat();
    let report = answer(&args);
    assert_eq!(report["samples"], 10);
    assert_eq!(report["skipped"], json!([["without an image", 1]]));
    let captions = &report["captions"];
    assert_eq!(captions["count"], 20);
    // "A red  square 4." repeats the caption of another picture.
    assert_eq!(captions["repeated"], 1);
    assert_eq!(captions["frequent"], json!([["a red square 4", 2]]));
    assert_eq!(captions["words"]["median"], 4);
    assert_eq!(captions["words"]["min"], 3);
    assert_eq!(captions["tokens"]["median"], 6);
    assert_eq!((&captions["context"], &captions["cut"]), (&json!(77), &json!(0)));
    assert_eq!(captions["ascii"], 19);
    assert_eq!(captions["scripts"], json!([["Latin", 20]]));
    let images = &report["images"];
    assert_eq!((&images["tried"], &images["formats"]), (&json!(10), &json!({"Png": 9})));
    let side = images["shorter_side"]["min"].as_u64().unwrap();
    assert!((50..80).contains(&side), "{side}");
    let unreadable = images["unreadable"].as_array().unwrap();
    assert!(unreadable[0][0].as_str().unwrap().ends_with("09.png"));
    assert_eq!(unreadable.len(), 1);
    let made = report["made_negatives"].as_array().unwrap();
    assert_eq!((&made[0][0], &made[1][0]), (&json!("replace"), &json!("shuffle")));
    assert_eq!(made[0][1]["captions"], 10);
    assert!(made[0][1]["with"].as_u64().unwrap() > 5, "{made:?}");

    let page = fs::read_to_string(&out).unwrap();
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 9);
    assert!(page.contains("猫 &lt;b&gt;&amp; mat"), "{page}");
    assert!(!page.contains("<b>") && !page.contains("<script"));
    assert!(page.contains("09.png: not an image"), "{page}");

    let table = succeed(&[&args[..], &["--sample", "3", "--shown", "2"]].concat());
    assert_contains(
        &table,
        &[
            "10 samples with 20 captions and 0 negatives; 1 place skipped",
            "skipped: 1 without an image",
            "3 images opened",
            "1 (5.0 %) repeat an earlier one",
            "negatives, shuffle: 3 captions",
        ],
    );
    let page = fs::read_to_string(&out).unwrap();
    assert_eq!(page.matches("<article>").count(), 2);
}

#[test]
fn everything_that_is_skipped_is_listed_and_counts_are_those_of_the_file() {
    let place = Place::new();
    let dir = pictures(&place, 4, 0);
    let good = (0..4).map(|number| {
        let text = format!("a square {number}");
        let negatives = json!([text, "a circle", format!("a square {}", number + 1)]);
        json!({"image": format!("{number:02}.png"), "captions": [text, "a square 1"], "negatives": negatives})
    });
    let gone = (0..40).map(|number| json!({"image": format!("gone-{number}.png"), "text": "x"}));
    let held_out = json!({"image": "00.png", "text": "x", "split": "test"});
    let file = place.json_lines("set.jsonl", good.chain(gone).chain([held_out]));
    let page = place.out("page.html");
    let base = ["data", "inspect", "--kind", "json-lines", "--path", &file, "--images", path(&dir)];
    let args = [&base[..], &["--out", path(&page)]].concat();
    let report = answer(&args);
    let skipped = report["skipped_samples"].as_array().unwrap();
    assert_eq!((skipped.len(), &report["skipped"]), (40, &json!([["image not found", 40]])));
    assert_eq!(skipped[39][0], format!("{file} line 44"));
    assert_eq!((&report["samples"], &report["of_other_splits"]), (&json!(4), &json!(1)));
    // Of each sample's three negatives the first is its caption, and one is that of another sample: both of the first sample's.
    assert_eq!((&report["negatives"], &report["negatives_like_captions"]), (&json!(7), &json!(5)));
    let output = program(&args).output().unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_contains(
        &stdout,
        &[
            "4 samples with 8 captions and 7 negatives; 40 places skipped; 1 row of other splits",
            "5 negatives equal to a caption of their image",
        ],
    );
    let note = "reads the rows of no split (44), not of \"test\" (1); `splits` names others";
    assert!(stderr.contains(note), "{stderr}");
}

#[test]
fn a_configuration_says_what_to_look_at() {
    let place = Place::new();
    let dir = pictures(&place, 4, 0);
    let body = format!("{BLANK}{}[negatives]\nstyle = \"swap\"\n", folder(&dir));
    let job = Job::new(&place, "run", &body);
    let out = place.out("page.html");
    let args = ["data", "inspect", &job.config, "--out", path(&out)];
    let report = answer(&args);
    assert_eq!(report["made_negatives"][0][0], "swap");
    assert_ne!(report["captions"]["context"], 77);
    assert!(!job.out.exists());
    let other = [&args[..], &["--set", "data.path=/nowhere"]].concat();
    assert!(fail(&other).contains("/nowhere"));
    let scenes = Job::new(&place, "scenes", &format!("{BLANK}{SCENES}"));
    assert!(fail(&["data", "inspect", &scenes.config]).contains("scenes are synthetic"));
}

#[test]
fn a_filter_is_counted_changes_the_set_and_its_digest() {
    let place = Place::new();
    let dir = pictures(&place, 8, 1);
    // The same bytes as another's, and a caption of one word.
    fs::copy(dir.join("00.png"), dir.join("03.png")).unwrap();
    fs::write(dir.join("04.txt"), "square").unwrap();
    let body =
        |filter: &str| format!("{BLANK}{}{filter}[train]\nsteps = 2\nbatch = 3\n", folder(&dir));
    let filter = "[data.filter]\nmin_words = 2\nmax_aspect = 2.0\nduplicates = \"images\"\n";
    let all = Job::new(&place, "all", &body(""));
    let job = Job::new(&place, "filtered", &body(filter));
    let plan = succeed(&job.args(&["--dry-run"]));
    let filtered = "filtered out: 3 samples: 1 without a caption left, 1 whose image can't be opened, 1 joined to one of the same \
                    image; 1 caption: 1 too short";
    assert_contains(
        &plan,
        &[
            "[data.filter]",
            "min_words = 2",
            "duplicates = \"images\"",
            "data: 5 images with 12 captions, 0 negatives; 1 skipped: 1 unreadable image",
            filtered,
        ],
    );
    assert!(!succeed(&all.args(&["--dry-run"])).contains("filter"));
    assert_contains(&job.train(&[]), &[filtered]);
    job.check(2);
    let page = place.out("page.html");
    let report = answer(&["data", "inspect", &job.config, "--out", path(&page)]);
    assert_eq!((&report["samples"], &report["filtered"]["joined"]), (&json!(5), &json!(1)));
    // Another filter makes it another run.
    let looser = Job::new(&place, "filtered", &body("[data.filter]\nmax_aspect = 3.0\n"));
    assert_contains(&looser.fail(&["--resume"]), &["filtered", "start another run"]);

    for (filter, message) in [
        ("min_word = 2", "data.filter.min_word: unknown key; the nearest is data.filter.min_words"),
        (
            "min_words = 200",
            "data.filter: none of the 8 samples passes; filtered out: 8 samples: 8 without a caption left",
        ),
        ("min_words = 4\nmax_words = 3", "data.filter.max_words: must be at least 4"),
        ("max_aspect = 0.5", "data.filter.max_aspect: must be a ratio of at least 1"),
        ("duplicates = \"all\"", "data.filter.duplicates: unknown variant"),
        ("min_side = -1", "data.filter.min_side: "),
    ] {
        let job = Job::new(&place, "wrong", &body(&format!("[data.filter]\n{filter}\n")));
        assert_contains(&job.fail(&["--dry-run"]), &[message]);
    }
    let scenes = format!("{BLANK}{SCENES}[data.filter]\nmin_words = 2\n");
    let error = Job::new(&place, "scenes", &scenes).fail(&["--dry-run"]);
    assert!(error.contains("data.filter.min_words: not for scenes"), "{error}");
}
