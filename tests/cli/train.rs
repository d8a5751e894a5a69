//! Guards `clove train`: every kind of data trains, held-out pairs are tried, and a dry run tells what a run will do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use clove::preprocess::RgbImage;
use clove_scenes::Random;
use serde_json::{Value, json};

use super::{Place, clove, fail, path, succeed, text};

pub const BLANK: &str = "[model]\nshape = \"scenes\"\n";
pub const SCENES: &str = "[data]\nkind = \"scenes\"\nscenes = 20\n";

/// A run's configuration and its folder.
pub struct Job {
    pub config: String,
    pub out: PathBuf,
}

impl Job {
    pub fn new(place: &Place, name: &str, body: &str) -> Self {
        let out = place.out(name);
        let head = format!("out = {:?}\n", path(&out));
        let config = place.file(&format!("{name}.toml"), (head + body).as_bytes());
        Self { config, out }
    }

    pub fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["train", &self.config, "--device", "cpu"], more].concat()
    }

    pub fn train(&self, more: &[&str]) -> String {
        Self::succeed(&self.args(more))
    }

    /// On a device of the caller's choice.
    pub fn train_on(&self, more: &[&str]) -> String {
        Self::succeed(&[&["train", &self.config], more].concat())
    }

    fn succeed(args: &[&str]) -> String {
        let output = clove(args);
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        stderr
    }

    pub fn fail(&self, more: &[&str]) -> String {
        fail(&self.args(more))
    }

    pub fn start(&self, more: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_clove"))
            .args(self.args(more))
            .env("XDG_RUNTIME_DIR", std::env::temp_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.out.join(name)).unwrap();
        let lines = text.lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.out.join(name)).unwrap()
    }

    /// The model can be used, and the steps are written down, each once.
    pub fn check(&self, steps: usize) {
        let model = self.out.join("model");
        let table = succeed(&[
            "score",
            "--model",
            path(&model),
            "--image",
            path(&clove_tests::golden("tiny-clip/images/square-circle.png")),
            "--caption",
            "a red square",
            "--device",
            "cpu",
        ]);
        assert!(table.contains("a red square"), "{table}");
        let metrics = self.lines("metrics.jsonl");
        let found: Vec<u64> = metrics.iter().map(|line| line["step"].as_u64().unwrap()).collect();
        assert_eq!(found, (0..steps as u64).collect::<Vec<_>>());
        assert!(metrics.iter().all(|line| line["loss"].is_f64()));
        assert!(metrics.iter().all(|line| line["data_wait"].is_f64()));
    }
}

/// Different pictures of odd sizes.
fn picture(file: &Path, seed: u64) {
    let mut random = Random::new(&[seed]);
    let (width, height) = (50 + random.below(30), 50 + random.below(30));
    let bytes = (0..width * height * 3).map(|_| random.bits() as u8);
    let image = RgbImage::from_raw(width as u32, height as u32, bytes.collect()).unwrap();
    image.save(file).unwrap();
}

/// A folder of pictures, each with two captions; the last `broken` are none.
pub fn pictures(place: &Place, count: usize, broken: usize) -> PathBuf {
    let dir = place.out("pictures");
    fs::create_dir(&dir).unwrap();
    for number in 0..count {
        let file = dir.join(format!("{number:02}.png"));
        if number + broken < count {
            picture(&file, number as u64);
        } else {
            fs::write(&file, "these are words").unwrap();
        }
        let captions = format!("a red square {number}\na blue circle {number}\n");
        fs::write(file.with_extension("txt"), captions).unwrap();
    }
    dir
}

pub fn folder(dir: &Path) -> String {
    format!("[data]\nkind = \"folder\"\npath = {:?}\n", path(dir))
}

