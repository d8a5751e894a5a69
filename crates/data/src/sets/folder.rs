//! A folder of images, each with its captions in a text file of the same stem.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::names::Captions;
use super::{ImageTextSet, count, not_blank, reason};
use crate::photos::{self, EXTENSIONS};
use crate::{DataError, text};

const TEXT_EXTENSION: &str = "txt";

impl ImageTextSet {
    /// The images under `dir` and its subfolders, each with captions in a text file of the same stem beside it, one a line.
    ///
    /// Links are followed; each folder is read once, by its real path if it has one under `dir`. Samples are in the order of their
    /// images' paths. An image without a text, a text without an image, and a text that is empty, not UTF-8 or unreadable are skipped.
    ///
    /// # Errors
    /// [`DataError::Io`] for a folder that can't be listed, and [`DataError::Format`] if no image has a text.
    pub fn folder(dir: &Path) -> Result<Self, DataError> {
        let mut set = Self::default();
        let mut seen = HashSet::new();
        // Links last: a folder under `dir` itself keeps its own path.
        let mut folders = BTreeSet::from([dir.to_owned()]);
        let mut links = BTreeSet::new();
        let (mut images, mut texts) = (0, 0);
        while let Some(folder) = folders.pop_first().or_else(|| links.pop_first()) {
            let wrong = |source| DataError::io(&folder, source);
            // A link may lead back up, which the real path shows.
            if !seen.insert(fs::canonicalize(&folder).map_err(wrong)?) {
                continue;
            }
            let mut stems: HashMap<OsString, Stem> = HashMap::new();
            for entry in fs::read_dir(&folder).map_err(wrong)? {
                let entry = entry.map_err(wrong)?;
                let path = entry.path();
                let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                // Follows links, unlike the entry's own metadata.
                let metadata = fs::metadata(&path);
                if metadata.as_ref().is_ok_and(fs::Metadata::is_dir) {
                    let folders = if is_link { &mut links } else { &mut folders };
                    folders.insert(path);
                    continue;
                }
                let is_image = photos::is_photo(&path);
                let is_text =
                    path.extension().is_some_and(|end| end.eq_ignore_ascii_case(TEXT_EXTENSION));
                if !is_image && !is_text {
                    continue;
                }
                let why = match metadata {
                    Ok(metadata) if metadata.is_file() => {
                        let name = path.file_stem().unwrap_or_default();
                        let stem = stems.entry(name.to_owned()).or_default();
                        let paths = if is_image { &mut stem.images } else { &mut stem.texts };
                        paths.push(path);
                        images += usize::from(is_image);
                        texts += usize::from(is_text);
                        continue;
                    }
                    // Opening a pipe would wait for its writer.
                    Ok(_) => "neither a file nor a folder".to_owned(),
                    Err(error) if is_link => format!("a link that leads nowhere ({error})"),
                    Err(error) => error.to_string(),
                };
                set.skipped.push((path.display().to_string(), reason("unreadable", why)));
            }
            for stem in stems.into_values() {
                stem.add_to(&mut set);
            }
        }
        set.samples.sort_unstable_by(|a, b| a.image.path().cmp(&b.image.path()));
        set.skipped.sort_unstable();
        set.unless_empty(dir, || {
            format!(
                "no image with a caption: looked here and in the folders below for images ({}) with a text of the same name beside \
                 each (a.jpg with a.{TEXT_EXTENSION}, one caption a line), and found {} and {}",
                EXTENSIONS.join(", "),
                count(images, "image"),
                count(texts, "text"),
            )
        })
    }
}

/// Files of one folder whose names differ in the extension alone.
#[derive(Default)]
struct Stem {
    images: Vec<PathBuf>,
    texts: Vec<PathBuf>,
}

impl Stem {
    fn add_to(mut self, set: &mut ImageTextSet) {
        let mut skip = |path: &Path, kind: &str, detail: String| {
            let place = path.display().to_string();
            set.skipped.push((place, reason(kind, detail)));
        };
        // More than one only where names differ in case: a.TXT and a.txt.
        self.texts.sort_unstable();
        let mut texts = self.texts.iter();
        let Some(text) = texts.next() else {
            for image in &self.images {
                let text = image.with_extension(TEXT_EXTENSION);
                let detail = format!("{} is not there", name(&text));
                skip(image, "without a text", detail);
            }
            return;
        };
        for other in texts {
            skip(other, "second text", format!("{} is read", name(text)));
        }
        if self.images.is_empty() {
            let detail = "no image of this name beside it".to_owned();
            skip(text, "without an image", detail);
            return;
        }
        match read_captions(text) {
            Ok(captions) => {
                for image in self.images {
                    let captions = Captions::usual(captions.clone());
                    let found = (image.into(), captions, Vec::new());
                    set.push(text.display().to_string(), Ok(found));
                }
            }
            Err((kind, detail)) => {
                for image in &self.images {
                    let detail = format!("{detail} (for {})", name(image));
                    skip(text, kind, detail);
                }
            }
        }
    }
}

