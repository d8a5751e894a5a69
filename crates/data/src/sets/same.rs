//! Samples of the same image.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::{ImagePlace, ImageTextSet, IndexedSet, Sample};
use crate::DataError;

impl ImageTextSet {
    /// Merges the samples of the same image into the first of them, which gets all captions and negatives; returns how many were merged.
    /// Tables have a row for each caption of an image.
    ///
    /// An image is a file, whatever links lead to it, a member of a shard, or a row of a table of images. Bytes aren't compared;
    /// [`Duplicates::Images`](super::Duplicates::Images) does that.
    pub fn merge_same_images(&mut self) -> usize {
        let mut resolved = Resolved::default();
        let keys: Vec<Vec<u8>> =
            self.samples.iter().map(|sample| resolved.key(&sample.image)).collect();
        self.merge(keys)
    }

    /// Merges samples of the same key into the first of them, and returns how many were merged.
    pub(super) fn merge<K: std::hash::Hash + Eq>(&mut self, keys: Vec<K>) -> usize {
        let before = self.samples.len();
        let mut kept: Vec<Sample> = Vec::with_capacity(before);
        let mut known: HashMap<K, usize> = HashMap::with_capacity(before);
        for (sample, key) in std::mem::take(&mut self.samples).into_iter().zip(keys) {
            let first = *known.entry(key).or_insert(kept.len());
            match kept.get_mut(first) {
                Some(earlier) => join(earlier, sample),
                None => kept.push(sample),
            }
        }
        self.samples = kept;
        before - self.samples.len()
    }
}

/// The number of images of `held_out` that are in `training` too, by their places.
///
/// # Errors
/// [`DataError::Io`] if the samples of `training` can't be read.
pub fn overlap(training: &IndexedSet, held_out: &ImageTextSet) -> Result<usize, DataError> {
    let mut resolved = Resolved::default();
    let images: HashSet<&ImagePlace> = held_out.samples.iter().map(|s| &s.image).collect();
    let names: HashSet<Option<&OsStr>> = images.iter().map(|image| name(image)).collect();
    let keys: HashSet<Vec<u8>> = images.into_iter().map(|image| resolved.key(image)).collect();
    let mut both: HashSet<Vec<u8>> = HashSet::new();
    for samples in training.chunks() {
        // Resolving takes a call of the system for each image: only those of the same name can be the same.
        for sample in samples?.iter().filter(|sample| names.contains(&name(&sample.image))) {
            let key = resolved.key(&sample.image);
            if keys.contains(&key) {
                both.insert(key);
            }
        }
    }
    Ok(both.len())
}

/// The name of an image's file; `None` for an image in another file.
fn name(image: &ImagePlace) -> Option<&OsStr> {
    image.path().map(|path| path.file_name().unwrap_or_default())
}

/// The real paths of files that were asked for last.
#[derive(Default)]
struct Resolved(HashMap<PathBuf, PathBuf>);

/// Paths that memory keeps.
const RESOLVED: usize = 1 << 14;

impl Resolved {
    /// The real path; for a file that isn't there the path itself.
    fn path(&mut self, path: &Path) -> &Path {
        if !self.0.contains_key(path) {
            let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            if self.0.len() >= RESOLVED {
                self.0.clear();
            }
            self.0.insert(path.to_owned(), real);
        }
        self.0.get(path).map_or(Path::new(""), PathBuf::as_path)
    }

    /// Bytes that are equal for places of the same image.
    fn key(&mut self, image: &ImagePlace) -> Vec<u8> {
        let table;
        let file = match image {
            ImagePlace::File(path) => path,
            ImagePlace::Member { shard, .. } => &*shard.path,
            ImagePlace::Row { column, .. } => {
                table = column.identity().0;
                Path::new(&*table)
            }
            ImagePlace::Cifar { file, .. } => file,
        };
        let file = self.path(file).as_os_str().as_encoded_bytes();
        let within = match image {
            ImagePlace::File(_) => Vec::new(),
            ImagePlace::Member { name, .. } => name.clone().into_bytes(),
            ImagePlace::Row { row: at, .. } | ImagePlace::Cifar { offset: at, .. } => {
                at.to_le_bytes().to_vec()
            }
        };
        [file, &[0], &within].concat()
    }
}

/// Adds a sample's texts to those of another with the same image.
pub(super) fn join(first: &mut Sample, other: Sample) {
    // Another set's fields are others: its captions count as the first's first.
    let mut fields = other.fields.into_iter().filter(|_| other.part == first.part);
    for caption in other.captions {
        let field = fields.next().unwrap_or(0);
        if !first.captions.contains(&caption) {
            first.captions.push(caption);
            if !first.fields.is_empty() {
                first.fields.push(field);
            }
        }
    }
    for negative in other.negatives {
        if !first.negatives.contains(&negative) {
            first.negatives.push(negative);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Cache;
    use crate::testing::{Dir, captions, tar};

    fn set(files: &[PathBuf]) -> ImageTextSet {
        let samples = files.iter().zip(["a", "b", "a", "d"]).map(|(file, caption)| Sample {
            image: file.clone().into(),
            captions: vec![caption.to_owned()],
            fields: Vec::new(),
            negatives: vec![format!("not {caption}")],
            place: file.display().to_string(),
            part: 0,
        });
        ImageTextSet { samples: samples.collect(), ..ImageTextSet::default() }
    }

    #[cfg(unix)]
    #[test]
    fn rows_of_a_file_become_one_sample_whatever_leads_to_it() {
        let dir = Dir::with(&[("p/x.jpg", b"x"), ("y.jpg", b"x")]);
        std::os::unix::fs::symlink(dir.path("p"), dir.path("q")).unwrap();
        let files = ["p/x.jpg", "q/x.jpg", "p/../p/./x.jpg", "y.jpg"].map(|name| dir.path(name));
        let mut found = set(&files);
        assert_eq!(found.merge_same_images(), 2);
        assert_eq!(captions(&found), ["a|b", "d"]);
        assert_eq!(found.samples[0].negatives, ["not a", "not b"]);
        assert_eq!(found.merge_same_images(), 0);

        let overlap = |one: &[PathBuf], other: &[PathBuf]| {
            overlap(&IndexedSet::of(set(one)).unwrap(), &set(other)).unwrap()
        };
        assert_eq!(overlap(&files[1..], &files[..3]), 1);
        assert_eq!(overlap(&files, &files), 2);
        assert_eq!(overlap(&files[3..], &files[..3]), 0);
        // A file that isn't there is itself.
        let gone = [dir.path("gone.jpg"), dir.path("gone.jpg")];
        assert_eq!(set(&gone).merge_same_images(), 1);
    }

    #[test]
    fn members_of_a_shard_are_told_apart_by_their_names() {
        let members: [(&str, &[u8]); 4] =
            [("0.jpg", b"x"), ("0.txt", b"a"), ("1.jpg", b"x"), ("1.txt", b"b")];
        let dir = Dir::with(&[("s.tar", &tar(&members))]);
        let pattern = dir.path("s.tar");
        let read = || {
            let cache = Cache::silent(None);
            let options = super::super::Options::default();
            ImageTextSet::shards(&pattern.to_string_lossy(), &options, &cache).unwrap()
        };
        let mut found = read();
        assert_eq!(found.merge_same_images(), 0);
        found.add(read(), 1);
        assert_eq!(overlap(&IndexedSet::of(found.clone()).unwrap(), &read()).unwrap(), 2);
        assert_eq!(found.merge_same_images(), 2);
        assert_eq!(captions(&found), ["a", "b"]);
    }
}
