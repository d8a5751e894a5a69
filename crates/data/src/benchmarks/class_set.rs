//! Photos with their classes, for zero-shot classification: folders named after classes, on disk or in a tar file, as in ImageNet; tar
//! files with the number of an image's class in a `.cls` beside it, as in LAION-AI/CLIP_benchmark; and CIFAR's binary files.
//!
//! Called by `clove eval` and by the validation of `clove train`.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fetch::Cache;
use crate::photos::EXTENSIONS;
use crate::sets::{ImagePlace, not_blank};
use crate::text::reason;
use crate::{DataError, photos, text};

/// Photos with their classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassSet {
    /// Names of the classes for prompts, in the order of the folders' names or of the numbers in the files.
    pub classes: Vec<String>,
    /// The photos, each with the index of its class.
    pub photos: Vec<(ImagePlace, usize)>,
    /// Skipped photos, each with the reason.
    pub skipped: Vec<(String, String)>,
}

impl ClassSet {
    /// The photos at `path`: a folder, a tar file (a gzip or zstd file is unpacked into `cache` first), or a folder or file of CIFAR's
    /// binary version (`test.bin` with `fine_label_names.txt`, `test_batch.bin` with `batches.meta.txt`).
    ///
    /// A photo's class is its folder. `names` are the classes' names in the order of the folders, as for ImageNet. Without them a class
    /// has the name of its folder, with spaces for underscores. `.cls` files, which hold numbers, need names; CIFAR has its own.
    ///
    /// # Errors
    /// [`DataError::Io`] for a file that can't be read; [`DataError::Format`] if the numbers of names and classes differ, if one class is
    /// in two folders (training and test photos?), for a number beyond the names, a CIFAR file of another length, and no photo.
    pub fn open(
        path: &Path,
        names: Option<&[String]>,
        cache: &Cache<'_>,
    ) -> Result<Self, DataError> {
        let set = if let Some(cifar) = Cifar::at(path) {
            cifar.read(names)?
        } else if path.is_dir() {
            of_folders(path, files(path)?, names)?
        } else {
            of_tar(path, names, cache)?
        };
        if set.photos.is_empty() {
            let problem = format!(
                "no photo ({}) in a folder named after its class, and none with a .cls beside it",
                EXTENSIONS.join(", ")
            );
            return Err(DataError::format(path, problem));
        }
        Ok(set)
    }
}

/// A photo's folders and name, and where it is.
type Found = (String, ImagePlace);

