//! CLIP: an image tower and a text tower that meet in one embedding space.
//!
//! [`ClipConfig`] describes a model, [`Clip`] holds it on a device. A model is built from a source of named parameters
//! ([`Parameters`]): a checkpoint's files ([`crate::weights`]) or [`RandomInit`]. The parameters' names are the paths of the
//! fields below (`image.blocks.0.attention.qkv.weight`); `weights::names` maps them to the published layouts.
//!
//! Matrices are stored as in the published files, `[out, in]`: loading copies nothing, and gradients have PyTorch's shapes.

mod config;
mod image;
mod init;
mod text;
mod transformer;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};

pub use config::{Activation, ClipConfig, ConfigError, ImageConfig, TextConfig, Transformer};
pub use image::ImageTower;
pub use init::RandomInit;
pub use text::TextTower;
pub use transformer::{Attention, Block, LayerNorm, Linear, Mlp};

use crate::tokenizer::Encoding;

/// A source of named parameters, from which a model is built.
pub trait Parameters {
    /// Why a parameter can't be read.
    type Error;

    /// The values of parameter `name`, row-major in `shape`.
    ///
    /// # Errors
    /// When the source lacks the name, or holds it in another shape.
    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Self::Error>;
}

/// A module built from parameters `P`.
pub(crate) type Built<T, P> = Result<T, <P as Parameters>::Error>;

/// Puts parameters on a device, under the path of the module that they belong to.
pub(crate) struct Builder<'a, P: Parameters> {
    parameters: &'a mut P,
    device: &'a Device,
    path: Vec<String>,
}

impl<P: Parameters> Builder<'_, P> {
    pub(crate) fn param<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Built<Param<Tensor<D>>, P> {
        self.path.push(name.to_owned());
        let path = self.path.join(".");
        self.path.pop();
        let values = self.parameters.values(&path, &shape)?;
        Ok(Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device)))
    }

    pub(crate) fn within<T>(
        &mut self,
        name: &str,
        build: impl FnOnce(&mut Self) -> Built<T, P>,
    ) -> Built<T, P> {
        self.path.push(name.to_owned());
        let built = build(self);
        self.path.pop();
        built
    }
}

/// A CLIP model on a device.
#[derive(Module, Debug)]
pub struct Clip {
    /// The Vision Transformer that embeds images.
    pub image: ImageTower,
    /// The causal transformer that embeds texts.
    pub text: TextTower,
    /// Natural logarithm of the factor on cosine similarities, `[1]`.
    pub logit_scale: Param<Tensor<1>>,
}

impl ClipConfig {
    /// Builds the model on `device` from a source of parameters.
    ///
    /// # Errors
    /// The source's error for the first parameter that it can't read.
    pub fn build<P: Parameters>(&self, parameters: &mut P, device: &Device) -> Built<Clip, P> {
        let mut builder = Builder { parameters, device, path: Vec::new() };
        Ok(Clip {
            image: builder
                .within("image", |b| ImageTower::build(&self.image, self.embed_dim, b))?,
            text: builder.within("text", |b| TextTower::build(&self.text, self.embed_dim, b))?,
            logit_scale: builder.param("logit_scale", [1])?,
        })
    }

    /// A model with random weights, drawn as open_clip draws them. The same seed gives the same weights on every platform.
    pub fn init(&self, seed: u64, device: &Device) -> Clip {
        let Ok(clip) = self.build(&mut RandomInit::new(self, seed), device);
        clip
    }
}

impl Clip {
    /// Embeds images: `[images, 3, size, size]` normalised pixels to `[images, embed]` rows of length one.
    pub fn embed_images(&self, pixels: Tensor<4>) -> Tensor<2> {
        normalise_rows(self.image.forward(pixels))
    }

    /// Embeds the patches of images: pixels to `[images * patches, embed]` rows of length one; see [`ImageTower::patches`].
    pub fn embed_patches(&self, pixels: Tensor<4>) -> Tensor<2> {
        let patches = self.image.patches(pixels);
        let [images, patches_each, embed] = patches.dims();
        normalise_rows(patches.reshape([images * patches_each, embed]))
    }

    /// Embeds texts: a [`TextBatch`] of `texts` captions to `[texts, embed]` rows of length one.
    pub fn embed_texts(&self, texts: TextBatch) -> Tensor<2> {
        normalise_rows(self.text.forward(texts.ids, texts.ends))
    }
}

/// Captions as the text tower's input.
///
/// Attention is causal and the embedding is read at end-of-text, so later tokens can't change the result. The batch is cut to its
/// longest caption, rounded up so that a GPU compiles few shapes. The result equals that of the full context.
#[derive(Debug, Clone)]
pub struct TextBatch {
    /// Token ids, `[texts, tokens]` with `tokens` at most the context length.
    pub ids: Tensor<2, Int>,
    /// For each text its row of the flattened `[texts * tokens]` hidden states that is pooled, `[texts]`.
    pub ends: Tensor<1, Int>,
}

impl TextBatch {
    /// Tokens are cut to a multiple of this.
    const ROUND: usize = 8;

    /// How many tokens a batch with this text alone has.
    pub fn tokens(encoding: &Encoding, config: &TextConfig) -> usize {
        (config.eot.position(&encoding.ids) + 1)
            .next_multiple_of(Self::ROUND)
            .min(config.context_length)
    }

    /// Puts encoded captions on a device.
    ///
    /// # Panics
    /// If `encodings` is empty: a batch has at least one text.
    pub fn new(encodings: &[Encoding], config: &TextConfig, device: &Device) -> Self {
        assert!(!encodings.is_empty(), "a batch of texts needs at least one text");
        let ends: Vec<usize> =
            encodings.iter().map(|encoding| config.eot.position(&encoding.ids)).collect();
        let tokens = encodings
            .iter()
            .map(|encoding| Self::tokens(encoding, config))
            .max()
            .unwrap_or(config.context_length);
        let ids: Vec<i32> = encodings
            .iter()
            .flat_map(|encoding| encoding.ids[..tokens].iter())
            .map(|&id| i32::try_from(id).expect("a vocabulary has far fewer than 2^31 entries"))
            .collect();
        let rows: Vec<i32> = ends
            .iter()
            .enumerate()
            .map(|(text, end)| {
                i32::try_from(text * tokens + end).expect("a batch has far fewer than 2^31 tokens")
            })
            .collect();
        Self {
            ids: Tensor::from_data(TensorData::new(ids, [encodings.len(), tokens]), device),
            ends: Tensor::from_data(TensorData::new(rows, [encodings.len()]), device),
        }
    }
}

/// Divides each row of `[rows, width]` by its Euclidean length, as `torch.nn.functional.normalize` does, in f32.
pub fn normalise_rows(rows: Tensor<2>) -> Tensor<2> {
    /// PyTorch's default: a zero row stays zero instead of becoming NaN.
    const EPSILON: f32 = 1e-12;
    let rows = match rows.dtype() {
        DType::F16 | DType::BF16 => rows.cast(FloatDType::F32),
        _ => rows,
    };
    let length = rows.clone().square().sum_dim(1).sqrt().clamp_min(EPSILON);
    rows / length
}
