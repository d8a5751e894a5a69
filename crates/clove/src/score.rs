//! A model with its tokenizer and its preprocessing: embeddings and scores of photos and captions.

use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

use crate::device::{ReadBackError, read_back};
use crate::evaluate::{Embeddings, EvaluateError};
use crate::model::{Clip, ClipConfig, Parameters, TextBatch};
use crate::preprocess::{Preprocess, PreprocessError, RgbImage};
use crate::tokenizer::{Encoding, Tokenizer};
use crate::weights::{ModelSource, WeightsError};

/// Recommended number of images per call of [`Scorer::embed_pixels`]: enough for a large GPU, few enough for a small one.
pub const IMAGES_PER_BATCH: usize = 16;

/// Captions that are embedded at a time.
const TEXTS_PER_BATCH: usize = 64;

/// Why scoring failed.
#[derive(Debug, Error)]
pub enum ScoreError {
    /// The model can't be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An image can't be preprocessed.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// The model's embeddings aren't finite.
    #[error("the model's embeddings are wrong: {0}")]
    Embeddings(#[from] EvaluateError),
    /// The scale of similarities isn't finite.
    #[error(
        "tensor `logit_scale` is {0}, and e to that power isn't a finite scale; files store the logarithm: ln(100) = 4.6"
    )]
    LogitScale(f32),
    /// The loss of a batch is too large for the device.
    #[error(transparent)]
    Loss(#[from] crate::loss::TooLarge),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] ReadBackError),
}

/// A CLIP that is ready to embed photos and captions.
#[derive(Debug)]
pub struct Scorer {
    clip: Clip,
    config: ClipConfig,
    tokenizer: Tokenizer,
    preprocess: Preprocess,
    device: Device,
    logit_scale: f32,
}

/// The scores of captions for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Cosine of the image's embedding with each caption's, from -1 to 1.
    pub similarities: Vec<f32>,
    /// Softmax over the captions of the similarities times the model's scale, from 0 to 1.
    pub probabilities: Vec<f32>,
}

impl Scorer {
    /// Loads a model with its tokenizer and its preprocessing.
    ///
    /// # Errors
    /// When a file of the model can't be used, or a weight isn't finite.
    pub async fn load(source: &ModelSource, device: &Device) -> Result<Self, ScoreError> {
        Self::build(source, &mut source.weights()?, device).await
    }

    /// Builds a model from `parameters`, such as patched ones, with the tokenizer and the preprocessing of `source`.
    ///
    /// # Errors
    /// When a file of the model can't be used, or the parameters can't be read or aren't finite.
    pub async fn build<P: Parameters<Error = WeightsError>>(
        source: &ModelSource,
        parameters: &mut P,
        device: &Device,
    ) -> Result<Self, ScoreError> {
        // The small files first, so that an unusable model fails before its weights are read.
        let (tokenizer, preprocess) = (source.tokenizer()?, source.preprocess()?);
        let config = source.config().clone();
        let clip = config.build(parameters, device)?;
        Self::new(clip, config, tokenizer, preprocess, device).await
    }

    /// A scorer of the parts of one model.
    ///
    /// # Errors
    /// When the device fails, or the logit scale isn't finite.
    pub async fn new(
        clip: Clip,
        config: ClipConfig,
        tokenizer: Tokenizer,
        preprocess: Preprocess,
        device: &Device,
    ) -> Result<Self, ScoreError> {
        let logit_scale = logit_scale(&clip).await?;
        Ok(Self { clip, config, tokenizer, preprocess, device: device.clone(), logit_scale })
    }

    /// The two towers.
    pub fn clip(&self) -> &Clip {
        &self.clip
    }

    /// Replaces the weights by others of the same shape.
    ///
    /// # Errors
    /// When the device fails, or the logit scale isn't finite.
    pub async fn set_clip(&mut self, clip: Clip) -> Result<(), ScoreError> {
        self.logit_scale = logit_scale(&clip).await?;
        self.clip = clip;
        Ok(())
    }

    /// The model's shape.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The model's preprocessing.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// Natural logarithm of the factor on similarities.
    pub fn logit_scale(&self) -> f32 {
        self.logit_scale
    }

    /// An image's normalised pixels, `[3, size, size]`, row-major.
    ///
    /// # Errors
    /// When the image is empty.
    pub fn pixels(&self, image: &RgbImage) -> Result<Vec<f32>, ScoreError> {
        Ok(self.preprocess.normalise(&self.preprocess.pixels(image)?))
    }

