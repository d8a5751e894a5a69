//! The image tower: a Vision Transformer (Dosovitskiy et al., arXiv 2010.11929) with CLIP's extra layer norm before the blocks.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Block, Builder, Built, ImageConfig, LayerNorm, Parameters};

/// Embeds images by the hidden state of a class token.
#[derive(Module, Debug)]
pub struct ImageTower {
    /// The convolution that embeds patches, `[width, 3, patch, patch]`; its stride is its size.
    pub patch_embedding: Param<Tensor<4>>,
    /// The token that is pooled, `[width]`.
    pub class_embedding: Param<Tensor<1>>,
    /// `[1 + patches, width]`
    pub position_embedding: Param<Tensor<2>>,
    /// Before the blocks.
    pub pre_norm: LayerNorm,
    /// The transformer.
    pub blocks: Vec<Block>,
    /// On the pooled token.
    pub post_norm: LayerNorm,
    /// Into the space that both towers share, `[embed, width]`.
    pub projection: Param<Tensor<2>>,
}

impl ImageTower {
    pub(crate) fn build<P: Parameters>(
        config: &ImageConfig,
        embed_dim: usize,
        builder: &mut Builder<P>,
    ) -> Built<Self, P> {
        let (transformer, patch) = (&config.transformer, config.patch_size);
        let width = transformer.width;
        let norm = |b: &mut Builder<P>| LayerNorm::build(transformer, b);
        Ok(Self {
            patch_embedding: builder.param("patch_embedding", [width, 3, patch, patch])?,
            class_embedding: builder.param("class_embedding", [width])?,
            position_embedding: builder.param("position_embedding", [config.tokens(), width])?,
            pre_norm: builder.within("pre_norm", norm)?,
            blocks: transformer.build_blocks(false, builder)?,
            post_norm: builder.within("post_norm", norm)?,
            projection: builder.param("projection", [embed_dim, width])?,
        })
    }

    /// `[images, 3, size, size]` normalised pixels to `[images, embed]` rows, not yet of length one.
    ///
    /// # Panics
    /// If the images aren't of the size that the model was built for.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<2> {
        self.head(self.tokens(pixels))
    }

    /// The layers after the blocks: `[images, 1 + patches, width]` hidden states to `[images, embed]` rows.
    pub(crate) fn head(&self, hidden: Tensor<3>) -> Tensor<2> {
        let [images, _, width] = hidden.dims();
        let pooled = hidden.narrow(1, 0, 1).reshape([images, width]);
        self.post_norm.forward(pooled).matmul(self.projection.val().transpose())
    }

    /// `[images, 3, size, size]` normalised pixels to `[images, patches, embed]`: the projection that [`Self::forward`] applies to
    /// the class token, applied to each patch's token, row by row; not yet of length one.
    ///
    /// No training objective uses these, so they only hint at where the model sees a text.
    ///
    /// # Panics
    /// If the images aren't of the size that the model was built for.
    pub fn patches(&self, pixels: Tensor<4>) -> Tensor<3> {
        let tokens = self.tokens(pixels);
        let [images, tokens_each, width] = tokens.dims();
        let patches = tokens_each - 1;
        let [embed, _] = self.projection.dims();
        let rows = tokens.narrow(1, 1, patches).reshape([images * patches, width]);
        self.post_norm
            .forward(rows)
            .matmul(self.projection.val().transpose())
            .reshape([images, patches, embed])
    }

    /// The hidden states after the last block, `[images, 1 + patches, width]`: the class token, then the patches row by row.
    fn tokens(&self, pixels: Tensor<4>) -> Tensor<3> {
        self.blocks.iter().fold(self.stem(pixels), |hidden, block| block.forward(hidden))
    }

    /// The layers before the blocks: `[images, 3, size, size]` pixels to `[images, 1 + patches, width]` hidden states.
    pub(crate) fn stem(&self, pixels: Tensor<4>) -> Tensor<3> {
        let patches = self.embed_patches(pixels);
        let [images, _, width] = patches.dims();
        let class = self.class_embedding.val().reshape([1, 1, width]).expand([images, 1, width]);
        let tokens =
            Tensor::cat(vec![class, patches], 1) + self.position_embedding.val().unsqueeze();
        self.pre_norm.forward(tokens)
    }

    /// The patch convolution as one matrix product: its stride equals its size, so patches don't overlap and each is a row.
    fn embed_patches(&self, pixels: Tensor<4>) -> Tensor<3> {
        let [width, channels, patch, _] = self.patch_embedding.dims();
        let [images, _, height, length] = pixels.dims();
        let (rows, columns) = (height / patch, length / patch);
        let patches = pixels
            .reshape([images, channels, rows, patch, columns, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([images * rows * columns, channels * patch * patch]);
        let kernel = self.patch_embedding.val().reshape([width, channels * patch * patch]);
        patches.matmul(kernel.transpose()).reshape([images, rows * columns, width])
    }
}
