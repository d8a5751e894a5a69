//! Guards generated negatives: `clove score --negatives`, and training.

use std::fs;

use serde_json::{Value, json};

use super::train::{BLANK, Job, folder, json_lines_of, pictures};
#[cfg(unix)]
use super::train_stops::{interrupt, same};
use super::{Place, answer, assert_contains, succeed};

#[test]
fn score_sets_captions_against_negatives() {
    let place = Place::new();
    let model = &place.model;
    let args = ["score", "--model", model, "--image", &place.picture, "--device", "cpu"];
    let given = ["--caption", "a red square", "--caption", "a blue circle", "--caption", "xyzzy"];
    let score = |more: &[&str]| succeed(&[&args[..], &given, more].concat());
    let parsed = |more: &[&str]| answer(&[&args[..], &given, more].concat());
    let plain = parsed(&[]);
    let hard = parsed(&["--negatives", "3"]);
    assert_eq!(hard, parsed(&["--negatives", "3"]));
    assert_ne!(hard, parsed(&["--negatives", "3", "--seed", "9"]));
    let float = |value: &Value| value.as_f64().unwrap();
    let (mut among_all, mut count) = (0.0, 0);
    for (plain, hard) in
        plain["captions"].as_array().unwrap().iter().zip(hard["captions"].as_array().unwrap())
    {
        // The other fields are the same except for rounding.
        assert!(plain.get("negatives").is_none());
        assert_eq!(plain["text"], hard["text"]);
        for key in ["similarity", "probability"] {
            assert!((float(&plain[key]) - float(&hard[key])).abs() < 1e-5, "{hard}");
        }
        among_all += float(&hard["probability_with_negatives"]);
        for negative in hard["negatives"].as_array().unwrap() {
            let margin = float(&hard["similarity"]) - float(&negative["similarity"]);
            assert!((margin - float(&negative["margin"])).abs() < 1e-6, "{negative}");
            for key in ["text", "kind", "from", "to"] {
                assert!(negative[key].is_string(), "{negative}");
            }
            among_all += float(&negative["probability_with_negatives"]);
            count += 1;
        }
    }
    assert!((among_all - 1.0).abs() < 1e-5, "{among_all}");
    assert!(count > 3, "{hard}");
    assert_eq!(plain["best"], hard["best"]);

    let table = score(&["--negatives", "3", "--style", "replace"]);
    assert_eq!(table.matches("  not: ").count(), count, "{table}");
    assert_contains(
        &table,
        &[
            "with negatives",
            "a red square: prefers the caption over ",
            "smallest margin ",
            "xyzzy: ",
        ],
    );
    assert!(!score(&[]).contains("not: "));
}

#[cfg(unix)]
#[test]
fn training_on_made_negatives_goes_on_as_if_it_had_not_been_killed() {
    let place = Place::new();
    let dir = pictures(&place, 30, 1);
    let body = |style: &str| {
        format!(
            "{BLANK}{}[negatives]\nstyle = {style:?}\nper_caption = 2\n[train]\nsteps = 60\nbatch = 4\ncheckpoint_every = 3\n",
            folder(&dir)
        )
    };
    let whole = Job::new(&place, "whole", &body("mixed"));
    whole.train(&[]);
    let killed = Job::new(&place, "killed", &body("mixed"));
    let output = interrupt(&killed, &[], "-KILL", 8);
    assert!(!output.status.success() && !killed.out.join("model").exists());
    killed.train(&["--resume"]);
    same(&whole, &killed);
    // Each style gives another model.
    let mut seen = vec![whole.weights()];
    for style in ["none", "replace", "shuffle"] {
        let job = Job::new(&place, style, &body(style));
        job.train(&["--set", "train.steps=60"]);
        let bytes = job.weights();
        assert!(!seen.contains(&bytes), "{style}");
        seen.push(bytes);
    }
}

#[test]
fn a_dry_run_shows_negatives_and_how_many_there_are() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    fs::write(dir.join("03.txt"), "xyzzy\n").unwrap();
    let tail = "[train]\nsteps = 4\nbatch = 3\n";
    let job = Job::new(&place, "folder", &format!("{BLANK}{}{tail}", folder(&dir)));
    let replace = ["--set", "negatives.style=replace"];
    let told = succeed(&job.args(&[&replace[..], &["--dry-run"]].concat()));
    assert_contains(
        &told,
        &[
            "negatives of the first captions: 6 captions, 5 with a negative (83.3 %), 5 negatives",
            "\n  replace_",
            "\n  without one: 1 no word that the style can change",
            "    not \"a ",
            "style = \"replace\"",
        ],
    );
    assert_contains(&job.train(&replace), &["2 of 12 captions had no negative"]);

    // JSON lines contain negatives, or they are generated.
    let line =
        |number: usize| json!({"image": format!("{number:02}.png"), "caption": "a red square"});
    let list = place.json_lines("set.jsonl", (0..6).map(line));
    let data = json_lines_of(&list, &dir);
    let job = Job::new(&place, "lines", &format!("{BLANK}{data}{tail}"));
    let told = |more: &[&str]| succeed(&job.args(&[more, &["--dry-run"]].concat()));
    assert!(!told(&[]).contains("    not \""));
    assert!(told(&["--set", "negatives.style=mixed"]).contains("    not \""));

    // A folder has none.
    let job = Job::new(&place, "file", &format!("{BLANK}{}{tail}", folder(&dir)));
    let error = job.fail(&["--set", "negatives.style=file"]);
    assert!(error.contains("a folder of texts has no negatives"), "{error}");
}
