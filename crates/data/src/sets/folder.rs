//! A folder of images, each with its captions in a text or JSON file of the same stem, or in a list of the folder's.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::fields::beside;
use super::index::Opening;
use super::splits::{Chosen, split_folder};
use super::{ImageTextSet, IndexedSet, Options, count, reason};
use crate::fetch::Cache;
use crate::photos::{self, BelowFile, EXTENSIONS};
use crate::{DataError, text};

/// Extensions of texts, a caption a line; the first counts.
const TEXTS: [&str; 3] = ["txt", "caption", "cap"];
/// Lists of a folder's images. Source: huggingface/datasets:
/// src/datasets/packaged_modules/folder_based_builder/folder_based_builder.py.
const LISTS: [&str; 3] = ["metadata.jsonl", "metadata.csv", "metadata.parquet"];

impl IndexedSet {
    /// [`ImageTextSet::folder`]. The names in a folder are listed at every opening: memory has to hold them and the captions for as long.
    ///
    /// # Errors
    /// Those of [`ImageTextSet::folder`].
    pub fn folder(dir: &Path, options: &Options<'_>, cache: &Cache<'_>) -> Result<Self, DataError> {
        Self::of_memory(ImageTextSet::folder(dir, options)?, Opening::scratch(cache).home())
    }
}

impl ImageTextSet {
    /// The images under `dir` and its subfolders, each with its captions beside it in a file of the same stem: `.txt`, `.caption` or `.cap`
    /// with a caption a line, or `.json` with an object as in [`Self::json_lines`].
    ///
    /// Images that a `metadata.jsonl`, `metadata.csv` or `metadata.parquet` of their folder or of one above names have the captions there,
    /// as in Hugging Face's imagefolder. Where folders of splits (`train`, `test`) stand side by side in `dir` or in `dir/data`, those are
    /// read that `options` asks for. Links are followed; each folder is read once, by its real path if it has one under `dir`. Samples
    /// are in the order of their images' paths. An image without a text, a text without an image, a text that is empty, not UTF-8 or
    /// unreadable, a hidden file, and an image of a format that isn't read are skipped.
    ///
    /// # Errors
    /// [`DataError::Io`] for a folder that can't be listed, and [`DataError::Format`] if no image has a text, and for an unknown split.
    pub fn folder(dir: &Path, options: &Options<'_>) -> Result<Self, DataError> {
        let mut set = Self::default();
        let chosen = of_splits(dir, photos::files_below(dir)?, options)?;
        set.notes.extend(chosen.note);
        let mut stems: BTreeMap<PathBuf, Stem> = BTreeMap::new();
        let (mut lists, mut images, mut texts) = (Vec::new(), 0, 0);
        for BelowFile { path, name, problem } in chosen.names {
            let mut skip = |why| set.skipped.push((path.display().to_string(), why));
            let file = name.rsplit('/').next().unwrap_or_default();
            let end = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            let (is_image, is_json) = (photos::is_photo(&path), end == "json");
            let rank = TEXTS.iter().position(|known| *known == end);
            let is_list = LISTS.contains(&file);
            if !(is_image || is_json || is_list || rank.is_some()) {
                if let Some(why) = photos::unread(&path).filter(|_| !photos::is_hidden(&name)) {
                    skip(why);
                }
                continue;
            }
            if photos::is_hidden(&name) {
                // What a system writes beside other files isn't told.
                if is_image || rank.is_some() {
                    skip(photos::hidden());
                }
                continue;
            }
            if let Some(why) = problem {
                skip(why);
                continue;
            }
            if is_list {
                lists.push(path);
                continue;
            }
            images += usize::from(is_image);
            texts += usize::from(rank.is_some());
            let stem = stems.entry(path.with_extension("")).or_default();
            match rank {
                _ if is_image => stem.images.push(path),
                Some(rank) => stem.texts.push((rank, path)),
                None => stem.json = Some(path),
            }
        }
        for list in lists {
            set.add(read_list(&list, options)?, 0);
        }
        let listed = set.samples.iter().filter_map(|sample| sample.image.path());
        let listed: HashSet<PathBuf> = listed.map(Path::to_owned).collect();
        for stem in stems.into_values() {
            stem.add_to(&mut set, &listed, options);
        }
        set.samples.sort_by(|a, b| a.image.path().cmp(&b.image.path()));
        set.skipped.sort_unstable();
        set.unless_empty(dir, || {
            format!(
                "no image with a caption: looked here and in the folders below for images ({}) with a text of the same name beside \
                 each (a.jpg with a.txt, one caption a line, or a.json) or a {}, and found {} and {}",
                EXTENSIONS.join(", "),
                LISTS.join(" or "),
                count(images, "image"),
                count(texts, "text"),
            )
        })
    }
}

