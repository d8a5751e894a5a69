//! Photos: the bytes of one file, and a folder searched by file name. Called by every command that reads photos.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::text::reason;
use crate::{DataError, text};

/// Extensions of the formats that `clove::preprocess` decodes, in any case.
pub(crate) const EXTENSIONS: [&str; 8] =
    ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"];
/// Extensions of other images: they are named where they lie, not passed over.
const UNREAD: [&str; 16] = [
    "heic", "heif", "avif", "jp2", "j2k", "jpx", "jxl", "svg", "svgz", "psd", "dng", "cr2", "nef",
    "arw", "ico", "ppm",
];

/// The bytes of an image file.
///
/// # Errors
/// [`DataError::Io`] for a file that can't be read, or is larger than 512 MiB.
pub fn read_image(path: &Path) -> Result<Vec<u8>, DataError> {
    // More than any photo: nothing would be left to decode it with.
    text::read_bytes(path, text::BUDGET)
}

/// The photos of a folder and its subfolders.
#[derive(Debug, Clone)]
pub struct Photos {
    root: PathBuf,
    /// Sorted paths by file name; several where folders repeat a name.
    by_name: HashMap<String, Vec<PathBuf>>,
    count: usize,
}

impl Photos {
    /// Lists the photos under `dir`. Links are followed; each folder is listed once. Hidden files and folders are left out.
    ///
    /// # Errors
    /// [`DataError::Io`] for a folder that can't be listed.
    pub fn open(dir: &Path) -> Result<Self, DataError> {
        let mut photos = Self { root: dir.to_owned(), by_name: HashMap::new(), count: 0 };
        for BelowFile { path, name, problem } in files_below(dir)? {
            if problem.is_none()
                && is_photo(&path)
                && !is_hidden(&name)
                // No benchmark can ask for a name that isn't Unicode.
                && let Some(name) = path.file_name().and_then(OsStr::to_str)
            {
                photos.count += 1;
                photos.by_name.entry(name.to_owned()).or_default().push(path);
            }
        }
        for paths in photos.by_name.values_mut() {
            paths.sort_unstable();
        }
        Ok(photos)
    }

    /// Number of photo files.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no photos.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The path of the photo `name`, a file name or a relative path; `None` if it isn't here.
    ///
    /// A file at exactly that path below the folder comes first; otherwise a file of that name in any folder.
    ///
    /// # Errors
    /// [`DataError::Format`] if several files have the name.
    pub fn find(&self, name: &str) -> Result<Option<&Path>, DataError> {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let Some(paths) = self.by_name.get(file) else {
            return Ok(None);
        };
        let exact = self.root.join(name);
        if let Some(path) = paths.iter().find(|path| **path == exact) {
            return Ok(Some(path));
        }
        match paths.as_slice() {
            [first, second, ..] => {
                let (first, second) = (first.display(), second.display());
                let problem =
                    format!("both {first} and {second} are named {file}; keep one of them");
                Err(DataError::format(&self.root, problem))
            }
            paths => Ok(paths.first().map(PathBuf::as_path)),
        }
    }
}

/// Whether a name is that of a photo, by its extension.
pub(crate) fn is_photo(path: &Path) -> bool {
    ends_in(path, &EXTENSIONS)
}

/// Why an image of this name isn't read, if its format isn't.
pub(crate) fn unread(path: &Path) -> Option<String> {
    ends_in(path, &UNREAD).then(|| {
        let end = path.extension().unwrap_or_default().display();
        reason("format not read", format_args!(".{end}; convert it to JPEG, PNG or WebP"))
    })
}

fn ends_in(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| extensions.contains(&&*extension))
}

/// Whether a path below the folder of a set, with `/` between its names, is one that systems and editors leave there: `._a.jpg`,
/// `__MACOSX/`, `.ipynb_checkpoints/`.
pub(crate) fn is_hidden(path: &str) -> bool {
    let is_hidden = |name: &str| name.starts_with('.') && !matches!(name, "." | "..");
    path.split('/').any(|name| is_hidden(name) || name == "__MACOSX")
}

/// The reason for leaving out a hidden file.
pub(crate) fn hidden() -> String {
    reason("hidden file", "systems and editors write such beside the files of a set")
}

