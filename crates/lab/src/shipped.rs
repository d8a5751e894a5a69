//! The included scene models: the pretrained one in f16, and the differences of the fine-tuned one.
//!
//! `clove lab --from-scratch` makes both; see models/README.md.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::error::LabError;
use crate::model;
use clove::model::{ClipConfig, Parameters};
use clove::patch::Difference;
use clove::weights::{
    InMemory, ModelSource, Precision, Problem, Snapshot, WeightsError, parameters,
};

#[cfg(feature = "models")]
const PRETRAINED: &[u8] = include_bytes!("../models/pretrained.safetensors");
#[cfg(feature = "models")]
const DELTAS: &[u8] = include_bytes!("../models/clove.deltas");

/// The pretrained scene model.
///
/// # Errors
/// Never: the included files are valid.
#[cfg(feature = "models")]
pub fn pretrained() -> Result<Snapshot, LabError> {
    read_model(PRETRAINED)
}

/// The scene model fine-tuned by CLoVe, unpatched, to the precision of [`write_deltas`].
///
/// # Errors
/// Never: the included files are valid.
#[cfg(feature = "models")]
pub fn finetuned() -> Result<Snapshot, LabError> {
    Ok(read_deltas(&pretrained()?, DELTAS)?)
}

/// Reads a scene model from its model.safetensors.
///
/// # Errors
/// If the bytes aren't a scene model's.
pub fn read_model(weights: &[u8]) -> Result<Snapshot, LabError> {
    let source = ModelSource::open(Box::new(directory("the scene model", weights.into())?))?;
    Ok(Snapshot::from_parameters(source.config(), &mut source.weights()?)?)
}

/// A scene model's directory in memory: these weights and their configuration.
///
/// # Errors
/// Never: the scene models' tokenizer is valid.
pub fn directory(name: &str, weights: Arc<[u8]>) -> Result<InMemory, LabError> {
    let config = model::config(&model::tokenizer()?).to_hugging_face().to_string().into_bytes();
    let files = [("config.json", config.into()), ("model.safetensors", weights)];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes)).into();
    Ok(InMemory { name: name.to_owned(), files })
}

/// Writes a scene model's weights in f16.
///
/// # Errors
/// Never: writing to memory doesn't fail.
pub fn write_model(model: &Snapshot) -> io::Result<Vec<u8>> {
    model.write_hugging_face(Vec::new(), Precision::F16)
}

/// Quantization levels from zero to a tensor's largest difference, on either side.
const LEVELS: f32 = 31.0;

/// Writes the differences of `finetuned` from `pretrained`: for each parameter, in the model's order, the largest difference as
/// f32 and each difference as a signed byte in [`LEVELS`] steps; deflated.
///
/// # Errors
/// If the models have different shapes.
pub fn write_deltas(pretrained: &Snapshot, finetuned: &Snapshot) -> Result<Vec<u8>, WeightsError> {
    let (mut base, mut tuned) = (pretrained.clone(), finetuned.clone());
    let mut bytes = Vec::new();
    for (name, shape) in parameters(pretrained.config()) {
        let (base, tuned) = (base.values(&name, &shape)?, tuned.values(&name, &shape)?);
        let differences: Vec<f32> =
            tuned.iter().zip(&base).map(|(tuned, base)| tuned - base).collect();
        let largest = differences.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        bytes.extend(largest.to_le_bytes());
        let step = if largest > 0.0 { LEVELS / largest } else { 0.0 };
        bytes.extend(differences.iter().map(|value| (value * step).round() as i8 as u8));
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes).and_then(|()| encoder.finish()).map_err(deltas_failed)
}

/// Reads the model of [`write_deltas`], to half a step of each tensor's largest difference.
///
/// # Errors
/// If the length of `deltas` doesn't match the model.
pub fn read_deltas(pretrained: &Snapshot, deltas: &[u8]) -> Result<Snapshot, WeightsError> {
    struct Patched {
        base: Snapshot,
        deltas: Deltas,
    }
    impl Parameters for Patched {
        type Error = WeightsError;

        fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
            let mut values = self.base.values(name, shape)?;
            let differences = self.deltas.difference(name, shape)?.values();
            for (value, difference) in values.iter_mut().zip(differences) {
                *value += difference;
            }
            Ok(values)
        }
    }
    let config = pretrained.config();
    let mut source = Patched { base: pretrained.clone(), deltas: Deltas::read(config, deltas)? };
    Snapshot::from_parameters(config, &mut source)
}

/// The quantized differences of [`write_deltas`], for [`clove::patch::Delta`].
#[derive(Debug)]
pub struct Deltas(BTreeMap<String, Difference>);

impl Deltas {
    /// Reads the differences of all parameters of a model.
    ///
    /// # Errors
    /// If the length of `deltas` doesn't match the model.
    pub fn read(config: &ClipConfig, deltas: &[u8]) -> Result<Self, WeightsError> {
        let mut bytes = Vec::new();
        DeflateDecoder::new(deltas).read_to_end(&mut bytes).map_err(deltas_failed)?;
        let short = || deltas_failed(io::ErrorKind::UnexpectedEof.into());
        let mut rest = bytes.as_slice();
        let mut differences = BTreeMap::new();
        for (name, shape) in parameters(config) {
            let (scale, after) = rest.split_first_chunk::<4>().ok_or_else(short)?;
            let count = shape.iter().product();
            let (steps, after) = after.split_at_checked(count).ok_or_else(short)?;
            rest = after;
            let step = f32::from_le_bytes(*scale) / LEVELS;
            let difference = Difference::i8(bytemuck::cast_slice(steps), step);
            differences.insert(name, difference);
        }
        if rest.is_empty() {
            Ok(Self(differences))
        } else {
            Err(deltas_failed(io::ErrorKind::InvalidData.into()))
        }
    }

    /// The difference of a parameter.
    ///
    /// # Errors
    /// When there is none of this name and shape.
    pub fn difference(&self, name: &str, shape: &[usize]) -> Result<Difference, WeightsError> {
        self.0
            .get(name)
            .filter(|difference| difference.elements == shape.iter().product::<usize>())
            .cloned()
            .ok_or_else(|| Problem::Missing(vec![name.to_owned()]).of("the scene model's deltas"))
    }
}

fn deltas_failed(source: io::Error) -> WeightsError {
    Problem::Read(source).of("the scene model's deltas")
}
