//! Photos with their classes, for zero-shot classification: folders named after classes, on disk or in tar files, as in ImageNet;
//! shards with the number of an image's class in a `.cls` beside it, as LAION-AI/CLIP_benchmark has them; and CIFAR's binary files.
//!
//! Called by `clove eval` and by the validation of `clove train`.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fetch::{Cache, Local};
use crate::photos::{BelowFile, EXTENSIONS, files_below};
use crate::sets::files::{files, kind_of_folder};
use crate::sets::shards::members::{Damage, Member, Tar, parts};
use crate::sets::shards::{ENDS, missing_end};
use crate::sets::{ImagePlace, Options, Purpose, not_blank};
use crate::text::reason;
use crate::{DataError, photos, text};

/// Photos with their classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassSet {
    /// Names of the classes for prompts, in the order of the folders' names or of the numbers in the files.
    pub classes: Vec<String>,
    /// Templates of prompts beside the shards, if any.
    pub templates: Option<Vec<String>>,
    /// The photos, each with the index of its class.
    pub photos: Vec<(ImagePlace, usize)>,
    /// Skipped photos, each with the reason.
    pub skipped: Vec<(String, String)>,
    /// What was chosen without being asked for: one line each.
    pub notes: Vec<String>,
}

impl ClassSet {
    /// The photos at `path`: a folder of them, shards (one, several by braces and stars, or a folder; packed ones are unpacked into
    /// `cache` first), or a folder or file of CIFAR's binary version (`test.bin` with `fine_label_names.txt`, `test_batch.bin` with
    /// `batches.meta.txt`).
    ///
    /// A photo's class is its folder. `names` are the classes' names in the order of the folders, as for ImageNet. Without them a
    /// class has the name of its folder, with spaces for underscores. `.cls` files, which hold numbers, need names: given, or in
    /// `classnames.txt` beside the shards or their folder. Of shards with splits those of `test` are read. CIFAR has its own names.
    ///
    /// # Errors
    /// [`DataError::Io`] for a file that can't be read; [`DataError::Format`] if the numbers of names and classes differ, if one
    /// class is in two folders (training and test photos?), for a CIFAR file of another length, a damaged shard, and no photo.
    pub fn open(
        path: &Path,
        names: Option<&[String]>,
        cache: &Cache<'_>,
    ) -> Result<Self, DataError> {
        let has_shards = kind_of_folder(path).is_some_and(|end| ENDS.contains(&end));
        let mut set = if let Some(cifar) = Cifar::at(path) {
            cifar.read(names)?
        } else if path.is_dir() && !has_shards {
            let (found, skipped) = in_folder(path)?;
            of_folders(path, found, skipped, names)?
        } else {
            of_shards(path, names, cache)?
        };
        if set.photos.is_empty() {
            let skipped = set.skipped.first().map(|(place, why)| {
                format!("; skipped: {}, the first {place}: {why}", set.skipped.len())
            });
            let problem = format!(
                "no photo ({}) in a folder named after its class, and none with a .cls beside it{}",
                EXTENSIONS.join(", "),
                skipped.unwrap_or_default()
            );
            return Err(DataError::format(path, problem));
        }
        set.notes.extend(repeated(&set.classes));
        Ok(set)
    }
}

/// A note on names that several classes have.
fn repeated(classes: &[String]) -> Option<String> {
    const NAMED: usize = 5;
    let mut numbers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (number, name) in classes.iter().enumerate() {
        numbers.entry(name).or_default().push(number.to_string());
    }
    numbers.retain(|_, numbers| numbers.len() > 1);
    let named = numbers.iter().take(NAMED);
    let named = named.map(|(name, numbers)| format!("{name:?} ({})", numbers.join(", ")));
    let named = named.collect::<Vec<_>>().join(", ");
    let rest = if numbers.len() > NAMED { " and others" } else { "" };
    (!numbers.is_empty()).then(|| {
        format!(
            "several classes have the same name, so that the first gets the photos of all, as in CLIP_benchmark: {named}{rest}"
        )
    })
}

/// A photo's folders and name, and where it is.
type Found = (String, ImagePlace);
/// Skipped photos, each with the reason.
type Skipped = Vec<(String, String)>;

/// The photos under a folder, by their paths in it.
fn in_folder(root: &Path) -> Result<(Vec<Found>, Skipped), DataError> {
    let (mut found, mut skipped) = (Vec::new(), Vec::new());
    for BelowFile { path, name, problem } in files_below(root)? {
        match is_photo(&path, &name, problem) {
            Ok(true) => found.push((name, path.into())),
            Ok(false) => {}
            Err(why) => skipped.push((path.display().to_string(), why)),
        }
    }
    Ok((found, skipped))
}

/// Whether a file is a photo, or why it isn't read though its name says so; `name` is its path in the set.
fn is_photo(path: &Path, name: &str, problem: Option<String>) -> Result<bool, String> {
    let is_photo = photos::is_photo(path);
    let why = if photos::is_hidden(name) {
        is_photo.then(photos::hidden)
    } else if is_photo {
        problem
    } else {
        photos::unread(path)
    };
    why.map_or(Ok(is_photo), Err)
}

