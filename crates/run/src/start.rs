//! The initial model of a run: a model directory, a scene model or random weights.

use std::fs;
use std::path::Path;

use clove::device::Device;
use clove::model::{Clip, ClipConfig};
use clove::preprocess::{CenterCrop, Preprocess};
use clove::tokenizer::Tokenizer;
use clove::train::TrainConfig;
use clove::weights::{ModelSource, Snapshot, parameters};
use clove_data::run::Companions;
use clove_lab as lab;

use crate::config::{self, Start};
use crate::error::{Context as _, Result, bail};
use crate::model::open_model;
use crate::words::count;

const VOCABULARY: usize = 49_408;

/// A model without its weights on a device.
#[derive(Debug)]
pub struct Parts {
    /// The shape.
    pub config: ClipConfig,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The preprocessing of photos.
    pub preprocess: Preprocess,
    tokenizer_json: Option<String>,
    what: String,
    weights: Weights,
}

#[derive(Debug)]
enum Weights {
    Files(ModelSource),
    Pretrained,
    Random(u64),
}

impl Parts {
    /// Opens the model and checks the shapes of its weights, without reading them.
    ///
    /// # Errors
    /// If the model can't be opened or `model.context` exceeds its context.
    pub fn open(model: &config::Model, seed: u64) -> Result<Self> {
        let mut parts = Self::open_whole(model, seed)?;
        if let Some(context) = model.context {
            let whole = parts.config.text.context_length;
            if context > whole {
                bail!("model.context: {context} tokens exceed the model's {whole}");
            }
            parts.config.text.context_length = context;
            parts.tokenizer = parts.tokenizer.with_context_length(context);
        }
        Ok(parts)
    }

    fn open_whole(model: &config::Model, seed: u64) -> Result<Self> {
        let (what, weights) = match model.start() {
            Start::Directory(dir) => {
                let source = open_model(dir)?;
                drop(source.weights()?);
                return Ok(Self {
                    config: source.config().clone(),
                    tokenizer: source.tokenizer()?,
                    // The run's models are in Hugging Face's layout, whose library crops so.
                    preprocess: source.preprocess()?.with_center_crop(CenterCrop::HuggingFace),
                    tokenizer_json: source.tokenizer_json()?,
                    what: dir.display().to_string(),
                    weights: Weights::Files(source),
                });
            }
            Start::Described(file) => return Self::described(file, seed),
            Start::Pretrained => ("the pretrained scene model", Weights::Pretrained),
            Start::Blank => ("a scene model with random weights", Weights::Random(seed)),
        };
        let tokenizer = lab::tokenizer().context(what)?;
        Ok(Self {
            config: lab::config(&tokenizer),
            tokenizer,
            preprocess: lab::preprocess()?,
            tokenizer_json: Some(lab::tokenizer_json()),
            what: what.to_owned(),
            weights,
        })
    }

    /// A model with random weights, CLIP's vocabulary and the shape in a file.
    fn described(file: &Path, seed: u64) -> Result<Self> {
        let place = || {
            format!(
                "model.shape: {} (give \"scenes\" or an open_clip model configuration)",
                file.display()
            )
        };
        let text = fs::read_to_string(file).with_context(place)?;
        let config = ClipConfig::from_open_clip(&text).with_context(place)?;
        let context = config.text.context_length;
        let size = u32::try_from(config.image.image_size).ok();
        let size = size.with_context(place)?;
        if config.text.vocab_size < VOCABULARY {
            bail!(
                "{}: vocab_size is {}, must be at least {VOCABULARY}, the size of CLIP's vocabulary",
                place(),
                config.text.vocab_size
            );
        }
        Ok(Self {
            tokenizer: Tokenizer::clip(context),
            preprocess: Preprocess::clip(size)?,
            tokenizer_json: None,
            what: format!("{} with random weights", file.display()),
            weights: Weights::Random(seed),
            config,
        })
    }

    pub(crate) fn load(&self, device: &Device) -> Result<Clip> {
        Ok(match &self.weights {
            Weights::Files(source) if source.config() == &self.config => source.load(device)?,
            Weights::Files(_) | Weights::Pretrained => {
                let pretrained = self.pretrained()?;
                let mut pretrained = pretrained.context("a pretrained model has weights")?;
                self.config.build(&mut pretrained, device)?
            }
            Weights::Random(seed) => self.config.init(*seed, device),
        })
    }

    /// The initial weights; `None` if they are random.
    pub(crate) fn pretrained(&self) -> Result<Option<Snapshot>> {
        Ok(match &self.weights {
            Weights::Files(source) => {
                Some(Snapshot::from_parameters(source.config(), &mut source.weights()?)?)
            }
            Weights::Pretrained => Some(lab::pretrained()?),
            Weights::Random(_) => None,
        }
        .map(|whole| whole.with_context(self.config.text.context_length)))
    }

    /// The files beside the weights in a model directory.
    pub(crate) fn companions(&self) -> Companions {
        Companions { preprocess: self.preprocess.clone(), tokenizer: self.tokenizer_json.clone() }
    }

    /// One line of text, with the numbers of trainable and locked parameters.
    pub(crate) fn summary(&self, config: &TrainConfig) -> String {
        let (mut all, mut locked) = (0, 0);
        for (name, shape) in parameters(&self.config) {
            let elements = shape.iter().product::<usize>() as u64;
            all += elements;
            locked += if config.locked.holds(&name) { elements } else { 0 };
        }
        let learning = config.learning(&self.config);
        let learning: usize = learning.iter().map(|(_, elements)| elements).sum();
        let what = format!("{}: {} parameters", self.what, count(all));
        let (learning, locked) = (count(learning as u64), count(locked));
        match config.lora {
            None => format!("{what}, {learning} trainable and {locked} locked"),
            Some(lora) => format!(
                "{what}, {locked} locked; {learning} trainable numbers, including low-rank factors of rank {}",
                lora.rank
            ),
        }
    }

    /// The tokenizer.json; `None` for CLIP's vocabulary.
    pub(crate) fn tokenizer_json(&self) -> Option<&str> {
        self.tokenizer_json.as_deref()
    }

    /// The model directory, if the run starts from one.
    pub(crate) fn directory(&self) -> Option<&ModelSource> {
        match &self.weights {
            Weights::Files(source) => Some(source),
            Weights::Pretrained | Weights::Random(_) => None,
        }
    }
}
