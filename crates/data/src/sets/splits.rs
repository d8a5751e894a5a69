//! Splits of a set: which of its rows and files are read.
//!
//! Source of the names: huggingface/datasets: src/datasets/data_files.py (`SPLIT_KEYWORDS`); karpathy/neuraltalk2: coco/prepro.py.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::fields::{Captions, image_at};
use super::index::{Builder, Home, Source};
use super::{Found, IndexedSet, Options, Purpose, thousands};
use crate::DataError;
use crate::fetch::Shown;

const VALIDATION: &str = "validation";
const TEST: &str = "test";

/// The words for a split in names of files and folders, by split.
const WORDS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    (VALIDATION, &[VALIDATION, "valid", "dev", "val"]),
    (TEST, &[TEST, "testing", "eval", "evaluation"]),
];

/// One name for all that mean the same split, to find the one that is asked for.
fn canonical(split: &str) -> String {
    let split = split.trim().to_lowercase();
    let known = WORDS.iter().find(|(_, words)| words.contains(&&*split));
    known.map_or(split, |(name, _)| (*name).to_owned())
}

/// The split that a name of a file, a folder or a split has as a word: that of `test_1k` is `test`.
fn split_in(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let is_between = |letter: char| "-._ ".contains(letter) || letter.is_ascii_digit();
    let words: Vec<&str> = name.split(is_between).collect();
    let found = WORDS.iter().find(|(_, known)| words.iter().any(|word| known.contains(word)));
    found.map(|(split, _)| *split)
}

/// The split that a folder of images is of: `train`, `val2017`.
pub(super) fn split_folder(name: &str) -> Option<String> {
    let letters = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let is_one_word = letters.chars().all(char::is_alphabetic);
    split_in(letters).filter(|_| is_one_word).map(str::to_owned)
}

/// The split of a file by its path below the folder of the set: `data/train-00000-of-00004.parquet`, `test/0.tar`, `set-val.csv`.
pub(super) fn split_of(path: &str) -> Option<String> {
    let (folders, name) = path.rsplit_once(['/', '\\']).unwrap_or(("", path));
    if let Some(split) = numbered(name) {
        return Some(split.to_owned());
    }
    let of_folder = folders.split(['/', '\\']).find_map(split_in);
    of_folder.or_else(|| split_in(name)).map(str::to_owned)
}

/// The split in `{split}-00000-of-00004.parquet`, as `datasets` names files.
fn numbered(name: &str) -> Option<&str> {
    let (before, after) = name.split_once("-of-")?;
    let (split, number) = before.rsplit_once('-')?;
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_split = split.chars().all(|letter| letter.is_alphanumeric() || "_.".contains(letter));
    (is_split && is_number(number) && after.get(..5).is_some_and(is_number)).then_some(split)
}

/// Splits with the number of their rows or files; those without one are under `None`.
type Counts = BTreeMap<Option<String>, usize>;

/// The splits that are read, of those that there are.
///
/// Asked for none, training leaves out what is held out, validation and test, and the others read that alone. A set of a single split
/// is read. `thing` is what has a split: "rows", "files".
fn choose(there: &Counts, thing: &str, options: &Options<'_>) -> Result<Counts, String> {
    let only = |is_wanted: &dyn Fn(&str) -> bool| {
        let mut found = there.clone();
        found.retain(|split, _| split.as_ref().is_some_and(|split| is_wanted(split)));
        found
    };
    let named = there.keys().flatten().count();
    if !options.splits.is_empty() {
        let names: Vec<String> = options.splits.iter().map(|split| canonical(split)).collect();
        if names.iter().any(|name| name == "all") {
            return Ok(there.clone());
        }
        for (name, given) in names.iter().zip(options.splits) {
            if only(&|split| canonical(split) == *name).is_empty() {
                let there = match named {
                    0 => format!("its {thing} have no split"),
                    _ => format!("there are {}", listed(there)),
                };
                return Err(format!("it has no split {given:?}; {there}"));
            }
        }
        return Ok(only(&|split| names.contains(&canonical(split))));
    }
    if named == there.len() && named <= 1 {
        return Ok(there.clone());
    }
    let wanted = match options.purpose {
        Purpose::Training => {
            let is_held_out = |split: &str| matches!(split, VALIDATION | TEST);
            let held_out = only(&|split| split_in(split).is_some_and(is_held_out));
            let mut wanted = there.clone();
            wanted.retain(|split, _| !held_out.contains_key(split));
            if wanted.is_empty() {
                let there = listed(there);
                return Err(format!("it has no split for training, only {there}; name splits"));
            }
            return Ok(wanted);
        }
        Purpose::Validation => [VALIDATION, TEST],
        Purpose::Evaluation => [TEST, VALIDATION],
    };
    let of = |wanted: &'static str| only(&|split| split_in(split) == Some(wanted));
    let held_out = wanted.map(of).into_iter().find(|splits| !splits.is_empty());
    Ok(held_out.unwrap_or_else(|| there.clone()))
}

