//! The weights of a model, checked against its configuration.

use std::collections::BTreeMap;

use super::dtype::{decode_f32, encode_finite};
use super::names::{LOGIT_SCALE, Layout, Stored};
use super::tensors::{Dtype, TensorFiles};
use super::{Problem, WeightsError};
use crate::model::{ClipConfig, Parameters};

/// The weights of a model, with names, shapes and types that have been checked.
#[derive(Debug)]
pub struct Weights {
    tensors: TensorFiles,
    layout: Layout,
}

impl Weights {
    /// Checks `tensors` against `config`.
    ///
    /// # Errors
    /// When a tensor is missing, unused, or of another shape or type, or the logit scale isn't the logarithm of one.
    pub fn new(
        tensors: TensorFiles,
        layout: Layout,
        config: &ClipConfig,
    ) -> Result<Self, WeightsError> {
        let expected = layout.tensors(config, |_| Dtype::F32).into_iter();
        let expected: BTreeMap<String, Vec<usize>> =
            expected.map(|(name, _, shape)| (name, shape)).collect();
        let file = tensors.describe();
        let missing: Vec<String> =
            expected.keys().filter(|name| tensors.info(name).is_none()).cloned().collect();
        if !missing.is_empty() {
            return Err(Problem::Missing(missing).of(file));
        }
        let unused: Vec<String> = tensors
            .names()
            .filter(|name| !expected.contains_key(*name) && !layout.is_buffer(name))
            .map(str::to_owned)
            .collect();
        if !unused.is_empty() {
            return Err(Problem::Unused(unused).of(file));
        }
        let mut misshapen = Vec::new();
        for (name, shape) in &expected {
            let Some((dtype, found)) = tensors.info(name) else {
                continue;
            };
            // A scalar may be saved as a vector of one.
            let same = found == shape.as_slice() || (shape.is_empty() && found == [1]);
            if !same {
                misshapen.push(format!("{name} {found:?} instead of {shape:?}"));
            }
            if !matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
                return Err(Problem::Dtype(name.clone(), dtype).of(file));
            }
        }
        if !misshapen.is_empty() {
            return Err(Problem::Shape(misshapen).of(file));
        }
        let mut weights = Self { tensors, layout };
        weights.check_logit_scale()?;
        Ok(weights)
    }

    /// Refuses what can't be the logarithm of a scale, most likely because the scale itself is stored: its exponential makes every
    /// probability 0, 1 or not a number.
    fn check_logit_scale(&mut self) -> Result<(), WeightsError> {
        /// A scale of 22,026; training clamps it at 100 (open_clip: src/open_clip_train/train.py), and SigLIP's is near it.
        const LARGEST: f32 = 10.0;
        let scale = self.values(LOGIT_SCALE, &[1])?[0];
        if scale.abs() <= LARGEST {
            return Ok(());
        }
        Err(Problem::LogitScale(scale).of(self.tensors.describe()))
    }

    /// Whether a tensor is a constant, which isn't read.
    pub(crate) fn is_buffer(&self, tensor: &str) -> bool {
        self.layout.is_buffer(tensor)
    }

    /// The tensors of the files.
    pub fn tensors(&self) -> &TensorFiles {
        &self.tensors
    }

    /// The tensors of the files.
    pub fn into_tensors(self) -> TensorFiles {
        self.tensors
    }

    /// The bytes of a parameter in the model's form (one matrix for queries, keys and values), and their type: [`Self::dtype`].
    ///
    /// # Errors
    /// When the file can't be read, or an element isn't finite.
    pub fn bytes(
        &mut self,
        parameter: &str,
        shape: &[usize],
    ) -> Result<(Dtype, Vec<u8>), WeightsError> {
        let stored = self.layout.stored(parameter);
        let dtype = self.dtype(parameter);
        let mut bytes = Vec::new();
        for name in stored.names() {
            if self.tensors.dtype(name)? != dtype {
                let values = self.values(parameter, shape)?;
                encode_finite(stored.names(), dtype, &values, &mut bytes)
                    .map_err(|problem| problem.of(self.tensors.describe()))?;
                return Ok((dtype, bytes));
            }
            let start = bytes.len();
            let length = self.tensors.bytes(name).unwrap_or(0);
            bytes.resize(start + length, 0);
            self.tensors.read_weight(name, 0, &mut bytes[start..])?;
        }
        if let Stored::Transposed(_) = stored {
            bytes = transpose(&bytes, &stored.shape(shape), dtype.bitsize() / 8);
        }
        Ok((dtype, bytes))
    }

    /// The element type of a parameter; F32 where its tensors differ.
    pub(super) fn dtype(&self, parameter: &str) -> Dtype {
        let stored = self.layout.stored(parameter);
        let mut types = stored.names().iter().filter_map(|name| Some(self.tensors.info(name)?.0));
        let first = types.next().unwrap_or(Dtype::F32);
        if types.all(|dtype| dtype == first) { first } else { Dtype::F32 }
    }
}

impl Parameters for Weights {
    type Error = WeightsError;

    fn values(&mut self, parameter: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let stored = self.layout.stored(parameter);
        let mut values = vec![0.0_f32; shape.iter().product()];
        let mut rest = values.as_mut_slice();
        for name in stored.names() {
            let dtype = self.tensors.dtype(name)?;
            let length = self.tensors.bytes(name).unwrap_or(0);
            let (part, after) = rest.split_at_mut(length * 8 / dtype.bitsize());
            rest = after;
            if dtype == Dtype::F32 && cfg!(target_endian = "little") {
                // The bytes are the values: read them in place.
                self.tensors.read_weight(name, 0, bytemuck::cast_slice_mut(part))?;
            } else {
                let mut bytes = vec![0; length];
                self.tensors.read_weight(name, 0, &mut bytes)?;
                decode_f32(dtype, &bytes, part).ok_or_else(|| {
                    Problem::Dtype(name.clone(), dtype).of(self.tensors.describe())
                })?;
            }
        }
        if let Stored::Transposed(_) = stored {
            let bytes = transpose(bytemuck::cast_slice(&values), &stored.shape(shape), 4);
            bytemuck::cast_slice_mut(&mut values).copy_from_slice(&bytes);
        }
        Ok(values)
    }
}

/// Transposes a matrix of `shape` whose elements have `size` bytes.
pub(super) fn transpose(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let (rows, columns) = (shape[0], shape[1]);
    let mut transposed = Vec::with_capacity(bytes.len());
    for column in 0..columns {
        for row in 0..rows {
            let start = (row * columns + column) * size;
            transposed.extend_from_slice(&bytes[start..start + size]);
        }
    }
    transposed
}
