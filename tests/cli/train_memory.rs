//! Guards the ways to train with less memory: parts of a batch, low-rank factors, shorter texts.

use std::fs;

use clove_tests::{floats, json};

use super::train::{BLANK, Job, SCENES, pretrained, succeed_scoring};
use super::{Place, assert_contains, path, succeed, text};

const TUNED: &str = "[model]\ninit = \"scenes\"\n";

/// Turns a finished run into one that was killed after its third step.
fn forget_the_end(job: &Job) {
    fs::remove_dir_all(job.out.join("checkpoints/step-6")).unwrap();
    fs::remove_dir_all(job.out.join("model")).unwrap();
}

#[test]
fn low_rank_factors_train_go_on_and_are_merged() {
    let place = Place::new();
    let tail = "[lora]\nrank = 2\n[train]\nsteps = 6\nbatch = 4\ncheckpoint_every = 3\n";
    let pretrained = pretrained(&place);
    for checkpointing in ["true", "false"] {
        let job =
            Job::new(&place, &format!("lora-{checkpointing}"), &format!("{TUNED}{SCENES}{tail}"));
        let by_blocks = format!("train.checkpointing={checkpointing}");
        let log = job.train(&["--set", &by_blocks]);
        assert!(log.contains("including low-rank factors of rank 2"), "{log}");
        job.check(6);
        let whole = job.weights();
        forget_the_end(&job);
        assert_contains(&job.train(&["--set", &by_blocks, "--resume"]), &["resuming after step 3"]);
        assert!(whole == job.weights());

        // Parameters without factors are unchanged.
        let query = "text_model.encoder.layers.0.self_attn.q_proj.weight";
        assert_ne!(job.tensor("model", query), floats(&pretrained, query));
        let bias = "text_model.encoder.layers.0.self_attn.q_proj.bias";
        assert_eq!(job.tensor("model", bias), floats(&pretrained, bias));
    }
}

#[test]
fn a_batch_is_divided_as_the_memory_demands_and_stays_so() {
    let place = Place::new();
    let tail = "[train]\nsteps = 6\nbatch = 64\ncheckpoint_every = 3\n";
    let job = Job::new(&place, "run", &format!("{BLANK}{SCENES}{tail}"));
    let plan = |more: &[&str]| succeed(&job.args(&[&["--dry-run"], more].concat()));
    let told = plan(&["--set", "train.memory=8"]);
    assert_contains(&told, &["micro_batch = 64", "memory: a step takes about "]);
    let small = ["--set", "train.memory=0.04"];
    assert_contains(&plan(&small), &["16 at a time, the most that fits into memory"]);
    // The run does what the plan says, also when it is resumed on another machine.
    job.train(&small);
    let whole = job.weights();
    assert_contains(&text(&job.bytes("run.toml")), &["micro_batch = 16"]);
    forget_the_end(&job);
    job.train(&["--set", "train.memory=8", "--resume"]);
    assert!(whole == job.weights());

    // The folder takes no other run.
    let other = format!("out={}", path(&place.out("other")));
    let told = plan(&["--set", "train.memory=0.001", "--set", &other]);
    assert_contains(
        &told,
        &[
            "warning: the step takes more memory than available (train.memory",
            "train.checkpointing = true would take",
        ],
    );
    assert_contains(&job.fail(&["--set", "train.memory=0"]), &["train.memory: must be"]);
}

#[test]
fn texts_can_be_cut_shorter_than_the_models_context() {
    let place = Place::new();
    let tail =
        "context = 16\n[data]\nkind = \"scenes\"\nscenes = 20\n[train]\nsteps = 2\nbatch = 4\n";
    let job = Job::new(&place, "run", &format!("{TUNED}{tail}"));
    job.train(&[]);
    for folder in ["model", "patched"] {
        let config = json(&job.out.join(folder).join("config.json"));
        assert_eq!(config["text_config"]["max_position_embeddings"], 16);
        let positions = "text_model.embeddings.position_embedding.weight";
        assert_eq!(job.tensor(folder, positions).1[0], 16);
        succeed_scoring(&job.out.join(folder));
    }
    let line = job.fail(&["--set", "model.context=99"]);
    assert!(line.contains("model.context: 99 tokens exceed the model's 32"), "{line}");
    let line = job.fail(&["--set", "model.context=1"]);
    assert!(line.contains("model.context: must be at least 2"), "{line}");
}