/// The lines of a text file that aren't blank, or the kind of reason for skipping it and the details.
fn read_captions(path: &Path) -> Result<Vec<String>, (&'static str, String)> {
    /// Enough for thousands of captions: a larger file is something else.
    const LARGEST: u64 = 1 << 20;
    let text = text::read_bytes(path, LARGEST).and_then(|bytes| text::decode(bytes, path));
    let text = text.map_err(|error| match error {
        DataError::Utf8 { line, .. } => ("not UTF-8", format!("line {line}; save it as UTF-8")),
        DataError::Io { source, .. } => ("unreadable", source.to_string()),
        other => ("unreadable", other.to_string()),
    })?;
    let captions = not_blank(text.lines());
    if captions.is_empty() {
        return Err(("empty text", "it has no caption".to_owned()));
    }
    Ok(captions)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Sample;
    use super::*;
    use crate::testing::{Dir, fails};

    /// A folder with files, each alone or before its content and `=`.
    fn dir(files: &[&str]) -> Dir {
        let files = files.iter().map(|&file| file.split_once('=').unwrap_or((file, "")));
        Dir::with(&files.map(|(name, text)| (name, text.as_bytes())).collect::<Vec<_>>())
    }

    fn read(dir: &Dir) -> Result<ImageTextSet, DataError> {
        ImageTextSet::folder(dir.root())
    }

    fn below(dir: &Dir, path: &Path) -> String {
        path.strip_prefix(dir.root()).unwrap().display().to_string()
    }

    /// Paths of the images below the folder.
    fn images(dir: &Dir, set: &ImageTextSet) -> Vec<String> {
        set.samples.iter().map(|sample| below(dir, sample.image.path().unwrap())).collect()
    }

    /// Skipped paths below the folder, with the reasons.
    fn skipped(dir: &Dir, set: &ImageTextSet) -> Vec<String> {
        let skipped = set.skipped.iter();
        skipped.map(|(path, why)| format!("{}: {why}", below(dir, Path::new(path)))).collect()
    }

    #[test]
    fn images_are_paired_with_texts_of_their_stem() {
        let dir = Dir::with(&[
            ("a.v2.jpg", b""),
            ("a.v2.txt", b"\xef\xbb\xbf a cat \r\n\r\n  \r\non a mat"),
            ("notes.md", b"not looked at"),
        ]);
        let set = read(&dir).unwrap();
        assert_eq!(
            set.samples,
            [Sample {
                image: dir.path("a.v2.jpg").into(),
                captions: vec!["a cat".to_owned(), "on a mat".to_owned()],
                fields: vec![],
                negatives: vec![],
                place: dir.path("a.v2.txt").display().to_string(),
                part: 0,
            }]
        );
        assert_eq!(set.skipped, []);
    }

    #[test]
    fn every_image_format_counts_in_any_case() {
        let names = ["a.JPG", "b.jpeg", "c.Png", "d.webp", "e.gif", "f.bmp", "g.tif", "h.TIFF"];
        let dir = Dir::with(&names.map(|name| (name, &b""[..])));
        for name in names {
            let text = dir.path(name).with_extension("Txt");
            fs::write(text, "a cat").unwrap();
        }
        let set = read(&dir).unwrap();
        assert_eq!(images(&dir, &set), names);
    }

    #[test]
    fn folders_are_read_in_the_order_of_paths() {
        let deep = ["z.jpg", "z.txt=z", "b/deep/er/y.jpg", "b/deep/er/y.txt=y"];
        let others = ["b/x.png", "b/x.jpg", "b/x.txt=x", "a/x.jpg", "a/x.txt=of a"];
        let dir = dir(&[&deep[..], &others].concat());
        let set = read(&dir).unwrap();
        let expected = ["a/x.jpg", "b/deep/er/y.jpg", "b/x.jpg", "b/x.png", "z.jpg"];
        assert_eq!(images(&dir, &set), expected);
        let captions = set.samples.iter().map(|sample| &*sample.captions[0]);
        assert_eq!(captions.collect::<Vec<_>>(), ["of a", "y", "x", "x", "z"]);
    }

    #[test]
    fn what_lacks_its_other_half_is_skipped_with_the_reason() {
        let dir = Dir::with(&[
            ("good.jpg", b""),
            ("good.txt", b"a cat"),
            ("alone.jpg", b""),
            ("blank.jpg", b""),
            ("blank.txt", b" \n\n"),
            ("latin.jpg", b""),
            ("latin.txt", b"a cat\ncaf\xe9"),
            ("lost.txt", b"a dog"),
            // A text of another folder.
            ("sub/alone.txt", b"a bird"),
        ]);
        let set = read(&dir).unwrap();
        assert_eq!(images(&dir, &set), ["good.jpg"]);
        assert_eq!(
            skipped(&dir, &set),
            [
                "alone.jpg: without a text: alone.txt is not there",
                "blank.txt: empty text: it has no caption (for blank.jpg)",
                "latin.txt: not UTF-8: line 2; save it as UTF-8 (for latin.jpg)",
                "lost.txt: without an image: no image of this name beside it",
                "sub/alone.txt: without an image: no image of this name beside it",
            ]
        );
        let summary = set.summary();
        let counts = "1 image with 1 caption, 0 negatives; 5 skipped: 2 without an image, 1 empty text, 1 not UTF-8, \
                      1 without a text. The first: ";
        assert!(summary.starts_with(counts), "{summary}");
        assert!(summary.contains("alone.txt is not there"), "{summary}");
    }

    #[test]
    fn a_text_too_large_for_captions_is_skipped() {
        let large = vec![b'a'; (1 << 20) + 1];
        let dir = dir(&["a.jpg", "a.txt=a cat", "b.jpg", "c.jpg"]);
        fs::write(dir.path("b.txt"), &large).unwrap();
        fs::write(dir.path("c.txt"), &large[1..]).unwrap();
        let set = read(&dir).unwrap();
        assert_eq!(images(&dir, &set), ["a.jpg", "c.jpg"]);
        let why = "b.txt: unreadable: larger than 1048576 bytes (for b.jpg)";
        assert_eq!(skipped(&dir, &set), [why]);
    }

    #[test]
    fn a_folder_with_nothing_usable_says_what_was_looked_for() {
        fails(read(&Dir::with(&[])), &["tiff", "a.txt", "0 images and 0 texts"]);
        let halves = read(&dir(&["a.jpg", "b.jpg", "c.txt=a cat"]));
        fails(halves, &["2 images and 1 text", "2 without a text", "a.txt is not there"]);
    }

    #[test]
    fn a_folder_that_is_not_there_or_is_a_file_is_an_error() {
        let dir = Dir::with(&[("a.jpg", b"")]);
        for name in ["nowhere", "a.jpg"] {
            let error = ImageTextSet::folder(&dir.path(name)).unwrap_err();
            assert!(matches!(error, DataError::Io { .. }), "{error}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_each_folder_is_read_once() {
        use std::os::unix::fs::symlink;
        let outside = dir(&["o.jpg", "o.txt=outside"]);
        let dir = dir(&["real/a.jpg", "real/a.txt=a cat", "real/b.jpg", "real/b.txt=a dog"]);
        // Sorts before "real", which keeps its path all the same.
        symlink(dir.path("real"), dir.path("first")).unwrap();
        symlink(dir.root(), dir.path("real/up")).unwrap();
        symlink(outside.root(), dir.path("outside")).unwrap();
        symlink(outside.root(), dir.path("outside-again")).unwrap();
        symlink(dir.path("real/a.jpg"), dir.path("real/b.png")).unwrap();
        symlink(dir.path("gone.jpg"), dir.path("broken.jpg")).unwrap();
        symlink(dir.path("self.txt"), dir.path("self.txt")).unwrap();
        let set = read(&dir).unwrap();
        let expected = ["outside/o.jpg", "real/a.jpg", "real/b.jpg", "real/b.png"];
        assert_eq!(images(&dir, &set), expected);
        let skipped = skipped(&dir, &set);
        assert_eq!(skipped.len(), 2);
        for (place, found) in ["broken.jpg", "self.txt"].iter().zip(&skipped) {
            let start = format!("{place}: unreadable: a link that leads nowhere");
            assert!(found.starts_with(&start), "{found}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn of_two_texts_that_differ_in_case_one_is_read() {
        let dir = dir(&["a.jpg", "a.TXT=upper", "a.txt=lower"]);
        let set = read(&dir).unwrap();
        assert_eq!(set.samples[0].captions, ["upper"]);
        assert_eq!(skipped(&dir, &set), ["a.txt: second text: a.TXT is read"]);
    }
}