/// `"train" (82,783), "restval" (30,504)`.
fn listed<'a>(splits: impl IntoIterator<Item = (&'a Option<String>, &'a usize)>) -> String {
    const LISTED: usize = 8;
    let mut splits: Vec<_> = splits.into_iter().collect();
    let more = if splits.len() > LISTED { ", …" } else { "" };
    splits.truncate(LISTED);
    let splits = splits.into_iter().map(|(split, count)| match split {
        Some(split) => format!("{split:?} ({})", thousands(*count)),
        None => format!("no split ({})", thousands(*count)),
    });
    splits.collect::<Vec<_>>().join(", ") + more
}

/// Says what was left out without being asked for.
fn note(there: &Counts, read: &Counts, place: &str, thing: &str) -> Option<String> {
    let left_out = listed(there.iter().filter(|(split, _)| !read.contains_key(split)));
    let read = listed(read);
    (!left_out.is_empty()).then(|| {
        let place = Shown(place);
        format!("{place}: reads the {thing} of {read}, not of {left_out}; `splits` names others")
    })
}

/// What is read of files, and what is to be said of the choice.
#[derive(Debug)]
pub(crate) struct Chosen<T> {
    pub(crate) names: Vec<T>,
    pub(crate) note: Option<String>,
    /// Whether the files have splits, so that their rows needn't have any.
    pub(super) have_splits: bool,
}

impl<T> Chosen<T> {
    /// All of them.
    pub(super) fn all(names: Vec<T>) -> Self {
        Self { names, note: None, have_splits: false }
    }

    /// The files of the splits that are read, each with its own. Where no file has one, all of them.
    pub(super) fn of_splits(
        folder: &str,
        files: Vec<(Option<String>, T)>,
        options: &Options<'_>,
    ) -> Result<Self, DataError> {
        if files.iter().all(|(split, _)| split.is_none()) {
            return Ok(Self::all(files.into_iter().map(|(_, file)| file).collect()));
        }
        let mut there = Counts::new();
        for (split, _) in &files {
            *there.entry(split.clone()).or_default() += 1;
        }
        let read = choose(&there, "files", options);
        let read = read.map_err(|problem| DataError::format(folder, problem))?;
        let note = note(&there, &read, folder, "files").filter(|_| options.splits.is_empty());
        let files = files.into_iter().filter(|(split, _)| read.contains_key(split));
        Ok(Self { names: files.map(|(_, file)| file).collect(), note, have_splits: true })
    }
}

/// The split of what can't be read so far that it has one.
const UNKNOWN: u32 = u32::MAX;

/// A set that is read by rows, each of a split or of none.
#[derive(Debug)]
pub(super) struct Rows {
    home: Arc<Home>,
    built: Builder,
    splits: Vec<(Option<String>, usize)>,
    places: HashMap<Option<String>, u32>,
}

/// What a row has: for each of its images a sample, or why there is none.
#[derive(Debug)]
pub(super) struct Row {
    split: Option<String>,
    found: Vec<(Found, Missing)>,
}

/// The path of an image that isn't there.
type Missing = Option<String>;

