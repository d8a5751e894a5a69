//! The files of a set: one, several by braces and stars, or those of a folder.

use std::path::{Path, is_separator};

use glob::{MatchOptions, Pattern, glob_with};

use super::braces::expand;
use super::index::Opening;
use super::splits::{Chosen, Rows, split_of};
use super::{IndexedSet, Options};
use crate::DataError;
use crate::fetch::{Cache, Local, Watch};
use crate::photos::{files_below, is_hidden, is_photo};

/// The files of a pattern, in their order.
///
/// A path that is there stands for itself, whatever is in its name, and so do the folders before the first one that isn't. Otherwise
/// braces stand for lists and ranges, and `*` and `?` for any letters of a name. A folder stands for the files in it that end in one of
/// `ends`, or else for those in the folders below. Of files by stars and of a folder those of the splits are taken that `options` asks
/// for.
pub(crate) fn files(
    pattern: &str,
    ends: &[&str],
    options: &Options<'_>,
) -> Result<Chosen<String>, DataError> {
    let path = Path::new(pattern);
    if path.is_dir() && !ends.is_empty() {
        let files = below(path, ends)?;
        if files.is_empty() {
            let problem = format!("no file in it ends in {}", ends.join(" or "));
            return Err(DataError::format(path, problem));
        }
        return Chosen::of_splits(pattern, files, options);
    }
    if path.exists() {
        return Ok(Chosen::all(vec![pattern.to_owned()]));
    }
    let start = pattern.char_indices().rev().find_map(|(at, letter)| {
        let start = at + letter.len_utf8();
        (is_separator(letter) && Path::new(&pattern[..start]).is_dir()).then_some(start)
    });
    let (there, rest) = pattern.split_at(start.unwrap_or(0));
    let wrong = |problem: String| DataError::format(pattern, problem);
    let (mut names, mut has_stars) = (Vec::new(), false);
    for rest in expand(rest).map_err(wrong)? {
        let name = format!("{there}{rest}");
        // An address isn't listed.
        if !rest.contains(['*', '?']) || name.contains("://") || Path::new(&name).exists() {
            names.push(name);
            continue;
        }
        has_stars = true;
        let before = names.len();
        let rules = MatchOptions {
            require_literal_separator: true,
            require_literal_leading_dot: true,
            ..MatchOptions::new()
        };
        let found = glob_with(&format!("{}{rest}", Pattern::escape(there)), rules);
        for path in found.map_err(|error| wrong(error.to_string()))? {
            let path = path.map_err(|error| {
                let path = error.path().to_owned();
                DataError::io(path, error.into())
            })?;
            names.push(path.to_string_lossy().into_owned());
        }
        if names.len() == before {
            return Err(wrong(format!("no file matches {name:?}")));
        }
    }
    if !has_stars {
        return Ok(Chosen::all(names));
    }
    let split = |name: &String| split_of(name.strip_prefix(there).unwrap_or(name));
    let names = names.into_iter().map(|name| (split(&name), name)).collect();
    Chosen::of_splits(pattern, names, options)
}

/// The files in a folder that end in one of `ends`, or else those in the folders below, with their splits.
fn below(folder: &Path, ends: &[&str]) -> Result<Vec<(Option<String>, String)>, DataError> {
    let is_one = |name: &str| ends.iter().any(|end| name.to_lowercase().ends_with(end));
    let mut files = files_below(folder)?;
    files.retain(|file| is_one(&file.name) && !is_hidden(&file.name));
    if files.iter().any(|file| !file.name.contains('/')) {
        files.retain(|file| !file.name.contains('/'));
    }
    let path = |path: &Path| path.to_string_lossy().into_owned();
    Ok(files.into_iter().map(|file| (split_of(&file.name), path(&file.path))).collect())
}

/// The end of the names of files in a folder that hold images themselves; `None` for a folder of images.
pub(crate) fn kind_of_folder(folder: &Path) -> Option<&'static str> {
    let files = if folder.is_dir() { files_below(folder).ok()? } else { return None };
    let files = files.iter().filter(|file| !is_hidden(&file.name));
    if files.clone().any(|file| is_photo(&file.path)) {
        return None;
    }
    let ends = [".parquet", ".tar", ".tar.gz", ".tgz", ".tar.zst"];
    ends.into_iter().find(|end| files.clone().any(|file| file.name.to_lowercase().ends_with(end)))
}

/// A reader of a set's files by rows.
pub(super) struct Reader<'a> {
    /// What it reads, which two readers don't have in common.
    pub(super) kind: &'a str,
    /// Ends of the names of files in a folder.
    pub(super) ends: &'a [&'a str],
    /// The problem of files of which no row can be used.
    pub(super) problem: &'a str,
}

