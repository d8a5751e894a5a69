//! Times training steps to choose the fastest precision: `train.precision = "auto"`.

use std::time::{Duration, Instant};

use clove::device::OpenDevice;
use clove::train::{Batch, Trainer};

use crate::config::{Config, Precision};
use crate::error::{Context as _, Result};
use crate::event::{Listener, working};
use crate::samples::Samples;
use crate::start::Parts;

/// Maximum number of pairs of a timed step.
const PAIRS: usize = 32;
/// Steps that compile and tune kernels, and timed steps after them; the fastest counts.
const WARM_UPS: usize = 2;
const TIMED: usize = 3;
/// Required speed-up of half precision over f32, which is more exact.
const GAIN: f64 = 1.05;

pub fn choose(
    config: &Config,
    parts: &Parts,
    samples: &Samples,
    device: &OpenDevice,
    listener: &mut Listener<'_>,
) -> Result<(Precision, String)> {
    if !device.is_gpu {
        let line = "precision: f32; a CPU computes 16-bit numbers as f32 and converts them";
        return Ok((Precision::F32, line.to_owned()));
    }
    let batch = batch(config, parts, samples)?;
    let candidates = [Precision::F32, Precision::F16, Precision::Bf16];
    let mut found = Vec::new();
    for (number, precision) in candidates.into_iter().enumerate() {
        let mut tried = config.clone();
        tried.train.precision = precision;
        tried.train.micro_batch = batch.texts.len();
        if !tried.train_config().compute.runs_on(&device.device) {
            continue;
        }
        let what = format!("timing {}", precision.name());
        working(listener, &what, number, candidates.len());
        let time = time(&tried, parts, &batch, device);
        let time = time.with_context(|| format!("timing {}", precision.name()))?;
        found.extend(time.map(|time| (precision, time)));
    }
    working(listener, "timing", candidates.len(), candidates.len());
    let of_f32 = found.first().map_or(Duration::ZERO, |(_, time)| *time);
    let is_faster = |time: &Duration| time.as_secs_f64() * GAIN < of_f32.as_secs_f64();
    let faster = found.iter().filter(|(_, time)| is_faster(time));
    let best = faster.min_by_key(|(_, time)| *time);
    let chosen = best.map_or(Precision::F32, |(precision, _)| *precision);
    let times: Vec<String> = found
        .iter()
        .map(|(precision, time)| {
            format!("{:.1} ms in {}", 1e3 * time.as_secs_f64(), precision.name())
        })
        .collect();
    let line = format!(
        "precision: {}; a step of {} pairs took {}",
        chosen.name(),
        batch.texts.len(),
        times.join(", ")
    );
    Ok((chosen, line))
}

/// The first pairs of the run, with grey images: the content doesn't change the time.
fn batch(config: &Config, parts: &Parts, samples: &Samples) -> Result<Batch> {
    let most = match config.train.micro_batch {
        0 => config.train.batch,
        pairs => pairs,
    };
    let words = (0..most.min(PAIRS) as u64).map(|position| samples.words_at(position));
    let words = words.collect::<Result<Vec<_>>>()?;
    let (texts, negatives): (Vec<_>, Vec<_>) = words
        .into_iter()
        .map(|words| {
            let negatives = parts.tokenizer.encode_batch(&words.negatives);
            (parts.tokenizer.encode(&words.caption), negatives)
        })
        .unzip();
    let side = parts.config.image.image_size;
    let pixels = vec![0.5; texts.len() * 3 * side * side].into();
    Ok(Batch { pixels, texts, negatives, ..Batch::default() })
}

/// Time of a step; `None` if its loss isn't finite.
fn time(
    config: &Config,
    parts: &Parts,
    batch: &Batch,
    device: &OpenDevice,
) -> Result<Option<Duration>> {
    let device = &device.device;
    let model = parts.load(device)?;
    let mut trainer = Trainer::new(model, parts.config.clone(), config.train_config(), device);
    let mut best = Duration::MAX;
    for step in 0..WARM_UPS + TIMED {
        let began = Instant::now();
        let report = pollster::block_on(trainer.step(batch))?;
        if !report.loss.is_finite() {
            return Ok(None);
        }
        if step >= WARM_UPS {
            best = best.min(began.elapsed());
        }
    }
    Ok(Some(best))
}
