//! A model with its tokenizer and its preprocessing: photos and captions in, embeddings and scores out.

use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

use crate::device::{ReadBackError, read_back};
use crate::evaluate::{Embeddings, EvaluateError};
use crate::model::{Clip, ClipConfig, Parameters, TextBatch};
use crate::preprocess::{Preprocess, PreprocessError, RgbImage};
use crate::tokenizer::{Encoding, Tokenizer};
use crate::weights::{ModelSource, WeightsError};

/// Images that a caller should give [`Scorer::embed_pixels`] at a time: enough to fill a GPU, few enough for a small one.
pub const IMAGES_PER_BATCH: usize = 16;

/// Captions that are embedded at a time.
pub const TEXTS_PER_BATCH: usize = 64;

/// Why something can't be scored.
#[derive(Debug, Error)]
pub enum ScoreError {
    /// The model can't be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An image can't be preprocessed.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// The model gave embeddings that aren't numbers.
    #[error("the model's embeddings are wrong: {0}")]
    Embeddings(#[from] EvaluateError),
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

/// How well captions fit one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Cosine of the image's embedding with each caption's, from -1 to 1.
    pub similarities: Vec<f32>,
    /// Softmax over the captions of the similarities times the model's scale, from 0 to 1.
    pub probabilities: Vec<f32>,
}

impl Scorer {
    /// Loads a model with everything that belongs to it.
    ///
    /// # Errors
    /// When any file of the model can't be used.
    pub async fn load(source: &ModelSource, device: &Device) -> Result<Self, ScoreError> {
        Self::build(source, &mut source.weights()?, device).await
    }

    /// Builds a model from `parameters` (patched ones, say) with the tokenizer and the preprocessing of `source`.
    ///
    /// # Errors
    /// When any file of the model can't be used, or the parameters can't be read.
    pub async fn build<P: Parameters<Error = WeightsError>>(
        source: &ModelSource,
        parameters: &mut P,
        device: &Device,
    ) -> Result<Self, ScoreError> {
        // The small files first: a model that can't be used is refused before its weights are read.
        let (tokenizer, preprocess) = (source.tokenizer()?, source.preprocess()?);
        let clip = source.config().build(parameters, device)?;
        let logit_scale = read_back(clip.logit_scale.val()).await?;
        Ok(Self {
            clip,
            config: source.config().clone(),
            tokenizer,
            preprocess,
            device: device.clone(),
            logit_scale: logit_scale[0],
        })
    }

    /// A scorer of parts that belong together.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn new(
        clip: Clip,
        config: ClipConfig,
        tokenizer: Tokenizer,
        preprocess: Preprocess,
        device: &Device,
    ) -> Result<Self, ScoreError> {
        let logit_scale = read_back(clip.logit_scale.val()).await?;
        Ok(Self {
            clip,
            config,
            tokenizer,
            preprocess,
            device: device.clone(),
            logit_scale: logit_scale[0],
        })
    }

    /// The two towers.
    #[must_use]
    pub fn clip(&self) -> &Clip {
        &self.clip
    }

    /// Puts other weights of the same shape in use.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn set_clip(&mut self, clip: Clip) -> Result<(), ScoreError> {
        let logit_scale = read_back(clip.logit_scale.val()).await?;
        self.logit_scale = logit_scale[0];
        self.clip = clip;
        Ok(())
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// The model's tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The model's preprocessing.
    #[must_use]
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// Natural logarithm of the factor on similarities.
    #[must_use]
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

    /// Embeds one batch of images, given as [`Self::pixels`] one after the other.
    ///
    /// # Errors
    /// When the device fails, or an embedding isn't finite.
    pub async fn embed_pixels(&self, pixels: Vec<f32>) -> Result<Embeddings, ScoreError> {
        let size = self.config.image.image_size;
        let images = pixels.len() / (3 * size * size);
        let data = TensorData::new(pixels, [images, 3, size, size]);
        self.embeddings(self.clip.embed_images(Tensor::from_data(data, &self.device))).await
    }

