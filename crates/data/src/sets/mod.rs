//! Image-text sets for training: which photos there are, with the captions and the hard negative captions of each.
//!
//! Called by `clove train`. Photos are found here and their bytes are read on demand; `clove::preprocess` decodes them. Unlike
//! the readers of benchmarks these don't stop at a sample they can't use: sets gathered from the web have some, and a run says
//! how many and why.

mod braces;
mod coco;
mod filter;
mod folder;
mod json_lines;
mod key;
mod names;
mod parquet;
mod place;
mod shards;
mod table;

use std::collections::{HashMap, HashSet};
use std::path::Path;

pub use self::filter::{Duplicates, Filter, Filtered};
pub use self::key::caption_key;
pub use self::parquet::ImageColumn;
pub use self::place::ImagePlace;
use crate::DataError;
use crate::fetch::Cache;
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
    /// Of each caption the place of its field among those that the set was read by; empty where no fields were named.
    pub fields: Vec<u16>,
    /// Hard negative captions that the set itself brings; often none.
    pub negatives: Vec<String>,
    /// Where the captions stand, for error messages: `captions.jsonl line 12`, `folder/a.txt`.
    pub place: String,
    /// Its set's place in a mixture of sets; else 0.
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

/// The samples of a set, and what of it could not be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageTextSet {
    /// What training draws from, in an order that is the same at every reading.
    pub samples: Vec<Sample>,
    /// What was left out: its place, and the reason. A reason begins with its kind, up to the first colon; by that
    /// [`summary`](Self::summary) counts.
    pub skipped: Vec<(String, String)>,
}

impl ImageTextSet {
    /// The images under `dir` and the folders in it, each with a text file of the same stem beside it: `a.jpg` with `a.txt`,
    /// one caption a line, blank lines ignored.
    ///
    /// Links are followed, each folder is read once, by its real path if it has one under `dir`. Samples stand in the order
    /// of their images' paths. An image without a text, a text without an image, and a text that is empty, not UTF-8 or
    /// unreadable are skipped; other files are not looked at.
    ///
    /// # Errors
    /// [`DataError::Io`] for a folder that can't be listed, and [`DataError::Format`] if no image has a text.
    pub fn folder(dir: &Path) -> Result<Self, DataError> {
        folder::read(dir)
    }

    /// The lines of a file of JSON objects, one a line, in their order.
    ///
    /// The image's path stands under `image`, `file_name`, `filename`, `filepath` or `path`, and is relative to `images_dir`,
    /// or else to the file's folder; it may be absolute or lead out of there. Captions stand in a list `captions`, or one
    /// under `caption`, `text` or `title`; of several keys the first in this order counts. Negatives, if any, stand in a list
    /// `negatives` of strings or of objects with `text` (as `clove negatives` writes them), one under `negative`, or both.
    /// Null, an empty list and a blank string count as absent. Other keys are not looked at.
    ///
    /// `fields`, where there are any, are the keys of captions instead: a sample has the captions of all of them, each a string or a
    /// list of strings, and says which is of which.
    ///
    /// Blank lines are ignored. A line that is not such an object, or whose image is not there, is skipped.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file can't be read or `images_dir` isn't there; [`DataError::Format`] for a line of more than
    /// 16 MiB, and if more than half of the lines are skipped or none is left, with the first reasons.
    pub fn json_lines(
        file: &Path,
        images_dir: Option<&Path>,
        fields: &[String],
    ) -> Result<Self, DataError> {
        json_lines::read(file, images_dir, fields)
    }

    /// The rows of a table, in their order: tab-separated where the file's name ends in `.tsv`, else comma-separated; the first
    /// line names the columns.
    ///
    /// The image's path stands in the column `image`, `file_name`, `filename`, `filepath` or `path`, relative to `images_dir` or
    /// else to the file's folder; the caption in `caption`, `text` or `title`; a negative, where there's such a column, in
    /// `negative`. Other columns are not looked at. Blank lines are ignored; a row that can't be used is skipped. `fields`, where
    /// there are any, are the columns of captions instead; a sample has those of all of them.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file can't be read or `images_dir` isn't there; [`DataError::Format`] without these columns, and if
    /// no row can be used.
    pub fn table(
        file: &Path,
        images_dir: Option<&Path>,
        fields: &[String],
    ) -> Result<Self, DataError> {
        table::read(file, images_dir, fields)
    }

