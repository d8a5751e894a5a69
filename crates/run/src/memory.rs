//! Estimates the memory of a step and chooses the micro-batch that fits.

use std::fs;

use clove::device::OpenDevice;
use clove::loss::fused;
use clove::model::TextBatch;
use clove::score::ScoreError;
use clove::train::{Estimate, TrainConfig};
use rayon::prelude::*;

use crate::config::Config;
use crate::error::Result;
use crate::loader;
use crate::samples::Samples;
use crate::start::Parts;
use crate::words::{bytes, count};

const GIB: f64 = 1_073_741_824.0;

/// Share of the free memory that a step may use. The rest is for other programs and errors of the estimate.
const SHARE: f64 = 0.85;

/// Checks that the device can bind the largest tensor of the loss of a batch: kernels would compute with a part of it.
///
/// # Errors
/// If it can't, with the remedy.
pub fn check_loss(
    config: &Config,
    parts: &Parts,
    samples: &Samples,
    device: &OpenDevice,
) -> Result<()> {
    if !device.is_gpu {
        return Ok(());
    }
    let lengths = lengths(config.train.batch, parts, samples);
    let negatives: Vec<usize> = lengths.iter().map(|texts| texts.len().saturating_sub(1)).collect();
    let TrainConfig { loss, fused_loss, .. } = config.train_config();
    let limits = (device.largest_binding, fused::run_on(&device.device));
    let fits = loss.fits(&negatives, parts.config.embed_dim, fused_loss, limits);
    Ok(fits.map_err(ScoreError::from)?)
}

/// A key that can lower the memory of a step, whether it applies, and the change.
type Way = (&'static str, bool, fn(&mut Config));

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
    let can_fuse = fused::run_on(&device.device);
    let estimate = |config: &Config, pairs: usize| {
        let mut settings = config.train_config();
        settings.micro_batch = pairs;
        // Elsewhere tensor operations compute it.
        settings.fused_loss &= can_fuse;
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
        let is_unbound = found.largest > largest;
        let (what, whose, limit) = if is_unbound {
            ("largest tensor exceeds the largest binding", &*device.description, largest)
        } else {
            ("step takes more memory than available", whose, room)
        };
        // What frees memory leaves the towers' largest tensor as it is.
        let ways: [Way; 2] = [
            ("loss.fused", can_fuse, |config| config.loss.fused = true),
            ("train.checkpointing", !is_unbound, |config| config.train.checkpointing = true),
        ];
        let mut advice = Vec::new();
        for (key, _, change) in ways.into_iter().filter(|(_, can, _)| *can) {
            let mut changed = config.clone();
            change(&mut changed);
            let needed = estimate(&changed, pairs);
            let is_less = needed.activations < found.activations;
            if (is_unbound && needed.largest <= largest) || (!is_unbound && is_less) {
                advice.push(format!("{key} = true would take {}", bytes(needed.total + ahead)));
            }
        }
        if advice.is_empty() {
            let fewer = if pairs > 1 { "lower train.micro_batch or " } else { "" };
            advice.push(format!("{fewer}use smaller images"));
        }
        let advice = advice.join(", ");
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
            // Training tells what can't be read.
            let Ok(words) = samples.words_at(position) else { return Vec::new() };
            std::iter::once(&words.caption)
                .chain(&words.negatives)
                .map(|text| TextBatch::tokens(&tokenizer.encode(text), config))
                .collect()
        })
        .collect()
}
