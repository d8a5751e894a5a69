//! The models in use: a pretrained one, how a fine-tuned one differs from it where there is one, and any patch between the two.

use std::collections::{HashMap, HashSet};

use clove::device::OpenDevice;
use clove::evaluate::Embeddings;
use clove::model::{Clip, ClipConfig, RandomInit};
use clove::patch::{Delta, differences};
use clove::preprocess::Preprocess;
use clove::score::{Scorer, Scores, probabilities};
use clove::weights::{Layout, ModelSource};
use clove_lab as lab;

use super::files::BrowserFiles;
use super::images::Image;
use super::{Failure, failure};
use crate::protocol::Model;

/// Embeddings of captions that are kept, at all alphas.
const TEXTS: usize = 4_000;
/// Those of images.
const IMAGES: usize = 1_000;

/// OpenAI's ViT-B/32 in open_clip's terms (mlfoundations/open_clip: src/open_clip/model_configs/ViT-B-32-quickgelu.json).
const VIT_B32: &str = r#"{"model_cfg": {
    "embed_dim": 512, "quick_gelu": true,
    "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12}
}}"#;

/// A set of weights and what's known of it.
#[derive(Debug)]
struct Loaded {
    name: String,
    clip: Clip,
}

/// A fine-tuned model: its difference from the pretrained one, in half of its memory or less.
#[derive(Debug)]
struct Finetuned {
    name: String,
    delta: Delta,
}

/// Models on a device, and what they have embedded.
#[derive(Debug)]
pub struct Models {
    pretrained: Loaded,
    finetuned: Option<Finetuned>,
    /// Whether they are the scene models.
    scenes: bool,
    parameters: u64,
    /// Holds the weights of `alpha`.
    scorer: Scorer,
    /// Bits of the alpha that is in use.
    alpha: u64,
    /// Embeddings by alpha's bits, and caption or image.
    texts: HashMap<(u64, String), Vec<f32>>,
    images: HashMap<(u64, u64), Embeddings>,
    /// Logit scales by alpha's bits.
    scales: HashMap<u64, f32>,
}

impl Models {
    /// The scene models, from their files.
    pub async fn scenes(
        device: &OpenDevice,
        pretrained: &[u8],
        deltas: &[u8],
    ) -> Result<Self, Failure> {
        let mut before = lab::read_model(pretrained).map_err(failure)?;
        let config = before.config().clone();
        let parameters = before.elements() as u64;
        let clip = config.build(&mut before, &device.device).map_err(failure)?;
        let deltas = lab::Deltas::read(&config, deltas).map_err(failure)?;
        let delta = Delta::read(&clip, deltas, &device.device).map_err(failure)?;
        let scorer = Scorer::new(
            clip.clone(),
            config,
            lab::tokenizer().map_err(failure)?,
            lab::preprocess().map_err(failure)?,
            &device.device,
        );
        let name = "scenes".to_owned();
        let finetuned = Finetuned { name: name.clone(), delta };
        let models =
            Self::new(Loaded { name, clip }, Some(finetuned), scorer.await.map_err(failure)?);
        Ok(Self { scenes: true, parameters, ..models })
    }

    /// Models of a user's.
    pub async fn load(
        device: &OpenDevice,
        pretrained: &BrowserFiles,
        finetuned: Option<BrowserFiles>,
    ) -> Result<Self, Failure> {
        let source = ModelSource::open(Box::new(pretrained.clone())).map_err(failure)?;
        // Before the weights are read: what doesn't fit is told at once.
        let other = finetuned.map(|files| fitting(&source, pretrained, files)).transpose()?;
        let scorer = Scorer::load(&source, &device.device).await.map_err(failure)?;
        let before = Loaded { name: source.place(), clip: scorer.clip().clone() };
        let after = match other {
            Some(other) => Some(Finetuned {
                name: other.place(),
                delta: Delta::between(
                    &before.clip,
                    source.weights().map_err(failure)?,
                    other.weights().map_err(failure)?,
                    &device.device,
                )
                .map_err(failure)?,
            }),
            None => None,
        };
        let parameters = source.config().parameters() as u64;
        Ok(Self { parameters, ..Self::new(before, after, scorer) })
    }

