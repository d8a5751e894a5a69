//! A model's directory: its layout, its configuration and its weights.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;

use burn::tensor::Device;
use serde::Deserialize;

use super::dtype::decode_f32;
use super::names::{Layout, Stored};
use super::tensors::{Dtype, TensorFiles};
use super::{ModelFiles, NamedReader, Problem, WeightsError};
use crate::model::{Clip, ClipConfig, ConfigError, Parameters};
use crate::preprocess::Preprocess;
use crate::tokenizer::{EotRule, Tokenizer};

/// The small files beside a Hugging Face model.
pub(super) const PREPROCESS: &str = "preprocessor_config.json";
pub(super) const TOKENIZER: &str = "tokenizer.json";

/// A model with its configuration, before its weights are read.
#[derive(Debug)]
pub struct ModelSource {
    files: Box<dyn ModelFiles>,
    layout: Layout,
    config: ClipConfig,
    config_text: String,
}

impl ModelSource {
    /// Detects the layout of `files` and reads the configuration. Hugging Face's layout takes precedence if its weights exist.
    ///
    /// # Errors
    /// When there is no model, or its configuration can't be used.
    pub fn open(files: Box<dyn ModelFiles>) -> Result<Self, WeightsError> {
        let layout = find_layout(files.as_ref())?;
        let name = layout.config_file();
        let config_text = read_text(files.as_ref(), name)?.ok_or_else(|| {
            Problem::NotAModel(format!("{name} was removed during reading")).of(files.place())
        })?;
        let config = match layout {
            Layout::HuggingFace => ClipConfig::from_hugging_face(&config_text),
            Layout::OpenClip => ClipConfig::from_open_clip(&config_text),
        }
        .map_err(|error| Problem::Config(error).of(files.describe(name)))?;
        Ok(Self { files, layout, config, config_text })
    }

    /// The naming scheme of the files.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The model's shape.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// The place, for messages.
    pub fn place(&self) -> String {
        self.files.place()
    }

    /// The files themselves.
    pub fn files(&self) -> &dyn ModelFiles {
        self.files.as_ref()
    }

    /// The model's tokenizer: its tokenizer.json if it has one, else CLIP's own vocabulary.
    ///
    /// # Errors
    /// When tokenizer.json can't be used, or doesn't fit the configuration.
    pub fn tokenizer(&self) -> Result<Tokenizer, WeightsError> {
        let context = self.config.text.context_length;
        let (tokenizer, file) = match read_bytes(self.files.as_ref(), TOKENIZER)? {
            Some(json) => {
                let file = self.files.describe(TOKENIZER);
                let tokenizer = Tokenizer::from_json(&json, context)
                    .map_err(|error| Problem::Tokenizer(error).of(&file))?;
                (tokenizer, file)
            }
            None => (
                Tokenizer::clip(context),
                "CLIP's vocabulary (there is no tokenizer.json)".to_owned(),
            ),
        };
        self.check_tokenizer(&tokenizer).map_err(|reason| Problem::Malformed(reason).of(file))?;
        Ok(tokenizer)
    }

    /// Checks that a tokenizer's ids are those of the configuration. With other ids every embedding would be silently wrong.
    fn check_tokenizer(&self, tokenizer: &Tokenizer) -> Result<(), String> {
        let config = self.files.describe(self.layout.config_file());
        let (entries, size) = (tokenizer.vocab_size(), self.config.text.vocab_size);
        // Embedding matrices may be padded; CLIP's own vocabulary stands in for a missing file only where it fits.
        if entries > size || (tokenizer.is_clip_vocabulary() && entries != size) {
            return Err(format!("{entries} entries, but {config} says vocab_size {size}"));
        }
        let end = tokenizer.end_id();
        match self.config.text.eot {
            EotRule::FirstOf(id) if id != end => {
                Err(format!("end-of-text is {end}, but {config} says eos_token_id {id}"))
            }
            EotRule::Argmax if end as usize + 1 != entries => Err(format!(
                "end-of-text is {end}, but {config} pools at the largest id, which is {}",
                entries - 1
            )),
            // `bos_token_id` isn't checked: OpenAI's own files say 0, and no code reads it.
            _ => Ok(()),
        }
    }

