//! The models in use: a pretrained model, optionally the difference of a fine-tuned one, and any patch between them.

use std::collections::HashMap;

use clove::device::OpenDevice;
use clove::evaluate::Embeddings;
use clove::model::{Clip, ClipConfig, RandomInit};
use clove::patch::{Delta, obstacles};
use clove::preprocess::Preprocess;
use clove::score::{Scorer, Scores, probabilities};
use clove::weights::{Layout, ModelSource};
use clove_lab as lab;

use super::Failure;
use super::files::BrowserFiles;
use super::images::Image;
use crate::protocol::Model;
use crate::stock::Stock;

/// Bytes of the cached embeddings of captions, over all alphas: some ten thousand.
const TEXTS: usize = 32 << 20;
/// Bytes of the cached embeddings of images.
const IMAGES: usize = 8 << 20;
/// Bytes of the cached scales, and of one.
const SCALES: usize = 64 << 10;
const SCALE: usize = 16;
/// Bytes of an embedding's number.
const NUMBER: usize = size_of::<f32>();

/// OpenAI's ViT-B/32 in open_clip's terms (mlfoundations/open_clip: src/open_clip/model_configs/ViT-B-32-quickgelu.json).
const VIT_B32: &str = r#"{"model_cfg": {
    "embed_dim": 512, "quick_gelu": true,
    "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12}
}}"#;

/// Models on a device, and their cached embeddings.
#[derive(Debug)]
pub struct Models {
    name: String,
    pretrained: Clip,
    /// The fine-tuned model's name, and its difference, which takes half of its memory or less.
    finetuned: Option<(String, Delta)>,
    /// Whether they are the scene models.
    pub are_scenes: bool,
    parameters: u64,
    /// Has the weights of `alpha`.
    pub scorer: Scorer,
    /// The bits of the scorer's alpha.
    alpha: u64,
    /// Embeddings by the bits of alpha, and caption or image.
    texts: Stock<(u64, String), Vec<f32>>,
    images: Stock<(u64, u64), Embeddings>,
    /// Logit scales by the bits of alpha.
    scales: Stock<u64, f32>,
}

impl Models {
    /// The scene models, from their files.
    pub async fn scenes(
        device: &OpenDevice,
        pretrained: &[u8],
        deltas: &[u8],
    ) -> Result<Self, Failure> {
        let before = lab::read_model(pretrained)?;
        let scorer = lab::scorer(&before, &device.device).await?;
        let deltas = lab::Deltas::read(before.config(), deltas)?;
        let difference = |name: &str, shape: &[usize]| deltas.difference(name, shape);
        let delta = Delta::read(scorer.config(), &device.device, difference)?;
        let name = "scenes".to_owned();
        let parameters = before.elements() as u64;
        let models = Self::new(name.clone(), scorer, Some((name, delta)), parameters);
        Ok(Self { are_scenes: true, ..models })
    }

    /// Models from files.
    pub async fn load(
        device: &OpenDevice,
        pretrained: &BrowserFiles,
        finetuned: Option<BrowserFiles>,
    ) -> Result<Self, Failure> {
        let source = ModelSource::open(Box::new(pretrained.clone()))?;
        // Before reading weights, so that a mismatch fails at once.
        let other = finetuned.map(|files| fitting(&source, pretrained, files)).transpose()?;
        let scorer = Scorer::load(&source, &device.device).await?;
        let finetuned = match other {
            Some(other) => {
                let (before, after) = (source.weights()?, other.weights()?);
                let configs = [source.config(), other.config()];
                let delta = Delta::between(configs, before, after, &device.device)?;
                Some((other.place(), delta))
            }
            None => None,
        };
        let parameters = source.config().parameters() as u64;
        Ok(Self::new(source.place(), scorer, finetuned, parameters))
    }