    fn new(pretrained: Loaded, finetuned: Option<Finetuned>, scorer: Scorer) -> Self {
        Self {
            pretrained,
            finetuned,
            scenes: false,
            parameters: 0,
            scorer,
            alpha: 0.0_f64.to_bits(),
            texts: HashMap::new(),
            images: HashMap::new(),
            scales: HashMap::new(),
        }
    }

    /// What they are.
    pub fn about(&self) -> Model {
        let config = self.scorer.config();
        Model {
            name: self.pretrained.name.clone(),
            finetuned: self.finetuned.as_ref().map(|one| one.name.clone()),
            parameters: self.parameters,
            image_size: config.image.image_size as u32,
            context: config.text.context_length as u32,
        }
    }

    /// Whether they are the scene models.
    pub fn are_scenes(&self) -> bool {
        self.scenes
    }

    /// Their preprocessing.
    pub fn preprocess(&self) -> &Preprocess {
        self.scorer.preprocess()
    }

    /// The model in use.
    pub fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    /// Captions against an image, by the model patched to `alpha`.
    pub async fn scores(
        &mut self,
        image: &Image,
        captions: &[String],
        alpha: f64,
    ) -> Result<Scores, Failure> {
        let (embedded, texts) = self.embeddings(image, captions, alpha).await?;
        let similarities: Vec<f32> =
            (0..texts.len()).map(|text| embedded.dot(0, &texts, text)).collect();
        let scale = self.scales.get(&alpha.to_bits()).copied();
        let scale = scale.unwrap_or_else(|| self.scorer.logit_scale());
        Ok(Scores { probabilities: probabilities(&similarities, scale), similarities })
    }

    /// An image's and captions' embeddings by the model patched to `alpha`; known ones are not computed again, and where all
    /// are known nothing is patched.
    pub async fn embeddings(
        &mut self,
        image: &Image,
        captions: &[String],
        alpha: f64,
    ) -> Result<(Embeddings, Embeddings), Failure> {
        if !(0.0..=1.0).contains(&alpha) {
            return Err(format!("alpha is {alpha}, not between 0 and 1"));
        }
        // Without a fine-tuned model there is nothing between.
        let alpha = if self.finetuned.is_some() { alpha } else { 0.0 };
        let bits = alpha.to_bits();
        if self.texts.len() > TEXTS {
            self.texts.clear();
        }
        if self.images.len() > IMAGES {
            self.images.clear();
        }
        let new: HashSet<&String> = captions
            .iter()
            .filter(|caption| !self.texts.contains_key(&(bits, (*caption).clone())))
            .collect();
        let mut new: Vec<&String> = new.into_iter().collect();
        new.sort();
        let image_key = (bits, image.hash);
        if !new.is_empty() || !self.images.contains_key(&image_key) {
            self.patch(alpha).await?;
        }
        if !self.images.contains_key(&image_key) {
            let embedded = self.scorer.embed_pixels(image.pixels.clone()).await;
            self.images.insert(image_key, embedded.map_err(failure)?);
        }
        if !new.is_empty() {
            let embedded = self.scorer.embed_texts(&new, &mut |_| ()).await;
            let embedded = embedded.map_err(failure)?;
            for (row, text) in new.into_iter().enumerate() {
                let known = (bits, text.clone());
                self.texts.insert(known, embedded.row(row).to_vec());
            }
        }
        let rows: Vec<f32> = captions
            .iter()
            .flat_map(|caption| &self.texts[&(bits, caption.clone())])
            .copied()
            .collect();
        let width = self.scorer.config().embed_dim;
        let texts = Embeddings::from_rows(width, rows).map_err(failure)?;
        Ok((self.images[&image_key].clone(), texts))
    }