    /// The model's preprocessing. As in transformers, a Hugging Face model without preprocessor_config.json has CLIP's own.
    ///
    /// # Errors
    /// When the file can't be used, or its image size isn't the model's.
    pub fn preprocess(&self) -> Result<Preprocess, WeightsError> {
        let size = self.config.image.image_size;
        let (name, read) = match self.layout {
            Layout::OpenClip => {
                (self.layout.config_file(), Preprocess::from_open_clip(&self.config_text))
            }
            Layout::HuggingFace => {
                let text = read_text(self.files.as_ref(), PREPROCESS)?;
                let clip = || Preprocess::clip(u32::try_from(size).unwrap_or(u32::MAX));
                let read = text.map_or_else(
                    || clip().map_err(ConfigError::from),
                    |text| Preprocess::from_hugging_face(&text),
                );
                (PREPROCESS, read)
            }
        };
        let file = self.files.describe(name);
        let preprocess = read.map_err(|error| Problem::Config(error).of(&file))?;
        if preprocess.size() as usize != size {
            let config = self.files.describe(self.layout.config_file());
            let found = preprocess.size();
            let reason = format!("crops to {found} pixels, but {config} says image size {size}");
            return Err(Problem::Malformed(reason).of(file));
        }
        Ok(preprocess)
    }

    /// Opens the weights and checks all names, shapes and types, without reading the data.
    ///
    /// # Errors
    /// When files are missing or malformed, or a tensor is missing, unused, or of another shape or type.
    pub fn weights(&self) -> Result<Weights, WeightsError> {
        let (files, index) = self.open_tensor_files()?;
        let tensors = TensorFiles::open(files)?;
        self.check_index(&tensors, &index)?;
        Weights::new(tensors, self.layout, &self.config)
    }

    /// Loads the model on a device.
    ///
    /// # Errors
    /// As [`Self::weights`], and when a file can't be read to its end.
    pub fn load(&self, device: &Device) -> Result<Clip, WeightsError> {
        self.config.build(&mut self.weights()?, device)
    }

    /// Checks that each tensor is in the shard that the index says.
    fn check_index(&self, tensors: &TensorFiles, index: &WeightMap) -> Result<(), WeightsError> {
        let misplaced = index
            .iter()
            .find(|(tensor, shard)| tensors.file_of(tensor) != Some(&self.files.describe(shard)));
        match misplaced {
            None => Ok(()),
            Some((tensor, shard)) => {
                let reason =
                    format!("tensor `{tensor}` is missing, although the index lists it here");
                Err(Problem::Malformed(reason).of(self.files.describe(shard)))
            }
        }
    }

