//! A model's parameters in host memory, for saving, patching and writing.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::companions::TOKENIZER;
use super::dtype::encode_finite;
use super::names::{Layout, TEXT_POSITIONS, parameters};
use super::tensors::{Dtype, TensorWriter};
use super::{Precision, Problem, WeightsError};
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
        struct Collector(Vec<Tensor<1>>);
        impl ModuleVisitor for Collector {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let values = param.val();
                let elements = values.shape().num_elements();
                self.0.push(values.reshape([elements]));
            }
        }
        let mut collector = Collector(Vec::new());
        clip.visit(&mut collector);
        let mut values = BTreeMap::new();
        for ((name, _), tensor) in parameters(config).into_iter().zip(collector.0) {
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
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// The same model with a context of at most `context` tokens: the first rows of its text tower's position embedding, as CLoVe
    /// truncates it before training and patching (Netflix/clove: src/training/utils.py:91-97).
    #[must_use]
    pub fn with_context(mut self, context: usize) -> Self {
        let text = &mut self.config.text;
        text.context_length = text.context_length.min(context);
        let elements = text.context_length * text.transformer.width;
        if let Some(positions) = self.values.get_mut(TEXT_POSITIONS) {
            positions.truncate(elements);
        }
        self
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.values.values().map(Vec::len).sum()
    }

    /// Whether all elements are finite.
    pub fn is_finite(&self) -> bool {
        self.values.values().flatten().all(|value| value.is_finite())
    }

    /// The values of every parameter, with those of another model of the same shape.
    pub(crate) fn beside<'a>(
        &'a mut self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'a mut Vec<f32>, &'a Vec<f32>)> {
        self.values.values_mut().zip(other.values.values())
    }

    /// Writes the weights as a Hugging Face model.safetensors.
    ///
    /// # Errors
    /// When `out` can't be written, or an element isn't finite in this precision.
    pub fn write_hugging_face<W: Write>(&self, out: W, precision: Precision) -> io::Result<W> {
        self.write(out, precision, HashMap::new())
    }

    /// Writes the model as a [`super::SingleFile`].
    ///
    /// # Errors
    /// When `out` can't be written, or an element isn't finite in this precision.
    pub fn write_single_file<W: Write>(
        &self,
        out: W,
        precision: Precision,
        preprocess: &Preprocess,
        tokenizer: Option<String>,
    ) -> io::Result<W> {
        let files = self.hugging_face_configs(preprocess).into_iter();
        let files = files.chain(tokenizer.map(|text| (TOKENIZER, text)));
        self.write(out, precision, files.map(|(name, text)| (name.to_owned(), text)).collect())
    }

    fn write<W: Write>(
        &self,
        out: W,
        precision: Precision,
        mut metadata: HashMap<String, String>,
    ) -> io::Result<W> {
        let dtype = precision.of(Dtype::F32);
        let entries = Layout::HuggingFace.tensors(&self.config, |_| dtype);
        metadata.insert("format".to_owned(), "pt".to_owned());
        let mut writer = TensorWriter::new(out, &entries, Some(metadata))?;
        let mut bytes = Vec::new();
        // This layout transposes nothing.
        for (parameter, _) in parameters(&self.config) {
            let stored = Layout::HuggingFace.stored(&parameter);
            encode_finite(stored.names(), dtype, &self.values[&parameter], &mut bytes)
                .map_err(io::Error::other)?;
            writer.write(&bytes)?;
        }
        writer.finish()
    }

    /// The configuration files beside the weights: names and contents.
    pub fn hugging_face_configs(&self, preprocess: &Preprocess) -> [(&'static str, String); 2] {
        super::write::hugging_face_configs(&self.config, preprocess)
            .map(|(name, value)| (name, format!("{value:#}\n")))
    }
}

impl Parameters for Snapshot {
    type Error = WeightsError;

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let file = "the model in memory";
        match self.values.get(name) {
            None => Err(Problem::Missing(vec![name.to_owned()]).of(file)),
            Some(values) if values.len() != shape.iter().product::<usize>() => {
                let found = format!("{name} with {} elements instead of {shape:?}", values.len());
                Err(Problem::Shape(vec![found]).of(file))
            }
            Some(values) => Ok(values.clone()),
        }
    }
}