#[test]
fn scenes_train_from_random_and_from_pretrained_weights() {
    let place = Place::new();
    let tail = format!("{SCENES}[negatives]\nper_caption = 2\n[train]\nsteps = 6\nbatch = 4\n");
    let job = Job::new(&place, "blank", &format!("{BLANK}{tail}"));
    let log = job.train(&[]);
    assert!(log.contains("20 scenes an epoch"), "{log}");
    assert!(log.contains("6 of 4 pairs"), "{log}");
    assert!(log.contains("training waited"), "{log}");
    job.check(6);
    let resolved = fs::read_to_string(job.out.join("run.toml")).unwrap();
    for part in ["seed = 0", "learning_rate = ", "kind = \"clove\"", "keep = 2"] {
        assert!(resolved.contains(part), "{part}: {resolved}");
    }

    for (name, settings) in [
        ("fsc", &["--set", "loss.kind=fsc"][..]),
        ("locked", &["--set", "train.locked=[\"image\"]"]),
        ("clip", &["--set", "loss.kind=clip", "--set", "negatives.style=none"]),
        // On the command line one of two that exclude each other takes the other's place.
        ("alt", &["--set", "data.texts=alt", "--set", "train.epochs=1.2"]),
    ] {
        let body = format!("[model]\ninit = \"scenes\"\n{tail}");
        let job = Job::new(&place, name, &body);
        let log = job.train(settings);
        let says_locked = log.contains("of them learn and 0 are locked");
        assert_eq!(says_locked, name != "locked", "{log}");
        // Protection from forgetting is what a run ends with.
        assert!(log.contains("patched: alpha 0.6, CLoVe's"), "{log}");
        job.check(6);
    }
    let patched = |folder: &str| {
        let file = place.out("clip").join(folder).join("model.safetensors");
        clove_tests::floats(&file, "text_projection.weight").0
    };
    assert_ne!(patched("patched"), patched("model"));
    let tower = |job: &str| {
        let file = place.out(job).join("model/model.safetensors");
        clove_tests::floats(&file, "visual_projection.weight").0
    };
    let pretrained = clove_lab::pretrained().unwrap();
    let file = place.out("pretrained.safetensors");
    let precision = clove::weights::Precision::F32;
    let bytes = pretrained.write_hugging_face(Vec::new(), precision).unwrap();
    fs::write(&file, bytes).unwrap();
    let before = clove_tests::floats(&file, "visual_projection.weight").0;
    assert_eq!(tower("locked"), before);
    assert_ne!(tower("fsc"), before);
    // Each setting has an effect of its own.
    assert_ne!(tower("fsc"), tower("clip"));
}

#[test]
fn a_folder_and_json_lines_train_a_models_directory() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    let tail = "[train]\nsteps = 6\nbatch = 4\n";
    let model = format!("[model]\ninit = {:?}\n", place.model);
    let job = Job::new(&place, "folder", &format!("{model}{}{tail}", folder(&dir)));
    let log = job.train(&[]);
    assert!(log.contains("6 images with 12 captions, 0 negatives"), "{log}");
    job.check(6);

    let lines: Vec<String> = (0..6)
        .map(|number| {
            let line = json!({
                "image": format!("{number:02}.png"),
                "caption": format!("a red square {number}"),
                "negatives": [format!("a blue square {number}"), {"text": "a red circle"}],
            });
            line.to_string()
        })
        .chain(["{\"image\": \"nowhere.png\", \"caption\": \"x\"}".to_owned()])
        .collect();
    let list = place.file("set.jsonl", lines.join("\n").as_bytes());
    let data =
        format!("[data]\nkind = \"json-lines\"\npath = {list:?}\nimages = {:?}\n", path(&dir));
    let job = Job::new(&place, "lines", &format!("{model}{data}{tail}"));
    let log = job.train(&[]);
    assert!(log.contains("6 images with 6 captions, 12 negatives"), "{log}");
    assert!(log.contains("set.jsonl line 7: image not found"), "{log}");
    assert!(log.contains(&format!("clove patch --pretrained {}", place.model)), "{log}");
    job.check(6);
    // The same seed gives the same run, and negatives count.
    let again = Job::new(&place, "again", &format!("{model}{data}{tail}"));
    again.train(&[]);
    let none = Job::new(&place, "none", &format!("{model}{data}{tail}"));
    none.train(&["--set", "negatives.style=none"]);
    let weights = "model/model.safetensors";
    assert!(again.bytes(weights) == job.bytes(weights));
    assert!(none.bytes(weights) != job.bytes(weights));
    // A long text is announced.
    let long = place.file(
        "long.jsonl",
        json!({"image": "00.png", "caption": "word ".repeat(200)}).to_string().as_bytes(),
    );
    let log = Job::new(&place, "long", &format!("{model}{data}{tail}"))
        .train(&["--set", &format!("data.path={long}")]);
    assert!(log.contains("1 of 1 texts are longer than the context of 77"), "{log}");
    assert!(log.contains("has some of the 1 samples twice"), "{log}");
}

/// A tar file of members.
fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Six pictures, what is said of each, and two shards of them.
struct Shards {
    dir: PathBuf,
    texts: Vec<Value>,
    members: Vec<(String, Vec<u8>)>,
    /// The part of a configuration that names them.
    data: String,
}