    /// The files of the weights, and the shard of each tensor.
    fn open_tensor_files(&self) -> Result<(Vec<NamedReader>, WeightMap), WeightsError> {
        let single = self.layout.weights_file();
        let index = &format!("{single}.index.json");
        let open = |name: &str| {
            let file = self.files.describe(name);
            match self.files.open(name) {
                Ok(reader) => Ok(reader.map(|reader| (file, reader))),
                Err(error) => Err(Problem::Read(error).of(file)),
            }
        };
        if let Some(file) = open(single)? {
            return Ok((vec![file], WeightMap::new()));
        }
        let Some(json) = read_bytes(self.files.as_ref(), index)? else {
            let names = self.files.names();
            let pickled = names
                .iter()
                .find(|name| [".bin", ".pt", ".pth"].iter().any(|suffix| name.ends_with(suffix)));
            let hint = pickled.map_or(String::new(), |name| {
                format!(
                    "; {name} is a pickle, and reading a pickle can run code: save the model as safetensors with the library that wrote it"
                )
            });
            let reason = format!("there is neither {single} nor {index}{hint}");
            return Err(Problem::NotAModel(reason).of(self.files.place()));
        };
        let malformed = |reason| Problem::Malformed(reason).of(self.files.describe(index));
        let index_file: Index = serde_json::from_slice(&json)
            .map_err(|error| malformed(format!("not an index of shards: {error}")))?;
        let shards: BTreeSet<&String> = index_file.weight_map.values().collect();
        let mut files = Vec::new();
        for shard in shards {
            // A shard is a file beside its index; other paths would let a model read the rest of the disk.
            if Path::new(shard).file_name() != Some(OsStr::new(shard))
                || shard.contains(['/', '\\', '\0'])
            {
                return Err(malformed(format!("shard `{shard}` isn't a file name")));
            }
            let missing = || format!("{index} lists {shard}, which is missing");
            let file = open(shard)?;
            files.push(file.ok_or_else(|| Problem::NotAModel(missing()).of(self.files.place()))?);
        }
        Ok((files, index_file.weight_map))
    }
}

/// The shard of each tensor.
type WeightMap = BTreeMap<String, String>;

/// An index of shards.
#[derive(Deserialize)]
struct Index {
    weight_map: WeightMap,
}

fn find_layout(files: &dyn ModelFiles) -> Result<Layout, WeightsError> {
    let has = |name: &str| match files.open(name) {
        Ok(file) => Ok(file.is_some()),
        Err(error) => Err(Problem::Read(error).of(files.describe(name))),
    };
    let [first, second] = [Layout::HuggingFace, Layout::OpenClip];
    let weights = first.weights_file();
    match (has(first.config_file())?, has(second.config_file())?) {
        (true, true) if has(weights)? || has(&format!("{weights}.index.json"))? => Ok(first),
        (_, true) => Ok(second),
        (true, false) => Ok(first),
        (false, false) => {
            let [first, second] = [first, second].map(Layout::config_file);
            let reason = format!(
                "no model: there is neither {first} (Hugging Face) nor {second} (open_clip)"
            );
            Err(Problem::NotAModel(reason).of(files.place()))
        }
    }
}

/// Configuration files are some kilobytes, tokenizers some megabytes.
const LARGEST_TEXT: u64 = 64 << 20;

fn read_bytes(files: &dyn ModelFiles, name: &str) -> Result<Option<Vec<u8>>, WeightsError> {
    let failed = |error| Problem::Read(error).of(files.describe(name));
    let Some(reader) = files.open(name).map_err(failed)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    reader.take(LARGEST_TEXT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST_TEXT {
        let reason = format!("larger than {LARGEST_TEXT} bytes");
        return Err(Problem::Malformed(reason).of(files.describe(name)));
    }
    Ok(Some(bytes))
}

fn read_text(files: &dyn ModelFiles, name: &str) -> Result<Option<String>, WeightsError> {
    let text = read_bytes(files, name)?.map(String::from_utf8).transpose();
    text.map_err(|error| Problem::Malformed(format!("not UTF-8: {error}")).of(files.describe(name)))
}

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
    /// When a tensor is missing, unused, or of another shape or type.
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
        Ok(Self { tensors, layout })
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
    /// When the file can't be read.
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
                super::dtype::encode_f32(dtype, &values, &mut bytes);
                return Ok((dtype, bytes));
            }
            let start = bytes.len();
            let length = self.tensors.bytes(name).unwrap_or(0);
            bytes.resize(start + length, 0);
            self.tensors.read_at(name, 0, &mut bytes[start..])?;
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
                self.tensors.read_at(name, 0, bytemuck::cast_slice_mut(part))?;
            } else {
                let mut bytes = vec![0; length];
                self.tensors.read_at(name, 0, &mut bytes)?;
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