/// A file below a folder.
#[derive(Debug)]
pub(crate) struct BelowFile {
    pub(crate) path: PathBuf,
    /// Its path below the folder, with `/` between the names.
    pub(crate) name: String,
    /// Why it can't be read: a link that leads nowhere, a pipe.
    pub(crate) problem: Option<String>,
}

/// The files below a folder, in the order of their names.
///
/// Links are followed; each folder is listed once, by its real path if that is below `root`.
pub(crate) fn files_below(root: &Path) -> Result<Vec<BelowFile>, DataError> {
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    // Links last: a folder below `root` itself keeps its own name.
    let mut folders = BTreeSet::from([(false, root.to_owned(), String::new())]);
    while let Some((_, folder, above)) = folders.pop_first() {
        let wrong = |source| DataError::io(&folder, source);
        // A link may lead back up, which the real path shows.
        if !seen.insert(fs::canonicalize(&folder).map_err(wrong)?) {
            continue;
        }
        for entry in fs::read_dir(&folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let path = entry.path();
            let name = format!("{above}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(wrong)?;
            let is_link = kind.is_symlink();
            let target =
                if is_link { fs::metadata(&path).map(|found| found.file_type()) } else { Ok(kind) };
            let problem = match target {
                Ok(kind) if kind.is_dir() => {
                    folders.insert((is_link, path, name + "/"));
                    continue;
                }
                Ok(kind) if kind.is_file() => None,
                // Opening a pipe would wait for its writer.
                Ok(_) => Some(reason("unreadable", "neither a file nor a folder")),
                Err(error) => {
                    Some(reason("unreadable", format_args!("a link that leads nowhere ({error})")))
                }
            };
            files.push(BelowFile { path, name, problem });
        }
    }
    files.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dir;

    #[test]
    fn what_systems_and_editors_leave_is_hidden() {
        for (name, hidden) in [
            ("a.jpg", false),
            ("./a/../b.jpg", false),
            ("._a.jpg", true),
            ("a/._b.jpg", true),
            ("__MACOSX/a.jpg", true),
            ("cat/.ipynb_checkpoints/a-checkpoint.jpg", true),
            (".DS_Store", true),
            ("...", true),
        ] {
            assert_eq!(is_hidden(name), hidden, "{name}");
        }
    }

    #[test]
    fn photos_that_are_hidden_or_of_another_format_are_none() {
        let dir = Dir::with(&[
            ("a/x.JPG", b""),
            ("._x.jpg", b""),
            (".ipynb_checkpoints/x.jpg", b""),
            ("y.heic", b""),
        ]);
        let photos = Photos::open(dir.root()).unwrap();
        assert_eq!(photos.len(), 1);
        assert_eq!(photos.find("x.JPG").unwrap(), Some(&*dir.path("a/x.JPG")));
        assert_eq!(photos.find("._x.jpg").unwrap(), None);
        let why = "format not read: .HEIC; convert it to JPEG, PNG or WebP";
        assert_eq!(unread(Path::new("y.HEIC")).as_deref(), Some(why));
        assert_eq!(unread(Path::new("y.jpg")), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_a_link_leads_to_is_listed_by_its_own_name() {
        use std::os::unix::fs::symlink;
        let outside = Dir::with(&[("o.jpg", b"")]);
        let dir = Dir::with(&[("real/a.jpg", b"")]);
        for (target, link) in [("real", "first"), ("real/a.jpg", "b.jpg"), ("gone", "broken")] {
            symlink(dir.path(target), dir.path(link)).unwrap();
        }
        symlink(dir.root(), dir.path("real/up")).unwrap();
        symlink(outside.root(), dir.path("outside-again")).unwrap();
        symlink(outside.root(), dir.path("outside")).unwrap();
        let files = files_below(dir.root()).unwrap();
        let names: Vec<&str> = files.iter().map(|file| &*file.name).collect();
        assert_eq!(names, ["b.jpg", "broken", "outside/o.jpg", "real/a.jpg"]);
        assert!(files[1].problem.as_ref().unwrap().starts_with("unreadable: a link that leads"));
    }
}
