//! A fine-tuned model as its packed difference from a pretrained one, in half or a quarter of a model's memory, for a slider over alpha.

use std::collections::VecDeque;
use std::fmt::{Debug, Display};

use burn::module::{Module as _, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
pub use clove_kernels::Packing;
use half::f16;
use thiserror::Error;

use super::with_context;
use crate::model::{Clip, ClipConfig, Parameters};
use crate::weights::parameters;

/// Why a difference can't be computed.
#[derive(Debug, Error)]
pub enum DeltaError<E: Debug + Display> {
    /// A model can't be read.
    #[error("{0}")]
    Read(E),
    /// A tensor's largest difference, which is too large for 16 bits or not a number.
    #[error("tensor `{0}` differs between the models by {1}, which is too large for f16")]
    TooFar(String, f32),
}

/// One parameter's difference, packed.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The number of weights.
    pub elements: usize,
    /// Their packing.
    pub packing: Packing,
    /// The packed weights, the last word padded with zeros.
    pub words: Vec<u32>,
}

impl Difference {
    /// In 16 bits, with a relative error of 2^-11, or an absolute one of 2^-25 below 2^-14. `None` if one isn't finite in f16.
    pub fn f16(differences: &[f32]) -> Option<Self> {
        let bits = |value: f32| {
            let value = f16::from_f32(value);
            value.is_finite().then(|| u32::from(value.to_bits()))
        };
        let words = differences.chunks(2).map(|pair| {
            let high = pair.get(1).copied().unwrap_or(0.0);
            Some(bits(pair[0])? | bits(high)? << 16)
        });
        Some(Self {
            elements: differences.len(),
            packing: Packing::F16,
            words: words.collect::<Option<_>>()?,
        })
    }

    /// Signed bytes in units of `step`.
    pub fn i8(bytes: &[i8], step: f32) -> Self {
        let words = bytes.chunks(4).map(|four| {
            let mut word = [0; 4];
            for (byte, value) in word.iter_mut().zip(four) {
                *byte = value.to_ne_bytes()[0];
            }
            u32::from_le_bytes(word)
        });
        Self { elements: bytes.len(), packing: Packing::I8 { step }, words: words.collect() }
    }

    /// The unpacked differences.
    pub fn values(&self) -> Vec<f32> {
        let mut values: Vec<f32> = match self.packing {
            Packing::F16 => self
                .words
                .iter()
                .flat_map(|word| [*word as u16, (word >> 16) as u16])
                .map(|bits| f16::from_bits(bits).to_f32())
                .collect(),
            Packing::I8 { step } => self
                .words
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .map(|byte| f32::from(i8::from_ne_bytes([byte])) * step)
                .collect(),
        };
        values.truncate(self.elements);
        values
    }
}

/// A model's packed difference from another one, parameter by parameter in the model's order.
#[derive(Debug)]
pub struct Delta(Vec<Part>);

#[derive(Debug)]
struct Part {
    packing: Packing,
    kept: Kept,
}

/// A difference on the device if its kernel runs there, else on the host, which unpacks it.
#[derive(Debug)]
enum Kept {
    Device(Box<Tensor<1, Int>>),
    Host(Difference),
}

impl Delta {
    /// The difference of `finetuned` from `pretrained` in f16. Reads one tensor of each at a time.
    ///
    /// The models' configurations, `config` and `tuned`, may differ in the context length: positions that the fine-tuned model lacks are
    /// the pretrained model's at every alpha.
    ///
    /// # Errors
    /// When a model can't be read, or the difference isn't finite in f16.
    pub fn between<P: Parameters>(
        [config, tuned]: [&ClipConfig; 2],
        mut pretrained: P,
        mut finetuned: impl Parameters<Error = P::Error>,
        device: &Device,
    ) -> Result<Self, DeltaError<P::Error>>
    where
        P::Error: Debug + Display,
    {
        Self::read(config, device, |name, shape| {
            let tuned_shape = with_context(name, shape, tuned.text.context_length);
            let base = pretrained.values(name, shape).map_err(DeltaError::Read)?;
            let values = finetuned.values(name, &tuned_shape).map_err(DeltaError::Read)?;
            let mut differences = vec![0.0; base.len()];
            for (difference, (value, base)) in differences.iter_mut().zip(values.iter().zip(&base))
            {
                *difference = value - base;
            }
            Difference::f16(&differences).ok_or_else(|| {
                let values = differences.iter().map(|value| value.abs());
                let largest =
                    values.fold(0.0, |most, value| if value <= most { most } else { value });
                DeltaError::TooFar(name.to_owned(), largest)
            })
        })
    }

