//! Estimates the memory of a step and chooses the micro-batch that fits.

use std::fs;

use clove::device::OpenDevice;
use clove::model::TextBatch;
use clove::train::Estimate;
use rayon::prelude::*;

use crate::config::Config;
use crate::loader;
use crate::samples::Samples;
use crate::start::Parts;
use crate::words::{bytes, count};

const GIB: f64 = 1_073_741_824.0;

/// Share of the free memory that a step may use. The rest is for other programs and errors of the estimate.
const SHARE: f64 = 0.85;

/// Chooses `train.micro_batch` if it isn't set. Returns lines that describe the memory of a step.
pub fn fit(
    config: &mut Config,
    parts: &Parts,
    samples: &Samples,
    device: &OpenDevice,
) -> Vec<String> {
    let lengths = lengths(config.train.batch, parts, samples);
    // On the CPU, tensors share the memory with the queue of batches.
    let side = parts.config.image.image_size as u64;
    let ahead = (loader::STOCK as u64 + 2) * config.train.batch as u64 * 3 * side * side * 4;
    let ahead = if device.is_gpu { 0 } else { ahead };
    let estimate = |config: &Config, pairs: usize| {
        let mut settings = config.train_config();
        settings.micro_batch = pairs;
        let mut estimate = Estimate::new(&parts.config, &settings, &lengths);
        if !device.is_gpu {
            // Saving a checkpoint copies parameters and moments in the same memory.
            let saving = 2 * (estimate.parameters + estimate.moments);
            estimate.total = estimate.total.max(saving);
        }
        estimate
    };
    // By proc_meminfo(5): an estimate of what is available without swapping.
    let free = || proc_bytes("/proc/meminfo", "MemAvailable:");
    let (room, whose) = match config.train.memory {
        Some(gib) => (Some((gib * GIB) as u64), "train.memory"),
        None if device.is_gpu => (None, ""),
        None => (free().map(|free| (free as f64 * SHARE) as u64), "85 % of the free memory"),
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
        // If none fits, take one pair at a time; the warning below reports it.
        config.train.micro_batch = fitting.next().unwrap_or(1);
    }
    let pairs = config.train.micro_batch;
    let found = estimate(config, pairs);
    let mut lines = vec![format!(
        "memory: a step takes about {}: parameters {}, optimizer {}, gradients {}, activations {}{}; largest tensor {}",
        bytes(found.total + ahead),
        bytes(found.parameters),
        bytes(found.moments),
        bytes(found.gradients),
        bytes(found.activations),
        if ahead > 0 { format!(", queued batches {}", bytes(ahead)) } else { String::new() },
        bytes(found.largest),
    )];
    if pairs < batch {
        let why = if is_free { ", the most that fits into memory" } else { "" };
        lines.push(format!(
            "the {} pairs of a batch go through the towers {} at a time{why}: train.micro_batch = {pairs}",
            count(batch as u64),
            count(pairs as u64),
        ));
    }
    if !fits(&found) {
        let (what, limit) = if found.largest > largest {
            ("largest tensor exceeds the largest binding of the device", largest)
        } else {
            ("step takes more memory than available", room)
        };
        let mut less = config.clone();
        less.train.checkpointing = true;
        let by_blocks = estimate(&less, pairs).total + ahead;
        let advice = if config.train.checkpointing {
            "lower train.micro_batch or use smaller images".to_owned()
        } else {
            format!("train.checkpointing = true would take {}", bytes(by_blocks))
        };
        lines.push(format!("warning: the {what} ({whose}: {}); {advice}", bytes(limit)));
    }
    if room == u64::MAX && is_free {
        lines.push(
            "the amount of memory is unknown; set train.memory, in GiB, to have train.micro_batch chosen"
                .to_owned(),
        );
    }
    lines
}

/// A field of a file of Linux's /proc that is given in kB, in bytes. `None` on other systems.
pub fn proc_bytes(file: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// Token counts of the first batch: for each pair those of its caption and negatives.
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
