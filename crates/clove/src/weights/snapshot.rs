//! A model's parameters in the host's memory: what a training run saves, patches and writes.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::dtype::encode_f32;
use super::names::{Layout, Stored, parameters};
use super::source::transpose;
use super::tensors::{Dtype, TensorWriter};
use super::{Precision, WeightsError};
use crate::device::{ReadBackError, read_back};
use crate::model::{Clip, ClipConfig, Parameters};
use crate::preprocess::Preprocess;

/// Every parameter of a model by name, as f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    config: ClipConfig,
    values: BTreeMap<String, Vec<f32>>,
}

impl Snapshot {
    /// Reads a model back from its device.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn of(clip: &Clip, config: &ClipConfig) -> Result<Self, ReadBackError> {
        #[derive(Default)]
        struct Collector {
            path: Vec<String>,
            found: Vec<(String, Tensor<1>)>,
        }
        impl ModuleVisitor for Collector {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.path.push(name.to_owned());
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.path.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let values = param.val();
                let elements = values.shape().num_elements();
                self.found.push((self.path.join("."), values.reshape([elements])));
            }
        }
        let mut collector = Collector::default();
        clip.visit(&mut collector);
        let mut values = BTreeMap::new();
        for (name, tensor) in collector.found {
            values.insert(name, read_back(tensor).await?);
        }
        Ok(Self { config: config.clone(), values })
    }

    /// Reads every parameter of a source.
    ///
    /// # Errors
    /// The source's error.
    pub fn from_parameters<P: Parameters>(
        config: &ClipConfig,
        source: &mut P,
    ) -> Result<Self, P::Error> {
        let values = parameters(config)
            .into_iter()
            .map(|(name, shape)| Ok((name.clone(), source.values(&name, &shape)?)))
            .collect::<Result<_, P::Error>>()?;
        Ok(Self { config: config.clone(), values })
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// The same model for texts of at most `context` tokens: the first rows of its text tower's position embedding, as CLoVe cuts it
    /// before training and patching (Netflix/clove: src/training/utils.py:91-97). A longer context than the model's stays its own.
    #[must_use]
    pub fn with_context(mut self, context: usize) -> Self {
        let text = &mut self.config.text;
        text.context_length = text.context_length.min(context);
        let elements = text.context_length * text.width;
        if let Some(positions) = self.values.get_mut("text.position_embedding") {
            positions.truncate(elements);
        }
        self
    }

    /// How many numbers there are.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.values.values().map(Vec::len).sum()
    }

    /// Whether each of them is a number, and finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let mut values = self.values.values().flatten();
        values.all(|value| value.is_finite())
    }

    /// The values of every parameter, to be changed, beside those of another model of the same shape.
    pub(crate) fn beside<'a>(
        &'a mut self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'a mut Vec<f32>, &'a Vec<f32>)> {
        self.values.values_mut().zip(other.values.values())
    }

    /// Writes the weights as a Hugging Face model.safetensors.
    ///
    /// # Errors
    /// When `out` can't be written.
    pub fn write_hugging_face<W: Write>(&self, out: W, precision: Precision) -> io::Result<W> {
        self.write(out, precision, HashMap::new())
    }

    /// Writes the model as one file, [`super::SingleFile`]: the weights, and beside them in the metadata the configuration, the
    /// preprocessing and the tokenizer.json, if there's one.
    ///
    /// # Errors
    /// When `out` can't be written.
    pub fn write_single_file<W: Write>(
        &self,
        out: W,
        precision: Precision,
        preprocess: &Preprocess,
        tokenizer: Option<String>,
    ) -> io::Result<W> {
        let configs = self.hugging_face_configs(preprocess).into_iter();
        let mut metadata: HashMap<String, String> =
            configs.map(|(name, text)| (name.to_owned(), text)).collect();
        metadata.extend(tokenizer.map(|text| ("tokenizer.json".to_owned(), text)));
        self.write(out, precision, metadata)
    }

    fn write<W: Write>(
        &self,
        out: W,
        precision: Precision,
        mut metadata: HashMap<String, String>,
    ) -> io::Result<W> {
        let layout = Layout::HuggingFace;
        let dtype = precision.of(Dtype::F32);
        let list = parameters(&self.config);
        let mut entries = Vec::new();
        for (parameter, shape) in &list {
            let stored = layout.stored(parameter);
            for name in stored.names() {
                entries.push((name.clone(), dtype, stored.shape(shape)));
            }
        }
        metadata.insert("format".to_owned(), "pt".to_owned());
        let mut writer = TensorWriter::new(out, &entries, Some(metadata))?;
        for (parameter, shape) in &list {
            let mut bytes = Vec::new();
            encode_f32(dtype, &self.values[parameter], &mut bytes);
            if let Stored::Transposed(_) = layout.stored(parameter) {
                bytes = transpose(&bytes, shape, dtype.bitsize() / 8);
            }
            writer.write(&bytes)?;
        }
        writer.finish()
    }

    /// The small files beside the weights: configuration and preprocessing, names and texts.
    #[must_use]
    pub fn hugging_face_configs(&self, preprocess: &Preprocess) -> Vec<(&'static str, String)> {
        [
            ("config.json", self.config.to_hugging_face()),
            ("preprocessor_config.json", super::write::hugging_face_preprocess(preprocess)),
        ]
        .map(|(name, value)| (name, format!("{value:#}\n")))
        .into()
    }
}

impl Parameters for Snapshot {
    type Error = WeightsError;

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let file = || "the model in memory".to_owned();
        let values = self.values.get(name).ok_or_else(|| WeightsError::Missing {
            file: file(),
            tensors: vec![name.to_owned()],
        })?;
        let elements = shape.iter().product::<usize>();
        if values.len() != elements {
            return Err(WeightsError::Shape {
                file: file(),
                tensors: vec![format!(
                    "{name} with {} elements instead of {shape:?}",
                    values.len()
                )],
            });
        }
        Ok(values.clone())
    }
}