impl Row {
    /// Looks for the images of a row, of which each is a sample, in `dir`.
    pub(super) fn of(
        split: Option<&str>,
        dir: &Path,
        row: Result<(Vec<String>, Captions, Vec<String>), String>,
        options: &Options<'_>,
    ) -> Self {
        let found = match row {
            Err(why) => vec![(Err(why), None)],
            Ok((paths, captions, negatives)) => {
                let look = |path: String| {
                    let image = if options.captions_only {
                        Ok(dir.join(&path))
                    } else {
                        image_at(dir, &path)
                    };
                    match image {
                        Ok(image) => {
                            (Ok((image.into(), captions.clone(), negatives.clone())), None)
                        }
                        Err(why) => (Err(why), Some(path)),
                    }
                };
                paths.into_iter().map(look).collect()
            }
        };
        Self { split: split.map(str::to_owned), found }
    }
}

impl Rows {
    pub(super) fn new(home: &Arc<Home>) -> Self {
        let (built, home) = (Builder::new(home), Arc::clone(home));
        Self { home, built, splits: Vec::new(), places: HashMap::new() }
    }

    /// Adds a file that images are in.
    pub(super) fn source(&mut self, source: Source) {
        self.built.source(source);
    }

    /// Tells a failed write.
    pub(super) fn check(&mut self) -> Result<(), DataError> {
        self.built.check()
    }

    /// Adds what was found at a place.
    pub(super) fn push(&mut self, place: String, split: Option<&str>, found: Found) {
        let split = self.split(split);
        self.built.push(place, found, split);
    }

    /// The number of a row's split. The row is counted.
    fn split(&mut self, split: Option<&str>) -> u32 {
        let split = split.map(str::trim).filter(|split| !split.is_empty()).map(str::to_owned);
        let at = *self.places.entry(split).or_insert_with_key(|split| {
            self.splits.push((split.clone(), 0));
            self.splits.len() as u32 - 1
        });
        self.splits[at as usize].1 += 1;
        at
    }

    /// Adds a row whose images were looked for in `dir`.
    pub(super) fn push_row(&mut self, place: &str, dir: &Path, row: Row) {
        for (found, missing) in row.found {
            let split = self.split(row.split.as_deref());
            if let Some(path) = missing {
                self.miss(dir, &path);
            }
            self.built.push(place.to_owned(), found, split);
        }
    }

    /// Notes an image that isn't there.
    pub(super) fn miss(&mut self, dir: &Path, path: &str) {
        self.built.miss(dir, path);
    }

    /// Adds what can't be read so far that it has a split. It counts as skipped whatever splits are read.
    pub(super) fn skip(&mut self, place: &str, why: &str) {
        self.built.skip(place, why, UNKNOWN);
    }