    fn new(
        name: String,
        scorer: Scorer,
        finetuned: Option<(String, Delta)>,
        parameters: u64,
    ) -> Self {
        Self {
            name,
            pretrained: scorer.clip().clone(),
            finetuned,
            are_scenes: false,
            parameters,
            scorer,
            alpha: 0.0_f64.to_bits(),
            texts: Stock::new(TEXTS),
            images: Stock::new(IMAGES),
            scales: Stock::new(SCALES),
        }
    }

    /// Their description.
    pub fn about(&self) -> Model {
        let config = self.scorer.config();
        Model {
            name: self.name.clone(),
            finetuned: self.finetuned.as_ref().map(|(name, _)| name.clone()),
            parameters: self.parameters,
            image_size: config.image.image_size as u32,
            context: config.text.context_length as u32,
        }
    }

    /// Scores captions against an image with the model patched to `alpha`.
    pub async fn scores(
        &mut self,
        image: &Image,
        captions: &[String],
        alpha: f64,
    ) -> Result<Scores, Failure> {
        let (embedded, texts) = self.embeddings(image, captions, alpha).await?;
        let similarities = cosines(&embedded, &texts);
        let scale = self.scales.get(&alpha.to_bits()).copied();
        let scale = scale.unwrap_or_else(|| self.scorer.logit_scale());
        Ok(Scores { probabilities: probabilities(&similarities, scale), similarities })
    }

    /// The embeddings of an image and of captions by the model patched to `alpha`, computed or cached.
    pub async fn embeddings(
        &mut self,
        image: &Image,
        captions: &[String],
        alpha: f64,
    ) -> Result<(Embeddings, Embeddings), Failure> {
        if !(0.0..=1.0).contains(&alpha) {
            return Err(format!("alpha is {alpha}, not between 0 and 1").into());
        }
        // Without a fine-tuned model alpha has no effect.
        let alpha = if self.finetuned.is_some() { alpha } else { 0.0 };
        let bits = alpha.to_bits();
        // What a request needs is held until it's answered, whatever the caches' sizes.
        let mut found: HashMap<&String, Vec<f32>> = HashMap::new();
        for caption in captions {
            if let Some(row) = self.texts.get(&(bits, caption.clone())) {
                found.insert(caption, row.clone());
            }
        }
        let mut new: Vec<&String> =
            captions.iter().filter(|caption| !found.contains_key(caption)).collect();
        new.sort();
        new.dedup();
        let image_key = (bits, image.hash);
        let known = self.images.get(&image_key).cloned();
        if !new.is_empty() || known.is_none() {
            self.patch(alpha).await?;
        }
        let embedded = if let Some(embedded) = known {
            embedded
        } else {
            let embedded = self.scorer.embed_pixels(image.pixels.clone()).await?;
            let bytes = NUMBER * embedded.as_slice().len();
            self.images.put(image_key, embedded.clone(), bytes);
            embedded
        };
        if !new.is_empty() {
            let texts = self.scorer.embed_texts(&new, &mut |_| ()).await?;
            for (row, text) in new.into_iter().enumerate() {
                let row = texts.row(row).to_vec();
                let bytes = NUMBER * row.len() + text.len();
                self.texts.put((bits, text.clone()), row.clone(), bytes);
                found.insert(text, row);
            }
        }
        let rows: Vec<f32> = captions.iter().flat_map(|caption| &found[caption]).copied().collect();
        let width = self.scorer.config().embed_dim;
        Ok((embedded, Embeddings::from_rows(width, rows)?))
    }

    /// Each word of a caption with its contribution to the similarity.
    pub async fn words(
        &mut self,
        image: &Image,
        caption: &str,
        alpha: f64,
    ) -> Result<Vec<(String, f32)>, Failure> {
        let (words, texts) = without_each_word(caption);
        Ok(contributions(words, &self.scores(image, &texts, alpha).await?.similarities))
    }

