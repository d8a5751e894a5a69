//! A model's directory: which layout it has, what its configuration says, and its weights.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;

use burn::tensor::Device;
use serde::Deserialize;

use super::dtype::decode_f32;
use super::names::{Layout, Stored, parameters};
use super::tensors::{Dtype, TensorFiles};
use super::{ModelFiles, NamedReader, WeightsError};
use crate::model::{Clip, ClipConfig, Parameters};
use crate::preprocess::Preprocess;
use crate::tokenizer::{EotRule, Tokenizer};

/// The files of each layout.
const HF_CONFIG: &str = "config.json";
const HF_WEIGHTS: &str = "model.safetensors";
const HF_INDEX: &str = "model.safetensors.index.json";
const HF_PREPROCESS: &str = "preprocessor_config.json";
const OC_CONFIG: &str = "open_clip_config.json";
const OC_WEIGHTS: &str = "open_clip_model.safetensors";
const OC_INDEX: &str = "open_clip_model.safetensors.index.json";
const TOKENIZER: &str = "tokenizer.json";

/// A model whose configuration has been read, and whose weights have not.
#[derive(Debug)]
pub struct ModelSource {
    files: Box<dyn ModelFiles>,
    layout: Layout,
    config: ClipConfig,
    config_text: String,
}

impl ModelSource {
    /// Finds out what `files` hold. Where both layouts are present, the Hugging Face one is taken if its weights are there.
    ///
    /// # Errors
    /// When there's no model, or its configuration can't be used.
    pub fn open(files: Box<dyn ModelFiles>) -> Result<Self, WeightsError> {
        let layout = find_layout(files.as_ref())?;
        let name = config_name(layout);
        let config_text =
            read_text(files.as_ref(), name)?.ok_or_else(|| WeightsError::NotAModel {
                place: files.place(),
                reason: format!("{name} vanished while it was read"),
            })?;
        let config = match layout {
            Layout::HuggingFace => ClipConfig::from_hugging_face(&config_text),
            Layout::OpenClip => ClipConfig::from_open_clip(&config_text),
        }
        .map_err(|source| WeightsError::Config { file: files.describe(name), source })?;
        Ok(Self { files, layout, config, config_text })
    }

    /// Who wrote the files.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// The configuration file as it stands, and its name.
    #[must_use]
    pub fn config_file(&self) -> (&'static str, &str) {
        (config_name(self.layout), &self.config_text)
    }

    /// The place as messages name it.
    #[must_use]
    pub fn place(&self) -> String {
        self.files.place()
    }

    /// The files themselves.
    #[must_use]
    pub fn files(&self) -> &dyn ModelFiles {
        self.files.as_ref()
    }

    /// The model's tokenizer: its tokenizer.json if it has one, else CLIP's own vocabulary.
    ///
    /// # Errors
    /// When tokenizer.json can't be used, or when the vocabulary isn't as large as the configuration says.
    pub fn tokenizer(&self) -> Result<Tokenizer, WeightsError> {
        let context = self.config.text.context_length;
        let (tokenizer, file) = match read_bytes(self.files.as_ref(), TOKENIZER)? {
            Some(json) => {
                let file = self.files.describe(TOKENIZER);
                let tokenizer = Tokenizer::from_json(&json, context)
                    .map_err(|source| WeightsError::Tokenizer { file: file.clone(), source })?;
                (tokenizer, file)
            }
            None => (
                Tokenizer::clip(context),
                "CLIP's vocabulary (there is no tokenizer.json)".to_owned(),
            ),
        };
        self.check_tokenizer(&tokenizer)
            .map_err(|reason| WeightsError::Malformed { file, reason })?;
        Ok(tokenizer)
    }

    /// Whether a tokenizer's ids are the ones that the configuration means. Where they aren't, every caption would be embedded,
    /// wrongly and in silence.
    fn check_tokenizer(&self, tokenizer: &Tokenizer) -> Result<(), String> {
        let config = self.files.describe(config_name(self.layout));
        let (entries, size) = (tokenizer.vocab_size(), self.config.text.vocab_size);
        // Embedding matrices may be padded; CLIP's own vocabulary stands in for a missing file only where it fits.
        if entries > size || (tokenizer.is_clip_vocabulary() && entries != size) {
            return Err(format!("it has {entries} entries, but {config} says vocab_size {size}"));
        }
        let end = tokenizer.end_id();
        match self.config.text.eot {
            EotRule::FirstOf(id) if id != end => {
                Err(format!("its end-of-text is {end}, but {config} says eos_token_id {id}"))
            }
            EotRule::Argmax if end as usize + 1 != entries => Err(format!(
                "its end-of-text is {end}, but {config} pools at the largest id, which is {}",
                entries - 1
            )),
            // `bos_token_id` isn't compared: OpenAI's own files say 0, and no code reads it.
            _ => Ok(()),
        }
    }