    /// Each word of a caption with what it adds: the similarity less that of the caption without it.
    pub async fn words(
        &mut self,
        image: &Image,
        caption: &str,
        alpha: f64,
    ) -> Result<Vec<(String, f32)>, Failure> {
        let (words, mut texts) = without_each_word(caption);
        texts.insert(0, caption.to_owned());
        let scores = self.scores(image, &texts, alpha).await?.similarities;
        Ok(words
            .into_iter()
            .zip(&scores[1..])
            .map(|(word, without)| (word, scores[0] - without))
            .collect())
    }

    /// A caption's similarity with each patch of an image, and how many patches stand in a row.
    pub async fn heat(
        &mut self,
        image: &Image,
        caption: &str,
        alpha: f64,
    ) -> Result<(u32, Vec<f32>), Failure> {
        let (_, text) =
            self.embeddings(image, std::slice::from_ref(&caption.to_owned()), alpha).await?;
        self.patch(if self.finetuned.is_some() { alpha } else { 0.0 }).await?;
        let patches = self.scorer.embed_patches(image.pixels.clone()).await;
        let patches = patches.map_err(failure)?;
        let config = &self.scorer.config().image;
        let side = config.image_size / config.patch_size;
        let similarities = (0..patches.len()).map(|patch| patches.dot(patch, &text, 0)).collect();
        Ok((side as u32, similarities))
    }

    /// Puts the weights of an alpha in use, computed on the device.
    async fn patch(&mut self, alpha: f64) -> Result<(), Failure> {
        let bits = alpha.to_bits();
        if self.alpha != bits {
            let before = &self.pretrained.clip;
            let clip = match &self.finetuned {
                Some(after) => after.delta.apply(before, alpha),
                None => before.clone(),
            };
            self.scorer.set_clip(clip).await.map_err(failure)?;
            self.alpha = bits;
        }
        self.scales.insert(bits, self.scorer.logit_scale());
        Ok(())
    }
}

/// A caption's words, and for each the caption without it.
pub fn without_each_word(caption: &str) -> (Vec<String>, Vec<String>) {
    let words: Vec<&str> = caption.split_whitespace().collect();
    let without = (0..words.len()).map(|at| {
        let mut rest = words.clone();
        rest.remove(at);
        rest.join(" ")
    });
    let without = without.collect();
    (words.into_iter().map(ToOwned::to_owned).collect(), without)
}

/// A fine-tuned model, if it's one of the pretrained one's shape. Weights alone are taken as such.
fn fitting(
    pretrained: &ModelSource,
    rest: &BrowserFiles,
    files: BrowserFiles,
) -> Result<ModelSource, Failure> {
    let files = if files.is_weights_alone() {
        let weights = match pretrained.layout() {
            Layout::HuggingFace => "model.safetensors",
            Layout::OpenClip => "open_clip_model.safetensors",
        };
        files.with_rest_of(rest, weights)
    } else {
        files
    };
    let source = ModelSource::open(Box::new(files)).map_err(failure)?;
    let differ = differences(pretrained.config(), source.config());
    if differ.is_empty() {
        return Ok(source);
    }
    Err(format!(
        "{} and {} are different models, and can't be patched: {}",
        pretrained.place(),
        source.place(),
        differ.join("; ")
    ))
}

/// A model of OpenAI's ViT-B/32's shape with random weights, for measurements.
pub async fn vit_b32(device: &OpenDevice) -> Result<Scorer, Failure> {
    let config = ClipConfig::from_open_clip(VIT_B32).map_err(failure)?;
    let Ok(clip) = config.build(&mut RandomInit::new(&config, 0), &device.device);
    let size = config.image.image_size as u32;
    let scorer = Scorer::new(
        clip,
        config.clone(),
        clove::tokenizer::Tokenizer::clip(config.text.context_length),
        Preprocess::clip(size).map_err(failure)?,
        &device.device,
    );
    scorer.await.map_err(failure)
}