    /// The patches in a row, and a caption's similarity with each patch of an image.
    pub async fn heat(
        &mut self,
        image: &Image,
        caption: &str,
        alpha: f64,
    ) -> Result<(u32, Vec<f32>), Failure> {
        let (_, text) = self.embeddings(image, &[caption.to_owned()], alpha).await?;
        self.patch(if self.finetuned.is_some() { alpha } else { 0.0 }).await?;
        patches(&self.scorer, image.pixels.clone(), &text).await
    }

    /// Patches the scorer to `alpha`, on the device.
    async fn patch(&mut self, alpha: f64) -> Result<(), Failure> {
        let bits = alpha.to_bits();
        if self.alpha != bits {
            let clip = match &self.finetuned {
                Some((_, delta)) => delta.apply(&self.pretrained, alpha),
                None => self.pretrained.clone(),
            };
            self.scorer.set_clip(clip).await?;
            self.alpha = bits;
        }
        self.scales.put(bits, self.scorer.logit_scale(), SCALE);
        Ok(())
    }
}

/// Cosines of an image with texts.
pub fn cosines(image: &Embeddings, texts: &Embeddings) -> Vec<f32> {
    (0..texts.len()).map(|text| image.dot(0, texts, text)).collect()
}

/// The patches in a row, and the cosine of each patch with the first text.
pub async fn patches(
    scorer: &Scorer,
    pixels: Vec<f32>,
    texts: &Embeddings,
) -> Result<(u32, Vec<f32>), Failure> {
    let patches = scorer.embed_patches(pixels).await?;
    let config = &scorer.config().image;
    let similarities = (0..patches.len()).map(|patch| patches.dot(patch, texts, 0)).collect();
    Ok(((config.image_size / config.patch_size) as u32, similarities))
}

/// A caption's words; and the caption, followed by the caption without each word.
pub fn without_each_word(caption: &str) -> (Vec<String>, Vec<String>) {
    let words: Vec<&str> = caption.split_whitespace().collect();
    let without = (0..words.len()).map(|at| [&words[..at], &words[at + 1..]].concat().join(" "));
    let texts = std::iter::once(caption.to_owned()).chain(without).collect();
    (words.into_iter().map(ToOwned::to_owned).collect(), texts)
}

/// Each word's contribution: the caption's similarity minus that without the word. Similarities are in the order of
/// [`without_each_word`].
pub fn contributions(words: Vec<String>, similarities: &[f32]) -> Vec<(String, f32)> {
    let without = &similarities[1..];
    words.into_iter().zip(without).map(|(word, one)| (word, similarities[0] - one)).collect()
}

/// Opens a fine-tuned model of the pretrained model's shape, but for its context: a whole model, or its weights.
fn fitting(
    pretrained: &ModelSource,
    rest: &BrowserFiles,
    files: BrowserFiles,
) -> Result<ModelSource, Failure> {
    let weights = match pretrained.layout() {
        Layout::HuggingFace => "model.safetensors",
        Layout::OpenClip => "open_clip_model.safetensors",
    };
    let source = ModelSource::open(Box::new(files.completed(rest, weights)))?;
    let differ = obstacles(pretrained.config(), source.config());
    if differ.is_empty() {
        return Ok(source);
    }
    Err(format!(
        "{} and {} have different architectures and can't be patched: {}",
        pretrained.place(),
        source.place(),
        differ.join("; ")
    )
    .into())
}

/// A model with the shape of OpenAI's ViT-B/32 and random weights, for benchmarks.
pub async fn vit_b32(device: &OpenDevice) -> Result<Scorer, Failure> {
    let config = ClipConfig::from_open_clip(VIT_B32)?;
    let Ok(clip) = config.build(&mut RandomInit::new(&config, 0), &device.device);
    let size = config.image.image_size as u32;
    let scorer = Scorer::new(
        clip,
        config.clone(),
        clove::tokenizer::Tokenizer::clip(config.text.context_length),
        Preprocess::clip(size)?,
        &device.device,
    );
    Ok(scorer.await?)
}
