//! Photos: the bytes of one file, and a folder searched by file name. Called by every command that reads photos.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{DataError, text};

/// Extensions of the formats that `clove::preprocess` decodes, in any case.
pub(crate) const EXTENSIONS: [&str; 8] =
    ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"];

/// The bytes of an image file.
///
/// # Errors
/// [`DataError::Io`] for a file that can't be read, or is larger than 512 MiB.
pub fn read_image(path: &Path) -> Result<Vec<u8>, DataError> {
    /// More than any photo, and small enough for one in each thread.
    const LARGEST: u64 = 512 << 20;
    text::read_bytes(path, LARGEST)
}

/// The photos of a folder and its subfolders.
#[derive(Debug, Clone)]
pub struct Photos {
    root: PathBuf,
    /// Sorted paths by file name; several where folders repeat a name.
    by_name: HashMap<String, Vec<PathBuf>>,
    count: usize,
}

impl Photos {
    /// Lists the photos under `dir`. Links are followed; each folder is listed once.
    ///
    /// # Errors
    /// [`DataError::Io`] for a folder that can't be listed.
    pub fn open(dir: &Path) -> Result<Self, DataError> {
        let mut photos = Self { root: dir.to_owned(), by_name: HashMap::new(), count: 0 };
        let mut seen = HashSet::new();
        let mut folders = vec![dir.to_owned()];
        while let Some(folder) = folders.pop() {
            let wrong = |source| DataError::io(&folder, source);
            // A link may lead back up, which the real path shows.
            if !seen.insert(fs::canonicalize(&folder).map_err(wrong)?) {
                continue;
            }
            for entry in fs::read_dir(&folder).map_err(wrong)? {
                let path = entry.map_err(wrong)?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if is_photo(&path)
                    && path.is_file()
                    // No benchmark can ask for a name that isn't Unicode.
                    && let Some(name) = path.file_name().and_then(OsStr::to_str)
                {
                    photos.count += 1;
                    photos.by_name.entry(name.to_owned()).or_default().push(path);
                }
            }
        }
        for paths in photos.by_name.values_mut() {
            paths.sort_unstable();
        }
        Ok(photos)
    }

    /// Number of photo files.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no photos.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The path of the photo `name`, a file name or a relative path; `None` if it isn't here.
    ///
    /// A file at exactly that path below the folder comes first; otherwise a file of that name in any folder.
    ///
    /// # Errors
    /// [`DataError::Format`] if several files have the name.
    pub fn find(&self, name: &str) -> Result<Option<&Path>, DataError> {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let Some(paths) = self.by_name.get(file) else {
            return Ok(None);
        };
        let exact = self.root.join(name);
        if let Some(path) = paths.iter().find(|path| **path == exact) {
            return Ok(Some(path));
        }
        match paths.as_slice() {
            [first, second, ..] => {
                let (first, second) = (first.display(), second.display());
                let problem =
                    format!("both {first} and {second} are named {file}; keep one of them");
                Err(DataError::format(&self.root, problem))
            }
            paths => Ok(paths.first().map(PathBuf::as_path)),
        }
    }
}

pub(crate) fn is_photo(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&&*extension))
}
