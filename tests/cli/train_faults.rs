//! Guards `clove train` against bad configurations, sets, folders and images, diverging losses and lost devices.

use std::fs;
use std::path::Path;

use clove_tests::tar;
use serde_json::{Value, json};

use super::train::{BLANK, Job, SCENES, folder, pictures};
use super::{Place, assert_contains, fail, path};

#[test]
fn what_is_wrong_with_a_configuration_is_named() {
    let place = Place::new();
    let good = format!("{BLANK}{SCENES}[train]\nsteps = 2\nbatch = 2\n");
    let nowhere = "[data]\nkind = \"folder\"\npath = \"no/such/folder\"\n";
    let empty = place.out("empty");
    fs::create_dir(&empty).unwrap();
    for (body, parts) in [
        (
            format!("{good}[optimizer]\nlearning_rate = \"fast\"\n"),
            &["bad.toml: optimizer.learning_rate: ", "string \"fast\""][..],
        ),
        (format!("{good}[optimizer]\nlearning_rate = -1\n"), &["optimizer.learning_rate: must be"]),
        (format!("{good}[loss]\nkind = \"clovee\"\n"), &["loss.kind", "`clove`"]),
        (format!("{good}[loss\n"), &["bad.toml:10: "]),
        (SCENES.to_owned(), &["model.init", "missing"]),
        (BLANK.to_owned(), &["data.kind", "missing"]),
        (format!("{BLANK}{nowhere}"), &["no/such/folder"]),
        (format!("{BLANK}{}", folder(&empty)), &["empty: no image with a caption"]),
        (format!("{BLANK}[data]\nkind = \"json-lines\"\n"), &["data.path", "missing"]),
        (format!("{BLANK}{SCENES}path = \"x\"\n"), &["data.path", "not for scenes"]),
        (
            format!("[model]\ninit = \"no/such/model\"\n{SCENES}"),
            &["no/such/model: no such directory"],
        ),
        (format!("{good}epochs = 2\n"), &["train.epochs", "either"]),
        (
            format!("{good}[negatives]\nstyle = \"file\"\n"),
            &["negatives.style", "scenes have no file"],
        ),
    ] {
        let job = Job::new(&place, "bad", &body);
        assert_contains(&job.fail(&[]), parts);
        assert!(!job.out.exists(), "{body}");
    }

    let job = Job::new(&place, "good", &good);
    for (settings, part) in [
        (&["train.batch=many"][..], "--set train.batch: invalid type: string \"many\""),
        (&["train.batsh=4"], "--set train.batsh: unknown key; the nearest is train.batch"),
        (&["train=5"], "--set train: is a table; set one of its keys: train.batch, "),
        (&["out=\"\""], "--set out: must name a folder"),
        (&["lora.rank=0"], "lora.rank: must be from 1 to 1024"),
        (&["lora.alpha=2"], "needs lora.rank"),
        (&["lora.rank=4", "lora.towers=[]"], "lora.towers: must name"),
        (&["lora.rank=4", "train.locked=[\"text\"]"], "names a tower that train.locked freezes"),
        (&["lora.rank=4", "lora.alpha=0"], "lora.alpha: must be"),
        (&["negatives.style=swap"], "negatives.style: scenes have no negatives of this style"),
        (&["negatives.style=shuffle"], "negatives.style: scenes have no negatives of this style"),
    ] {
        let settings: Vec<&str> = settings.iter().flat_map(|&set| ["--set", set]).collect();
        assert_contains(&job.fail(&settings), &[part]);
        assert_contains(&job.fail(&[&settings[..], &["--dry-run"]].concat()), &[part]);
    }
    assert_contains(&job.fail(&["--resume"]), &["holds no run to resume"]);
    assert!(!job.out.exists());
    assert_contains(&job.fail(&["--resume", "--dry-run"]), &["holds no run to resume"]);
    job.train(&[]);
    // A dry run refuses what the run does.
    for more in [&[][..], &["--dry-run"]] {
        assert_contains(&job.fail(more), &["already holds a run", "--resume"]);
        let changed = ["--resume", "--set", "optimizer.learning_rate=0.5"];
        let error = job.fail(&[&changed[..], more].concat());
        let start = "run.toml: a resumed run keeps its configuration: optimizer.learning_rate: ";
        assert_contains(&error, &[start, " in the run, 0.5 now; undo the change"]);
    }
    job.check(2);
    assert_contains(&fail(&["train", "no-such.toml", "--device", "cpu"]), &["no-such.toml"]);
}

