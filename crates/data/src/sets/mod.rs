//! Image-text sets for training: photos with their captions and hard negative captions.
//!
//! Called by `clove train`. The bytes of a photo are read on demand; `clove::preprocess` decodes them. Unlike the readers of
//! benchmarks, these skip samples that they can't use, which sets from the web have, and count them by reason.

mod braces;
pub(crate) mod coco;
pub(crate) mod fields;
pub(crate) mod files;
mod filter;
mod folder;
mod index;
mod json_lines;
mod key;
mod options;
pub(crate) mod parquet;
mod place;
pub(crate) mod rows;
mod same;
pub(crate) mod shards;
mod splits;
mod table;
mod words;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use self::fields::Captions;
pub use self::filter::{Duplicates, Filter, Filtered};
pub use self::index::IndexedSet;
pub use self::key::caption_key;
pub use self::options::{Options, Purpose};
pub use self::parquet::ImageColumn;
pub use self::place::ImagePlace;
pub use self::same::overlap;
use self::words::{count, thousands};
use crate::DataError;
use crate::fetch::{Cache, file_name};
use crate::text::reason;

/// Skipped samples that a message quotes.
const QUOTED: usize = 3;

/// A photo with its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The image.
    pub image: ImagePlace,
    /// Captions of the image: at least one, none blank, without white space at their ends.
    pub captions: Vec<String>,
    /// For each caption the index of its field among the given ones; empty where no fields were given.
    pub fields: Vec<u16>,
    /// Hard negative captions of the set itself; often none.
    pub negatives: Vec<String>,
    /// The place of the captions, for error messages: `captions.jsonl line 12`, `folder/a.txt`.
    pub place: String,
    /// The index of its set in a mixture of sets; otherwise 0.
    pub part: u16,
}

impl Sample {
    /// Drops the captions that don't pass.
    fn retain_captions(&mut self, mut passes: impl FnMut(&String) -> bool) {
        let kept: Vec<bool> = self.captions.iter().map(&mut passes).collect();
        let mut kept_of = kept.iter().copied();
        self.captions.retain(|_| kept_of.next().unwrap_or(true));
        let mut kept_of = kept.into_iter();
        self.fields.retain(|_| kept_of.next().unwrap_or(true));
    }
}

/// The samples of a set, and the skipped ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageTextSet {
    /// The samples, in the same order at every reading.
    pub samples: Vec<Sample>,
    /// Places of skipped samples, all of them, each with the reason: a kind, by which [`summary`](Self::summary) counts, a colon and
    /// details. A row of several images has an entry for each that can't be used.
    pub skipped: Vec<(String, String)>,
    /// What was chosen without being asked for: one line each.
    pub notes: Vec<String>,
    /// Rows of other splits than those that are read. They are neither samples nor skipped.
    pub of_other_splits: usize,
}

impl ImageTextSet {
    /// Adds another set, as part `part` of a mixture.
    pub fn add(&mut self, other: Self, part: u16) {
        let samples = other.samples.into_iter();
        self.samples.extend(samples.map(|sample| Sample { part, ..sample }));
        self.skipped.extend(other.skipped);
        self.notes.extend(other.notes);
        self.of_other_splits += other.of_other_splits;
    }

    /// The samples of a set for evaluation: [`Self::open`] with the images' folder.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn of_file(
        path: &Path,
        images: Option<&Path>,
        cache: &Cache<'_>,
    ) -> Result<Self, DataError> {
        let purpose = Purpose::Evaluation;
        Self::open(path, &Options { images, purpose, ..Options::default() }, cache)
    }

    /// The samples of files or of a folder, by their names: `.jsonl`, `.csv`, `.tsv`, `.txt` (a table), `.parquet`, `.json`, `.tar`, packed
    /// ones (`.gz`, `.zst`), or a folder of these or of images.
    ///
    /// # Errors
    /// Those of the reader, and [`DataError::Format`] for another name.
    pub fn open(path: &Path, options: &Options<'_>, cache: &Cache<'_>) -> Result<Self, DataError> {
        let pattern = path.to_string_lossy();
        let of_folder = files::kind_of_folder(path);
        let name = of_folder.unwrap_or(file_name(&pattern)).to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        if ends(&[".jsonl", ".ndjson"]) {
            Self::json_lines(path, options)
        } else if ends(&[".csv", ".tsv", ".txt"]) {
            Self::table(path, options)
        } else if ends(&[".parquet"]) {
            Self::parquet(&pattern, options, cache)
        } else if ends(&[".json"]) {
            Self::coco(path, options)
        } else if ends(&[".tar", ".tgz", ".tar.zst"]) {
            Self::shards(&pattern, options, cache)
        } else if path.is_dir() {
            Self::folder(path, options)
        } else {
            Err(DataError::format(
                path,
                "unknown kind of set; name a .jsonl, .csv, .tsv, .parquet, .json or .tar file, or a folder",
            ))
        }
    }

    /// BLAKE3 of the samples in their order, as 64 hexadecimal digits, by which a run of an earlier version recognises its set.
    pub fn digest(&self) -> String {
        let mut digest = Digest::default();
        self.samples.iter().for_each(|sample| digest.add(sample));
        digest.finish()
    }

    /// The counts, as `1,234 images with 2,345 captions, 100 negatives; 12 skipped: 12 empty text`, and the first skipped places.
    pub fn summary(&self) -> String {
        let images: HashSet<&ImagePlace> = self.samples.iter().map(|s| &s.image).collect();
        let captions: usize = self.samples.iter().map(|sample| sample.captions.len()).sum();
        let negatives: usize = self.samples.iter().map(|sample| sample.negatives.len()).sum();
        let counts = [images.len(), self.samples.len(), captions, negatives];
        words::summary(counts.map(|count| count as u64), &self.skipped_by_kind(), &self.skipped)
    }

    /// The number of skipped samples by kind of reason, the most frequent first.
    pub fn skipped_by_kind(&self) -> Vec<(&str, usize)> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for (_, reason) in &self.skipped {
            let kind = reason.split_once(": ").map_or(&**reason, |(kind, _)| kind);
            *counts.entry(kind).or_default() += 1;
        }
        let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
        counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        counts
    }

    /// Adds what a reader found at a place.
    fn push(&mut self, place: String, found: Found) {
        match found {
            Ok((image, Captions { texts: captions, fields }, negatives)) => {
                self.samples.push(Sample { image, captions, fields, negatives, place, part: 0 });
            }
            Err(why) => self.skipped.push((place, why)),
        }
    }

    /// The set, or an error with the reasons for skipping where it has no samples.
    fn unless_empty(
        self,
        path: impl AsRef<Path>,
        problem: impl FnOnce() -> String,
    ) -> Result<Self, DataError> {
        if self.samples.is_empty() { Err(self.unusable(path, problem())) } else { Ok(self) }
    }

    /// A problem with the reasons for skipping.
    fn unusable(&self, path: impl AsRef<Path>, mut problem: String) -> DataError {
        if !self.skipped.is_empty() {
            let why = words::why_skipped(&self.skipped_by_kind(), &self.skipped);
            problem = format!("{problem}; skipped: {why}");
        }
        DataError::format(path, problem)
    }
}

