//! A fine-tuned model as its packed difference from a pretrained one, in half or a quarter of a model's memory, for a slider over alpha.

use std::collections::VecDeque;
use std::fmt::{Debug, Display};

use burn::module::{Module as _, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
pub use clove_kernels::Packing;
use half::f16;
use thiserror::Error;

use crate::model::{Clip, Parameters};

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

/// A source of differences.
pub trait Differences {
    /// Why a difference can't be read.
    type Error: Debug + Display;

    /// The difference of a parameter from the pretrained model's.
    ///
    /// # Errors
    /// When it can't be read or has another shape.
    fn difference(&mut self, name: &str, shape: &[usize]) -> Result<Difference, Self::Error>;
}

/// The differences of one model from another, in f16.
#[derive(Debug)]
pub struct Between<P, F> {
    pretrained: P,
    finetuned: F,
}

impl<P: Parameters, F: Parameters<Error = P::Error>> Differences for Between<P, F>
where
    P::Error: Debug + Display,
{
    type Error = DeltaError<P::Error>;

    fn difference(&mut self, name: &str, shape: &[usize]) -> Result<Difference, Self::Error> {
        let base = self.pretrained.values(name, shape);
        let mut differences = self.finetuned.values(name, shape).map_err(DeltaError::Read)?;
        for (tuned, base) in differences.iter_mut().zip(base.map_err(DeltaError::Read)?) {
            *tuned -= base;
        }
        Difference::f16(&differences).ok_or_else(|| {
            let values = differences.iter().map(|value| value.abs());
            let largest = values.fold(0.0, |most, value| if value <= most { most } else { value });
            DeltaError::TooFar(name.to_owned(), largest)
        })
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
    /// The difference of `finetuned` from `pretrained`, the parameters of `clip`, in f16. Reads one tensor of each at a time.
    ///
    /// # Errors
    /// When a model can't be read, or the difference isn't finite in f16.
    pub fn between<P: Parameters>(
        clip: &Clip,
        pretrained: P,
        finetuned: impl Parameters<Error = P::Error>,
        device: &Device,
    ) -> Result<Self, DeltaError<P::Error>>
    where
        P::Error: Debug + Display,
    {
        let differences = Between { pretrained, finetuned };
        Self::read(clip, differences, device)
    }

    /// The differences of all parameters of `clip`, the pretrained model.
    ///
    /// # Errors
    /// When a difference can't be read.
    pub fn read<D: Differences>(
        clip: &Clip,
        mut differences: D,
        device: &Device,
    ) -> Result<Self, D::Error> {
        let on_device = clove_kernels::run_on(device);
        let parts = parameters(clip).into_iter().map(|(name, shape)| {
            let difference = differences.difference(&name, &shape)?;
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

/// The names and shapes of a model's parameters, in its order.
fn parameters(clip: &Clip) -> Vec<(String, Vec<usize>)> {
    #[derive(Default)]
    struct Names {
        path: Vec<String>,
        found: Vec<(String, Vec<usize>)>,
    }
    impl ModuleVisitor for Names {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let shape = param.val().dims().to_vec();
            self.found.push((self.path.join("."), shape));
        }
    }
    let mut names = Names::default();
    clip.visit(&mut names);
    names.found
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
