//! The members of a tar file.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::rc::Rc;

use tar::EntryType;

use crate::photos;
use crate::text::reason;

/// Most bytes of the headers of a member, with its long name and its attributes.
const LONGEST_HEADERS: u64 = 1 << 20;
/// Most bytes of a member's name, those of a path on Linux: a shard may have millions of them.
const LONGEST_NAME: usize = 4096;

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

/// A tar file to read.
pub(crate) struct Tar<R: Read> {
    archive: tar::Archive<Bounded<R>>,
    left: Rc<Cell<u64>>,
}

/// An input that gives no more than what is left: the `tar` crate would keep a long name of any length.
struct Bounded<R> {
    input: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !buffer.is_empty() {
            let problem = format!("a name or attributes of more than {LONGEST_HEADERS} bytes");
            return Err(io::Error::other(problem));
        }
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.input.read(&mut buffer[..most])?;
        self.left.set(left - read as u64);
        Ok(read)
    }
}

impl<R: Seek> Seek for Bounded<R> {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.input.seek(place)
    }
}

impl<R: Read> Tar<R> {
    pub(crate) fn new(input: R) -> Self {
        let left = Rc::new(Cell::new(u64::MAX));
        Self { archive: tar::Archive::new(Bounded { input, left: Rc::clone(&left) }), left }
    }

    /// Gives each file to `take`, or why it's left out. Folders and the headers of other members aren't files.
    pub(crate) fn each(
        &mut self,
        take: impl FnMut(Result<Member<'_>, LeftOut>) -> io::Result<ControlFlow<()>>,
    ) -> Result<(), Damage> {
        let entries = self.archive.entries();
        // What follows the rest of a member isn't to be taken for its successor's headers.
        each(entries.map_err(at_the_beginning)?, &self.left, true, take)
    }

    /// [`Self::each`], which seeks over what `take` doesn't read.
    pub(crate) fn each_by_seeking(
        &mut self,
        take: impl FnMut(Result<Member<'_>, LeftOut>) -> io::Result<ControlFlow<()>>,
    ) -> Result<(), Damage>
    where
        R: Seek,
    {
        let entries = self.archive.entries_with_seek();
        each(entries.map_err(at_the_beginning)?, &self.left, false, take)
    }
}

fn at_the_beginning(error: io::Error) -> Damage {
    Damage { after: None, error }
}

fn each<R: Read>(
    mut entries: tar::Entries<'_, R>,
    left: &Cell<u64>,
    reads_rest: bool,
    mut take: impl FnMut(Result<Member<'_>, LeftOut>) -> io::Result<ControlFlow<()>>,
) -> Result<(), Damage> {
    let (mut after, mut rest) = (None, 0);
    loop {
        left.set(LONGEST_HEADERS.saturating_add(rest));
        let Some(entry) = entries.next() else {
            return Ok(());
        };
        left.set(u64::MAX);
        let read = entry.and_then(|mut entry| {
            let (name, is_long) = name(&entry.path_bytes());
            after = Some(name.clone());
            let kind = entry.header().entry_type();
            // Before POSIX a folder was a file with a slash at its end.
            let is_file =
                !kind.is_dir() && !kind.is_pax_global_extensions() && !name.ends_with('/');
            let (offset, size) = (entry.raw_file_position(), entry.size());
            let next = if is_file {
                take(match left_out(&name, kind).or_else(|| is_long.then(too_long)) {
                    Some(why) => Err((name, why)),
                    None => Ok(Member { name, offset, size, bytes: &mut entry }),
                })?
            } else {
                ControlFlow::Continue(())
            };
            rest = match kind {
                _ if !reads_rest || next.is_break() => 0,
                // Its holes would be read as zeros without end.
                EntryType::GNUSparse => entry.header().entry_size()?,
                _ => io::copy(&mut entry, &mut io::sink()).map(|_| 0)?,
            };
            Ok(next)
        });
        match read {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return Ok(()),
            Err(error) => return Err(Damage { after, error }),
        }
    }
}

/// A member's name, cut if it's too long.
fn name(bytes: &[u8]) -> (String, bool) {
    let is_long = bytes.len() > LONGEST_NAME;
    let shown = &bytes[..bytes.len().min(LONGEST_NAME)];
    (String::from_utf8_lossy(shown).into_owned(), is_long)
}

fn too_long() -> String {
    reason("too long", format_args!("its name has more than {LONGEST_NAME} bytes"))
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

    /// A tar file of one member whose name has so many bytes, and another behind it.
    fn named(length: usize) -> Vec<u8> {
        let name = vec![b'n'; length];
        crate::testing::tar_of(&[
            (b'L', "@LongLink", &name),
            (b'0', "x", b"1"),
            (b'0', "b.txt", b"2"),
        ])
    }

    fn names(bytes: &[u8], by_seeking: bool) -> (Vec<Result<usize, String>>, Option<String>) {
        let (mut found, mut tar) = (Vec::new(), Tar::new(io::Cursor::new(bytes)));
        let take = |member: Result<Member<'_>, LeftOut>| {
            found.push(member.map(|member| member.name.len()).map_err(|(_, why)| why));
            Ok(ControlFlow::Continue(()))
        };
        let read = if by_seeking { tar.each_by_seeking(take) } else { tar.each(take) };
        (found, read.err().map(|damage| damage.error.to_string()))
    }

    /// The `tar` crate keeps what a header announces.
    #[test]
    fn names_have_a_limit() {
        for by_seeking in [true, false] {
            let read = |length| names(&named(length), by_seeking);
            assert_eq!(read(4096), (vec![Ok(4096), Ok(5)], None));
            let (found, damage) = read(5000);
            assert_eq!((found[0].as_ref().unwrap_err(), damage), (&too_long(), None));
            assert_eq!(found[1], Ok(5));
            let (found, damage) = read(2 << 20);
            assert!(found.is_empty(), "{found:?}");
            assert!(damage.as_ref().unwrap().starts_with("a name or attributes"), "{damage:?}");
        }
        // What isn't read of a member is no header.
        let large = vec![b'x'; 3 << 20];
        let bytes = crate::testing::tar(&[("a.jpg", &large), ("b.txt", b"b")]);
        assert_eq!(names(&bytes, false), (vec![Ok(5), Ok(5)], None));
    }
}