    /// The rows of the splits that are read; `place` names the set.
    pub(super) fn finish(
        self,
        place: &Path,
        options: &Options<'_>,
    ) -> Result<IndexedSet, DataError> {
        let Self { home, built, splits, .. } = self;
        let mut set = built.finish()?;
        let there: Counts = splits.iter().cloned().collect();
        let read = choose(&there, "rows", options);
        let read = read.map_err(|problem| DataError::format(place, problem))?;
        let is_read = |split: u32| {
            let split = splits.get(split as usize);
            split.is_none_or(|(split, _)| read.contains_key(split))
        };
        if read.len() < there.len() {
            set = set.only(is_read, &home)?;
        }
        if options.splits.is_empty() {
            set.notes.extend(note(&there, &read, &place.display().to_string(), "rows"));
        }
        set.of_other_splits = there.values().sum::<usize>() - read.values().sum::<usize>();
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::strings;

    fn chosen(
        there: &[Option<&str>],
        purpose: Purpose,
        splits: &[&str],
    ) -> Result<Vec<String>, String> {
        let there = there.iter().map(|split| (split.map(str::to_owned), 1)).collect();
        let splits = strings(splits);
        let options = Options { splits: &splits, purpose, ..Options::default() };
        let read = choose(&there, "rows", &options)?;
        Ok(read.into_keys().map(|split| split.unwrap_or("-".to_owned())).collect())
    }

    #[test]
    fn what_is_held_out_is_not_trained_on() {
        use Purpose::{Evaluation, Training, Validation};
        let karpathy = [Some("restval"), Some("test"), Some("train"), Some("val")];
        let hugging_face = [Some("test"), Some("train"), Some("validation")];
        for (there, purpose, read) in [
            (&karpathy[..], Training, &["restval", "train"][..]),
            (&karpathy, Validation, &["val"]),
            (&karpathy, Evaluation, &["test"]),
            (&hugging_face, Training, &["train"]),
            (&hugging_face[..2], Validation, &["test"]),
            (&hugging_face[1..], Evaluation, &["validation"]),
            // A set of a single split is what was asked for.
            (&hugging_face[..1], Training, &["test"]),
            (&[Some("train")], Evaluation, &["train"]),
            (&[None], Training, &["-"]),
            (&[None], Evaluation, &["-"]),
            (&[None, Some("test_1k"), Some("train_sft")], Training, &["-", "train_sft"]),
            (&[None, Some("test")], Evaluation, &["test"]),
            (&[Some("cats"), Some("dogs")], Evaluation, &["cats", "dogs"]),
            (&[], Training, &[]),
        ] {
            assert_eq!(chosen(there, purpose, &[]).unwrap(), read, "{there:?} {purpose:?}");
        }
        let error = chosen(&karpathy[1..2], Training, &["train"]).unwrap_err();
        assert_eq!(error, "it has no split \"train\"; there are \"test\" (1)");
        let error = chosen(&[Some("test"), Some("val")], Training, &[]).unwrap_err();
        assert!(error.starts_with("it has no split for training, only \"test\" (1), "), "{error}");
    }

    #[test]
    fn splits_are_asked_for_by_any_of_their_names() {
        let there = [None, Some("dev"), Some("Test"), Some("restval")];
        let of = |splits: &[&str]| chosen(&there, Purpose::Training, splits).unwrap();
        assert_eq!(of(&["validation", "test"]), ["Test", "dev"]);
        assert_eq!(of(&["restval"]), ["restval"]);
        assert_eq!(of(&["all"]).len(), 4);
        let error = chosen(&[None], Purpose::Training, &["val"]).unwrap_err();
        assert_eq!(error, "it has no split \"val\"; its rows have no split");
    }

    /// As in huggingface/datasets: src/datasets/data_files.py, whose patterns put folders before names of files.
    #[test]
    fn files_have_the_split_of_their_names_and_folders() {
        for (name, split) in [
            ("data/train-00000-of-00004-abcdef.parquet", Some("train")),
            ("data/restval-00000-of-00001.parquet", Some("restval")),
            ("train/0000.parquet", Some("train")),
            ("train2017/test.jpg", Some("train")),
            ("default/test/0000.parquet", Some("test")),
            ("cc3m-validation-0012.tar", Some("validation")),
            ("cc12m-test-00000-of-00016.tar", Some("test")),
            ("flickr8k_test.csv", Some("test")),
            ("my.dev.jsonl", Some("validation")),
            ("training.tsv", Some("train")),
            ("contest-0.tar", None),
            ("trained/latest.parquet", None),
            ("00000.parquet", None),
            ("part-00000-of-00002.parquet", Some("part")),
        ] {
            assert_eq!(split_of(name).as_deref(), split, "{name}");
        }
    }

    #[test]
    fn rows_of_other_splits_are_counted_and_said_once() {
        let home = Arc::new(Home::scratch(None));
        let mut rows = Rows::new(&home);
        for (number, split) in
            [Some("train"), Some("test"), Some(" "), Some("train")].iter().enumerate()
        {
            rows.push(format!("line {number}"), *split, Err("image not found: x".to_owned()));
        }
        rows.skip("line 9", "not JSON: x");
        let set = rows.finish(Path::new("a.csv"), &Options::default()).unwrap();
        let set = set.into_memory().unwrap();
        let places: Vec<&str> = set.skipped.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["line 0", "line 2", "line 3", "line 9"]);
        assert_eq!(set.of_other_splits, 1);
        let note = "a.csv: reads the rows of no split (1), \"train\" (2), not of \"test\" (1); `splits` names others";
        assert_eq!(set.notes, [note]);
    }
}