    /// The model's preprocessing. A Hugging Face model without preprocessor_config.json has CLIP's own, as transformers does.
    ///
    /// # Errors
    /// When the file can't be used, or gives another size than the model takes.
    pub fn preprocess(&self) -> Result<Preprocess, WeightsError> {
        let size = self.config.image.image_size;
        let (name, text) = match self.layout {
            Layout::HuggingFace => (HF_PREPROCESS, read_text(self.files.as_ref(), HF_PREPROCESS)?),
            Layout::OpenClip => (OC_CONFIG, Some(self.config_text.clone())),
        };
        let file = self.files.describe(name);
        let malformed = |reason| WeightsError::Malformed { file: file.clone(), reason };
        let preprocess = match (&text, self.layout) {
            (Some(text), Layout::HuggingFace) => Preprocess::from_hugging_face(text),
            (Some(text), Layout::OpenClip) => Preprocess::from_open_clip(text),
            (None, _) => {
                let pixels = u32::try_from(size)
                    .map_err(|_| malformed(format!("an image size of {size} is too large")))?;
                return Preprocess::clip(pixels).map_err(|error| malformed(error.to_string()));
            }
        }
        .map_err(|source| WeightsError::Preprocess { file: file.clone(), source })?;
        if preprocess.size() as usize != size {
            return Err(malformed(format!(
                "it crops to {} pixels, but {} says the model takes {size}",
                preprocess.size(),
                self.files.describe(config_name(self.layout))
            )));
        }
        Ok(preprocess)
    }

    /// Opens the weights, and checks names, shapes and types of all of them before any is read.
    ///
    /// # Errors
    /// When files are absent or malformed, or when anything is missing, unused, misshapen or of an unknown type.
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

    /// Whether each tensor lies in the shard that the index says.
    fn check_index(&self, tensors: &TensorFiles, index: &WeightMap) -> Result<(), WeightsError> {
        let misplaced = index
            .iter()
            .find(|(tensor, shard)| tensors.file_of(tensor) != Some(&self.files.describe(shard)));
        match misplaced {
            None => Ok(()),
            Some((tensor, shard)) => Err(WeightsError::Malformed {
                file: self.files.describe(shard),
                reason: format!("the index says that `{tensor}` is here, and it isn't"),
            }),
        }
    }

    /// The files that hold the weights, and which tensor each shard should hold.
    fn open_tensor_files(&self) -> Result<(Vec<NamedReader>, WeightMap), WeightsError> {
        let (single, index) = match self.layout {
            Layout::HuggingFace => (HF_WEIGHTS, HF_INDEX),
            Layout::OpenClip => (OC_WEIGHTS, OC_INDEX),
        };
        let open = |name: &str| {
            let file = self.files.describe(name);
            match self.files.open(name) {
                Ok(reader) => Ok(reader.map(|reader| (file, reader))),
                Err(source) => Err(WeightsError::Read { file, source }),
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
                    "; {name} is a pickle, which can run code when it's read: save it as safetensors with the library that wrote it"
                )
            });
            return Err(WeightsError::NotAModel {
                place: self.files.place(),
                reason: format!("there is neither {single} nor {index}{hint}"),
            });
        };
        let index_file: Index =
            serde_json::from_slice(&json).map_err(|error| WeightsError::Malformed {
                file: self.files.describe(index),
                reason: format!("it's no index of shards: {error}"),
            })?;
        let shards: BTreeSet<&String> = index_file.weight_map.values().collect();
        let mut files = Vec::new();
        for shard in shards {
            // A shard is a file beside its index; anything else would let a model read the rest of the disk.
            if Path::new(shard).file_name() != Some(OsStr::new(shard))
                || shard.contains(['/', '\\', '\0'])
            {
                return Err(WeightsError::Malformed {
                    file: self.files.describe(index),
                    reason: format!("shard `{shard}` isn't a file name"),
                });
            }
            files.push(open(shard)?.ok_or_else(|| WeightsError::NotAModel {
                place: self.files.place(),
                reason: format!("{index} names {shard}, which isn't there"),
            })?);
        }
        Ok((files, index_file.weight_map))
    }
}

/// The shard of each tensor.
type WeightMap = BTreeMap<String, String>;

/// What an index file says.
#[derive(Deserialize)]
struct Index {
    weight_map: WeightMap,
}

fn config_name(layout: Layout) -> &'static str {
    match layout {
        Layout::HuggingFace => HF_CONFIG,
        Layout::OpenClip => OC_CONFIG,
    }
}

fn find_layout(files: &dyn ModelFiles) -> Result<Layout, WeightsError> {
    let has = |name: &str| match files.open(name) {
        Ok(file) => Ok(file.is_some()),
        Err(source) => Err(WeightsError::Read { file: files.describe(name), source }),
    };
    match (has(HF_CONFIG)?, has(OC_CONFIG)?) {
        (true, true) if has(HF_WEIGHTS)? || has(HF_INDEX)? => Ok(Layout::HuggingFace),
        (_, true) => Ok(Layout::OpenClip),
        (true, false) => Ok(Layout::HuggingFace),
        (false, false) => Err(WeightsError::NotAModel {
            place: files.place(),
            reason: format!(
                "no model: there is neither {HF_CONFIG} (Hugging Face) nor {OC_CONFIG} (open_clip)"
            ),
        }),
    }
}

