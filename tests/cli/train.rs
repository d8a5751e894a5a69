//! Guards `clove train`: all kinds of data, validation on held-out pairs, and dry runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use clove::preprocess::RgbImage;
use clove::weights::Precision;
use clove_scenes::Random;
use clove_tests::{floats, golden, json, json_lines, tar};
use serde_json::{Value, json};

use super::{Place, assert_contains, clove, fail, failed, path, program, run, succeed, succeeded};

pub const BLANK: &str = "[model]\nshape = \"scenes\"\n";
pub const SCENES: &str = "[data]\nkind = \"scenes\"\nscenes = 20\n";

const SIX_STEPS: &str = "[train]\nsteps = 6\nbatch = 4\n";

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
        succeeded(&clove(&self.args(more))).1
    }

    /// [`Self::train`] without `--device cpu`.
    pub fn train_on(&self, more: &[&str]) -> String {
        succeeded(&clove(&[&["train", &self.config], more].concat())).1
    }

    pub fn fail(&self, more: &[&str]) -> String {
        fail(&self.args(more))
    }

    /// Expects exit code 1; gives stderr and its last line.
    pub fn end_badly(&self, more: &[&str]) -> (String, String) {
        let stderr = failed(&clove(&self.args(more)));
        let end = stderr.lines().last().unwrap().to_owned();
        (stderr, end)
    }

    pub fn start(&self, more: &[&str]) -> Child {
        program(&self.args(more)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn lines(&self, name: &str) -> Vec<Value> {
        json_lines(&self.out.join(name))
    }

    /// The state of training in a checkpoint.
    pub fn state(&self, step: usize) -> Value {
        json(&self.out.join(format!("checkpoints/step-{step}/state.json")))
    }

    /// The losses of all steps.
    pub fn losses(&self) -> Vec<f64> {
        let lines = self.lines("metrics.jsonl");
        lines.iter().map(|line| line["loss"].as_f64().unwrap()).collect()
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.out.join(name)).unwrap()
    }

    /// The file of the trained model's weights.
    pub fn weights(&self) -> Vec<u8> {
        self.bytes("model/model.safetensors")
    }

    /// A tensor of the model in a folder of the run.
    pub fn tensor(&self, folder: &str, name: &str) -> (Vec<f32>, Vec<usize>) {
        floats(&self.out.join(folder).join("model.safetensors"), name)
    }

    /// Checks that the model can be used, and that each step is recorded once.
    pub fn check(&self, steps: usize) {
        succeed_scoring(&self.out.join("model"));
        let metrics = self.lines("metrics.jsonl");
        let found: Vec<u64> = metrics.iter().map(|line| line["step"].as_u64().unwrap()).collect();
        assert_eq!(found, (0..steps as u64).collect::<Vec<_>>());
        assert!(metrics.iter().all(|line| line["loss"].is_f64()));
        assert!(metrics.iter().all(|line| line["data_wait"].is_f64()));
    }
}

/// Checks that a model can be used.
pub fn succeed_scoring(model: &Path) {
    let image = golden("tiny-clip/images/square-circle.png");
    let score = "score --model _ --image _ --caption _ --device cpu";
    assert_contains(&run(score, &[path(model), path(&image), "a red square"]), &["a red square"]);
}

/// A random picture of odd size.
fn picture(file: &Path, seed: u64) {
    let mut random = Random::new(&[seed]);
    let (width, height) = (50 + random.below(30), 50 + random.below(30));
    let bytes = (0..width * height * 3).map(|_| random.bits() as u8);
    let image = RgbImage::from_raw(width as u32, height as u32, bytes.collect()).unwrap();
    image.save(file).unwrap();
}

/// The weights of the lab's pretrained model.
pub fn pretrained(place: &Place) -> PathBuf {
    let model = clove_lab::pretrained().unwrap();
    let bytes = model.write_hugging_face(Vec::new(), Precision::F32).unwrap();
    place.file("pretrained.safetensors", &bytes).into()
}

/// A folder of pictures, each with two captions; the last `broken` aren't images.
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

/// The part of a configuration that names JSON lines and the folder of their images.
pub fn json_lines_of(list: &str, dir: &Path) -> String {
    format!("[data]\nkind = \"json-lines\"\npath = {list:?}\nimages = {:?}\n", path(dir))
}

pub fn folder(dir: &Path) -> String {
    format!("[data]\nkind = \"folder\"\npath = {:?}\n", path(dir))
}

