//! Places of a model's files: a directory, memory (a browser has no directories), or one file with all of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::companions::{
    ADDED, MERGES, SMALL_FILES, TOKENIZER, VOCABULARY, has_config, read_whole,
};
use super::inferred::infer;
use super::names::Layout;
use super::tensors::{ReadSeek, read_header};
use super::{Problem, WeightsError};

fn in_memory(bytes: &Arc<[u8]>) -> Box<dyn ReadSeek> {
    Box::new(Cursor::new(Arc::clone(bytes)))
}

/// The files of one model, by name.
pub trait ModelFiles: std::fmt::Debug {
    /// The place, for messages.
    fn place(&self) -> String;

    /// The name of a file, for messages.
    fn describe(&self, name: &str) -> String;

    /// Opens a file; `None` if it doesn't exist.
    ///
    /// # Errors
    /// When it exists and can't be opened.
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn ReadSeek>>>;

    /// The names of the files in the place, sorted; empty if the place can't be listed.
    fn names(&self) -> Vec<String>;

    /// What the place's configuration assumes without the file saying so, for a note.
    fn assumed(&self) -> Option<&str> {
        None
    }

    /// The folders below the place that have a model, sorted, for messages; empty if the place can't be searched.
    fn models_below(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A directory on disk.
#[derive(Debug, Clone)]
pub struct Directory(pub PathBuf);

impl ModelFiles for Directory {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    fn describe(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn open(&self, name: &str) -> io::Result<Option<Box<dyn ReadSeek>>> {
        let path = self.0.join(name);
        // A pipe would block, and can't be read from an offset.
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("this isn't a regular file"));
        }
        match File::open(path) {
            // Buffered for the headers; reads of tensors are larger than the buffer and bypass it.
            Ok(file) => Ok(Some(Box::new(BufReader::new(file)))),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
                _ => Err(error),
            },
        }
    }

    fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.0) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    fn models_below(&self) -> Vec<String> {
        /// A hub's cache: hub/models--OWNER--NAME/snapshots/COMMIT.
        const DEEPEST: usize = 4;
        /// Bounds the time in a folder of something else.
        const MOST: usize = 1_000;
        let mut found: Vec<PathBuf> = Vec::new();
        let mut level = vec![self.0.clone()];
        let mut looked = 0;
        for _ in 0..DEEPEST {
            let entries = level.iter().filter_map(|folder| std::fs::read_dir(folder).ok());
            let folders = entries.flatten().flatten().map(|entry| entry.path());
            let folders: Vec<PathBuf> =
                folders.filter(|path| path.is_dir()).take(MOST - looked).collect();
            looked += folders.len();
            let (models, others): (Vec<PathBuf>, Vec<PathBuf>) =
                folders.into_iter().partition(|folder| has_model(folder));
            found.extend(models);
            level = others;
        }
        found.sort();
        found.iter().map(|path| path.display().to_string()).collect()
    }
}

/// Whether a folder has a model's configuration and weights.
fn has_model(folder: &Path) -> bool {
    let has_weights = |layout: Layout| {
        let file = layout.weights_file();
        [file, &format!("{file}.index.json")].iter().any(|name| folder.join(name).is_file())
    };
    has_config(folder) && [Layout::HuggingFace, Layout::OpenClip].into_iter().any(has_weights)
}

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub struct InMemory {
    /// The name of the place, for messages.
    pub name: String,
    /// Each file's bytes, by name.
    pub files: BTreeMap<String, Arc<[u8]>>,
}

impl ModelFiles for InMemory {
    fn place(&self) -> String {
        self.name.clone()
    }