    /// Embeds each patch of one image, given as [`Self::pixels`]: row by row from the top left. See
    /// [`crate::model::ImageTower::patches`] for what they are worth.
    ///
    /// # Errors
    /// When the device fails, or an embedding isn't finite.
    pub async fn embed_patches(&self, pixels: Vec<f32>) -> Result<Embeddings, ScoreError> {
        let size = self.config.image.image_size;
        let data = TensorData::new(pixels, [1, 3, size, size]);
        self.embeddings(self.clip.embed_patches(Tensor::from_data(data, &self.device))).await
    }

    /// Embeds one batch of captions.
    ///
    /// # Errors
    /// When the device fails, or an embedding isn't finite.
    ///
    /// # Panics
    /// If there are no captions.
    pub async fn embed_encodings(&self, encodings: &[Encoding]) -> Result<Embeddings, ScoreError> {
        let batch = TextBatch::new(encodings, &self.config.text, &self.device);
        self.embeddings(self.clip.embed_texts(batch)).await
    }

    /// Embeds any number of captions, a batch at a time; row `i` is caption `i`. `progress` hears how many are done.
    ///
    /// # Errors
    /// When the device fails, or an embedding isn't finite.
    pub async fn embed_texts(
        &self,
        texts: &[impl AsRef<str>],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Embeddings, ScoreError> {
        let encodings = self.tokenizer.encode_batch(texts);
        // Captions of like length share a batch, because a batch is as long as its longest.
        let mut order: Vec<usize> = (0..encodings.len()).collect();
        order.sort_by_key(|&text| encodings[text].end);
        let width = self.config.embed_dim;
        let mut rows = vec![0.0; texts.len() * width];
        for batch in order.chunks(TEXTS_PER_BATCH) {
            let encodings: Vec<Encoding> =
                batch.iter().map(|&text| encodings[text].clone()).collect();
            let embedded = self.embed_encodings(&encodings).await?;
            for (row, &text) in batch.iter().enumerate() {
                rows[text * width..(text + 1) * width].copy_from_slice(embedded.row(row));
            }
            progress(batch.len());
        }
        Ok(Embeddings::from_rows(width, rows)?)
    }

    /// Scores every caption against one image.
    #[must_use]
    pub fn scores(&self, images: &Embeddings, image: usize, texts: &Embeddings) -> Scores {
        let similarities: Vec<f32> =
            (0..texts.len()).map(|text| images.dot(image, texts, text)).collect();
        let probabilities = self.probabilities(&similarities);
        Scores { similarities, probabilities }
    }

    /// Softmax of similarities times the model's scale: as [`Self::scores`] gives it, for some of its captions say.
    #[must_use]
    pub fn probabilities(&self, similarities: &[f32]) -> Vec<f32> {
        probabilities(similarities, self.logit_scale)
    }

    async fn embeddings(&self, rows: Tensor<2>) -> Result<Embeddings, ScoreError> {
        let values = read_back(rows).await?;
        Ok(Embeddings::from_rows(self.config.embed_dim, values)?)
    }
}

/// Softmax of similarities times a model's factor, whose natural logarithm is `logit_scale`.
#[must_use]
pub fn probabilities(similarities: &[f32], logit_scale: f32) -> Vec<f32> {
    softmax(similarities, logit_scale.exp())
}

/// Softmax of `scale * values`, computed from the largest so that nothing overflows.
fn softmax(values: &[f32], scale: f32) -> Vec<f32> {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = values.iter().map(|value| (scale * (value - largest)).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::softmax;

    #[test]
    fn softmax_of_equal_values_is_even_and_large_scales_do_not_overflow() {
        assert_eq!(softmax(&[0.3, 0.3], 100.0), vec![0.5, 0.5]);
        let spread = softmax(&[1.0, -1.0], 1e30);
        assert_eq!(spread, vec![1.0, 0.0]);
    }
}