#[test]
fn scenes_train_from_random_and_from_pretrained_weights() {
    let place = Place::new();
    let tail = format!("{SCENES}[negatives]\nper_caption = 2\n[train]\nsteps = 6\nbatch = 4\n");
    let job = Job::new(&place, "blank", &format!("{BLANK}{tail}"));
    assert_contains(&job.train(&[]), &["20 scenes per epoch", "6 of 4 pairs", "training waited"]);
    job.check(6);
    let resolved = fs::read_to_string(job.out.join("run.toml")).unwrap();
    assert_contains(&resolved, &["seed = 0", "learning_rate = ", "kind = \"clove\"", "keep = 2"]);

    let mut jobs = Vec::new();
    for (name, settings) in [
        ("fsc", &["--set", "loss.kind=fsc"][..]),
        ("locked", &["--set", "train.locked=[\"image\"]"]),
        ("clip", &["--set", "loss.kind=clip", "--set", "negatives.style=none"]),
        // Of two settings that exclude each other, the command line's wins.
        ("alt", &["--set", "data.texts=alt", "--set", "train.epochs=1.2"]),
    ] {
        let body = format!("[model]\ninit = \"scenes\"\n{tail}");
        let job = Job::new(&place, name, &body);
        let log = job.train(settings);
        let says_locked = log.contains(" trainable and 0 locked");
        assert_eq!(says_locked, name != "locked", "{log}");
        // A run ends with patching against forgetting.
        assert!(log.contains("patched: alpha 0.6, CLoVe's"), "{log}");
        job.check(6);
        jobs.push(job);
    }
    let [fsc, locked, clip] = [0, 1, 2].map(|number: usize| &jobs[number]);
    let text = "text_projection.weight";
    assert_ne!(clip.tensor("patched", text), clip.tensor("model", text));
    let image = "visual_projection.weight";
    let before = floats(&pretrained(&place), image);
    assert_eq!(locked.tensor("model", image), before);
    assert_ne!(fsc.tensor("model", image), before);
    // Each setting has an effect of its own.
    assert_ne!(fsc.tensor("model", image), clip.tensor("model", image));
}

#[test]
fn a_folder_and_json_lines_train_a_models_directory() {
    let place = Place::new();
    let dir = pictures(&place, 6, 0);
    let model = format!("[model]\ninit = {:?}\n", place.model);
    let job = Job::new(&place, "folder", &format!("{model}{}{SIX_STEPS}", folder(&dir)));
    assert_contains(&job.train(&[]), &["6 images with 12 captions, 0 negatives"]);
    job.check(6);

    let lines = (0..6).map(|number| {
        json!({
            "image": format!("{number:02}.png"),
            "caption": format!("a red square {number}"),
            "negatives": [format!("a blue square {number}"), {"text": "a red circle"}],
        })
    });
    let lines = lines.chain([json!({"image": "nowhere.png", "caption": "x"})]);
    let list = place.json_lines("set.jsonl", lines);
    let body = format!("{model}{}{SIX_STEPS}", json_lines_of(&list, &dir));
    let job = Job::new(&place, "lines", &body);
    let log = job.train(&[]);
    assert_contains(
        &log,
        &[
            "6 images with 6 captions, 12 negatives",
            "set.jsonl line 7: image not found",
            &format!("clove patch --pretrained {}", place.model),
        ],
    );
    job.check(6);
    // The same seed gives the same run, and negatives count.
    let [again, none] = ["again", "none"].map(|name| Job::new(&place, name, &body));
    again.train(&[]);
    none.train(&["--set", "negatives.style=none"]);
    assert!(again.weights() == job.weights());
    assert!(none.weights() != job.weights());
    // Long texts are reported.
    let long = json!({"image": "00.png", "caption": "word ".repeat(200)});
    let long = place.json_lines("long.jsonl", [long].into_iter());
    let log = Job::new(&place, "long", &body).train(&["--set", &format!("data.path={long}")]);
    assert_contains(
        &log,
        &["1 of 1 texts are longer than the context of 77", "repeats some of the 1 samples"],
    );
}

/// Six pictures with texts, and two shards of them.
struct Shards {
    dir: PathBuf,
    texts: Vec<Value>,
    members: Vec<(String, Vec<u8>)>,
    /// The part of a configuration that names the shards.
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
        place.file("s-0.tar", &tar(members[..6].to_vec()));
        place.file("s-1.tar", &tar(members[6..].to_vec()));
        let pattern = path(&place.out("s-{0..1}.tar")).to_owned();
        let data = format!("[data]\nkind = \"webdataset\"\npath = {pattern:?}\n");
        Self { dir, texts, members, data }
    }
}

