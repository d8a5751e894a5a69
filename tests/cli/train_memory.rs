//! Guards what lets `clove train` fit a model into the memory at hand: parts of a batch, low-rank factors, shorter texts.

use std::fs;
use std::path::Path;

use clove::weights::Precision;
use serde_json::Value;

use super::train::{BLANK, Job, SCENES};
use super::{Place, path, succeed, text};

const TUNED: &str = "[model]\ninit = \"scenes\"\n";

/// The run as it would have been had it been killed after its third step.
fn forget_the_end(job: &Job) {
    fs::remove_dir_all(job.out.join("checkpoints/step-6")).unwrap();
    fs::remove_dir_all(job.out.join("model")).unwrap();
}

#[test]
fn low_rank_factors_train_go_on_and_are_merged() {
    let place = Place::new();
    let tail = "[lora]\nrank = 2\n[train]\nsteps = 6\nbatch = 4\ncheckpoint_every = 3\n";
    let pretrained = place.out("pretrained.safetensors");
    let bytes =
        clove_lab::pretrained().unwrap().write_hugging_face(Vec::new(), Precision::F32).unwrap();
    fs::write(&pretrained, bytes).unwrap();
    for checkpointing in ["true", "false"] {
        let job =
            Job::new(&place, &format!("lora-{checkpointing}"), &format!("{TUNED}{SCENES}{tail}"));
        let by_blocks = format!("train.checkpointing={checkpointing}");
        let log = job.train(&["--set", &by_blocks]);
        assert!(log.contains("low-rank factors (rank 2) among them"), "{log}");
        job.check(6);
        let whole = job.bytes("model/model.safetensors");
        forget_the_end(&job);
        let log = job.train(&["--set", &by_blocks, "--resume"]);
        assert!(log.contains("going on after step 3"), "{log}");
        assert!(whole == job.bytes("model/model.safetensors"));

        // What has no factors is as it was.
        let floats = |file: &Path, name: &str| clove_tests::floats(file, name).0;
        let model = job.out.join("model/model.safetensors");
        let query = "text_model.encoder.layers.0.self_attn.q_proj.weight";
        assert_ne!(floats(&model, query), floats(&pretrained, query));
        let bias = "text_model.encoder.layers.0.self_attn.q_proj.bias";
        assert_eq!(floats(&model, bias), floats(&pretrained, bias));
    }
}

#[test]
fn factors_that_make_no_sense_are_refused() {
    let place = Place::new();
    let job = Job::new(&place, "run", &format!("{TUNED}{SCENES}"));
    for (settings, told) in [
        (&["lora.rank=0"][..], "lora.rank: must be from 1 to 1024"),
        (&["lora.alpha=2"], "without lora.rank"),
        (&["lora.rank=4", "lora.towers=[]"], "lora.towers: must name"),
        (&["lora.rank=4", "train.locked=[\"text\"]"], "names a tower that train.locked locks"),
        (&["lora.rank=4", "lora.alpha=0"], "lora.alpha: must be"),
    ] {
        let settings: Vec<&str> = settings.iter().flat_map(|&set| ["--set", set]).collect();
        let line = job.fail(&settings);
        assert!(line.contains(told), "{told}: {line}");
    }
}

#[test]
fn a_batch_is_divided_as_the_memory_demands_and_stays_so() {
    let place = Place::new();
    let tail = "[train]\nsteps = 6\nbatch = 64\ncheckpoint_every = 3\n";
    let job = Job::new(&place, "run", &format!("{BLANK}{SCENES}{tail}"));
    let plan = |more: &[&str]| succeed(&job.args(&[&["--dry-run"], more].concat()));
    let told = plan(&["--set", "train.memory=8"]);
    assert!(told.contains("micro_batch = 64"), "{told}");
    assert!(told.contains("memory: a step takes about "), "{told}");
    let small = ["--set", "train.memory=0.04"];
    let told = plan(&small);
    assert!(told.contains("16 at a time, as many as the memory holds"), "{told}");
    // What was said is what the run does, and a run that goes on elsewhere does the same.
    job.train(&small);
    let whole = job.bytes("model/model.safetensors");
    let resolved = text(&job.bytes("run.toml"));
    assert!(resolved.contains("micro_batch = 16"), "{resolved}");
    forget_the_end(&job);
    job.train(&["--set", "train.memory=8", "--resume"]);
    assert!(whole == job.bytes("model/model.safetensors"));

    let told = plan(&["--set", "train.memory=0.001"]);
    assert!(told.contains("warning: the step takes more than there is (train.memory"), "{told}");
    assert!(told.contains("train.checkpointing = true would take"), "{told}");
    let line = job.fail(&["--set", "train.memory=0"]);
    assert!(line.contains("train.memory: must be"), "{line}");
}

#[test]
fn texts_can_be_cut_shorter_than_the_models_context() {
    let place = Place::new();
    let tail =
        "context = 16\n[data]\nkind = \"scenes\"\nscenes = 20\n[train]\nsteps = 2\nbatch = 4\n";
    let job = Job::new(&place, "run", &format!("{TUNED}{tail}"));
    job.train(&[]);
    for folder in ["model", "patched"] {
        let config = text(&job.bytes(&format!("{folder}/config.json")));
        let config: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["text_config"]["max_position_embeddings"], 16);
        let positions = "text_model.embeddings.position_embedding.weight";
        let file = job.out.join(folder).join("model.safetensors");
        assert_eq!(clove_tests::floats(&file, positions).1[0], 16);
        let image = clove_tests::golden("tiny-clip/images/square-circle.png");
        succeed(&[
            "score",
            "--model",
            path(&job.out.join(folder)),
            "--image",
            path(&image),
            "--caption",
            "a red square",
            "--device",
            "cpu",
        ]);
    }
    let line = job.fail(&["--set", "model.context=99"]);
    assert!(line.contains("model.context: 99 tokens are more than the 32"), "{line}");
    let line = job.fail(&["--set", "model.context=1"]);
    assert!(line.contains("model.context: must be at least 2"), "{line}");
}