    /// The samples of a web dataset's shards, in their order: tar files in which the files of a sample share a name up to its
    /// first dot and stand together.
    ///
    /// `pattern` names the shards: one file, or several by braces (`part-{00000..00099}.tar`, `{train,extra}.tar`). A sample is an
    /// image with a `.json` (captions and negatives as in [`Self::json_lines`]) or a `.txt` (a caption a line) beside it; other
    /// files are not looked at. What lacks one of them, or can't be understood, is skipped, and so is what follows damage in a
    /// shard. `fields` are as in [`Self::json_lines`]; the field `txt` is the `.txt`.
    ///
    /// A shard may be packed by gzip or zstd, and it may be on a server (`s3://`, `gs://`, `https://`): it's copied first, into
    /// `cache`.
    ///
    /// # Errors
    /// [`DataError::Io`] for a shard that can't be read, or a copy that can't be written; [`DataError::Format`] for a pattern that
    /// isn't one, for a shard that a server doesn't give, and if there is no sample at all; [`DataError::Stopped`] where whoever
    /// listens to the cache says so.
    pub fn shards(pattern: &str, fields: &[String], cache: &Cache<'_>) -> Result<Self, DataError> {
        shards::read(pattern, fields, cache)
    }

    /// The images of a JSON file of COCO's (`captions_train2017.json`: `images`, and `annotations` with their captions) or Karpathy's
    /// (`dataset_coco.json`: `images` with their `sentences`), in its order.
    ///
    /// Images' file names are relative to `images_dir` or else to the file's folder; of a Karpathy image that isn't in the folder
    /// `filepath` there, the file may lie right in it. Of `splits` none means all images, else those whose `split` is among them. An
    /// image without a caption or a file, and a caption without an image, is skipped.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file can't be read or `images_dir` isn't there; [`DataError::Json`] for what is no such document;
    /// [`DataError::Format`] for a split that no image has, and if no image can be used.
    pub fn coco(
        file: &Path,
        images_dir: Option<&Path>,
        splits: &[String],
    ) -> Result<Self, DataError> {
        coco::read(file, images_dir, splits)
    }

    /// The rows of Parquet files, in their order, as Hugging Face's image-text sets have them.
    ///
    /// `pattern` names one file, several by braces (`train-{00000..00041}-of-00042.parquet`), or a folder, whose files ending in
    /// `.parquet` are read in the order of their names. An image's bytes stand in a binary column `image`, `img`, `jpg`, `jpeg`,
    /// `png`, `webp`, `picture` or `image_bytes`, or in `bytes` within it, as `datasets` writes them; the first of these counts. Where
    /// there are none, the image is a file, whose path stands in `path` within that column or in a column of texts named as in
    /// [`Self::json_lines`], relative to `images_dir` or else to the file's folder. Captions and negatives are texts or lists of
    /// texts, in columns of the names that [`Self::json_lines`] knows. Rows count from 0; one without an image or a caption, and one
    /// that isn't UTF-8, is skipped. `fields`, where there are any, are the columns of captions instead. Pages may be compressed with snappy, gzip or zstd.
    /// Files on servers are copied first, into `cache`.
    ///
    /// Images stay in the file. To read one, its page is read and unpacked, with all other images in it; in an order that jumps
    /// about, that is the cost of each image. The pages read last are kept for those that follow: about 512 MiB for all sets
    /// together, by twice their packed sizes, or one page, where that is larger. From web dataset shards an image is read alone.
    ///
    /// # Errors
    /// [`DataError::Io`] for a file or folder that can't be read; [`DataError::Format`] for a file that is damaged, lacks such columns
    /// or is packed in another way, for a pattern that isn't one, and if no row can be used; and of files on servers, as
    /// [`Self::shards`].
    pub fn parquet(
        pattern: &str,
        images_dir: Option<&Path>,
        fields: &[String],
        cache: &Cache<'_>,
    ) -> Result<Self, DataError> {
        parquet::read(pattern, images_dir, fields, cache)
    }

    /// Adds another set, as part `part` of a mixture.
    pub fn add(&mut self, other: Self, part: u16) {
        let samples = other.samples.into_iter();
        self.samples.extend(samples.map(|sample| Sample { part, ..sample }));
        self.skipped.extend(other.skipped);
    }

    /// The samples of a file or folder, of a kind that its name tells: `.jsonl`, `.csv`, `.tsv`, `.parquet`, `.json` (COCO's or
    /// Karpathy's), `.tar` and packed ones, or a folder of images with texts.
    ///
    /// # Errors
    /// Those of the reader, and [`DataError::Format`] for another name.
    pub fn of_file(
        path: &Path,
        images_dir: Option<&Path>,
        cache: &Cache<'_>,
    ) -> Result<Self, DataError> {
        let name = path.to_string_lossy().to_ascii_lowercase();
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        let pattern = path.to_string_lossy();
        if ends(&[".jsonl", ".ndjson"]) {
            Self::json_lines(path, images_dir, &[])
        } else if ends(&[".csv", ".tsv"]) {
            Self::table(path, images_dir, &[])
        } else if ends(&[".parquet"]) {
            Self::parquet(&pattern, images_dir, &[], cache)
        } else if ends(&[".json"]) {
            Self::coco(path, images_dir, &[])
        } else if ends(&[".tar", ".tar.gz", ".tgz", ".tar.zst"]) {
            Self::shards(&pattern, &[], cache)
        } else if path.is_dir() {
            Self::folder(path)
        } else {
            Err(DataError::Format {
                path: path.to_owned(),
                problem: "its name tells no kind of set; .jsonl, .csv, .tsv, .parquet, .json and .tar do, or a folder".to_owned(),
            })
        }
    }

