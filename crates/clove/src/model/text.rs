//! The text tower: a causal transformer, pooled at end-of-text.

use burn::module::{Module, Param};
use burn::tensor::module::embedding;
use burn::tensor::{Int, Tensor};

use super::{Block, Builder, Built, LayerNorm, Parameters, TextConfig};

/// Embeds texts by the hidden state at end-of-text.
#[derive(Module, Debug)]
pub struct TextTower {
    /// `[vocabulary, width]`
    pub token_embedding: Param<Tensor<2>>,
    /// `[context, width]`
    pub position_embedding: Param<Tensor<2>>,
    /// The transformer.
    pub blocks: Vec<Block>,
    /// On the pooled token.
    pub final_norm: LayerNorm,
    /// Into the space that both towers share, `[embed, width]`.
    pub projection: Param<Tensor<2>>,
}

impl TextTower {
    pub(crate) fn build<P: Parameters>(
        config: &TextConfig,
        embed_dim: usize,
        builder: &mut Builder<P>,
    ) -> Built<Self, P> {
        let transformer = &config.transformer;
        let width = transformer.width;
        Ok(Self {
            token_embedding: builder.param("token_embedding", [config.vocab_size, width])?,
            position_embedding: builder
                .param("position_embedding", [config.context_length, width])?,
            blocks: transformer.build_blocks(true, builder)?,
            final_norm: builder.within("final_norm", |b| LayerNorm::build(transformer, b))?,
            projection: builder.param("projection", [embed_dim, width])?,
        })
    }

    /// `[texts, tokens]` ids to `[texts, embed]` rows, not yet of length one. `ends` gives for each text the row of the
    /// flattened `[texts * tokens]` hidden states that is pooled (see [`super::TextBatch`]).
    pub fn forward(&self, ids: Tensor<2, Int>, ends: Tensor<1, Int>) -> Tensor<2> {
        let hidden = self.blocks.iter().fold(self.stem(ids), |hidden, block| block.forward(hidden));
        self.head(hidden, ends)
    }

    /// The layers before the blocks: `[texts, tokens]` ids to `[texts, tokens, width]` hidden states.
    pub(crate) fn stem(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, tokens] = ids.dims();
        let positions = self.position_embedding.val().narrow(0, 0, tokens);
        embedding(self.token_embedding.val(), ids) + positions.unsqueeze()
    }

    /// The layers after the blocks: `[texts, tokens, width]` hidden states to `[texts, embed]` rows.
    pub(crate) fn head(&self, hidden: Tensor<3>, ends: Tensor<1, Int>) -> Tensor<2> {
        let [texts, tokens, width] = hidden.dims();
        // The norm acts on each token alone, so pooling first gives the same result for a fraction of the work.
        let pooled = hidden.reshape([texts * tokens, width]).select(0, ends);
        self.final_norm.forward(pooled).matmul(self.projection.val().transpose())
    }
}
