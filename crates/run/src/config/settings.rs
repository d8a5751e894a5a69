//! What the parts of a run are told: the trainer, and the crops.

use clove::loss::{Loss, OwnNegatives};
use clove::preprocess::RandomResizedCrop;
use clove::train::{AdamWConfig, Compute, Locked, Lora, Schedule, TrainConfig};
use clove_data::fetch::Copies;

use super::{Config, Crops, Data, LossKind, Precision, Tower};
use crate::Result;

impl Data {
    /// The default of `data.unreadable`.
    pub(super) const BEARABLE: f64 = 0.1;

    /// Where packed and remote files are copied.
    pub(crate) fn copies(&self) -> Copies<'_> {
        let gib = f64::from(1 << 30);
        let most = self.cache_size.map(|size| (size * gib) as u64);
        Copies { folder: self.cache.as_deref(), most }
    }

    /// The largest share of unreadable samples.
    pub(crate) fn bearable(&self) -> f64 {
        self.unreadable.unwrap_or(Self::BEARABLE)
    }
}

impl Config {
    /// The text of run.toml: every key with its value, addresses without their secrets.
    ///
    /// # Errors
    /// If a path isn't UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(&self.shown())?)
    }

    /// The trainer's settings.
    pub fn train_config(&self) -> TrainConfig {
        let rates = &self.optimizer;
        let usual = TrainConfig::new(self.train.steps);
        TrainConfig {
            schedule: Schedule {
                peak: rates.learning_rate,
                warmup: rates.warmup.unwrap_or(usual.schedule.warmup),
                steps: self.train.steps,
            },
            optimizer: AdamWConfig {
                beta_1: rates.beta_1,
                beta_2: rates.beta_2,
                epsilon: rates.epsilon,
                weight_decay: rates.weight_decay,
            },
            clip_norm: rates.clip_norm.is_finite().then_some(rates.clip_norm),
            loss: match self.loss.kind {
                LossKind::Clip => Loss::Clip,
                LossKind::Clove => Loss::Clove,
                LossKind::Fsc => Loss::Fsc(OwnNegatives {
                    weight: self.loss.weight,
                    gamma: self.loss.gamma,
                    smoothing: self.loss.smoothing,
                }),
            },
            fused_loss: self.loss.fused,
            micro_batch: self.train.micro_batch,
            checkpointing: self.train.checkpointing,
            compute: match self.train.precision {
                Precision::F32 | Precision::Auto => Compute::F32,
                Precision::F16 => Compute::F16,
                Precision::Bf16 => Compute::Bf16,
            },
            lora: self.lora.as_ref().map(|lora| Lora {
                rank: lora.rank,
                alpha: lora.alpha,
                image: lora.towers.contains(&Tower::Image),
                text: lora.towers.contains(&Tower::Text),
                seed: self.seed,
            }),
            locked: Locked {
                image: self.train.locked.contains(&Tower::Image),
                text: self.train.locked.contains(&Tower::Text),
            },
            image_rate: rates.image_rate,
            ..usual
        }
    }

    /// How images of a set are cropped.
    pub fn crop(&self) -> RandomResizedCrop {
        let usual = RandomResizedCrop::default();
        RandomResizedCrop {
            scale: self.data.crop_scale.map_or(usual.scale, Into::into),
            ratio: self.data.crop_ratio.map_or(usual.ratio, Into::into),
        }
    }

    pub(crate) fn crops_on_device(&self) -> bool {
        self.data.crops == Some(Crops::Gpu)
    }
}
