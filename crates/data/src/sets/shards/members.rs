//! The members of a tar file.

use std::io::{self, Read};
use std::ops::ControlFlow;

use tar::EntryType;

use crate::photos;
use crate::text::reason;

/// A file in a tar file.
pub(crate) struct Member<'m> {
    /// Its path in the tar file.
    pub(crate) name: String,
    /// Where its bytes begin.
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) bytes: &'m mut dyn Read,
}

/// A member that isn't read: its path and the reason.
pub(crate) type LeftOut = (String, String);

/// Why the rest of a tar file can't be read.
pub(crate) struct Damage {
    /// The last member whose header is whole.
    pub(crate) after: Option<String>,
    pub(crate) error: io::Error,
}

/// Gives each file of a tar file to `take`, or why it's left out. Folders and the headers of other members aren't files.
pub(crate) fn each<R: Read>(
    entries: tar::Entries<'_, R>,
    mut take: impl FnMut(Result<Member<'_>, LeftOut>) -> io::Result<ControlFlow<()>>,
) -> Result<(), Damage> {
    let mut after = None;
    for entry in entries {
        let read = entry.and_then(|mut entry| {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            after = Some(name.clone());
            let kind = entry.header().entry_type();
            // Before POSIX a folder was a file with a slash at its end.
            if kind.is_dir() || kind.is_pax_global_extensions() || name.ends_with('/') {
                return Ok(ControlFlow::Continue(()));
            }
            let (offset, size) = (entry.raw_file_position(), entry.size());
            take(match left_out(&name, kind) {
                Some(why) => Err((name, why)),
                None => Ok(Member { name, offset, size, bytes: &mut entry }),
            })
        });
        match read {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(error) => return Err(Damage { after, error }),
        }
    }
    Ok(())
}

/// Why a member isn't read.
///
/// Regular files are those of Python's tarfile (`isreg`), which webdataset reads, but for sparse ones, whose bytes aren't in one
/// piece.
fn left_out(name: &str, kind: EntryType) -> Option<String> {
    if photos::is_hidden(name) {
        return Some(photos::hidden());
    }
    let what = match kind {
        EntryType::Regular | EntryType::Continuous => return None,
        EntryType::Link | EntryType::Symlink => "a link; pack the file itself (tar --dereference)",
        EntryType::GNUSparse => "a sparse file; pack it without --sparse",
        _ => "a member of another type",
    };
    Some(reason("not a file", what))
}

/// A member's name up to the first dot of its last part, which is webdataset's key, the name up to the last dot, and what follows it,
/// in lower case. A name without a dot has none of them.
///
/// Source: webdataset/webdataset: src/webdataset/tariterators.py (`base_plus_ext`).
pub(crate) fn parts(name: &str) -> Option<(&str, &str, String)> {
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    let first = start + name[start..].find('.')?;
    let last = start + name[start..].rfind('.')?;
    Some((&name[..first], &name[..last], name[last + 1..].to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys are those of webdataset's `base_plus_ext`.
    #[test]
    fn a_key_ends_at_the_first_dot_of_the_last_part() {
        for (name, key, stem, extension) in [
            ("000.jpg", "000", "000", "jpg"),
            ("a.b/c/000.seg.PNG", "a.b/c/000", "a.b/c/000.seg", "png"),
            ("./img.0001.jpg", "./img", "./img.0001", "jpg"),
            ("a.", "a", "a", ""),
        ] {
            assert_eq!(parts(name), Some((key, stem, extension.to_owned())), "{name}");
        }
        assert_eq!(parts("a.b/Makefile"), None);
    }
}
