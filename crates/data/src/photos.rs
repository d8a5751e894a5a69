//! Photos: one file's bytes, and a folder looked up by the file names that benchmarks give. Called by every command that reads
//! photos, and by `clove eval --images`.

use std::collections::{HashMap, HashSet};
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
    /// Above any photo, and small enough to hold one a thread.
    const LARGEST: u64 = 512 << 20;
    text::read_bytes(path, LARGEST)
}

/// The photos of a folder and of the folders in it.
#[derive(Debug, Clone)]
pub struct Photos {
    root: PathBuf,
    /// Paths by file name, sorted; more than one where folders repeat a name.
    by_name: HashMap<String, Vec<PathBuf>>,
    count: usize,
}

impl Photos {
    /// Lists the photos under `dir`, following links, each folder once.
    ///
    /// # Errors
    /// [`DataError::Io`] for a folder that can't be listed.
    pub fn open(dir: &Path) -> Result<Self, DataError> {
        let mut photos = Self { root: dir.to_owned(), by_name: HashMap::new(), count: 0 };
        let mut seen = HashSet::new();
        let mut folders = vec![dir.to_owned()];
        while let Some(folder) = folders.pop() {
            let wrong = |source| text::io(&folder, source);
            // A link may lead back up; the real path tells.
            if !seen.insert(fs::canonicalize(&folder).map_err(wrong)?) {
                continue;
            }
            for entry in fs::read_dir(&folder).map_err(wrong)? {
                let path = entry.map_err(wrong)?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(name) = photo_name(&path) {
                    photos.count += 1;
                    photos.by_name.entry(name).or_default().push(path);
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

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The path of the photo `name`, a file name or a relative path; none if it isn't here.
    ///
    /// A file at that very path below the folder comes first; otherwise the file name decides, wherever the file lies.
    ///
    /// # Errors
    /// [`DataError::AmbiguousPhoto`] if the file name alone fits several files.
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
            [first, second, ..] => Err(DataError::AmbiguousPhoto {
                name: name.to_owned(),
                first: first.clone(),
                second: second.clone(),
            }),
            paths => Ok(paths.first().map(PathBuf::as_path)),
        }
    }

    /// How many of `names` are here.
    ///
    /// # Errors
    /// Those of [`find`](Self::find).
    pub fn count_found<S: AsRef<str>>(&self, names: &[S]) -> Result<usize, DataError> {
        names
            .iter()
            .try_fold(0, |count, name| Ok(count + usize::from(self.find(name.as_ref())?.is_some())))
    }
}

/// The file name of a photo; none for other files and for names that are not Unicode, which no benchmark can ask for.
fn photo_name(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    let is_photo = EXTENSIONS.contains(&extension.as_str()) && path.is_file();
    is_photo.then(|| path.file_name()?.to_str().map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_bytes_are_read_and_a_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jpg");
        let message = read_image(&path).unwrap_err().to_string();
        assert!(message.contains("a.jpg"), "{message}");
        fs::write(&path, b"\xff\xd8\x00").unwrap();
        assert_eq!(read_image(&path).unwrap(), b"\xff\xd8\x00");
    }
}