#[test]
fn another_set_on_resume_is_refused() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    let body = format!("{BLANK}{}[train]\nsteps = 2\nbatch = 2\n", folder(&dir));
    let job = Job::new(&place, "run", &body);
    job.train(&[]);
    fs::write(dir.join("00.txt"), "another caption\n").unwrap();
    let error = job.fail(&["--resume"]);
    let start = "what the run reads has changed since it began: the training samples of ";
    assert_contains(&error, &[start, "(data.path: other texts, names or sizes of photos"]);
    fs::remove_file(dir.join("00.txt")).unwrap();
    let error = job.fail(&["--resume"]);
    assert_contains(&error, &["(data.path: 6 samples before, 5 samples now)"]);
}

#[test]
fn a_broken_image_is_counted_and_named_and_many_end_the_run() {
    let place = Place::new();
    let dir = pictures(&place, 20, 1);
    let body = |dir: &Path| format!("{BLANK}{}[train]\nsteps = 10\nbatch = 8\n", folder(dir));
    let job = Job::new(&place, "one", &body(&dir));
    assert_contains(&job.train(&[]), &["19.png: not an image", "1 sample couldn't be read"]);
    // It's met in each of the four epochs, and counts once.
    let skipped = job.lines("skipped.jsonl");
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0]["image"].as_str().unwrap().ends_with("19.png"));
    assert!(skipped[0]["reason"].as_str().unwrap().contains("not an image"));
    assert!(skipped[0]["position"].as_u64().unwrap() < 20);
    let state = job.state(10);
    assert_eq!(state["samples"], 84);
    assert_eq!(state["skipped"], 1);
    job.check(10);

    let place = Place::new();
    let dir = pictures(&place, 20, 10);
    let job = Job::new(&place, "many", &body(&dir));
    let (_, end) = job.end_badly(&[]);
    assert!(end.contains("more than a share of 0.1") && end.contains(".png"), "{end}");
    assert_eq!(job.lines("skipped.jsonl").len(), 10);
    assert!(!job.out.join("model").exists());
    // Without tolerance the first one ends the run.
    let job = Job::new(&place, "strict", &body(&dir));
    let (_, end) = job.end_badly(&["--set", "data.unreadable=0"]);
    assert!(end.contains("more than a share of 0 (data.unreadable)"), "{end}");

    // With any share tolerated, a set without a readable image ends the run all the same.
    let place = Place::new();
    let dir = pictures(&place, 20, 20);
    let job = Job::new(&place, "none", &body(&dir));
    let (_, end) = job.end_badly(&["--set", "data.unreadable=1"]);
    assert!(end.contains("none of the 20 samples that were tried can be read"), "{end}");
}

/// One rule for every kind of set: more than half of the images missing is likely another folder.
#[test]
fn images_that_are_mostly_missing_end_the_run_before_it_begins() {
    let place = Place::new();
    let dir = pictures(&place, 4, 0);
    let name = |number: usize| format!("{number:02}.png");
    let rows = (0..10).map(|number| format!("{},a red square {number}\n", name(number)));
    place.file("set.csv", format!("image,caption\n{}", rows.collect::<String>()).as_bytes());
    place.json_lines(
        "set.jsonl",
        (0..10)
            .map(|number| json!({"image": name(number), "caption": format!("a square {number}")})),
    );
    let images = (0..10).map(|number| json!({"id": number, "file_name": name(number)}));
    let captions =
        (0..10).map(|number| json!({"image_id": number, "id": number, "caption": "a dog"}));
    let coco =
        json!({"images": images.collect::<Vec<_>>(), "annotations": captions.collect::<Vec<_>>()});
    place.file("set.json", coco.to_string().as_bytes());
    for (kind, file) in [("table", "set.csv"), ("json-lines", "set.jsonl"), ("coco", "set.json")] {
        let data = format!(
            "[data]\nkind = {kind:?}\npath = {:?}\nimages = {dir:?}\n",
            path(&place.out(file))
        );
        let job = Job::new(&place, kind, &format!("{BLANK}{data}[train]\nsteps = 1\nbatch = 2\n"));
        let error = job.fail(&[]);
        assert_contains(
            &error,
            &["6 of 10 samples have no image that can be read", "04.png", "data.images"],
        );
        assert!(!job.out.exists());
        job.train(&["--set", "data.unreadable=0.6"]);
        // What was skipped while the set was read is listed, too.
        let skipped = job.lines("skipped.jsonl");
        assert_eq!(skipped.len(), 6, "{kind}");
        for line in skipped {
            assert!(line["reason"].as_str().unwrap().starts_with("image not found: "), "{line}");
            assert_eq!((&line["step"], &line["position"]), (&json!(0), &Value::Null));
        }
    }
}

