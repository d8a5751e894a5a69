//! Random weights, drawn as open_clip draws them, the same on every platform.

use std::convert::Infallible;

use super::{ClipConfig, Parameters};

/// Draws initial weights: mlfoundations/open_clip: src/open_clip/model.py (`CLIP.__init__`) and transformer.py
/// (`VisionTransformer`, `TextTransformer.init_parameters`).
///
/// Each parameter's numbers depend on the seed and on its name alone, not on the order of construction or the device.
#[derive(Debug, Clone)]
pub struct RandomInit {
    seed: u64,
    image_width: f64,
    text_width: f64,
    text_layers: f64,
    patch_inputs: f64,
}

impl RandomInit {
    /// Weights for `config` from `seed`.
    pub fn new(config: &ClipConfig, seed: u64) -> Self {
        Self {
            seed,
            image_width: config.image.transformer.width as f64,
            text_width: config.text.transformer.width as f64,
            text_layers: config.text.transformer.layers as f64,
            patch_inputs: (3 * config.image.patch_size.pow(2)) as f64,
        }
    }

    /// How `name` is drawn.
    fn law(&self, name: &str) -> Law {
        let leaf = name.rsplit('.').next().unwrap_or(name);
        let (is_text, inside_block) = (name.starts_with("text."), name.contains(".blocks."));
        if name == "logit_scale" {
            // The inverse of the temperature 0.07.
            return Law::Constant((1.0_f64 / 0.07).ln());
        }
        if name.contains("norm") {
            return Law::Constant(if leaf == "weight" { 1.0 } else { 0.0 });
        }
        if leaf == "bias" {
            // PyTorch's default for the perceptron's biases is uniform; zero is as good: the first step moves them.
            return Law::Constant(0.0);
        }
        match (is_text, inside_block) {
            (true, true) => {
                let attention = self.text_width.sqrt().recip();
                let residual = attention * (2.0 * self.text_layers).sqrt().recip();
                if name.ends_with("attention.qkv.weight") {
                    Law::Normal(attention)
                } else if name.ends_with("mlp.up.weight") {
                    Law::Normal((2.0 * self.text_width).sqrt().recip())
                } else {
                    Law::Normal(residual)
                }
            }
            (true, false) => match leaf {
                "token_embedding" => Law::Normal(0.02),
                "position_embedding" => Law::Normal(0.01),
                _ => Law::Normal(self.text_width.sqrt().recip()),
            },
            // PyTorch's defaults: Xavier for attention's joint matrix, and uniform in 1 / sqrt(inputs) for the rest.
            (false, true) => {
                if name.ends_with("attention.qkv.weight") {
                    Law::Uniform((6.0 / (4.0 * self.image_width)).sqrt())
                } else if name.ends_with("mlp.down.weight") {
                    Law::Uniform((4.0 * self.image_width).sqrt().recip())
                } else {
                    Law::Uniform(self.image_width.sqrt().recip())
                }
            }
            (false, false) => match leaf {
                "patch_embedding" => Law::Uniform(self.patch_inputs.sqrt().recip()),
                _ => Law::Normal(self.image_width.sqrt().recip()),
            },
        }
    }
}

enum Law {
    Constant(f64),
    /// Standard deviation, around zero.
    Normal(f64),
    /// Half width, around zero.
    Uniform(f64),
}

impl Parameters for RandomInit {
    type Error = Infallible;

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Infallible> {
        let count = shape.iter().product();
        let mut draws = SplitMix64(self.seed ^ fnv1a(name));
        let values = match self.law(name) {
            Law::Constant(value) => vec![value as f32; count],
            Law::Normal(deviation) => {
                (0..count).map(|_| (draws.normal() * deviation) as f32).collect()
            }
            Law::Uniform(half) => {
                (0..count).map(|_| ((2.0 * draws.uniform() - 1.0) * half) as f32).collect()
            }
        };
        Ok(values)
    }
}

/// FNV-1a, 64 bits.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// SplitMix64 (Steele, Lea and Flood 2014): a generator whose state is a counter, so that streams are cheap to name.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `[0, 1)`.
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// The sum of twelve uniforms less six: mean 0, variance 1. Unlike Box-Muller it gives the same bits on every platform.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}
