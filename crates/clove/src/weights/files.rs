//! Where a model's files are: a directory, memory (a browser has no directories), or one file that has all of them in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Cursor};
use std::path::PathBuf;
use std::sync::Arc;

use super::WeightsError;
use super::tensors::{ReadSeek, read_header};

/// The files of one model, by name.
pub trait ModelFiles: std::fmt::Debug {
    /// The place as messages name it.
    fn place(&self) -> String;

    /// A file as messages name it.
    fn describe(&self, name: &str) -> String;

    /// Opens a file; `None` if there is none of this name.
    ///
    /// # Errors
    /// When it's there and can't be opened.
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn ReadSeek>>>;

    /// The names of the files at the top of the place, sorted; empty where the place can't be listed.
    fn names(&self) -> Vec<String>;
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
        // A pipe would be waited for, and can't be read from an offset.
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("this isn't a regular file"));
        }
        match File::open(path) {
            // Buffered for the headers; tensors are read in pieces larger than the buffer, which go past it.
            Ok(file) => Ok(Some(Box::new(BufReader::new(file)))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
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
}

/// Files that are held in memory.
#[derive(Debug, Clone, Default)]
pub struct InMemory {
    /// What messages call the place.
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
        Ok(self
            .files
            .get(name)
            .map(|bytes| Box::new(Cursor::new(Arc::clone(bytes))) as Box<dyn ReadSeek>))
    }

    fn names(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }
}

/// The weights of a model in Hugging Face's layout in one safetensors file, whose metadata holds the small files beside them under
/// their names: `config.json` and, where there are any, `preprocessor_config.json` and `tokenizer.json`.
///
/// So a model can be handed on as one file, which any safetensors reader takes for the weights that it is.
#[derive(Debug)]
pub struct SingleFile<S> {
    place: String,
    source: S,
    texts: BTreeMap<String, Arc<[u8]>>,
}

/// What a [`SingleFile`] is read from, as often as it's opened.
pub trait Reopen: std::fmt::Debug {
    /// From the beginning.
    ///
    /// # Errors
    /// When it can't be opened.
    fn reopen(&self) -> io::Result<Box<dyn ReadSeek>>;
}

impl Reopen for PathBuf {
    fn reopen(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(BufReader::new(File::open(self)?)))
    }
}

impl Reopen for Arc<[u8]> {
    fn reopen(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(Cursor::new(Self::clone(self))))
    }
}

impl<S: Reopen> SingleFile<S> {
    /// The weights' name beside the others.
    const WEIGHTS: &str = "model.safetensors";
    /// Those in the metadata.
    const TEXTS: [&str; 3] = ["config.json", "preprocessor_config.json", "tokenizer.json"];

    /// Reads the header of the file that messages call `place`.
    ///
    /// # Errors
    /// When it can't be read, isn't safetensors, or has no configuration in its metadata.
    pub fn open(place: &str, source: S) -> Result<Self, WeightsError> {
        let mut reader = source
            .reopen()
            .map_err(|source| WeightsError::Read { file: place.to_owned(), source })?;
        let (_, header) = read_header(place, reader.as_mut())?;
        let texts: BTreeMap<String, Arc<[u8]>> = header
            .metadata()
            .iter()
            .flatten()
            .filter(|(name, _)| Self::TEXTS.contains(&name.as_str()))
            .map(|(name, text)| (name.clone(), Arc::from(text.as_bytes())))
            .collect();
        if !texts.contains_key("config.json") {
            return Err(WeightsError::NotAModel {
                place: place.to_owned(),
                reason: "these are weights alone: there is no config.json in the file's metadata; \
                         give the model's directory"
                    .to_owned(),
            });
        }
        Ok(Self { place: place.to_owned(), source, texts })
    }
}

impl<S: Reopen> ModelFiles for SingleFile<S> {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn describe(&self, name: &str) -> String {
        if name == Self::WEIGHTS { self.place.clone() } else { format!("{}: {name}", self.place) }
    }

    fn open(&self, name: &str) -> io::Result<Option<Box<dyn ReadSeek>>> {
        if name == Self::WEIGHTS {
            return self.source.reopen().map(Some);
        }
        let text = self.texts.get(name).map(Arc::clone);
        Ok(text.map(|text| Box::new(Cursor::new(text)) as Box<dyn ReadSeek>))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.texts.keys().cloned().collect();
        names.push(Self::WEIGHTS.to_owned());
        names.sort();
        names
    }
}