/// A sample's image, captions and negatives, or the reason for skipping it.
type Found = Result<(ImagePlace, Captions, Vec<String>), String>;

/// The texts that aren't blank, without white space at their ends.
pub(crate) fn not_blank<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    texts.into_iter().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// A digest of samples in their order.
#[derive(Debug, Default)]
struct Digest(blake3::Hasher);

impl Digest {
    fn add(&mut self, sample: &Sample) {
        let mut add = |bytes: &[u8]| {
            // The length before the bytes: otherwise the boundary between two texts could move.
            self.0.update(&(bytes.len() as u64).to_le_bytes());
            self.0.update(bytes);
        };
        add(&sample.image.identity());
        for texts in [&sample.captions, &sample.negatives] {
            add(&(texts.len() as u64).to_le_bytes());
            for text in texts {
                add(text.as_bytes());
            }
        }
        let fields = sample.fields.iter();
        let fields: Vec<u8> = fields.flat_map(|field| field.to_le_bytes()).collect();
        // Without fields the digest is the one of earlier versions.
        if !fields.is_empty() {
            add(&fields);
        }
    }

    fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(image: &str, captions: usize, negatives: usize) -> Sample {
        Sample {
            image: ImagePlace::File(image.into()),
            captions: vec!["a cat".to_owned(); captions],
            fields: Vec::new(),
            negatives: vec!["a dog".to_owned(); negatives],
            place: format!("{image}.txt"),
            part: 0,
        }
    }

    #[test]
    fn a_digest_tells_sets_apart() {
        let of =
            |samples: Vec<Sample>| ImageTextSet { samples, ..ImageTextSet::default() }.digest();
        let (a, b) = (sample("a.jpg", 1, 1), sample("b.jpg", 1, 1));
        let digest = of(vec![a.clone(), b.clone()]);
        assert_eq!(digest, of(vec![a.clone(), b.clone()]));
        for other in [
            vec![b.clone(), a.clone()],
            vec![a.clone()],
            vec![a.clone(), sample("c.jpg", 1, 1)],
            vec![a.clone(), sample("b.jpg", 2, 1)],
            vec![a.clone(), sample("b.jpg", 1, 0)],
            vec![a, Sample { fields: vec![1], ..b }],
        ] {
            assert_ne!(digest, of(other));
        }
    }

    #[test]
    fn a_summary_counts_images_once_and_their_captions_and_negatives() {
        let mut many = vec![sample("a.jpg", 1, 1)];
        many.extend((0..1233).map(|at| sample(&format!("{at}.jpg"), 2, 0)));
        for (samples, summary) in [
            (vec![sample("a.jpg", 1, 1)], "1 image with 1 caption, 1 negative"),
            (many, "1,234 images with 2,467 captions, 1 negative"),
            (
                vec![sample("a.jpg", 1, 0), sample("a.jpg", 2, 3)],
                "1 image in 2 samples with 3 captions, 3 negatives",
            ),
        ] {
            let set = ImageTextSet { samples, ..ImageTextSet::default() };
            assert_eq!(set.summary(), summary);
        }
    }

    #[test]
    fn a_summary_counts_reasons_by_kind_and_quotes_the_first() {
        let skip = |place: &str, reason: &str| (place.to_owned(), reason.to_owned());
        let set = ImageTextSet {
            samples: vec![sample("a.jpg", 1, 0)],
            skipped: vec![
                skip("b.txt", "empty text: b.txt"),
                skip("c.jpg", "without a text: c.txt"),
                skip("d.jpg", "without a text: d.txt"),
                skip("e.jpg", "without a text: e.txt"),
            ],
            ..ImageTextSet::default()
        };
        assert_eq!(
            set.summary(),
            "1 image with 1 caption, 0 negatives; 4 skipped: 3 without a text, 1 empty text. The first: \
             b.txt: empty text: b.txt; c.jpg: without a text: c.txt; d.jpg: without a text: d.txt"
        );
    }
}