    /// BLAKE3 of the samples in their order, as 64 hexadecimal digits: a run that resumes finds the same set, or knows.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            // The length before the bytes: else two texts could exchange their ends.
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for sample in &self.samples {
            add(&sample.image.identity());
            for texts in [&sample.captions, &sample.negatives] {
                add(&(texts.len() as u64).to_le_bytes());
                for text in texts {
                    add(text.as_bytes());
                }
            }
            let fields = sample.fields.iter();
            let fields: Vec<u8> = fields.flat_map(|field| field.to_le_bytes()).collect();
            // A set without fields has the digest that it had before there were any.
            if !fields.is_empty() {
                add(&fields);
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The set in words: `1,234 images with 2,345 captions, 100 negatives; 12 skipped: 10 without a text, 2 empty text`,
    /// and the first places that were skipped.
    pub fn summary(&self) -> String {
        let images: HashSet<&ImagePlace> = self.samples.iter().map(|s| &s.image).collect();
        let samples = self.samples.len();
        let samples = if images.len() == samples {
            String::new()
        } else {
            format!(" in {}", count(samples, "sample"))
        };
        let captions = self.samples.iter().map(|sample| sample.captions.len());
        let negatives = self.samples.iter().map(|sample| sample.negatives.len());
        let used = format!(
            "{}{samples} with {}, {}",
            count(images.len(), "image"),
            count(captions.sum(), "caption"),
            count(negatives.sum(), "negative")
        );
        if self.skipped.is_empty() {
            return used;
        }
        let skipped = thousands(self.skipped.len());
        format!("{used}; {skipped} skipped: {}", self.why_skipped())
    }

    /// How many were skipped for each kind of reason, most first.
    #[must_use]
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

    /// How many were skipped for each kind of reason, most first, and the first of them with the reasons in full.
    fn why_skipped(&self) -> String {
        let kinds: Vec<String> = self
            .skipped_by_kind()
            .iter()
            .map(|(kind, count)| format!("{} {kind}", thousands(*count)))
            .collect();
        let quoted: Vec<String> = self
            .skipped
            .iter()
            .take(QUOTED)
            .map(|(place, reason)| format!("{place}: {reason}"))
            .collect();
        format!("{}. The first: {}", kinds.join(", "), quoted.join("; "))
    }
}

/// The captions among `texts`: without white space at their ends, and without blank ones.
fn not_blank<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    texts.into_iter().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", thousands(number))
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
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
    fn numbers_are_grouped_by_three() {
        let numbers = [0, 7, 999, 1_000, 12_345, 123_456, 1_000_000];
        let words = ["0", "7", "999", "1,000", "12,345", "123,456", "1,000,000"];
        assert_eq!(numbers.map(thousands), words);
    }

    #[test]
    fn a_digest_tells_sets_apart() {
        let of = |samples: Vec<Sample>| {
            let skipped = Vec::new();
            ImageTextSet { samples, skipped }.digest()
        };
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
    fn a_summary_counts_images_captions_and_negatives() {
        let mut set = ImageTextSet::default();
        set.samples.push(sample("a.jpg", 1, 1));
        assert_eq!(set.summary(), "1 image with 1 caption, 1 negative");
        let more = (0..1233).map(|at| sample(&format!("{at}.jpg"), 2, 0));
        set.samples.extend(more);
        assert_eq!(set.summary(), "1,234 images with 2,467 captions, 1 negative");
    }

    #[test]
    fn a_summary_counts_an_image_of_two_samples_once() {
        let samples = vec![sample("a.jpg", 1, 0), sample("a.jpg", 2, 3)];
        let set = ImageTextSet { samples, skipped: Vec::new() };
        assert_eq!(set.summary(), "1 image in 2 samples with 3 captions, 3 negatives");
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
        };
        assert_eq!(
            set.summary(),
            "1 image with 1 caption, 0 negatives; 4 skipped: 3 without a text, 1 empty text. The first: \
             b.txt: empty text: b.txt; c.jpg: without a text: c.txt; d.jpg: without a text: d.txt"
        );
    }
}
