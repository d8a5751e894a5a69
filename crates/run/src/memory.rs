//! Whether a step fits into the memory, and into how many parts it's divided where it doesn't.

use std::fs;

use clove::device::OpenDevice;
use clove::model::TextBatch;
use clove::train::Estimate;
use rayon::prelude::*;
use serde::Deserialize;

use crate::config::{Config, Precision};
use crate::error::{Context as _, Result};
use crate::loader;
use crate::samples::Samples;
use crate::start::Parts;
use crate::words::{bytes, count};

const GIB: f64 = 1_073_741_824.0;

/// The share of the free memory that a step may take: others want some too, and an estimate is one.
const SHARE: f64 = 0.85;

/// Chooses `train.micro_batch` where that's left to the memory, and says in lines what a step takes of it.
pub fn fit(
    config: &mut Config,
    parts: &Parts,
    samples: &Samples,
    device: &OpenDevice,
) -> Vec<String> {
    let lengths = lengths(config.train.batch, parts, samples);
    // On the CPU back end tensors lie beside the batches that are made ahead.
    let side = parts.config.image.image_size as u64;
    let ahead = (loader::STOCK as u64 + 2) * config.train.batch as u64 * 3 * side * side * 4;
    let ahead = if device.is_gpu { 0 } else { ahead };
    let estimate = |config: &Config, pairs: usize| {
        let mut settings = config.train_config();
        settings.micro_batch = pairs;
        let mut estimate = Estimate::new(&parts.config, &settings, &lengths);
        if !device.is_gpu {
            // A checkpoint is read back into the same memory before it's written.
            let saving = 2 * (estimate.parameters + estimate.moments);
            estimate.total = estimate.total.max(saving);
        }
        estimate
    };
    let (room, whose) = match config.train.memory {
        Some(gib) => (Some((gib * GIB) as u64), "train.memory"),
        None if device.is_gpu => (None, ""),
        None => (free().map(|free| (free as f64 * SHARE) as u64), "85 % of what is free"),
    };
    let room = room.unwrap_or(u64::MAX);
    let largest = if device.is_gpu { device.largest_binding } else { u64::MAX };
    let fits = |estimate: &Estimate| estimate.total + ahead <= room && estimate.largest <= largest;

    let batch = config.train.batch;
    let is_free = config.train.micro_batch == 0;
    if is_free {
        let sizes = (0..usize::BITS)
            .map(|halvings| batch.div_ceil(1 << halvings))
            .take_while(|&pairs| pairs > 1)
            .chain([1]);
        let mut fitting = sizes.filter(|&pairs| fits(&estimate(config, pairs)));
        // One at a time where none fits: the warning below says so.
        config.train.micro_batch = fitting.next().unwrap_or(1);
    }
    let pairs = config.train.micro_batch;
    let found = estimate(config, pairs);
    let mut lines = vec![format!(
        "memory: a step takes about {}: parameters {}, optimiser {}, gradients {}, activations {}{}; the largest tensor has {}",
        bytes(found.total + ahead),
        bytes(found.parameters),
        bytes(found.moments),
        bytes(found.gradients),
        bytes(found.activations),
        if ahead > 0 { format!(", batches made ahead {}", bytes(ahead)) } else { String::new() },
        bytes(found.largest),
    )];
    if pairs < batch {
        let why = if is_free { ", as many as the memory holds" } else { "" };
        lines.push(format!(
            "the {} pairs of a batch go through the towers {} at a time{why}: train.micro_batch = {pairs}",
            count(batch as u64),
            count(pairs as u64),
        ));
    }
    if !fits(&found) {
        let (what, limit) = if found.largest > largest {
            ("largest tensor is more than the device binds at once", largest)
        } else {
            ("step takes more than there is", room)
        };
        let mut less = config.clone();
        less.train.checkpointing = true;
        let by_blocks = estimate(&less, pairs).total + ahead;
        let advice = if config.train.checkpointing {
            "lower train.micro_batch or data that is smaller".to_owned()
        } else {
            format!("train.checkpointing = true would take {}", bytes(by_blocks))
        };
        lines.push(format!("warning: the {what} ({whose}: {}); {advice}", bytes(limit)));
    }
    if room == u64::MAX && is_free {
        lines.push(
            "how much memory there is isn't known: train.memory = 8 (GiB, for example) lets train.micro_batch be chosen"
                .to_owned(),
        );
    }
    lines
}

/// The memory that other programs leave, in bytes; `None` where the system doesn't tell it in Linux's way.
fn free() -> Option<u64> {
    // proc_meminfo(5): an estimate of what can be had without swapping.
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// Of the first batch: for each pair the tokens of its caption and of its negatives.
fn lengths(batch: usize, parts: &Parts, samples: &Samples) -> Vec<Vec<usize>> {
    let (tokenizer, config) = (&parts.tokenizer, &parts.config.text);
    (0..batch as u64)
        .into_par_iter()
        .map(|position| {
            let words = samples.words_at(position);
            std::iter::once(&words.caption)
                .chain(&words.negatives)
                .map(|text| TextBatch::tokens(&tokenizer.encode(text), config))
                .collect()
        })
        .collect()
}

/// Takes what was chosen when the run began, where it's left to the program: `train.micro_batch` and `train.precision`.
pub fn chosen_before(config: &mut Config) -> Result<()> {
    #[derive(Deserialize)]
    struct Run {
        train: Train,
    }
    #[derive(Deserialize)]
    struct Train {
        micro_batch: usize,
        precision: Precision,
    }
    let path = config.out.join("run.toml");
    // Whoever opens the run's folder says what's wrong with it.
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(());
    };
    let run: Run = toml::from_str(&text).with_context(|| path.display().to_string())?;
    if config.train.micro_batch == 0 {
        config.train.micro_batch = run.train.micro_batch;
    }
    if config.train.precision == Precision::Auto {
        config.train.precision = run.train.precision;
    }
    Ok(())
}
