//! A training step on the device, compared with burn's CPU back end.

use std::convert::Infallible;

use burn::tensor::Device;

use super::Sample;
use super::host::Numbers;
use crate::model::{ClipConfig, Parameters, RandomInit};
use crate::score::ScoreError;
use crate::tokenizer::Encoding;
use crate::train::{AdamWConfig, Batch, Schedule, TrainConfig, Trainer};
use crate::weights::{Snapshot, parameters};

/// A model of two blocks a tower, with sides that no tile divides.
const MODEL: &str = r#"{"model_cfg": {
    "embed_dim": 20,
    "vision_cfg": {"image_size": 48, "layers": 2, "width": 48, "head_width": 24, "patch_size": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 90, "width": 36, "heads": 3, "layers": 2}
}}"#;
const PAIRS: usize = 5;
const SEED: u64 = 7;

/// With a large epsilon AdamW changes each parameter in proportion to its gradient, without amplifying its rounding errors.
const RATE: f64 = 1.0;
const EPSILON: f64 = 1.0;
/// Tolerance for other orders of summation in f32, with gradients of a joint length of twelve: five times llvmpipe's difference.
const ALLOWED: f32 = 1.5e-3;

/// Random weights with embeddings twenty times as large: small ones would multiply the gradients' errors in layer norms.
struct Conditioned(RandomInit);

impl Parameters for Conditioned {
    type Error = Infallible;

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Infallible> {
        let mut values = self.0.values(name, shape)?;
        if name.ends_with("token_embedding") || name.ends_with("position_embedding") {
            for value in &mut values {
                *value *= 20.0;
            }
        }
        Ok(values)
    }
}

pub async fn sample(device: &Device) -> Result<Option<Sample>, ScoreError> {
    let mut expected = step(&Device::flex()).await?;
    let mut got = step(device).await?;
    // The gradients' length, relative to the expected one.
    got[1] /= expected[1];
    expected[1] = 1.0;
    Ok(Some(Sample { got, expected, allowed: ALLOWED }))
}

/// The loss, the length of the gradients, and the parameters after a step.
async fn step(device: &Device) -> Result<Vec<f32>, ScoreError> {
    let config = ClipConfig::from_open_clip(MODEL).expect("the configuration is written above");
    let Ok(clip) = config.build(&mut Conditioned(RandomInit::new(&config, SEED)), device);
    let train = TrainConfig {
        schedule: Schedule { peak: RATE, warmup: 0, steps: 10 },
        optimizer: AdamWConfig { epsilon: EPSILON, ..AdamWConfig::default() },
        ..TrainConfig::new(10)
    };
    let mut trainer = Trainer::new(clip, config.clone(), train, device);
    let report = trainer.step(&batch(&config)).await?;
    let mut snapshot = Snapshot::of(&trainer.model(), &config).await?;
    let mut values = vec![report.loss, report.grad_norm];
    for (name, shape) in parameters(&config) {
        values.extend(snapshot.values(&name, &shape)?);
    }
    Ok(values)
}

fn batch(config: &ClipConfig) -> Batch {
    let mut numbers = Numbers::new(5);
    let size = config.image.image_size;
    let (context, end) = (config.text.context_length, config.text.vocab_size as u32 - 1);
    let mut text = |length: usize| {
        let words = numbers.uniform(length, 40.0);
        let mut ids = vec![end - 1];
        ids.extend(words.iter().map(|word| (word + 42.0) as u32));
        ids.push(end);
        ids.resize(context, 0);
        Encoding { ids, end: length + 1, dropped: 0 }
    };
    let texts = (0..PAIRS).map(|pair| text(3 + pair)).collect();
    let negatives = (0..PAIRS).map(|pair| vec![text(3 + pair)]).collect();
    let pixels = numbers.uniform(PAIRS * 3 * size * size, 2.0).into();
    Batch { pixels, texts, negatives, ..Batch::default() }
}