impl Shards {
    fn new(place: &Place) -> Self {
        let dir = pictures(place, 6, 0);
        let texts: Vec<Value> = (0..6)
            .map(|number| {
                json!({
                    "image": format!("{number:02}.png"),
                    "captions": [format!("a red square {number}"), "a square"],
                    "negatives": [format!("a blue square {number}")],
                })
            })
            .collect();
        let members: Vec<(String, Vec<u8>)> = (0..6)
            .flat_map(|number| {
                let image = fs::read(dir.join(format!("{number:02}.png"))).unwrap();
                let text = texts[number].to_string().into_bytes();
                [(format!("{number:02}.png"), image), (format!("{number:02}.json"), text)]
            })
            .collect();
        place.file("s-0.tar", &tar(&members[..6]));
        place.file("s-1.tar", &tar(&members[6..]));
        let pattern = path(&place.out("s-{0..1}.tar")).to_owned();
        let data = format!("[data]\nkind = \"webdataset\"\npath = {pattern:?}\n");
        Self { dir, texts, members, data }
    }
}

const SIX_STEPS: &str = "[train]\nsteps = 6\nbatch = 4\n";

#[test]
fn shards_train_as_the_same_files_do_and_damage_is_counted() {
    let place = Place::new();
    let shards = Shards::new(&place);
    let model = format!("[model]\ninit = {:?}\n", place.model);
    let lines: Vec<String> = shards.texts.iter().map(Value::to_string).collect();
    let list = place.file("set.jsonl", lines.join("\n").as_bytes());
    let data = format!(
        "[data]\nkind = \"json-lines\"\npath = {list:?}\nimages = {:?}\n",
        path(&shards.dir)
    );
    let files = Job::new(&place, "files", &format!("{model}{data}{SIX_STEPS}"));
    files.train(&[]);
    let body = format!("{model}{}{SIX_STEPS}", shards.data);
    let whole = Job::new(&place, "shards", &body);
    let log = whole.train(&[]);
    assert!(log.contains("6 images with 12 captions, 6 negatives"), "{log}");
    let weights = "model/model.safetensors";
    assert!(whole.bytes(weights) == files.bytes(weights), "the same run");

    // In parts that fit a smaller memory the same is learned, but for rounding.
    let parts = Job::new(&place, "parts", &body);
    parts.train(&["--set", "train.micro_batch=3"]);
    let losses = |job: &Job| {
        let lines = job.lines("metrics.jsonl");
        let losses = lines.iter().filter_map(|line| line["loss"].as_f64());
        losses.collect::<Vec<f64>>()
    };
    let (of_whole, of_parts) = (losses(&whole), losses(&parts));
    assert_eq!((of_parts.len(), of_whole.len()), (6, 6));
    for (one, other) in of_parts.iter().zip(&of_whole) {
        assert!((one - other).abs() < 1e-4 * other, "{of_parts:?} {of_whole:?}");
    }

    // A shard that ends early, and a photo that isn't one.
    let mut broken = shards.members[..6].to_vec();
    broken[2].1 = b"no photo".to_vec();
    place.file("s-0.tar", &tar(&broken));
    let last = tar(&shards.members[6..]);
    place.file("s-1.tar", &last[..last.len() / 2]);
    let log = Job::new(&place, "damaged", &body).train(&[]);
    assert!(log.contains("1 damaged shard"), "{log}");
    assert!(log.contains("s-0.tar: \"01.png\""), "{log}");
}