/// Photos with the classes of their folders.
fn of_folders(
    path: &Path,
    found: Vec<Found>,
    mut skipped: Skipped,
    names: Option<&[String]>,
) -> Result<ClassSet, DataError> {
    // By the folder's name; the whole path shows whether there are two.
    let mut folders: BTreeMap<String, (String, Vec<ImagePlace>)> = BTreeMap::new();
    for (name, place) in found {
        let Some((folder, _)) = name.rsplit_once('/') else {
            let why = reason("without a class", "it is in no folder");
            skipped.push((place.to_string(), why));
            continue;
        };
        let own = folder.rsplit('/').next().unwrap_or(folder);
        let entry = folders.entry(own.to_owned());
        let (first, places) = entry.or_insert_with(|| (folder.to_owned(), Vec::new()));
        if first != folder {
            let problem = format!(
                "the class {own:?} is in {first:?} and in {folder:?}; name one of these folders, such as the one of test photos"
            );
            return Err(DataError::format(path, problem));
        }
        places.push(place);
    }
    let classes: Vec<String> = match names {
        Some(names) if !folders.is_empty() && names.len() != folders.len() => {
            let problem = format!(
                "there are {} folders of photos and {} names of classes",
                folders.len(),
                names.len()
            );
            return Err(DataError::format(path, problem));
        }
        Some(names) => names.to_vec(),
        None => folders.keys().map(|name| name.replace('_', " ")).collect(),
    };
    let photos = folders.into_values().enumerate();
    let photos =
        photos.flat_map(|(class, (_, places))| places.into_iter().map(move |place| (place, class)));
    Ok(ClassSet { classes, photos: photos.collect(), skipped, ..ClassSet::default() })
}

/// The photos of shards, by their folders or by the `.cls` beside them.
fn of_shards(
    path: &Path,
    names: Option<&[String]>,
    cache: &Cache<'_>,
) -> Result<ClassSet, DataError> {
    let options = Options { purpose: Purpose::Evaluation, ..Options::default() };
    let chosen = files(&path.to_string_lossy(), &ENDS, &options)?;
    let mut shards = Shards::default();
    for shard in cache.local(&chosen.names)? {
        shards.read(&Arc::new(shard))?;
    }
    let Shards { mut found, have_numbers, mut skipped } = shards;
    let notes: Vec<String> = chosen.note.into_iter().collect();
    if !have_numbers {
        found.sort_by(|one, other| one.0.cmp(&other.0));
        let found = found.into_iter().map(|(name, place, _)| (name, place)).collect();
        return Ok(ClassSet { notes, ..of_folders(path, found, skipped, names)? });
    }
    let beside = |name| beside(path, &chosen.names, name);
    let classes = match names {
        Some(names) => names.to_vec(),
        None => beside("classnames.txt")?.ok_or_else(|| {
            let problem = "its photos have their classes' numbers beside them (.cls); give the classes' names too, or put them into \
                           classnames.txt beside the shards";
            DataError::format(path, problem)
        })?,
    };
    let mut photos = Vec::new();
    for (_, place, number) in found {
        let why = match number.as_deref().map(|number| (number, number.parse::<usize>())) {
            Some((_, Ok(class))) if class < classes.len() => {
                photos.push((place, class));
                continue;
            }
            Some((number, _)) => {
                let detail = format!("{number:?} is no number below {}", classes.len());
                reason("no such class", detail)
            }
            None => reason("without a class", "there is no .cls beside it"),
        };
        skipped.push((place.to_string(), why));
    }
    let templates = beside("zeroshot_classification_templates.txt")?;
    Ok(ClassSet { classes, templates, photos, skipped, notes })
}

/// The lines of a file of this name in the set's folder, in the shards' or in the one above it, where `CLIP_benchmark` puts it.
fn beside(path: &Path, shards: &[String], name: &str) -> Result<Option<Vec<String>>, DataError> {
    let shard = shards.first().and_then(|shard| fs::canonicalize(shard).ok());
    let above = shard.iter().flat_map(|shard| shard.ancestors().skip(1).take(2));
    let mut files = std::iter::once(path).chain(above).map(|folder| folder.join(name));
    files.find(|file| file.is_file()).map(|file| lines(&file)).transpose()
}

/// What shards hold.
#[derive(Default)]
struct Shards {
    /// Photos, each with the number of its class, if it has one.
    found: Vec<(String, ImagePlace, Option<String>)>,
    have_numbers: bool,
    skipped: Skipped,
}