    /// The differences of all parameters of a model from the pretrained one, as returned by `difference` for a name and a shape.
    ///
    /// # Errors
    /// Those of `difference`.
    pub fn read<E>(
        config: &ClipConfig,
        device: &Device,
        mut difference: impl FnMut(&str, &[usize]) -> Result<Difference, E>,
    ) -> Result<Self, E> {
        let on_device = clove_kernels::run_on(device);
        let parts = parameters(config).into_iter().map(|(name, shape)| {
            let difference = difference(&name, &shape)?;
            Ok(Part {
                packing: difference.packing,
                kept: if on_device {
                    Kept::Device(Box::new(words(&difference.words, device)))
                } else {
                    Kept::Host(difference)
                },
            })
        });
        parts.collect::<Result<_, _>>().map(Self)
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        let words = self.0.iter().map(|part| match &part.kept {
            Kept::Device(words) => words.dims()[0],
            Kept::Host(difference) => difference.words.len(),
        });
        words.sum::<usize>() * 4
    }

    /// The weights at `alpha` between `pretrained`, at 0, and the fine-tuned model, at 1, with the precision of the packing.
    ///
    /// # Panics
    /// If the difference is of a model of another shape.
    pub fn apply(&self, pretrained: &Clip, alpha: f64) -> Clip {
        if alpha == 0.0 {
            return pretrained.clone();
        }
        let mut mapper = Apply { parts: self.0.iter().collect(), alpha: alpha as f32 };
        pretrained.clone().map(&mut mapper)
    }
}

struct Apply<'a> {
    parts: VecDeque<&'a Part>,
    alpha: f32,
}

impl ModuleMapper for Apply<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let values = param.val();
        let shape = values.shape();
        let part = self.parts.pop_front();
        let part = part.expect("models of one shape have as many parameters");
        let base = values.reshape([shape.num_elements()]);
        let patched = match &part.kept {
            Kept::Device(words) => {
                clove_kernels::patch(base, Tensor::clone(words), part.packing, self.alpha)
                    .expect("the kernels run on the device of the words")
            }
            Kept::Host(difference) => {
                assert_eq!(difference.elements, shape.num_elements(), "models of one shape");
                let data = TensorData::new(difference.values(), [difference.elements]);
                let difference = Tensor::<1>::from_data(data, &base.device());
                base + difference.mul_scalar(self.alpha)
            }
        };
        Param::from_tensor(patched.reshape(shape))
    }
}

fn words(words: &[u32], device: &Device) -> Tensor<1, Int> {
    let words: Vec<i32> = bytemuck::cast_slice(words).to_vec();
    let count = words.len();
    Tensor::from_data(TensorData::new(words, [count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_differences_come_back() {
        let values = [0.5, -0.25, 65_504.0, 2.0_f32.powi(-24), -0.0];
        let packed = Difference::f16(&values).unwrap();
        assert_eq!((packed.words.len(), packed.values()), (3, values.to_vec()));

        let bytes = [-128, 127, 0, -1, 5];
        let packed = Difference::i8(&bytes, 0.5);
        assert_eq!(packed.words.len(), 2);
        assert_eq!(packed.values(), [-64.0, 63.5, 0.0, -0.5, 2.5]);
    }

    #[test]
    fn values_beyond_f16_are_refused() {
        for value in [65_520.0, f32::INFINITY, f32::NAN] {
            assert_eq!(Difference::f16(&[0.0, value]), None);
        }
    }
}