/// 1, 5 or 20 % of the photos are broken, and one of ten shards is cut: training uses all others, and the counts are exact.
#[test]
fn a_set_with_many_faults_is_counted_exactly() {
    const SHARDS: usize = 10;
    const EACH: usize = 20;
    let place = Place::new();
    let dir = pictures(&place, 1, 0);
    let photo = fs::read(dir.join("00.png")).unwrap();
    for share in [1, 5, 20] {
        let mut broken = 0;
        for shard in 0..SHARDS {
            let mut members: Vec<(String, &[u8])> = Vec::new();
            for sample in 0..EACH {
                let number = shard * EACH + sample;
                // The cut shard has no broken photos.
                let is_broken = shard > 0 && number * share % 100 < share;
                broken += usize::from(is_broken);
                let bytes: &[u8] = if is_broken { &photo[..40] } else { &photo };
                members.push((format!("{number:03}.png"), bytes));
                members.push((format!("{number:03}.txt"), &b"a red square"[..]));
            }
            let mut bytes = tar(members);
            if shard == 0 {
                // In the header of the eleventh sample's image.
                let one = bytes.windows(7).position(|part| part == b"010.png").unwrap();
                bytes.truncate(one + 100);
            }
            place.file(&format!("{share}-{shard}.tar"), &bytes);
        }
        let pattern = path(&place.out(&format!("{share}-{{0..9}}.tar"))).to_owned();
        let data = format!("[data]\nkind = \"webdataset\"\npath = {pattern:?}\nunreadable = 0.3\n");
        // Every sample is tried: one epoch and a part of the next.
        let steps = SHARDS * EACH / 8;
        let body = format!("{BLANK}{data}[train]\nsteps = {steps}\nbatch = 8\n");
        let job = Job::new(&place, &format!("run-{share}"), &body);
        let log = job.train(&[]);
        // The cut shard loses half of its samples.
        let left = SHARDS * EACH - EACH / 2;
        assert_contains(&log, &[&format!("{left} images with {left} captions"), "1 damaged shard"]);
        let skipped = job.lines("skipped.jsonl");
        let (met, read): (Vec<_>, Vec<_>) =
            skipped.iter().partition(|line| line["position"].is_u64());
        // The cut shard is listed, too.
        assert!(read.iter().any(|line| line["reason"].as_str().unwrap().starts_with("damaged")));
        assert_eq!(met.len(), broken, "{share} in a hundred");
        assert!(met.iter().all(|line| line["position"].as_u64().unwrap() < left as u64));
        let state = job.state(steps);
        assert_eq!(state["skipped"], broken);
        let tried = state["samples"].as_u64().unwrap() as usize;
        assert!(tried >= steps * 8 + broken, "every batch is full");
        assert!(log.contains(&format!("{broken} sample")), "{log}");
        job.check(steps);
    }
}