/// The photos under a folder, by their paths in it.
fn files(root: &Path) -> Result<Vec<Found>, DataError> {
    let mut found = Vec::new();
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, name)) = folders.pop() {
        let wrong = |source| DataError::io(&folder, source);
        for entry in fs::read_dir(&folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let path = entry.path();
            let inner = format!("{name}{}", entry.file_name().to_string_lossy());
            // Links to folders aren't followed, since they may lead back up.
            if entry.file_type().map_err(wrong)?.is_dir() {
                folders.push((path, inner + "/"));
            } else if photos::is_photo(&path) {
                found.push((inner, path.into()));
            }
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

/// Photos with the classes of their folders.
fn of_folders(
    path: &Path,
    found: Vec<Found>,
    names: Option<&[String]>,
) -> Result<ClassSet, DataError> {
    let mut skipped = Vec::new();
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
    Ok(ClassSet { classes, photos: photos.collect(), skipped })
}

/// The photos of a tar file, by their folders or by the `.cls` beside them.
fn of_tar(path: &Path, names: Option<&[String]>, cache: &Cache<'_>) -> Result<ClassSet, DataError> {
    let file_name = path.to_string_lossy();
    let local = Arc::new(cache.one(&file_name)?);
    let wrong = |source| DataError::io(path, source);
    let mut archive = tar::Archive::new(File::open(&local.path).map_err(wrong)?);
    let mut found = Vec::new();
    let mut numbers = HashMap::new();
    for entry in archive.entries_with_seek().map_err(wrong)? {
        let damaged = |error: std::io::Error| {
            let error = local.damage.clone().unwrap_or_else(|| text::tar_error(&error));
            DataError::format(path, format!("not a tar file, or damaged: {error}"))
        };
        let mut entry = entry.map_err(damaged)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.trim_start_matches("./").to_owned();
        if photos::is_photo(Path::new(&name)) {
            let (offset, size) = (entry.raw_file_position(), entry.size());
            let (shard, name) = (Arc::clone(&local), name);
            found.push((name.clone(), ImagePlace::Member { shard, name, offset, size }));
        } else if let Some(key) = name.strip_suffix(".cls") {
            let mut number = String::new();
            let read = entry.by_ref().take(32).read_to_string(&mut number);
            read.map_err(damaged)?;
            numbers.insert(key.to_owned(), number.trim().to_owned());
        }
    }
    if numbers.is_empty() {
        found.sort_by(|one, other| one.0.cmp(&other.0));
        return of_folders(path, found, names);
    }
    let Some(names) = names else {
        let problem = "its photos have their classes' numbers beside them (.cls); give the classes' names too";
        return Err(DataError::format(path, problem));
    };
    let (mut photos, mut skipped) = (Vec::new(), Vec::new());
    for (name, place) in found {
        let key = name.rsplit_once('.').map_or(&*name, |(key, _)| key);
        let why = match numbers.get(key).map(|number| (number, number.parse::<usize>())) {
            Some((_, Ok(class))) if class < names.len() => {
                photos.push((place, class));
                continue;
            }
            Some((number, _)) => {
                let detail = format!("{number:?} is no number below {}", names.len());
                reason("no such class", detail)
            }
            None => reason("without a class", "there is no .cls beside it"),
        };
        skipped.push((place.to_string(), why));
    }
    Ok(ClassSet { classes: names.to_vec(), photos, skipped })
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
        let wrong = |source| DataError::io(&self.file, source);
        let bytes = fs::read(&self.file).map_err(wrong)?;
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
        Ok(ClassSet { classes, photos, skipped: Vec::new() })
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
mod tests {
    use super::*;
    use crate::testing::{self, Dir, fails};

    fn open(path: &Path, names: &[&str]) -> Result<ClassSet, DataError> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let names = (!names.is_empty()).then_some(&names[..]);
        ClassSet::open(path, names, &Cache::silent(None))
    }

    fn dir(files: &[&str]) -> Dir {
        let files: Vec<_> = files.iter().map(|file| (*file, file.as_bytes())).collect();
        Dir::with(&files)
    }

    fn tar(members: &[(&str, &str)]) -> (Dir, PathBuf) {
        let members: Vec<_> =
            members.iter().map(|(name, content)| (*name, content.as_bytes())).collect();
        let dir = Dir::with(&[("set.tar", &testing::tar(&members))]);
        let path = dir.path("set.tar");
        (dir, path)
    }

    /// What each photo holds, with its class.
    fn photos(set: &ClassSet) -> Vec<(String, &str)> {
        let photos = set.photos.iter();
        let read = |place: &ImagePlace| String::from_utf8(place.read().unwrap()).unwrap();
        photos.map(|(place, class)| (read(place), set.classes[*class].as_str())).collect()
    }

    #[test]
    fn folders_are_classes_in_the_order_of_their_names() {
        let folder = dir(&[
            "test/tree_frog/1.png",
            "test/ant/2.JPG",
            "test/ant/1.jpg",
            "test/ant/notes.md",
            "stray.png",
        ]);
        let set = open(folder.root(), &[]).unwrap();
        assert_eq!(set.classes, ["ant", "tree frog"]);
        let expected = [
            ("test/ant/1.jpg", "ant"),
            ("test/ant/2.JPG", "ant"),
            ("test/tree_frog/1.png", "tree frog"),
        ];
        assert_eq!(photos(&set), expected.map(|(a, b)| (a.to_owned(), b)));
        assert!(set.skipped[0].1.starts_with("without a class"));
        let named = open(folder.root(), &["an ant", "a frog"]).unwrap();
        assert_eq!(named.classes, ["an ant", "a frog"]);
        fails(open(folder.root(), &["one"]), &["2 folders of photos and 1 names"]);
        let twice = dir(&["test/ant/1.png", "train/ant/1.png"]);
        fails(open(twice.root(), &[]), &["the class \"ant\" is in"]);
        let none = dir(&["a.png"]);
        fails(open(none.root(), &[]), &["no photo ("]);
    }

    #[test]
    fn a_tar_file_has_folders_or_numbers() {
        let (_dir, path) = tar(&[("./test/b/1.png", "x"), ("./test/a_c/1.png", "y")]);
        let set = open(&path, &[]).unwrap();
        assert_eq!(photos(&set), [("y".to_owned(), "a c"), ("x".to_owned(), "b")]);
        let (_dir, path) = tar(&[
            ("0.jpg", "x"),
            ("0.cls", "1\n"),
            ("1.cls", "0"),
            ("1.jpg", "y"),
            ("2.jpg", "z"),
            ("3.jpg", "z"),
            ("3.cls", "2"),
        ]);
        let set = open(&path, &["cat", "dog"]).unwrap();
        assert_eq!(photos(&set), [("x".to_owned(), "dog"), ("y".to_owned(), "cat")]);
        let kinds: Vec<&str> = set.skipped.iter().map(|(_, why)| why.as_str()).collect();
        let expected = [
            "without a class: there is no .cls beside it",
            "no such class: \"2\" is no number below 2",
        ];
        assert_eq!(kinds, expected);
        fails(open(&path, &[]), &["give the classes' names"]);
        fs::write(&path, "not a tar file").unwrap();
        assert!(open(&path, &[]).is_err());
    }

    #[test]
    fn cifars_records_are_images_of_their_pixels() {
        for (file, names, labels) in
            [("test.bin", "fine_label_names.txt", 2), ("test_batch.bin", "batches.meta.txt", 1)]
        {
            let dir = dir(&[]);
            fs::write(dir.path(names), "apple\nbaby_bird\n\n").unwrap();
            let mut bytes = Vec::new();
            for class in [1_u8, 0] {
                bytes.extend([7, class].iter().skip(2 - labels));
                bytes.extend((0..3072_u32).map(|at| (at % 251) as u8 ^ class));
            }
            fs::write(dir.path(file), &bytes).unwrap();
            let set = open(dir.root(), &[]).unwrap();
            assert_eq!(set.classes, ["apple", "baby bird"]);
            let classes: Vec<usize> = set.photos.iter().map(|(_, class)| *class).collect();
            assert_eq!(classes, [1, 0]);
            let image = set.photos[1].0.read().unwrap();
            let limits = clove::preprocess::DecodeLimits::default();
            let image = clove::preprocess::decode(&image, &limits).unwrap();
            assert_eq!((image.width(), image.height()), (32, 32));
            for (x, y, pixel) in image.enumerate_pixels() {
                let of = |plane: u32| ((plane * 1024 + y * 32 + x) % 251) as u8;
                assert_eq!(pixel.0, [of(0), of(1), of(2)]);
            }
            fs::write(dir.path(file), &bytes[1..]).unwrap();
            assert!(open(dir.root(), &[]).is_err());
            bytes[labels - 1] = 9;
            fs::write(dir.path(file), &bytes).unwrap();
            fails(open(&dir.path(file), &[]), &["record 0: class 9 of 2"]);
        }
    }
}
