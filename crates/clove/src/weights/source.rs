//! A model's directory: its layout, its configuration and its weights.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

use burn::tensor::Device;
use serde::Deserialize;

use super::checked::Weights;
use super::companions::{ADDED, MERGES, PREPROCESS, PROCESSOR, TOKENIZER, VOCABULARY, read_text};
use super::names::Layout;
use super::tensors::TensorFiles;
use super::{ModelFiles, NamedReader, Problem, WeightsError, list};
use crate::model::{Clip, ClipConfig, ConfigError};
use crate::preprocess::Preprocess;
use crate::tokenizer::{EotRule, Tokenizer, tokenizer_json};

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

    /// What the configuration assumes without the model's files saying so, for a note.
    pub fn assumed(&self) -> Option<String> {
        Some(format!("{} {}", self.place(), self.files.assumed()?))
    }

    /// The files themselves.
    pub fn files(&self) -> &dyn ModelFiles {
        self.files.as_ref()
    }

    /// The model's tokenizer: its own (see [`Self::tokenizer_json`]) if it has one, else CLIP's vocabulary.
    ///
    /// # Errors
    /// When the tokenizer's files can't be used, or don't fit the configuration.
    pub fn tokenizer(&self) -> Result<Tokenizer, WeightsError> {
        let context = self.config.text.context_length;
        let (tokenizer, file) = match self.own_tokenizer()? {
            Some((name, json)) => {
                let file = self.files.describe(name);
                let tokenizer = Tokenizer::from_json(json.as_bytes(), context)
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

    /// The text of the model's tokenizer.json, or, as in transformers, one made of its vocab.json, merges.txt and added_tokens.json;
    /// `None` if it has neither.
    ///
    /// # Errors
    /// When a file can't be read, or one of vocab.json and merges.txt is missing.
    pub fn tokenizer_json(&self) -> Result<Option<String>, WeightsError> {
        Ok(self.own_tokenizer()?.map(|(_, json)| json))
    }

    /// The tokenizer.json and the file that errors in it name.
    fn own_tokenizer(&self) -> Result<Option<(&'static str, String)>, WeightsError> {
        let read = |name| read_text(self.files.as_ref(), name);
        if let Some(json) = read(TOKENIZER)? {
            return Ok(Some((TOKENIZER, json)));
        }
        let missing = |name: &str, other: &str| {
            let reason = format!("there is {other}, but no {name}; a tokenizer needs both");
            Err(Problem::NotAModel(reason).of(self.files.place()))
        };
        match (read(VOCABULARY)?, read(MERGES)?) {
            (None, None) => Ok(None),
            (None, Some(_)) => missing(VOCABULARY, MERGES),
            (Some(_), None) => missing(MERGES, VOCABULARY),
            (Some(vocabulary), Some(merges)) => {
                let json = tokenizer_json(&vocabulary, &merges, read(ADDED)?.as_deref());
                let failed = |error| Problem::Tokenizer(error).of(self.files.describe(VOCABULARY));
                Ok(Some((VOCABULARY, json.map_err(failed)?)))
            }
        }
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
            EotRule::Argmax if !tokenizer.end_is_largest() => Err(format!(
                "end-of-text is {end}, but {config} pools at the largest id, and other tokens have larger ones"
            )),
            // `bos_token_id` isn't checked: OpenAI's own files say 0, and no code reads it.
            _ => Ok(()),
        }
    }

    /// The model's preprocessing. As in transformers, a Hugging Face model without a file of it has CLIP's own.
    ///
    /// # Errors
    /// When the file can't be used, or its image size isn't the model's.
    pub fn preprocess(&self) -> Result<Preprocess, WeightsError> {
        let size = self.config.image.image_size;
        let (name, read) = self.own_preprocess()?.unwrap_or_else(|| {
            let clip = Preprocess::clip(u32::try_from(size).unwrap_or(u32::MAX));
            (PREPROCESS, clip.map_err(ConfigError::from))
        });
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

    /// Whether the model has a file of preprocessing.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn has_preprocess(&self) -> Result<bool, WeightsError> {
        Ok(self.own_preprocess()?.is_some())
    }

    /// The file with the preprocessing, and what it says.
    fn own_preprocess(&self) -> Result<Option<OwnPreprocess>, WeightsError> {
        if self.layout == Layout::OpenClip {
            let read = Preprocess::from_open_clip(&self.config_text);
            return Ok(Some((self.layout.config_file(), read)));
        }
        let text = |name| read_text(self.files.as_ref(), name);
        // In transformers' order (src/transformers/image_processing_base.py, `get_image_processor_dict`).
        if let Some(text) = text(PROCESSOR)?
            && let Some(read) = Preprocess::from_hugging_face_processor(&text).transpose()
        {
            return Ok(Some((PROCESSOR, read)));
        }
        Ok(text(PREPROCESS)?.map(|text| (PREPROCESS, Preprocess::from_hugging_face(&text))))
    }

    /// Opens the weights and checks all names, shapes and types, and the logit scale, without reading the other data.
    ///
    /// # Errors
    /// When files are missing or malformed, or a tensor is missing, unused, or of another shape or type, or the logit scale isn't one.
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
        let Some(json) = read_text(self.files.as_ref(), index)? else {
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
        let index_file: Index = serde_json::from_str(&json)
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

/// The name of the file of the preprocessing, and the result of reading it.
type OwnPreprocess = (&'static str, Result<Preprocess, ConfigError>);

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
            let below = files.models_below();
            let hint = match below.as_slice() {
                [] => String::new(),
                models => format!("; use a folder below that has a model: {}", list(models)),
            };
            let reason = format!(
                "no model: there is neither {first} (Hugging Face) nor {second} (open_clip){hint}"
            );
            Err(Problem::NotAModel(reason).of(files.place()))
        }
    }
}
