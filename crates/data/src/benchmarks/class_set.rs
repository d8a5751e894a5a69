//! Photos with their classes, for zero-shot classification: folders named after classes, on disk or in a tar file, as torchvision's
//! `ImageFolder` and ImageNet have them; tar files in which a `.cls` beside an image has its class's number, as web datasets of
//! LAION-AI/CLIP_benchmark have them; and CIFAR's binary files.
//!
//! Called by `clove eval` and by the validation of `clove train`.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fetch::{Cache, Local};
use crate::photos::EXTENSIONS;
use crate::sets::ImagePlace;
use crate::text::reason;
use crate::{DataError, text};

/// Photos with their classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassSet {
    /// Names of the classes, as prompts have them: their order is that of folders' names, or of the numbers in the files.
    pub classes: Vec<String>,
    /// The photos, each with the place of its class.
    pub photos: Vec<(ImagePlace, usize)>,
    /// What was left out: its place, and why.
    pub skipped: Vec<(String, String)>,
}

impl ClassSet {
    /// The photos at `path`: a folder, a tar file (also packed by gzip or zstd: it's copied first, into `cache`), or a folder or file
    /// of CIFAR's binary version (`test.bin` with `fine_label_names.txt`, `test_batch.bin` with `batches.meta.txt`).
    ///
    /// A photo's class is the folder that it lies in; `names`, where they're given, are the classes' names in the order of the
    /// folders, as for ImageNet's, which are numbers. Else a folder's name is the class's, with spaces for underscores. Where files
    /// have numbers, as in `.cls`, names must be given; CIFAR brings its own.
    ///
    /// # Errors
    /// [`DataError::Io`] for what can't be read; [`DataError::Format`] for names that aren't as many as the classes, one class in two
    /// folders (training and test photos?), a number beyond the names, a CIFAR file of another length, and where there's no photo.
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
                "there's no photo ({}) in a folder that is named after its class, nor one with a .cls beside it",
                EXTENSIONS.join(", ")
            );
            return Err(format(path, problem));
        }
        Ok(set)
    }
}

fn format(path: &Path, problem: impl Into<String>) -> DataError {
    DataError::Format { path: path.to_owned(), problem: problem.into() }
}

fn is_photo(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    extension.is_some_and(|end| EXTENSIONS.contains(&end.as_str()))
}

/// A photo's folders and name, and where it is.
type Found = (String, ImagePlace);