#[test]
fn shards_train_as_the_same_files_do_and_damage_is_counted() {
    let place = Place::new();
    let shards = Shards::new(&place);
    let model = format!("[model]\ninit = {:?}\n", place.model);
    let list = place.json_lines("set.jsonl", shards.texts.iter().cloned());
    let data = json_lines_of(&list, &shards.dir);
    let files = Job::new(&place, "files", &format!("{model}{data}{SIX_STEPS}"));
    files.train(&[]);
    let body = format!("{model}{}{SIX_STEPS}", shards.data);
    let whole = Job::new(&place, "shards", &body);
    assert_contains(&whole.train(&[]), &["6 images with 12 captions, 6 negatives"]);
    assert!(whole.weights() == files.weights(), "the same run");

    // Smaller parts give the same losses except for rounding.
    let parts = Job::new(&place, "parts", &body);
    parts.train(&["--set", "train.micro_batch=3"]);
    let (of_whole, of_parts) = (whole.losses(), parts.losses());
    assert_eq!((of_parts.len(), of_whole.len()), (6, 6));
    for (one, other) in of_parts.iter().zip(&of_whole) {
        assert!((one - other).abs() < 1e-4 * other, "{of_parts:?} {of_whole:?}");
    }

    // A truncated shard and a broken photo.
    let mut broken = shards.members[..6].to_vec();
    broken[2].1 = b"no photo".to_vec();
    place.file("s-0.tar", &tar(broken));
    let last = tar(shards.members[6..].to_vec());
    place.file("s-1.tar", &last[..last.len() / 2]);
    // One of four or five samples is more than is tolerated by default.
    let job = Job::new(&place, "damaged", &body);
    let log = job.train(&["--set", "data.unreadable=0.5"]);
    assert_contains(&log, &["1 damaged shard", "s-0.tar: \"01.png\""]);
}

#[test]
fn a_model_is_tried_on_held_out_pairs_and_patched_by_them() {
    let place = Place::new();
    let data = Shards::new(&place).data;
    // A model with random weights of a described shape. A resumed finished run writes nothing twice.
    let shape = r#"{"model_cfg": {"embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}}}"#;
    let shape = place.file("shape.json", shape.as_bytes());
    let described = format!("[model]\nshape = {shape:?}\n");
    let held_out = path(&place.out("s-1.tar")).to_owned();
    let validation = format!("[validation]\npath = {held_out:?}\nevery = 2\n");
    let tail = format!("{SIX_STEPS}checkpoint_every = 2\n{validation}");
    let watched = Job::new(&place, "watched", &format!("{described}{data}{tail}"));
    assert_contains(&watched.train(&[]), &["validation: 3 images with 6 captions"]);
    let found = watched.lines("validation.jsonl");
    let steps: Vec<u64> = found.iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [0, 2, 4, 6]);
    for line in &found {
        assert_eq!((&line["images"], &line["captions"]), (&json!(3), &json!(6)));
        // With three photos the right one is always among the first five.
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

    // Photos in a folder for each class.
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
    assert_contains(&classified.train(&[]), &["; 5 photos of 2 classes, by 1 template"]);
    for line in classified.lines("validation.jsonl") {
        assert_eq!(line["classified"], 5, "{line}");
        let right = line["zero_shot"].as_f64().unwrap() * 5.0;
        assert!((right - right.round()).abs() < 1e-9, "{line}");
    }
    assert!(classified.weights() == watched.weights());
    let templates = place.file("templates.txt", b"a photo\n");
    let body = format!("{body}templates = {templates:?}\n");
    assert_contains(&Job::new(&place, "no-class", &body).fail(&[]), &["validation.templates"]);

    // Without improvement training stops early: with a tiny learning rate at the second validation.
    let rate = "[optimizer]\nlearning_rate = 1e-30\n";
    let body = format!("{described}{data}{rate}{tail}patience = 2\n");
    let early = Job::new(&place, "early", &body);
    let log = early.train(&[]);
    let end = "ended early, of 6 steps: validation stopped improving; no model was better";
    assert!(log.contains(end) && !early.out.join("best").exists(), "{log}");
    assert_eq!(early.lines("validation.jsonl").len(), 3);
    assert_eq!(early.lines("metrics.jsonl").len(), 4);
    assert!(early.train(&["--resume"]).contains("ended early"));
    assert_eq!(early.lines("metrics.jsonl").len(), 4);

    // For a pretrained model, alpha is chosen on the held-out pairs, and the model at that alpha is written.
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
    let (told, stderr) = succeeded(&clove(&job.args(&["--dry-run"])));
    assert_eq!(stderr, "");
    assert_contains(
        &told,
        &[
            "learning_rate = ",
            "steps: 8 of 8 pairs each, 3.20 epochs",
            "20 scenes per epoch",
            " locked",
            "    not \"",
        ],
    );
    assert!(!job.out.exists());

    let dir = pictures(&place, 6, 0);
    fs::write(dir.join("alone.png"), "").unwrap();
    let job = Job::new(&place, "folder", &format!("{BLANK}{}", folder(&dir)));
    let told = succeed(&job.args(&["--dry-run", "--set", "train.batch=3"]));
    assert_contains(
        &told,
        &["6 images with 12 captions", "1 skipped: 1 without a text", "alone.png", "digest = "],
    );
    assert_eq!(told.matches(".png: \"a ").count(), 3, "{told}");
}