/// The files of the splits that are read, by their first folder.
fn of_splits(
    dir: &Path,
    files: Vec<BelowFile>,
    options: &Options<'_>,
) -> Result<Chosen<BelowFile>, DataError> {
    let split = |file: &BelowFile| {
        let below = file.name.strip_prefix("data/").unwrap_or(&file.name);
        split_folder(below.split_once('/')?.0)
    };
    let files: Vec<_> = files.into_iter().map(|file| (split(&file), file)).collect();
    let splits: HashSet<&str> = files.iter().filter_map(|(split, _)| split.as_deref()).collect();
    // A folder of trains isn't a split: another one must stand beside it.
    let are_splits = splits.contains("train") && splits.len() > 1;
    if are_splits || !options.splits.is_empty() {
        return Chosen::of_splits(&dir.to_string_lossy(), files, options);
    }
    Ok(Chosen::all(files.into_iter().map(|(_, file)| file).collect()))
}

/// The samples of a list of a folder's images. Paths are relative to the list, and splits are those of folders.
fn read_list(list: &Path, options: &Options<'_>) -> Result<ImageTextSet, DataError> {
    let options = &Options { images: None, splits: &[], ..*options };
    match list.extension().and_then(|end| end.to_str()) {
        Some("csv") => ImageTextSet::table(list, options),
        Some("parquet") => {
            ImageTextSet::parquet(&list.to_string_lossy(), options, &Cache::silent(None))
        }
        _ => ImageTextSet::json_lines(list, options),
    }
}

/// Files of one folder whose names differ in the extension alone.
#[derive(Default)]
struct Stem {
    images: Vec<PathBuf>,
    /// With the places of their extensions.
    texts: Vec<(usize, PathBuf)>,
    json: Option<PathBuf>,
}

impl Stem {
    fn add_to(mut self, set: &mut ImageTextSet, listed: &HashSet<PathBuf>, options: &Options<'_>) {
        let before = self.images.len();
        self.images.retain(|image| !listed.contains(image));
        if self.images.is_empty() && before > 0 {
            return;
        }
        let mut skip = |path: &Path, why: String| {
            set.skipped.push((path.display().to_string(), why));
        };
        // Several of one extension only where names differ in case: a.TXT and a.txt.
        self.texts.sort_unstable();
        let mut texts = self.texts.iter().map(|(_, path)| path);
        let text = texts.next();
        for other in texts {
            let read = name(text.unwrap_or(other));
            skip(other, reason("second text", format_args!("{read} is read")));
        }
        // A JSON file alone may be anything.
        let Some(place) = text.or(self.json.as_ref().filter(|_| before > 0)) else {
            for image in &self.images {
                let text = image.with_extension(TEXTS[0]);
                skip(image, reason("without a text", format_args!("{} is not there", name(&text))));
            }
            return;
        };
        if self.images.is_empty() {
            skip(place, reason("without an image", "no image of this name beside it"));
            return;
        }
        let found = read_texts(text.map(PathBuf::as_path), self.json.as_deref(), options);
        for image in self.images {
            let found = match &found {
                Ok((captions, negatives)) => {
                    Ok((image.into(), captions.clone(), negatives.clone()))
                }
                Err(why) => Err(format!("{why} (for {})", name(&image))),
            };
            set.push(place.display().to_string(), found);
        }
    }
}

/// The captions and negatives beside an image.
fn read_texts(
    text: Option<&Path>,
    json: Option<&Path>,
    options: &Options<'_>,
) -> Result<(super::Captions, Vec<String>), String> {
    /// Enough for thousands of captions: a larger file is something else.
    const LARGEST: u64 = 1 << 20;
    let read = |path: &Path| {
        let text = text::read_bytes(path, LARGEST).and_then(|bytes| text::decode(bytes, path));
        text.map_err(|error| match error {
            DataError::Utf8 { line, .. } => {
                reason("not UTF-8", format_args!("line {line}; save it as UTF-8"))
            }
            DataError::Io { source, .. } => reason("unreadable", source),
            other => reason("unreadable", other),
        })
    };
    match (text.map(read), json.map(read)) {
        // What isn't needed isn't looked at.
        (Some(Err(why)), None | Some(Err(_))) | (None, Some(Err(why))) => Err(why),
        (text, json) => {
            let [text, json] =
                [text, json].map(|text| text.and_then(Result::ok).map(String::into_bytes));
            beside(text.as_deref(), json.as_deref(), options)
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