    /// Embeds one batch of images, given as concatenated [`Self::pixels`].
    ///
    /// # Errors
    /// When the device fails, or an embedding isn't finite.
    pub async fn embed_pixels(&self, pixels: Vec<f32>) -> Result<Embeddings, ScoreError> {
        self.embeddings(self.clip.embed_images(self.images(pixels))).await
    }

    /// Embeds each patch of one image, given as [`Self::pixels`]; see [`crate::model::ImageTower::patches`].
    ///
    /// # Errors
    /// When the device fails, or an embedding isn't finite.
    pub async fn embed_patches(&self, pixels: Vec<f32>) -> Result<Embeddings, ScoreError> {
        self.embeddings(self.clip.embed_patches(self.images(pixels))).await
    }

    fn images(&self, pixels: Vec<f32>) -> Tensor<4> {
        let size = self.config.image.image_size;
        let images = pixels.len() / (3 * size * size);
        Tensor::from_data(TensorData::new(pixels, [images, 3, size, size]), &self.device)
    }

    /// Embeds captions in batches; row `i` is caption `i`. `progress` receives the size of each finished batch.
    ///
    /// # Errors
    /// When the device fails, or an embedding isn't finite.
    pub async fn embed_texts(
        &self,
        texts: &[impl AsRef<str>],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Embeddings, ScoreError> {
        let encodings = self.tokenizer.encode_batch(texts);
        // Captions of similar length share a batch, because a batch is as long as its longest.
        let mut order: Vec<usize> = (0..encodings.len()).collect();
        order.sort_by_key(|&text| encodings[text].end);
        let width = self.config.embed_dim;
        let mut rows = vec![0.0; texts.len() * width];
        for batch in order.chunks(TEXTS_PER_BATCH) {
            let encodings: Vec<Encoding> =
                batch.iter().map(|&text| encodings[text].clone()).collect();
            let texts = TextBatch::new(&encodings, &self.config.text, &self.device);
            let embedded = self.embeddings(self.clip.embed_texts(texts)).await;
            let embedded = embedded.map_err(|error| error.of_rows(batch))?;
            for (row, &text) in batch.iter().enumerate() {
                rows[text * width..(text + 1) * width].copy_from_slice(embedded.row(row));
            }
            progress(batch.len());
        }
        Ok(Embeddings::from_rows(width, rows)?)
    }

    /// Scores every caption against one image.
    pub fn scores(&self, images: &Embeddings, image: usize, texts: &Embeddings) -> Scores {
        let similarities: Vec<f32> =
            (0..texts.len()).map(|text| images.dot(image, texts, text)).collect();
        let probabilities = self.probabilities(&similarities);
        Scores { similarities, probabilities }
    }

    /// Softmax of similarities times the model's scale, as in [`Self::scores`].
    pub fn probabilities(&self, similarities: &[f32]) -> Vec<f32> {
        probabilities(similarities, self.logit_scale)
    }

    async fn embeddings(&self, rows: Tensor<2>) -> Result<Embeddings, ScoreError> {
        let values = read_back(rows).await?;
        Ok(Embeddings::from_rows(self.config.embed_dim, values)?)
    }
}

impl ScoreError {
    /// The error of a batch, with the rows that its rows have outside.
    fn of_rows(mut self, rows: &[usize]) -> Self {
        if let Self::Embeddings(
            EvaluateError::NotFinite { row, .. } | EvaluateError::ZeroRow { row },
        ) = &mut self
            && let Some(outside) = rows.get(*row)
        {
            *row = *outside;
        }
        self
    }
}

/// The natural logarithm of a model's scale.
async fn logit_scale(clip: &Clip) -> Result<f32, ScoreError> {
    let values = read_back(clip.logit_scale.val()).await?;
    let value = values[0];
    // An infinite scale times a difference of zero is no number.
    let is_finite = value.is_finite() && value.exp().is_finite();
    is_finite.then_some(value).ok_or(ScoreError::LogitScale(value))
}

/// Softmax of similarities times a model's scale, whose natural logarithm is `logit_scale`.
pub fn probabilities(similarities: &[f32], logit_scale: f32) -> Vec<f32> {
    let scale = logit_scale.exp();
    // Relative to the largest to avoid overflow.
    let largest = similarities.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = similarities.iter().map(|value| (scale * (value - largest)).exp());
    let powers: Vec<f32> = powers.collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::probabilities;

    #[test]
    fn softmax_of_equal_values_is_even_and_large_scales_do_not_overflow() {
        assert_eq!(probabilities(&[0.3, 0.3], 4.6), vec![0.5, 0.5]);
        let spread = probabilities(&[1.0, -1.0], 69.0);
        assert_eq!(spread, vec![1.0, 0.0]);
    }
}
