//! What a run starts from: a model's directory, or a scene model.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use clove::device::Device;
use clove::model::{Clip, ClipConfig};
use clove::preprocess::Preprocess;
use clove::tokenizer::Tokenizer;
use clove::train::TrainConfig;
use clove::weights::{ModelSource, Snapshot, parameters};
use clove_data::run::Companions;
use clove_lab as lab;

use crate::config::{self, Start};
use crate::error::{Context as _, Result, bail};
use crate::model::open_model;
use crate::words::count;

/// Tokens of CLIP's vocabulary.
const VOCABULARY: usize = 49_408;

/// A model's parts but for its weights.
#[derive(Debug)]
pub struct Parts {
    /// Its shape.
    pub config: ClipConfig,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// How photos become its pixels.
    pub preprocess: Preprocess,
    /// The tokenizer.json, where the model has one.
    tokenizer_json: Option<String>,
    /// In words.
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
    /// Opens the model; no weights are read yet, but those of a directory are seen to be there and of the right shapes.
    ///
    /// # Errors
    /// When the model can't be opened, or `model.context` is more than it takes.
    pub fn open(model: &config::Model, seed: u64) -> Result<Self> {
        let mut parts = Self::open_whole(model, seed)?;
        if let Some(context) = model.context {
            let whole = parts.config.text.context_length;
            if context > whole {
                bail!("model.context: {context} tokens are more than the {whole} of the model");
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
                    preprocess: source.preprocess()?,
                    tokenizer_json: tokenizer_json(&source)?,
                    what: dir.display().to_string(),
                    weights: Weights::Files(source),
                });
            }
            Start::Described(file) => return Self::described(file, seed),
            Start::Pretrained => ("the pretrained scene model", Weights::Pretrained),
            Start::Blank => ("a scene model with random weights", Weights::Random(seed)),
        };
        let tokenizer = lab::tokenizer()?;
        Ok(Self {
            config: lab::config(&tokenizer),
            tokenizer,
            preprocess: lab::preprocess()?,
            tokenizer_json: Some(lab::tokenizer_json()),
            what: what.to_owned(),
            weights,
        })
    }

    /// A model with random weights, of the shape in a file, with CLIP's own vocabulary.
    fn described(file: &Path, seed: u64) -> Result<Self> {
        let place = || {
            format!(
                "model.shape: {} (give \"scenes\", or a file as open_clip's model configurations)",
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
                "{}: vocab_size is {}; CLIP's vocabulary has {VOCABULARY} tokens",
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

    /// The model on a device.
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

    /// The weights that training started from; `None` where they were random.
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

    /// What lies beside the weights in a model's directory.
    pub(crate) fn companions(&self) -> Companions {
        Companions { preprocess: self.preprocess.clone(), tokenizer: self.tokenizer_json.clone() }
    }

    /// In words, with the parameters that learn and those that don't.
    pub(crate) fn summary(&self, config: &TrainConfig) -> String {
        let shapes = parameters(&self.config);
        let all: usize = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let held: usize = shapes
            .iter()
            .filter(|(name, _)| config.locked.holds(name))
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        let learning = config.learning(&self.config);
        let learning: usize = learning.iter().map(|(_, elements)| elements).sum();
        let what = format!("{}: {} parameters", self.what, count(all as u64));
        let (learning, held) = (count(learning as u64), count(held as u64));
        match config.lora {
            None => format!("{what}, {learning} of them learn and {held} are locked"),
            Some(lora) => format!(
                "{what}, {held} of them are locked; {learning} numbers learn, low-rank factors (rank {}) among them",
                lora.rank
            ),
        }
    }

    /// The source, where it's a directory.
    pub(crate) fn directory(&self) -> Option<&ModelSource> {
        match &self.weights {
            Weights::Files(source) => Some(source),
            Weights::Pretrained | Weights::Random(_) => None,
        }
    }
}

fn tokenizer_json(source: &ModelSource) -> Result<Option<String>> {
    const NAME: &str = "tokenizer.json";
    let failed = || source.files().describe(NAME);
    let Some(mut file) = source.files().open(NAME).with_context(failed)? else {
        return Ok(None);
    };
    let mut text = String::new();
    file.read_to_string(&mut text).with_context(failed)?;
    Ok(Some(text))
}