/// The photos under a folder, by their paths in it.
fn files(root: &Path) -> Result<Vec<Found>, DataError> {
    let mut found = Vec::new();
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, name)) = folders.pop() {
        let wrong = |source| text::io(&folder, source);
        for entry in fs::read_dir(&folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let path = entry.path();
            let inner = format!("{name}{}", entry.file_name().to_string_lossy());
            // Links to folders aren't followed: they may lead back up.
            if entry.file_type().map_err(wrong)?.is_dir() {
                folders.push((path, inner + "/"));
            } else if is_photo(&inner) {
                found.push((inner, path.into()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Each photo's class by its folder.
fn of_folders(
    path: &Path,
    found: Vec<Found>,
    names: Option<&[String]>,
) -> Result<ClassSet, DataError> {
    let mut skipped = Vec::new();
    // By the folder's own name; the folder above it too, for it may be there twice.
    let mut folders: BTreeMap<String, (String, Vec<ImagePlace>)> = BTreeMap::new();
    for (name, place) in found {
        let Some((folder, _)) = name.rsplit_once('/') else {
            let why = reason("without a class", "it lies in no folder");
            skipped.push((place.to_string(), why));
            continue;
        };
        let own = folder.rsplit('/').next().unwrap_or(folder);
        let entry = folders.entry(own.to_owned());
        let (first, places) = entry.or_insert_with(|| (folder.to_owned(), Vec::new()));
        if first != folder {
            let problem = format!(
                "the class {own:?} is in {first:?} and in {folder:?}; name the folder that is meant, such as the one of test photos"
            );
            return Err(format(path, problem));
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
            return Err(format(path, problem));
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
    let file_name = path.to_string_lossy().into_owned();
    let local = cache.local(&[file_name])?.into_iter().next();
    let Some(local) = local else {
        return Err(format(path, "it can't be found"));
    };
    let local = Arc::new(local);
    let wrong = |source| text::io(path, source);
    let mut archive = tar::Archive::new(File::open(&local.path).map_err(wrong)?);
    let mut found = Vec::new();
    let mut numbers = HashMap::new();
    for entry in archive.entries_with_seek().map_err(wrong)? {
        let damaged = |error: std::io::Error| {
            let error = error.to_string();
            // What tar adds quotes whole headers.
            let error = error.split(" when ").next().unwrap_or_default();
            let error = local.damage.as_deref().unwrap_or(error);
            format(path, format!("it is no tar file, or damaged: {error}"))
        };
        let mut entry = entry.map_err(damaged)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.trim_start_matches("./").to_owned();
        if is_photo(&name) {
            let place = member(&local, &name, entry.raw_file_position(), entry.size());
            found.push((name, place));
        } else if let Some(key) = name.strip_suffix(".cls") {
            let mut number = String::new();
            let read = entry.by_ref().take(32).read_to_string(&mut number);
            read.map_err(damaged)?;
            numbers.insert(key.to_owned(), number.trim().to_owned());
        }
    }
    if numbers.is_empty() {
        found.sort();
        return of_folders(path, found, names);
    }
    let Some(names) = names else {
        let problem = "its photos have their classes' numbers beside them (.cls); give the classes' names too";
        return Err(format(path, problem));
    };
    let (mut photos, mut skipped) = (Vec::new(), Vec::new());
    for (name, place) in found {
        let key = name.rsplit_once('.').map_or(&*name, |(key, _)| key);
        let class = match numbers.get(key) {
            None => Err(reason("without a class", "there is no .cls beside it")),
            Some(number) => match number.parse::<usize>() {
                Ok(class) if class < names.len() => Ok(class),
                _ => {
                    let detail = format!("{number:?} is no number below {}", names.len());
                    Err(reason("no such class", detail))
                }
            },
        };
        match class {
            Ok(class) => photos.push((place, class)),
            Err(why) => skipped.push((place.to_string(), why)),
        }
    }
    Ok(ClassSet { classes: names.to_vec(), photos, skipped })
}

fn member(shard: &Arc<Local>, name: &str, offset: u64, size: u64) -> ImagePlace {
    ImagePlace::Member { shard: Arc::clone(shard), name: name.to_owned(), offset, size }
}

/// A file of CIFAR's binary version.
///
/// Source: <https://www.cs.toronto.edu/~kriz/cifar.html>, "Binary version".
struct Cifar {
    file: PathBuf,
    /// Beside it.
    names: PathBuf,
    /// Bytes before a record's pixels, of which the last is the class's number.
    labels: u64,
}

impl Cifar {
    /// The test photos of a folder, or the file itself.
    fn at(path: &Path) -> Option<Self> {
        let in_folder = |file: &str| path.join(file);
        let (file, is_hundred) = if path.is_dir() {
            let hundred = in_folder("test.bin");
            if hundred.is_file() {
                (hundred, true)
            } else {
                let ten = in_folder("test_batch.bin");
                (ten.is_file().then_some(ten)?, false)
            }
        } else {
            let name = path.file_name()?.to_str()?;
            match name {
                "test.bin" | "train.bin" => (path.to_owned(), true),
                _ => {
                    let stem = name.strip_suffix(".bin")?;
                    (stem.contains("batch").then(|| path.to_owned())?, false)
                }
            }
        };
        let names = if is_hundred { "fine_label_names.txt" } else { "batches.meta.txt" };
        Some(Self { names: file.with_file_name(names), file, labels: 1 + u64::from(is_hundred) })
    }

    fn read(&self, names: Option<&[String]>) -> Result<ClassSet, DataError> {
        let classes = match names {
            Some(names) => names.to_vec(),
            None => lines(&self.names)?.iter().map(|name| name.replace('_', " ")).collect(),
        };
        let wrong = |source| text::io(&self.file, source);
        let bytes = fs::read(&self.file).map_err(wrong)?;
        let record = self.labels + ImagePlace::CIFAR_BYTES;
        if bytes.is_empty() || !(bytes.len() as u64).is_multiple_of(record) {
            let problem = format!("it has {} bytes; a record has {record}", bytes.len());
            return Err(format(&self.file, problem));
        }
        let file: Arc<Path> = Arc::from(&*self.file);
        let mut photos = Vec::new();
        for offset in (0..bytes.len() as u64).step_by(record as usize) {
            let class = usize::from(bytes[(offset + self.labels - 1) as usize]);
            if class >= classes.len() {
                let problem =
                    format!("record {}: class {class} of {}", offset / record, classes.len());
                return Err(format(&self.file, problem));
            }
            let place = ImagePlace::Cifar { file: Arc::clone(&file), offset: offset + self.labels };
            photos.push((place, class));
        }
        Ok(ClassSet { classes, photos, skipped: Vec::new() })
    }
}

/// The lines of a text that aren't blank: names of classes, or templates of prompts with `{c}` for the class.
///
/// # Errors
/// [`DataError::Io`] and [`DataError::Utf8`], and [`DataError::Format`] where there are none.
pub fn lines(path: &Path) -> Result<Vec<String>, DataError> {
    let content = text::read(path)?;
    let lines = content.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    if lines.is_empty() {
        return Err(format(path, "it has no lines"));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, names: &[&str]) -> Result<ClassSet, DataError> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let names = (!names.is_empty()).then_some(&names[..]);
        ClassSet::open(path, names, &Cache::silent(None))
    }

    fn dir(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file.as_bytes()).unwrap();
        }
        dir
    }

    fn tar(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("set.tar");
        let mut builder = tar::Builder::new(File::create(&path).unwrap());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        builder.finish().unwrap();
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
        let set = open(folder.path(), &[]).unwrap();
        assert_eq!(set.classes, ["ant", "tree frog"]);
        let expected = [
            ("test/ant/1.jpg", "ant"),
            ("test/ant/2.JPG", "ant"),
            ("test/tree_frog/1.png", "tree frog"),
        ];
        assert_eq!(photos(&set), expected.map(|(a, b)| (a.to_owned(), b)));
        assert!(set.skipped[0].1.starts_with("without a class"));
        let named = open(folder.path(), &["an ant", "a frog"]).unwrap();
        assert_eq!(named.classes, ["an ant", "a frog"]);
        let error = open(folder.path(), &["one"]).unwrap_err().to_string();
        assert!(error.contains("2 folders of photos and 1 names"), "{error}");
        let twice = dir(&["test/ant/1.png", "train/ant/1.png"]);
        let error = open(twice.path(), &[]).unwrap_err().to_string();
        assert!(error.contains("the class \"ant\" is in"), "{error}");
        let none = dir(&["a.png"]);
        let error = open(none.path(), &[]).unwrap_err().to_string();
        assert!(error.contains("there's no photo"), "{error}");
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
        let error = open(&path, &[]).unwrap_err().to_string();
        assert!(error.contains("give the classes' names"), "{error}");
        fs::write(&path, "not a tar file").unwrap();
        assert!(open(&path, &[]).is_err());
    }

    #[test]
    fn cifars_records_are_images_of_their_pixels() {
        for (file, names, labels) in
            [("test.bin", "fine_label_names.txt", 2), ("test_batch.bin", "batches.meta.txt", 1)]
        {
            let dir = dir(&[]);
            fs::write(dir.path().join(names), "apple\nbaby_bird\n\n").unwrap();
            let mut bytes = Vec::new();
            for class in [1_u8, 0] {
                bytes.extend([7, class].iter().skip(2 - labels));
                bytes.extend((0..3072_u32).map(|at| (at % 251) as u8 ^ class));
            }
            fs::write(dir.path().join(file), &bytes).unwrap();
            let set = open(dir.path(), &[]).unwrap();
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
            fs::write(dir.path().join(file), &bytes[1..]).unwrap();
            assert!(open(dir.path(), &[]).is_err());
            bytes[labels - 1] = 9;
            fs::write(dir.path().join(file), &bytes).unwrap();
            let error = open(&dir.path().join(file), &[]).unwrap_err().to_string();
            assert!(error.contains("record 0: class 9 of 2"), "{error}");
        }
    }
}