    fn describe(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    fn open(&self, name: &str) -> io::Result<Option<Box<dyn ReadSeek>>> {
        Ok(self.files.get(name).map(in_memory))
    }

    fn names(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }
}

/// A model as one safetensors file. In Hugging Face's layout it has `config.json` and optionally `preprocessor_config.json`,
/// `tokenizer.json` or what stands for them in its metadata; any safetensors reader can read its weights. In open_clip's layout the
/// configuration is the `open_clip_config.json` beside the file, or follows from the shapes of its tensors and from its name.
#[derive(Debug)]
pub struct SingleFile<S> {
    place: String,
    source: S,
    layout: Layout,
    texts: Texts,
    assumed: Option<String>,
}

/// The source of a [`SingleFile`], which is opened several times.
pub trait Reopen: std::fmt::Debug {
    /// Opens it at the beginning.
    ///
    /// # Errors
    /// When it can't be opened.
    fn reopen(&self) -> io::Result<Box<dyn ReadSeek>>;

    /// The folder that it lies in.
    fn folder(&self) -> Option<Directory> {
        None
    }
}

impl Reopen for PathBuf {
    fn reopen(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(BufReader::new(File::open(self)?)))
    }

    fn folder(&self) -> Option<Directory> {
        self.parent().map(|folder| Directory(folder.to_owned()))
    }
}

impl Reopen for Arc<[u8]> {
    fn reopen(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(in_memory(self))
    }
}

impl<S: Reopen> SingleFile<S> {
    /// Reads the header of the file, which messages call `place`.
    ///
    /// # Errors
    /// When it can't be read, isn't safetensors, or has no configuration, and none can be inferred.
    pub fn open(place: &str, source: S) -> Result<Self, WeightsError> {
        let mut reader = source.reopen().map_err(|error| Problem::Read(error).of(place))?;
        let (_, header) = read_header(place, reader.as_mut())?;
        let mut texts: Texts = header
            .metadata()
            .iter()
            .flatten()
            .filter(|(name, _)| SMALL_FILES.contains(&name.as_str()))
            .map(|(name, text)| (name.clone(), Arc::from(text.as_bytes())))
            .collect();
        let mut assumed = None;
        let layout = if texts.contains_key(Layout::HuggingFace.config_file()) {
            Layout::HuggingFace
        } else {
            let not_a_model = |reason: String| Problem::NotAModel(reason).of(place);
            let name = Path::new(place).file_name().unwrap_or_default().to_string_lossy();
            let inferred = infer(&name, &header).ok_or_else(|| {
                let reason = "these are weights alone, without config.json in the metadata; \
                              use the model's directory";
                not_a_model(reason.to_owned())
            })?;
            let config = Layout::OpenClip.config_file();
            let beside = source.folder().map(|folder| texts_of(&folder)).transpose()?;
            // Without the configuration, other files in the folder may be another model's.
            texts.extend(beside.into_iter().filter(|texts| texts.contains_key(config)).flatten());
            if !texts.contains_key(config) {
                let inferred = inferred.map_err(not_a_model)?;
                texts.insert(config.to_owned(), inferred.config.into_bytes().into());
                assumed = Some(inferred.assumed);
            }
            Layout::OpenClip
        };
        Ok(Self { place: place.to_owned(), source, layout, texts, assumed })
    }
}

/// Small files by name.
type Texts = BTreeMap<String, Arc<[u8]>>;

/// The configuration and the tokenizer of an open_clip model in a folder.
fn texts_of(folder: &Directory) -> Result<Texts, WeightsError> {
    let mut texts = Texts::new();
    for name in [Layout::OpenClip.config_file(), TOKENIZER, VOCABULARY, MERGES, ADDED] {
        if let Some(bytes) = read_whole(folder, name)? {
            texts.insert(name.to_owned(), bytes.into());
        }
    }
    Ok(texts)
}

impl<S: Reopen> ModelFiles for SingleFile<S> {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn describe(&self, name: &str) -> String {
        if name == self.layout.weights_file() {
            self.place.clone()
        } else {
            format!("{}: {name}", self.place)
        }
    }

    fn open(&self, name: &str) -> io::Result<Option<Box<dyn ReadSeek>>> {
        if name == self.layout.weights_file() {
            return self.source.reopen().map(Some);
        }
        Ok(self.texts.get(name).map(in_memory))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.texts.keys().cloned().collect();
        names.push(self.layout.weights_file().to_owned());
        names.sort();
        names
    }

    fn assumed(&self) -> Option<&str> {
        self.assumed.as_deref()
    }
}