#[test]
fn a_model_is_tried_on_held_out_pairs_and_patched_by_them() {
    let place = Place::new();
    let data = Shards::new(&place).data;
    // A model with random weights of a described shape; gone on with at its end, it writes nothing twice.
    let shape = r#"{"model_cfg": {"embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}}}"#;
    let shape = place.file("shape.json", shape.as_bytes());
    let described = format!("[model]\nshape = {shape:?}\n");
    let held_out = path(&place.out("s-1.tar")).to_owned();
    let validation = format!("[validation]\npath = {held_out:?}\nevery = 2\n");
    let tail = format!("{SIX_STEPS}checkpoint_every = 2\n{validation}");
    let watched = Job::new(&place, "watched", &format!("{described}{data}{tail}"));
    let log = watched.train(&[]);
    assert!(log.contains("validation: 3 images with 6 captions"), "{log}");
    let found = watched.lines("validation.jsonl");
    let steps: Vec<u64> = found.iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [0, 2, 4, 6]);
    for line in &found {
        assert_eq!((&line["images"], &line["captions"]), (&json!(3), &json!(6)));
        // Of three photos the right one is always among five.
        assert_eq!(line["text_to_image"]["at_5"], 1.0, "{line}");
        // The set brings a negative with each photo.
        assert_eq!(line["pairs"], 3, "{line}");
        let told = line["pair_accuracy"].as_f64().unwrap() * 3.0;
        assert!((told - told.round()).abs() < 1e-9, "{line}");
    }
    let before = watched.bytes("validation.jsonl");
    watched.train(&["--resume"]);
    assert!(watched.bytes("validation.jsonl") == before);
    watched.check(6);
    let patched = watched.out.join("patched");
    assert!(!patched.exists(), "random weights are nothing to go back to");

    // Photos of classes, in a folder for each; what is seen of them counts.
    for (class, count) in [("red_square", 2), ("circle", 3)] {
        let dir = place.out("classes").join(class);
        fs::create_dir_all(&dir).unwrap();
        for number in 0..count {
            picture(&dir.join(format!("{number}.png")), 90 + number);
        }
    }
    let classes = path(&place.out("classes")).to_owned();
    let body = format!("{described}{data}{tail}classes = {classes:?}\n");
    let classified = Job::new(&place, "classified", &body);
    let log = classified.train(&[]);
    assert!(log.contains("; 5 photos of 2 classes, by 1 template"), "{log}");
    for line in classified.lines("validation.jsonl") {
        assert_eq!(line["classified"], 5, "{line}");
        let right = line["zero_shot"].as_f64().unwrap() * 5.0;
        assert!((right - right.round()).abs() < 1e-9, "{line}");
    }
    let weights = "model/model.safetensors";
    assert!(classified.bytes(weights) == watched.bytes(weights));
    let templates = place.file("templates.txt", b"a photo\n");
    let body = format!("{body}templates = {templates:?}\n");
    let error = Job::new(&place, "no-class", &body).fail(&[]);
    assert!(error.contains("validation.templates"), "{error}");

    // A model that gets no better ends early, the best one kept: at a rate of almost nothing that's the second time it's tried.
    let rate = "[optimizer]\nlearning_rate = 1e-30\n";
    let body = format!("{described}{data}{rate}{tail}patience = 2\n");
    let early = Job::new(&place, "early", &body);
    let log = early.train(&[]);
    assert!(log.contains("ended early, of 6 steps"), "{log}");
    assert_eq!(early.lines("validation.jsonl").len(), 3);
    assert_eq!(early.lines("metrics.jsonl").len(), 4);
    assert!(early.train(&["--resume"]).contains("ended early"));
    assert_eq!(early.lines("metrics.jsonl").len(), 4);

    // From a pretrained model alpha is chosen on the held-out pairs, and the model of that alpha is written.
    let model = format!("[model]\ninit = {:?}\n", place.model);
    let chosen = Job::new(&place, "chosen", &format!("{model}{data}{tail}"));
    let log = chosen.train(&["--set", "optimizer.learning_rate=1e-3"]);
    let curve = chosen.lines("patching.jsonl");
    assert_eq!(curve.len(), 11);
    let worth = |line: &Value| {
        let of = |direction: &str| line[direction]["at_1"].as_f64().unwrap();
        of("image_to_text") + of("text_to_image") + 2.0 * line["pair_accuracy"].as_f64().unwrap()
    };
    let best = curve.iter().map(worth).fold(0.0, f64::max);
    let chosen_line = curve.iter().find(|line| worth(line) == best).unwrap();
    let alpha = chosen_line["alpha"].as_f64().unwrap();
    assert!(log.contains(&format!("patched: alpha {alpha}, the best")), "{log}");
    let bytes = |folder: &str| chosen.bytes(&format!("{folder}/model.safetensors"));
    assert_eq!(bytes("patched") == bytes("model"), alpha == 1.0);
}

#[test]
fn a_dry_run_tells_everything_and_touches_nothing() {
    let place = Place::new();
    let body = format!("{BLANK}{SCENES}[train]\nepochs = 3\nbatch = 8\nlocked = [\"text\"]\n");
    let job = Job::new(&place, "run", &body);
    let output = clove(&job.args(&["--dry-run"]));
    assert!(output.status.success() && output.stderr.is_empty());
    let told = text(&output.stdout);
    for part in [
        "learning_rate = ",
        "steps: 8 of 8 pairs each, which are 3.20 epochs",
        "20 scenes an epoch",
        " are locked",
        "    not \"",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!job.out.exists());

    let dir = pictures(&place, 6, 0);
    fs::write(dir.join("alone.png"), "").unwrap();
    let job = Job::new(&place, "folder", &format!("{BLANK}{}", folder(&dir)));
    let told = succeed(&job.args(&["--dry-run", "--set", "train.batch=3"]));
    for part in
        ["6 images with 12 captions", "1 skipped: 1 without a text", "alone.png", "digest = "]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(told.matches(".png: \"a ").count(), 3, "{told}");
}