impl Shards {
    fn read(&mut self, shard: &Arc<Local>) -> Result<(), DataError> {
        let wrong = |source| DataError::io(&shard.path, source);
        let file = File::open(&shard.path).map_err(wrong)?;
        let length = file.metadata().map_err(wrong)?.len();
        let mut tar = Tar::new(file);
        let place = |name: &str| format!("{}: {name:?}", shard.name);
        let (mut photos, mut numbers) = (Vec::new(), HashMap::new());
        let read = tar.each_by_seeking(|found| {
            let Member { name, offset, size, bytes } = match found {
                Ok(member) => member,
                Err((name, why)) => {
                    if photos::is_photo(Path::new(&name)) {
                        self.skipped.push((place(&name), why));
                    }
                    return Ok(ControlFlow::Continue(()));
                }
            };
            let name = name.trim_start_matches("./").to_owned();
            match is_photo(Path::new(&name), &name, None) {
                Err(why) => self.skipped.push((place(&name), why)),
                Ok(true) if offset.saturating_add(size) > length => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(true) => {
                    let (shard, member) = (Arc::clone(shard), name.clone());
                    photos.push((name, ImagePlace::Member { shard, name: member, offset, size }));
                }
                Ok(false) => {
                    if let Some((_, stem, end)) = parts(&name)
                        && end == "cls"
                    {
                        let mut number = Vec::new();
                        bytes.take(32).read_to_end(&mut number)?;
                        let number = String::from_utf8_lossy(&number).trim().to_owned();
                        numbers.insert(stem.to_owned(), number);
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        });
        if let Err(Damage { error, .. }) = read {
            let error = shard.damage.clone().unwrap_or_else(|| text::tar_error(&error));
            let problem = format!("not a tar file, or damaged: {error}");
            return Err(DataError::format(&shard.name, problem));
        }
        if let Some(why) = missing_end(shard)? {
            let why = reason("damaged shard", format_args!("{why}; a part may be missing"));
            self.skipped.push((format!("{}: the end", shard.name), why));
        }
        self.have_numbers |= !numbers.is_empty();
        // The number of the photo's own name, or of webdataset's key, which ends at the first dot.
        self.found.extend(photos.into_iter().map(|(name, place)| {
            let number =
                parts(&name).and_then(|(key, stem, _)| numbers.get(stem).or(numbers.get(key)));
            let number = number.cloned();
            (name, place, number)
        }));
        Ok(())
    }
}

/// A file of CIFAR's binary version.
///
/// Source: <https://www.cs.toronto.edu/~kriz/cifar.html>, "Binary version".
struct Cifar {
    file: PathBuf,
    /// Beside it.
    names: PathBuf,
    /// Bytes before a record's pixels; the last is the class's number.
    labels: u64,
}

impl Cifar {
    /// The test photos of a folder, or the file itself.
    fn at(path: &Path) -> Option<Self> {
        let (file, is_hundred) = if path.is_dir() {
            let files = [("test.bin", true), ("test_batch.bin", false)];
            let mut files = files.iter().map(|(name, is_hundred)| (path.join(name), *is_hundred));
            files.find(|(file, _)| file.is_file())?
        } else {
            let name = path.file_name()?.to_str()?;
            let is_hundred = matches!(name, "test.bin" | "train.bin");
            let is_ten = name.strip_suffix(".bin").is_some_and(|stem| stem.contains("batch"));
            (is_hundred || is_ten).then(|| (path.to_owned(), is_hundred))?
        };
        let names = if is_hundred { "fine_label_names.txt" } else { "batches.meta.txt" };
        Some(Self { names: file.with_file_name(names), file, labels: 1 + u64::from(is_hundred) })
    }

    fn read(&self, names: Option<&[String]>) -> Result<ClassSet, DataError> {
        let classes = match names {
            Some(names) => names.to_vec(),
            None => lines(&self.names)?.iter().map(|name| name.replace('_', " ")).collect(),
        };
        let bytes = text::read_bytes(&self.file, text::BUDGET)?;
        let record = self.labels + ImagePlace::CIFAR_BYTES;
        if bytes.is_empty() || !(bytes.len() as u64).is_multiple_of(record) {
            let problem = format!("it has {} bytes; a record has {record}", bytes.len());
            return Err(DataError::format(&self.file, problem));
        }
        let file: Arc<Path> = Arc::from(&*self.file);
        let mut photos = Vec::new();
        for offset in (0..bytes.len() as u64).step_by(record as usize) {
            let class = usize::from(bytes[(offset + self.labels - 1) as usize]);
            if class >= classes.len() {
                let problem =
                    format!("record {}: class {class} of {}", offset / record, classes.len());
                return Err(DataError::format(&self.file, problem));
            }
            let place = ImagePlace::Cifar { file: Arc::clone(&file), offset: offset + self.labels };
            photos.push((place, class));
        }
        Ok(ClassSet { classes, photos, ..ClassSet::default() })
    }
}

/// The lines of a file that aren't blank: names of classes, or templates of prompts with `{c}` for the class.
///
/// # Errors
/// [`DataError::Io`], [`DataError::Utf8`], and [`DataError::Format`] for a blank file.
pub fn lines(path: &Path) -> Result<Vec<String>, DataError> {
    let content = text::read(path)?;
    let lines = not_blank(content.lines());
    if lines.is_empty() {
        return Err(DataError::format(path, "it has no lines"));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
