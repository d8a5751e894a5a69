//! A folder of images, each with its captions in a text file of the same stem. Called by [`ImageTextSet::folder`].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use super::{ImageTextSet, Sample, count, not_blank, reason};
use crate::photos::EXTENSIONS;
use crate::{DataError, text};

const TEXT_EXTENSION: &str = "txt";

pub(super) fn read(dir: &Path) -> Result<ImageTextSet, DataError> {
    let mut set = ImageTextSet::default();
    let mut seen = HashSet::new();
    // Links last: a folder that is under `dir` itself keeps that path, whatever links lead to it.
    let mut folders = BTreeSet::from([dir.to_owned()]);
    let mut links = BTreeSet::new();
    let mut images = 0;
    let mut texts = 0;
    while let Some(folder) = folders.pop_first().or_else(|| links.pop_first()) {
        let wrong = |source| text::io(&folder, source);
        // A link may lead back up; the real path tells.
        if !seen.insert(fs::canonicalize(&folder).map_err(wrong)?) {
            continue;
        }
        let mut stems: HashMap<OsString, Stem> = HashMap::new();
        for entry in fs::read_dir(&folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let path = entry.path();
            match kind(&entry) {
                Kind::Folder => drop(folders.insert(path)),
                Kind::LinkToFolder => drop(links.insert(path)),
                Kind::Image => {
                    images += 1;
                    stem(&mut stems, &path).images.push(path);
                }
                Kind::Text => {
                    texts += 1;
                    stem(&mut stems, &path).texts.push(path);
                }
                Kind::Unreadable(why) => {
                    let place = path.display().to_string();
                    set.skipped.push((place, reason("unreadable", why)));
                }
                Kind::Other => {}
            }
        }
        for stem in stems.into_values() {
            stem.add_to(&mut set);
        }
    }
    set.samples.sort_unstable_by(|a, b| a.image.cmp(&b.image));
    set.skipped.sort_unstable();
    if set.samples.is_empty() {
        return Err(nothing_usable(dir, images, texts, &set));
    }
    Ok(set)
}

fn nothing_usable(dir: &Path, images: usize, texts: usize, set: &ImageTextSet) -> DataError {
    let why =
        if set.skipped.is_empty() { String::new() } else { format!("; {}", set.why_skipped()) };
    let problem = format!(
        "no image with a caption: looked here and in the folders below for images ({}) with a text of the same name beside each \
         (a.jpg with a.{TEXT_EXTENSION}, one caption a line), and found {} and {}{why}",
        EXTENSIONS.join(", "),
        count(images, "image"),
        count(texts, "text"),
    );
    DataError::Format { path: dir.to_owned(), problem }
}

enum Kind {
    Folder,
    LinkToFolder,
    Image,
    Text,
    /// An image or text by its name, which can't be read.
    Unreadable(String),
    Other,
}

fn kind(entry: &DirEntry) -> Kind {
    let path = entry.path();
    let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
    // Follows links, as the entry's own metadata doesn't.
    let metadata = fs::metadata(&path);
    if metadata.as_ref().is_ok_and(fs::Metadata::is_dir) {
        return if is_link { Kind::LinkToFolder } else { Kind::Folder };
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    let Some(extension) = extension.map(str::to_ascii_lowercase) else {
        return Kind::Other;
    };
    let kind = if EXTENSIONS.contains(&&*extension) {
        Kind::Image
    } else if extension == TEXT_EXTENSION {
        Kind::Text
    } else {
        return Kind::Other;
    };
    match metadata {
        Ok(metadata) if metadata.is_file() => kind,
        // Opening a pipe would wait for its writer.
        Ok(_) => Kind::Unreadable("neither a file nor a folder".to_owned()),
        Err(error) if is_link => Kind::Unreadable(format!("a link that leads nowhere ({error})")),
        Err(error) => Kind::Unreadable(error.to_string()),
    }
}

/// Files of one folder whose names differ in the extension alone.
#[derive(Default)]
struct Stem {
    images: Vec<PathBuf>,
    texts: Vec<PathBuf>,
}

fn stem<'a>(stems: &'a mut HashMap<OsString, Stem>, path: &Path) -> &'a mut Stem {
    let name = path.file_stem().unwrap_or_default();
    stems.entry(name.to_owned()).or_default()
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
            let detail = "no image of this name lies beside it".to_owned();
            skip(text, "without an image", detail);
            return;
        }
        match read_captions(text) {
            Ok(captions) => set.samples.extend(self.images.into_iter().map(|image| Sample {
                image: image.into(),
                captions: captions.clone(),
                fields: Vec::new(),
                negatives: Vec::new(),
                place: text.display().to_string(),
                part: 0,
            })),
            Err((kind, detail)) => {
                for image in &self.images {
                    let detail = format!("{detail} (for {})", name(image));
                    skip(text, kind, detail);
                }
            }
        }
    }
}