/// Configuration files are some kilobytes, tokenizers some megabytes.
const LARGEST_TEXT: u64 = 64 << 20;

fn read_bytes(files: &dyn ModelFiles, name: &str) -> Result<Option<Vec<u8>>, WeightsError> {
    let failed = |source| WeightsError::Read { file: files.describe(name), source };
    let Some(reader) = files.open(name).map_err(failed)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    reader.take(LARGEST_TEXT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST_TEXT {
        return Err(WeightsError::Malformed {
            file: files.describe(name),
            reason: format!("it's larger than {LARGEST_TEXT} bytes"),
        });
    }
    Ok(Some(bytes))
}

fn read_text(files: &dyn ModelFiles, name: &str) -> Result<Option<String>, WeightsError> {
    let Some(bytes) = read_bytes(files, name)? else {
        return Ok(None);
    };
    String::from_utf8(bytes).map(Some).map_err(|error| WeightsError::Malformed {
        file: files.describe(name),
        reason: format!("it isn't UTF-8: {error}"),
    })
}

/// The weights of a model, whose names, shapes and types are known to be right.
#[derive(Debug)]
pub struct Weights {
    tensors: TensorFiles,
    layout: Layout,
}

impl Weights {
    /// Checks `tensors` against what `config` asks for.
    ///
    /// # Errors
    /// When any tensor is missing, unused, misshapen or of an unknown type.
    pub fn new(
        tensors: TensorFiles,
        layout: Layout,
        config: &ClipConfig,
    ) -> Result<Self, WeightsError> {
        let mut expected: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (parameter, shape) in parameters(config) {
            let stored = layout.stored(&parameter);
            for name in stored.names() {
                expected.insert(name.clone(), stored.shape(&shape));
            }
        }
        let file = tensors.describe();
        let missing: Vec<String> =
            expected.keys().filter(|name| tensors.info(name).is_none()).cloned().collect();
        if !missing.is_empty() {
            return Err(WeightsError::Missing { file, tensors: missing });
        }
        let unused: Vec<String> = tensors
            .names()
            .filter(|name| !expected.contains_key(*name) && !layout.is_buffer(name))
            .map(str::to_owned)
            .collect();
        if !unused.is_empty() {
            return Err(WeightsError::Unused { file, tensors: unused });
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
                return Err(WeightsError::Dtype { file, tensor: name.clone(), dtype });
            }
        }
        if !misshapen.is_empty() {
            return Err(WeightsError::Shape { file, tensors: misshapen });
        }
        Ok(Self { tensors, layout })
    }

    /// The files' tensors.
    #[must_use]
    pub fn tensors(&self) -> &TensorFiles {
        &self.tensors
    }

    /// Hands the files' tensors out.
    #[must_use]
    pub fn into_tensors(self) -> TensorFiles {
        self.tensors
    }

    /// The bytes of a parameter as the model has it (queries, keys and values in one; projections `[embed, width]`), and
    /// their type. Tensors of different types in one parameter become f32.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn bytes(
        &mut self,
        parameter: &str,
        shape: &[usize],
    ) -> Result<(Dtype, Vec<u8>), WeightsError> {
        let stored = self.layout.stored(parameter);
        let names = stored.names();
        let dtype = self.dtype(&names[0])?;
        let mut bytes = Vec::new();
        for name in names {
            if self.dtype(name)? != dtype {
                let values = self.values(parameter, shape)?;
                super::dtype::encode_f32(Dtype::F32, &values, &mut bytes);
                return Ok((Dtype::F32, bytes));
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

    fn dtype(&self, tensor: &str) -> Result<Dtype, WeightsError> {
        match self.tensors.info(tensor) {
            Some((dtype, _)) => Ok(dtype),
            None => Err(WeightsError::Missing {
                file: self.tensors.describe(),
                tensors: vec![tensor.to_owned()],
            }),
        }
    }
}

impl Parameters for Weights {
    type Error = WeightsError;

    fn values(&mut self, parameter: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let stored = self.layout.stored(parameter);
        let mut values = vec![0.0_f32; shape.iter().product()];
        let mut rest = values.as_mut_slice();
        for name in stored.names() {
            let dtype = self.dtype(name)?;
            let length = self.tensors.bytes(name).unwrap_or(0);
            let (part, after) = rest.split_at_mut(length * 8 / dtype.bitsize());
            rest = after;
            if dtype == Dtype::F32 && cfg!(target_endian = "little") {
                // The file's bytes are the values: read them in place.
                self.tensors.read_at(name, 0, bytemuck::cast_slice_mut(part))?;
            } else {
                let mut bytes = vec![0; length];
                self.tensors.read_at(name, 0, &mut bytes)?;
                decode_f32(dtype, &bytes, part).ok_or_else(|| WeightsError::Dtype {
                    file: self.tensors.describe(),
                    tensor: name.clone(),
                    dtype,
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
