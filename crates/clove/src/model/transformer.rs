//! The transformer that both towers share: pre-norm residual blocks of attention and a two-layer perceptron.
//!
//! Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (arXiv 2103.00020), section
//! 2.4; mlfoundations/open_clip: src/open_clip/transformer.py, `ResidualAttentionBlock`.

use burn::module::{Module, Param};
use burn::tensor::activation;
use burn::tensor::module::{attention, layer_norm};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, DType, FloatDType, Tensor};

use super::{Activation, Builder, Built, Parameters, Transformer};

/// An affine map with the weight stored `[out, in]`, as PyTorch stores it.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    fn build<P: Parameters>(from: usize, to: usize, b: &mut Builder<P>) -> Built<Self, P> {
        Ok(Self { weight: b.param("weight", [to, from])?, bias: b.param("bias", [to])? })
    }

    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        rows.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }
}

/// Layer normalisation over the last dimension, with a learnt scale and shift.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[width]`.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[width]`.
    pub bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    pub(super) fn build<P: Parameters>(of: &Transformer, b: &mut Builder<P>) -> Built<Self, P> {
        Ok(Self {
            weight: b.param("weight", [of.width])?,
            bias: b.param("bias", [of.width])?,
            epsilon: of.layer_norm_epsilon,
        })
    }

    /// `[.., width]` to `[.., width]`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        match input.dtype() {
            DType::F16 | DType::BF16 => {
                // Variances need more digits than 16 bits have.
                let dtype = FloatDType::from(input.dtype());
                let [weight, bias] = [weight, bias].map(|values| values.cast(FloatDType::F32));
                let input = input.cast(FloatDType::F32);
                layer_norm(input, weight, Some(bias), self.epsilon).cast(dtype)
            }
            _ => layer_norm(input, weight, Some(bias), self.epsilon),
        }
    }
}

/// Multi-head self-attention with queries, keys and values from one matrix.
///
/// burn-nn's `MultiHeadAttention` doesn't call burn's fused `attention` operation; this does.
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries, keys and values, one below the other: `[3 * width, width]`.
    pub qkv: Linear,
    /// `[width, width]`
    pub out: Linear,
    heads: usize,
    causal: bool,
}

impl Attention {
    fn build<P: Parameters>(of: &Transformer, causal: bool, b: &mut Builder<P>) -> Built<Self, P> {
        Ok(Self {
            qkv: b.within("qkv", |b| Linear::build(of.width, 3 * of.width, b))?,
            out: b.within("out", |b| Linear::build(of.width, of.width, b))?,
            heads: of.heads,
            causal,
        })
    }

    /// `[batch, tokens, width]` to `[batch, tokens, width]`.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, width] = input.dims();
        let head_width = width / self.heads;
        let qkv = self
            .qkv
            .forward(input.reshape([batch * tokens, width]))
            .reshape([batch, tokens, 3, self.heads, head_width])
            .permute([2, 0, 3, 1, 4]);
        let part = |index: usize| {
            qkv.clone().narrow(0, index, 1).reshape([batch, self.heads, tokens, head_width])
        };
        let mixed = match qkv.dtype() {
            DType::F16 | DType::BF16 => self.mix_in_half(part(0), part(1), part(2)),
            _ => {
                let options = AttentionModuleOptions {
                    // The default scale is CLIP's, 1 / sqrt(head width); setting it would force the unfused path.
                    is_causal: self.causal,
                    ..AttentionModuleOptions::default()
                };
                attention(part(0), part(1), part(2), None, None, options)
            }
        };
        let rows = mixed.swap_dims(1, 2).reshape([batch * tokens, width]);
        self.out.forward(rows).reshape([batch, tokens, width])
    }

    /// Attention of 16-bit tensors, `[batch, heads, tokens, head width]`, with its softmax in 32 bits. burn's own multiplies before it
    /// scales, which overflows f16, and its softmax is in 16 bits under autodiff.
    fn mix_in_half(&self, queries: Tensor<4>, keys: Tensor<4>, values: Tensor<4>) -> Tensor<4> {
        let [.., tokens, head_width] = queries.dims();
        let dtype = FloatDType::from(queries.dtype());
        let queries = queries / (head_width as f64).sqrt();
        let scores = queries.matmul(keys.swap_dims(2, 3)).cast(FloatDType::F32);
        let scores = if self.causal {
            let (shape, device) = (scores.dims(), scores.device());
            let later = Tensor::<2, Bool>::tril_mask([tokens, tokens], 0, &device);
            scores.mask_fill(later.unsqueeze::<4>().expand(shape), f32::NEG_INFINITY)
        } else {
            scores
        };
        activation::softmax(scores, 3).cast(dtype).matmul(values)
    }
}

/// The two-layer perceptron of a block.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[hidden, width]`
    pub up: Linear,
    /// `[width, hidden]`
    pub down: Linear,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    fn build<P: Parameters>(of: &Transformer, b: &mut Builder<P>) -> Built<Self, P> {
        Ok(Self {
            up: b.within("up", |b| Linear::build(of.width, of.mlp_width, b))?,
            down: b.within("down", |b| Linear::build(of.mlp_width, of.width, b))?,
            activation: of.activation,
        })
    }

    /// `[rows, width]` to `[rows, width]`.
    pub fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        let hidden = self.up.forward(rows);
        let hidden = match self.activation {
            Activation::Gelu => activation::gelu(hidden),
            // Hendrycks and Gimpel's sigmoid approximation, as in OpenAI's training.
            Activation::QuickGelu => hidden.clone() * activation::sigmoid(hidden * 1.702),
        };
        self.down.forward(hidden)
    }
}

/// One residual block: `x + attention(norm_1(x))`, then `x + mlp(norm_2(x))`.
#[derive(Module, Debug)]
pub struct Block {
    /// Before attention.
    pub norm_1: LayerNorm,
    /// Self-attention.
    pub attention: Attention,
    /// Before the perceptron.
    pub norm_2: LayerNorm,
    /// The perceptron.
    pub mlp: Mlp,
}

impl Transformer {
    /// Builds the blocks; in `causal` ones each token attends only to those before it.
    pub(super) fn build_blocks<P: Parameters>(
        &self,
        causal: bool,
        builder: &mut Builder<P>,
    ) -> Built<Vec<Block>, P> {
        builder.within("blocks", |b| {
            (0..self.layers)
                .map(|layer| b.within(&layer.to_string(), |b| Block::build(self, causal, b)))
                .collect()
        })
    }
}

impl Block {
    fn build<P: Parameters>(of: &Transformer, causal: bool, b: &mut Builder<P>) -> Built<Self, P> {
        Ok(Self {
            norm_1: b.within("norm_1", |b| LayerNorm::build(of, b))?,
            attention: b.within("attention", |b| Attention::build(of, causal, b))?,
            norm_2: b.within("norm_2", |b| LayerNorm::build(of, b))?,
            mlp: b.within("mlp", |b| Mlp::build(of, b))?,
        })
    }

    /// `[batch, tokens, width]` to `[batch, tokens, width]`.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, width] = input.dims();
        let mixed = input.clone() + self.attention.forward(self.norm_1.forward(input));
        let rows = self.norm_2.forward(mixed.clone()).reshape([batch * tokens, width]);
        mixed + self.mlp.forward(rows).reshape([batch, tokens, width])
    }
}