/// The lines of a text file that aren't blank; else the kind of the reason, and the reason.
fn read_captions(path: &Path) -> Result<Vec<String>, (&'static str, String)> {
    /// Thousands of captions: a larger file is something else.
    const LARGEST: u64 = 1 << 20;
    let text = text::read_bytes(path, LARGEST).and_then(|bytes| text::decode(bytes, path));
    let text = text.map_err(|error| match error {
        DataError::Utf8 { line, .. } => ("not UTF-8", format!("line {line}; save it as UTF-8")),
        DataError::Io { source, .. } => ("unreadable", source.to_string()),
        other => ("unreadable", other.to_string()),
    })?;
    let captions = not_blank(text.lines());
    if captions.is_empty() {
        return Err(("empty text", "it holds no caption".to_owned()));
    }
    Ok(captions)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::ImagePlace;
    use super::*;

    struct Dir(tempfile::TempDir);

    impl Dir {
        fn with(files: &[(&str, &[u8])]) -> Self {
            let dir = Self(tempfile::tempdir().unwrap());
            for (name, bytes) in files {
                let path = dir.path(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
            dir
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn read(&self) -> Result<ImageTextSet, DataError> {
            ImageTextSet::folder(self.0.path())
        }

        /// Paths of the images below this folder.
        fn images(&self, set: &ImageTextSet) -> Vec<String> {
            let below = |s: &Sample| match &s.image {
                ImagePlace::File(path) => path.strip_prefix(self.0.path()).unwrap().to_owned(),
                _ => panic!("a folder has files"),
            };
            let paths = set.samples.iter().map(below);
            paths.map(|path| path.display().to_string()).collect()
        }

        /// Skipped paths below this folder, with the reasons.
        fn skipped(&self, set: &ImageTextSet) -> Vec<(String, String)> {
            let below = |place: &str| {
                let path = Path::new(place).strip_prefix(self.0.path()).unwrap();
                path.display().to_string()
            };
            let skipped = set.skipped.iter();
            skipped.map(|(p, why)| (below(p), why.clone())).collect()
        }
    }

    #[test]
    fn images_are_paired_with_texts_of_their_stem() {
        let dir = Dir::with(&[
            ("a.v2.jpg", b""),
            ("a.v2.txt", b"\xef\xbb\xbf a cat \r\n\r\n  \r\non a mat"),
            ("notes.md", b"not looked at"),
        ]);
        let set = dir.read().unwrap();
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
        let set = dir.read().unwrap();
        assert_eq!(dir.images(&set), names);
    }

    #[test]
    fn folders_are_read_in_the_order_of_paths() {
        let dir = Dir::with(&[
            ("z.jpg", b""),
            ("z.txt", b"z"),
            ("b/deep/er/y.jpg", b""),
            ("b/deep/er/y.txt", b"y"),
            ("b/x.png", b""),
            ("b/x.jpg", b""),
            ("b/x.txt", b"x"),
            ("a/x.jpg", b""),
            ("a/x.txt", b"of a"),
        ]);
        let set = dir.read().unwrap();
        let expected = ["a/x.jpg", "b/deep/er/y.jpg", "b/x.jpg", "b/x.png", "z.jpg"];
        assert_eq!(dir.images(&set), expected);
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
            // Another folder's text is no one's here.
            ("sub/alone.txt", b"a bird"),
        ]);
        let set = dir.read().unwrap();
        assert_eq!(dir.images(&set), ["good.jpg"]);
        let skip = |place: &str, reason: &str| (place.to_owned(), reason.to_owned());
        let beside = "without an image: no image of this name lies beside it";
        assert_eq!(
            dir.skipped(&set),
            [
                skip("alone.jpg", "without a text: alone.txt is not there"),
                skip("blank.txt", "empty text: it holds no caption (for blank.jpg)"),
                skip("latin.txt", "not UTF-8: line 2; save it as UTF-8 (for latin.jpg)"),
                skip("lost.txt", beside),
                skip("sub/alone.txt", beside),
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
        let dir = Dir::with(&[
            ("a.jpg", b""),
            ("a.txt", b"a cat"),
            ("b.jpg", b""),
            ("b.txt", &large),
            ("c.jpg", b""),
            ("c.txt", &large[1..]),
        ]);
        let set = dir.read().unwrap();
        assert_eq!(dir.images(&set), ["a.jpg", "c.jpg"]);
        let why = "unreadable: larger than 1048576 bytes (for b.jpg)";
        assert_eq!(dir.skipped(&set), [("b.txt".to_owned(), why.to_owned())]);
    }

    #[test]
    fn a_folder_with_nothing_usable_says_what_was_looked_for() {
        let empty = Dir::with(&[]).read().unwrap_err().to_string();
        for part in ["tiff", "a.txt", "0 images and 0 texts"] {
            assert!(empty.contains(part), "{part}: {empty}");
        }
        let halves = Dir::with(&[("a.jpg", b""), ("b.jpg", b""), ("c.txt", b"a cat")]);
        let halves = halves.read().unwrap_err().to_string();
        for part in ["2 images and 1 text", "2 without a text", "a.txt is not there"] {
            assert!(halves.contains(part), "{part}: {halves}");
        }
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
        let outside = Dir::with(&[("o.jpg", b""), ("o.txt", b"outside")]);
        let dir = Dir::with(&[
            ("real/a.jpg", b""),
            ("real/a.txt", b"a cat"),
            ("real/b.jpg", b""),
            ("real/b.txt", b"a dog"),
        ]);
        // Sorts before "real", which keeps its path all the same.
        symlink(dir.path("real"), dir.path("first")).unwrap();
        symlink(dir.0.path(), dir.path("real/up")).unwrap();
        symlink(outside.0.path(), dir.path("outside")).unwrap();
        symlink(outside.0.path(), dir.path("outside-again")).unwrap();
        symlink(dir.path("real/a.jpg"), dir.path("real/b.png")).unwrap();
        symlink(dir.path("gone.jpg"), dir.path("broken.jpg")).unwrap();
        symlink(dir.path("self.txt"), dir.path("self.txt")).unwrap();
        let set = dir.read().unwrap();
        let expected = ["outside/o.jpg", "real/a.jpg", "real/b.jpg", "real/b.png"];
        assert_eq!(dir.images(&set), expected);
        let skipped = dir.skipped(&set);
        let places: Vec<&str> = skipped.iter().map(|(place, _)| &**place).collect();
        assert_eq!(places, ["broken.jpg", "self.txt"]);
        for (_, why) in &skipped {
            assert!(why.starts_with("unreadable: a link that leads nowhere"), "{why}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn of_two_texts_that_differ_in_case_one_is_read() {
        let dir = Dir::with(&[("a.jpg", b""), ("a.TXT", b"upper"), ("a.txt", b"lower")]);
        let set = dir.read().unwrap();
        assert_eq!(set.samples[0].captions, ["upper"]);
        let why = "second text: a.TXT is read".to_owned();
        assert_eq!(dir.skipped(&set), [("a.txt".to_owned(), why)]);
    }
}