impl Reader<'_> {
    /// Reads the files of a pattern. `read` gets a file and the folder that its images' paths are relative to.
    pub(super) fn rows(
        &self,
        path: &Path,
        options: &Options<'_>,
        cache: &Cache<'_>,
        mut read: impl FnMut(&Path, &Path, &mut Rows, &mut Watch<'_, '_>) -> Result<(), DataError>,
    ) -> Result<IndexedSet, DataError> {
        let pattern = path.to_string_lossy();
        let chosen = files(&pattern, self.ends, options)?;
        // A given folder must be there, whatever the index says.
        options.images_dir(path)?;
        let local: Vec<Local> = chosen.names.iter().map(|name| Local::of_file(name)).collect();
        let opening = Opening::of(self.kind, &local, options, cache);
        let mut set = if let Some(set) = opening.find(|| Ok(Vec::new()))? {
            set
        } else {
            let mut rows = Rows::new(opening.home());
            let mut watch = cache.watch(&pattern, local.iter().map(Local::size).sum());
            for name in &chosen.names {
                let file = Path::new(name);
                read(file, options.images_dir(file)?, &mut rows, &mut watch)?;
                rows.check()?;
            }
            // Splits that are asked for by the names of files needn't be those of rows.
            let splits: &[String] = if chosen.have_splits { &[] } else { options.splits };
            opening.keep(rows.finish(path, &Options { splits, ..*options })?)?
        };
        set.notes.extend(chosen.note);
        set.unless_empty(path, || self.problem.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Purpose;
    use super::*;
    use crate::testing::{Dir, strings};

    /// The names of files below the folder, for training.
    fn found(dir: &Dir, pattern: &str) -> Result<Vec<String>, DataError> {
        let pattern = dir.path(pattern).to_string_lossy().into_owned();
        let files = files(&pattern, &[".csv", ".csv.gz"], &Options::default())?;
        let root = dir.root().to_string_lossy().into_owned() + "/";
        Ok(files.names.iter().map(|name| name.strip_prefix(&root).unwrap().to_owned()).collect())
    }

    #[test]
    fn braces_and_stars_name_files_and_what_is_there_stands_for_itself() {
        let names =
            ["a{1}/x-1.csv", "a{1}/x-2.csv", "a{1}/x-10.csv", "a{1}/.x-3.csv", "y*.csv", "y1.csv"];
        let dir = Dir::with(&names.map(|name| (name, &b""[..])));
        let of = |pattern: &str| found(&dir, pattern).unwrap();
        assert_eq!(of("a{1}/x-1.csv"), ["a{1}/x-1.csv"]);
        assert_eq!(of("a{1}/x-{1..2}.csv"), ["a{1}/x-1.csv", "a{1}/x-2.csv"]);
        assert_eq!(of("a{1}/x-?.csv"), ["a{1}/x-1.csv", "a{1}/x-2.csv"]);
        assert_eq!(of("a{1}/*.csv"), ["a{1}/x-1.csv", "a{1}/x-10.csv", "a{1}/x-2.csv"]);
        assert_eq!(of("y*.csv"), ["y*.csv"]);
        assert_eq!(of("y?.csv"), ["y*.csv", "y1.csv"]);
        assert_eq!(of("{y1,gone}.csv"), ["y1.csv", "gone.csv"]);
        assert!(found(&dir, "z*.csv").unwrap_err().to_string().contains("no file matches"));
        assert!(found(&dir, "z{1").is_err());
    }

    #[test]
    fn a_folder_or_the_root_of_a_repository_gives_the_files_to_train_on() {
        let of = |names: &[&str]| {
            let files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, &b""[..])).collect();
            found(&Dir::with(&files), "").unwrap()
        };
        let train = ["data/train-00000-of-00002.csv", "data/train-00001-of-00002.csv"];
        let all =
            [&train[..], &["data/test-00000-of-00001.csv", "README.md", ".cache/x.csv"]].concat();
        assert_eq!(of(&all), train);
        assert_eq!(of(&["b.csv", "a.CSV.gz", "c.txt", "d/e.csv"]), ["a.CSV.gz", "b.csv"]);
        assert_eq!(of(&["test/0.csv", "train/0.csv"]), ["train/0.csv"]);
        assert_eq!(of(&["test-0.csv", "test-1.csv"]).len(), 2);
        let dir = Dir::with(&[("test-0.csv", b""), ("valid.csv", b""), ("c.txt", b"")]);
        let pattern = dir.root().to_string_lossy();
        let error = files(&pattern, &[".csv"], &Options::default()).unwrap_err().to_string();
        assert!(error.contains("no split for training"), "{error}");
        let asked = strings(&["test"]);
        let options =
            Options { splits: &asked, purpose: Purpose::Validation, ..Options::default() };
        assert_eq!(files(&pattern, &[".csv"], &options).unwrap().names.len(), 1);
        let none = files(&pattern, &[".tsv"], &Options::default()).unwrap_err().to_string();
        assert!(none.contains("no file in it ends in .tsv"), "{none}");
    }
}
