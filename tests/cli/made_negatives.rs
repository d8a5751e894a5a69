//! Guards what uses negatives that are made of captions: `clove score --negatives`, and training.

use std::fs;

use serde_json::{Value, json};

use super::train::{BLANK, Job, SCENES, folder, pictures};
#[cfg(unix)]
use super::train_stops::{interrupt, same};
use super::{Place, path, succeed};

#[test]
fn score_sets_captions_against_negatives() {
    let place = Place::new();
    let model = &place.model;
    let args = ["score", "--model", model, "--image", &place.picture, "--device", "cpu"];
    let given = ["--caption", "a red square", "--caption", "a blue circle", "--caption", "xyzzy"];
    let score = |more: &[&str]| succeed(&[&args[..], &given, more].concat());
    let parse = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
    let plain = parse(score(&["--json"]));
    let hard = parse(score(&["--negatives", "3", "--json"]));
    assert_eq!(hard, parse(score(&["--negatives", "3", "--json"])));
    assert_ne!(hard, parse(score(&["--negatives", "3", "--seed", "9", "--json"])));
    let float = |value: &Value| value.as_f64().unwrap();
    let (mut among_all, mut count) = (0.0, 0);
    for (plain, hard) in
        plain["captions"].as_array().unwrap().iter().zip(hard["captions"].as_array().unwrap())
    {
        // What was there is still there, and the same but for rounding.
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
    for part in
        ["with negatives", "a red square: prefers the caption over ", "smallest margin ", "xyzzy: "]
    {
        assert!(table.contains(part), "{part}: {table}");
    }
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
    // Each style teaches something else.
    let weights = "model/model.safetensors";
    let mut seen = vec![whole.bytes(weights)];
    for style in ["none", "replace", "shuffle"] {
        let job = Job::new(&place, style, &body(style));
        job.train(&["--set", "train.steps=60"]);
        let bytes = job.bytes(weights);
        assert!(!seen.contains(&bytes), "{style}");
        seen.push(bytes);
    }
}

#[test]
fn a_dry_run_shows_negatives_and_how_many_there_are() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    for captions in fs::read_dir(&dir).unwrap() {
        let file = captions.unwrap().path();
        if file.ends_with("03.txt") {
            fs::write(file, "xyzzy\n").unwrap();
        }
    }
    let tail = "[train]\nsteps = 4\nbatch = 3\n";
    let job = Job::new(&place, "folder", &format!("{BLANK}{}{tail}", folder(&dir)));
    let replace = ["--set", "negatives.style=replace"];
    let told = succeed(&job.args(&[&replace[..], &["--dry-run"]].concat()));
    for part in [
        "negatives of the first: 6 captions, 5 with a negative (83.3 %), 5 negatives",
        "\n  replace_",
        "\n  without one: 1 nothing in it that the style could change",
        "    not \"a ",
        "style = \"replace\"",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let log = job.train(&replace);
    assert!(log.contains("2 of the 12 captions of this sitting had no negative"), "{log}");

    // JSON lines bring negatives, or have them made.
    let lines: Vec<String> = (0..6)
        .map(|number| {
            json!({"image": format!("{number:02}.png"), "caption": "a red square"}).to_string()
        })
        .collect();
    let list = place.file("set.jsonl", lines.join("\n").as_bytes());
    let data =
        format!("[data]\nkind = \"json-lines\"\npath = {list:?}\nimages = {:?}\n", path(&dir));
    let job = Job::new(&place, "lines", &format!("{BLANK}{data}{tail}"));
    let told = |more: &[&str]| succeed(&job.args(&[more, &["--dry-run"]].concat()));
    assert!(!told(&[]).contains("    not \""));
    assert!(told(&["--set", "negatives.style=mixed"]).contains("    not \""));

    // Scenes have their own.
    let job = Job::new(&place, "scenes", &format!("{BLANK}{SCENES}{tail}"));
    for style in ["swap", "shuffle"] {
        let error = job.fail(&["--set", &format!("negatives.style={style}")]);
        assert!(error.contains("negatives.style: scenes have negatives of their own"), "{error}");
    }
    let job = Job::new(&place, "file", &format!("{BLANK}{}{tail}", folder(&dir)));
    let error = job.fail(&["--set", "negatives.style=file"]);
    assert!(error.contains("a folder of texts brings no negatives"), "{error}");
}
