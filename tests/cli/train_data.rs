//! Guards the training data of `clove train`: chosen captions, and several sets by their weights.

use serde_json::json;

use super::train::{BLANK, Job, folder, pictures};
use super::{Place, assert_contains, path, succeed};

/// JSON lines of the pictures `02` to `05` with captions in three fields.
fn list(place: &Place) -> String {
    let lines = (2..6).map(|number| {
        let made = ["a large photo of a thing", "a small photo of a thing"];
        let alt = (number > 2).then(|| format!("alt {number}"));
        json!({"image": format!("pictures/{number:02}.png"), "alt": alt, "made": made, "text": "never"})
    });
    place.json_lines("set.jsonl", lines)
}

#[test]
fn captions_come_from_their_fields_and_the_choice_is_kept_to() {
    let place = Place::new();
    pictures(&place, 6, 0);
    let list = list(&place);
    let data = format!("[data]\nkind = \"json-lines\"\npath = {list:?}\n[data.captions]\n");
    let shown = |name: &str, captions: &str| {
        let body = format!(
            "{BLANK}{data}{captions}\n[negatives]\nstyle = \"none\"\n[train]\nsteps = 3\nbatch = 4\n"
        );
        succeed(&Job::new(&place, name, &body).args(&["--dry-run"]))
    };
    let fields = "fields = [\"alt\", \"made\"]\n";
    let log = shown("random", fields);
    assert_contains(
        &log,
        &["4 images with 11 captions", "captions: 3 \"alt\", 8 \"made\"; choice: a random one"],
    );
    let log = shown("weights", &format!("{fields}weights = [1.0, 1e9]"));
    assert!(log.contains("3 \"alt\" at weight 1, 8 \"made\" at weight 1000000000"), "{log}");
    assert!(log.contains("photo of a thing") && !log.contains(": alt "), "{log}");
    let log = shown("first", &format!("{fields}choice = \"first\""));
    assert_eq!(log.matches("alt 3").count(), 1, "{log}");
    // The sample without this field uses the other one.
    assert_eq!(log.matches("a large photo of a thing").count(), 1, "{log}");
    let log = shown("longest", &format!("{fields}choice = \"longest\""));
    assert_eq!(log.matches("a large photo of a thing").count(), 4, "{log}");
    for log in [log, shown("random-too", fields)] {
        assert!(!log.contains("never"), "{log}");
    }
}

#[test]
fn columns_are_named_and_held_out_splits_are_not_trained_on() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    let rows = (0..6).map(|number| {
        let split = ["train", "train", "val", "test"][number % 4];
        format!("{number:02}.png;a small thing {number};['a large thing {number}'];{split}\n")
    });
    let table = format!("Photo;Words;Foil;Split\n{}", rows.collect::<String>());
    place.file("set-0.csv", table.as_bytes());
    let all = path(&place.out("set-*.csv")).to_owned();
    let data = format!(
        "[data]\nkind = \"table\"\npath = {all:?}\nimages = {:?}\ncolumns = {{ image = \"photo\", negatives = [\"foil\"] }}\n\
         [data.captions]\nfields = [\"words\"]\n",
        path(&dir)
    );
    let tail = format!(
        "[train]\nsteps = 2\nbatch = 2\n[validation]\npath = {all:?}\nimages = {:?}\n",
        path(&dir)
    );
    let [job, other] =
        ["named", "other"].map(|name| Job::new(&place, name, &format!("{BLANK}{data}{tail}")));
    let log = succeed(&job.args(&["--dry-run"]));
    assert_contains(
        &log,
        &[
            "data: 4 images with 4 captions, 4 negatives",
            "validation: 1 image with 1 caption, 1 negative",
            "image = \"photo\"",
        ],
    );
    let heard = job.train(&[]);
    assert_contains(
        &heard,
        &[
            "reads the rows of \"train\" (4), not of \"test\" (1), \"val\" (1); `splits` names others",
            "reads the rows of \"val\" (1), not of \"test\" (1), \"train\" (4)",
        ],
    );
    job.check(2);
    let asked = succeed(&other.args(&["--dry-run", "--set", "data.splits=[\"test\", \"val\"]"]));
    assert!(asked.contains("data: 2 images with 2 captions"), "{asked}");
    for (setting, error) in [
        (
            "data.splits=[\"extra\"]",
            "it has no split \"extra\"; there are \"test\" (1), \"train\" (4), \"val\" (1)",
        ),
        ("data.columns.image=no", "no column of images (no)"),
        ("data.columns.caption=words", "data.columns.caption: unknown key"),
    ] {
        let failed = other.fail(&["--dry-run", "--set", setting]);
        assert!(failed.contains(error), "{failed}");
    }
}

#[test]
fn several_sets_are_drawn_by_their_weights_and_a_run_of_them_resumes() {
    let place = Place::new();
    let dir = pictures(&place, 7, 1);
    let list = list(&place);
    let lines = format!(
        "[[data.sets]]\nkind = \"json-lines\"\npath = {list:?}\nweight = 3\ncaptions = {{ fields = [\"made\"], choice = \"longest\" }}\n"
    );
    let texts = folder(&dir).replace("[data]", "[[data.sets]]");
    let tail = |steps: usize| {
        format!(
            "[negatives]\nstyle = \"shuffle\"\n[train]\nsteps = {steps}\nbatch = 4\ncheckpoint_every = 3\n"
        )
    };
    let body = format!("{BLANK}{lines}{texts}weight = 1\n{}", tail(60));
    let whole = Job::new(&place, "whole", &body);
    let log = succeed(&whole.args(&["--dry-run"]));
    assert_contains(
        &log,
        &[
            "set.jsonl: 4 samples, 75.0 % of the draws; captions: 8 \"made\"",
            "pictures: 7 samples, 25.0 % of the draws",
        ],
    );
    whole.train(&[]);
    #[cfg(unix)]
    {
        let halved = Job::new(&place, "halved", &body);
        super::train_stops::interrupt(&halved, &[], "-INT", 10);
        halved.train(&["--resume"]);
        super::train_stops::same(&whole, &halved);
    }

    // Without weights each sample is drawn once per epoch; a filter compares all sets.
    let body = format!(
        "{BLANK}[data.filter]\nduplicates = \"images\"\n{}{texts}{}",
        lines.replace("weight = 3\n", ""),
        tail(2)
    );
    let log = succeed(&Job::new(&place, "even", &body).args(&["--dry-run"]));
    assert_contains(&log, &["7 images", "4 joined to one of the same image"]);
    let none = body.replace("[data.filter]\n", "[data.filter]\nmin_words = 5\n");
    let error = Job::new(&place, "none", &none).fail(&["--dry-run"]);
    assert!(error.contains("no sample of data.sets[1] passes"), "{error}");
}