#[test]
fn training_that_diverges_names_the_step_and_keeps_what_was_good() {
    let place = Place::new();
    // Every weight moves by 1e30 in a step after the warm-up.
    let body = format!(
        "{BLANK}{SCENES}[optimizer]\nlearning_rate = 1e30\nwarmup = 1\n[train]\nsteps = 50\nbatch = 4\ncheckpoint_every = 1\n"
    );
    let job = Job::new(&place, "run", &body);
    let (_, end) = job.end_badly(&[]);
    assert!(end.starts_with("clove: step ") && end.contains("diverged"), "{end}");
    assert!(end.contains("checkpoint"), "{end}");
    assert!(!job.out.join("model").exists());
    for checkpoint in fs::read_dir(job.out.join("checkpoints")).unwrap() {
        let file = checkpoint.unwrap().path().join("model.safetensors");
        let values = clove_tests::floats(&file, "visual_projection.weight").0;
        assert!(values.iter().all(|value| value.is_finite()));
    }
}

#[test]
fn a_batch_that_spoils_the_weights_is_passed_over() {
    let place = Place::new();
    let tail = "[train]\nsteps = 12\nbatch = 4\ncheckpoint_every = 3\nkeep = 9\n";
    let body = format!("{BLANK}{SCENES}{tail}");
    // In the fifth batch, and in the first, before there's a checkpoint.
    for (name, sample, place_told) in
        [("fifth", 18, "the checkpoint of step 3"), ("first", 1, "the beginning")]
    {
        let job = Job::new(&place, name, &body);
        let fault = format!("nan@{sample}");
        let log = job.train(&["--inject-fault", &fault]);
        assert!(log.contains(&format!("returning to {place_told}")), "{log}");
        job.check(12);
        assert_eq!(job.state(12)["recoveries"], 1);
        // The samples from the checkpoint to the end of the batch are skipped.
        let passed = if sample == 18 { 8 } else { 4 };
        assert_eq!(job.state(12)["samples"], 12 * 4 + passed);

        // A run that is killed at a later checkpoint ends with the same model.
        let whole = job.weights();
        for step in [9, 12] {
            fs::remove_dir_all(job.out.join(format!("checkpoints/step-{step}"))).unwrap();
        }
        job.train(&["--inject-fault", &fault, "--resume"]);
        assert!(whole == job.weights());
    }
    let job = Job::new(&place, "never", &body);
    let (_, end) = job.end_badly(&["--inject-fault", "nan@18", "--set", "train.recoveries=0"]);
    assert!(end.starts_with("clove: step 4: training diverged"), "{end}");
}

#[test]
fn a_panic_of_the_program_is_an_error_with_its_text_and_no_lost_device() {
    let place = Place::new();
    let tail = "[train]\nsteps = 4\nbatch = 4\ncheckpoint_every = 1\n";
    let job = Job::new(&place, "run", &format!("{BLANK}{SCENES}{tail}"));
    let (log, end) = job.end_badly(&["--inject-fault", "panic@2"]);
    let start = "clove: the program failed in step 3 (a panic that a test injected, ";
    assert!(end.starts_with(start), "{log}");
    assert!(!log.contains("restarting"), "{log}");
    job.train(&["--resume"]);
    job.check(4);
}

#[test]
fn a_device_that_is_lost_is_taken_up_anew_a_few_times() {
    let place = Place::new();
    let tail = "[train]\nsteps = 8\nbatch = 4\ncheckpoint_every = 3\n";
    let [whole, lost, hopeless] = ["whole", "lost", "hopeless"]
        .map(|name| Job::new(&place, name, &format!("{BLANK}{SCENES}{tail}")));
    whole.train(&[]);
    let log = lost.train(&["--inject-fault", "lost@4x2"]);
    assert_eq!(log.matches("restarting from the last checkpoint").count(), 2, "{log}");
    assert!(!log.contains("panicked"), "{log}");
    lost.check(8);
    assert!(whole.weights() == lost.weights());

    let settings = ["--inject-fault", "lost@4x9", "--set", "train.recoveries=2"];
    let (log, end) = hopeless.end_badly(&settings);
    assert!(end.starts_with("clove: the device failed in step 5"), "{log}");
    assert!(end.contains("after 2 restarts"), "{log}");
    // The checkpoints are intact.
    hopeless.train(&["--set", "train.recoveries=2", "--resume"]);
    assert!(whole.weights() == hopeless.weights());
}
