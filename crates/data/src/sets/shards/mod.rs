//! Shards of a web dataset: tar files in which the files of a sample stand together, `000.jpg` beside `000.json` or `000.txt`.
//!
//! A shard's headers and texts are read at once and its images on demand, so that any order of training can be resumed, as with
//! separate files. A compressed or remote shard is read from a copy ([`crate::fetch`]).
//!
//! Source: webdataset/webdataset: src/webdataset/tariterators.py (`base_plus_ext`, `group_by_keys`).

mod group;
pub(crate) mod members;

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::sync::Arc;

use self::group::Halves;
pub(crate) use self::group::{Group, Part, take_texts};
use self::members::{Damage, LeftOut, Member, Tar};
use super::files::files;
use super::index::{Builder, Opening, Source};
use super::place::ImagePlace;
use super::{Found, ImageTextSet, IndexedSet, Options, reason};
use crate::fetch::{Cache, Local, Watch};
use crate::photos::EXTENSIONS;
use crate::{DataError, text};

/// Ends of the names of shards.
pub(crate) const ENDS: [&str; 4] = [".tar", ".tar.gz", ".tgz", ".tar.zst"];

impl ImageTextSet {
    /// [`IndexedSet::shards`] in memory.
    ///
    /// # Errors
    /// Those of [`IndexedSet::shards`].
    pub fn shards(
        pattern: &str,
        options: &Options<'_>,
        cache: &Cache<'_>,
    ) -> Result<Self, DataError> {
        IndexedSet::shards(pattern, options, cache)?.into_memory()
    }
}

impl IndexedSet {
    /// The samples of a web dataset's shards, in their order: adjacent files of a tar file that share a name up to its first dot.
    ///
    /// `pattern` names one shard, or several by braces (`part-{00000..00099}.tar`, `{train,extra}.tar`), by stars (`train-*.tar`), or
    /// by their folder. A sample is an image with a `.json` (captions and negatives as in [`Self::json_lines`]) or a `.txt`, `.cap`
    /// or `.caption` (a caption a line) beside it; other files of the sample are ignored. In the captions' fields, `txt` is the text
    /// file. Of files that share their first part alone, those that share all but the last are a sample (`img.0001.jpg`,
    /// `img.0001.txt`). Where a tar file was packed by type, files of a sample that stand apart are read together; other programs
    /// don't read them.
    ///
    /// An incomplete or malformed sample is skipped, and so are hidden files, links, and the rest of a damaged shard. A shard that is
    /// compressed with gzip or zstd, or on a server (`s3://`, `gs://`, `https://`), is copied to `cache` first.
    ///
    /// # Errors
    /// [`DataError::Io`] for a shard that can't be read or copied; [`DataError::Format`] for an invalid pattern, a shard that the
    /// server refuses, and if there is no sample; [`DataError::Stopped`] where the cache's listener stops.
    pub fn shards(
        pattern: &str,
        options: &Options<'_>,
        cache: &Cache<'_>,
    ) -> Result<Self, DataError> {
        let files = files(pattern, &ENDS, options)?;
        let local = cache.local(&files.names)?;
        let opening = Opening::of("shards", &local, options, cache);
        let shards: Vec<Arc<Local>> = local.into_iter().map(Arc::new).collect();
        let sources = || Ok(shards.iter().map(Arc::clone).map(Source::Shard).collect());
        let mut members = 0;
        let mut set = if let Some(set) = opening.find(sources)? {
            set
        } else {
            let mut built = Builder::new(opening.home());
            for shard in &shards {
                built.source(Source::Shard(Arc::clone(shard)));
            }
            let mut watch = cache.watch(pattern, shards.iter().map(|shard| shard.size()).sum());
            for shard in &shards {
                members += read_shard(shard, options, &mut watch, &mut built)?;
            }
            opening.keep(built.finish()?)?
        };
        set.notes.extend(files.note);
        set.unless_empty(pattern, || {
            format!(
                "none of its {members} members is an image ({}) with a .json or .txt of the same key that has a caption",
                EXTENSIONS.join(", ")
            )
        })
    }
}

/// Adds a shard's samples and returns the number of its members.
fn read_shard(
    shard: &Arc<Local>,
    options: &Options<'_>,
    watch: &mut Watch<'_, '_>,
    set: &mut Builder,
) -> Result<usize, DataError> {
    let wrong = |source| DataError::io(&shard.path, source);
    let file = File::open(&shard.path).map_err(wrong)?;
    let length = file.metadata().map_err(wrong)?.len();
    let mut tar = Tar::new(file);
    let mut members = 0;
    let mut reading = Reading {
        shard,
        options,
        set: &mut *set,
        group: Group::default(),
        halves: Halves::default(),
    };
    let read = tar.each_by_seeking(|found| {
        members += 1;
        // An image's bytes are read later: whether all of them are there is seen now.
        if found.as_ref().is_ok_and(|member| member.offset.saturating_add(member.size) > length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reading.see(found).map(ControlFlow::Continue)
    });
    reading.end();
    let problem = match read {
        // Without its lengths the members that follow can't be found.
        Err(Damage { after, error }) => {
            let place =
                after.map_or("the beginning".to_owned(), |name| format!("in or after {name:?}"));
            let error = shard.damage.clone().unwrap_or_else(|| text::tar_error(&error));
            Some((place, format!("{error}; the rest is skipped")))
        }
        // Cut between two members, which the tar format doesn't notice.
        Ok(()) => missing_end(shard)?
            .map(|why| ("the end".to_owned(), format!("{why}; a part may be missing"))),
    };
    if let Some((place, why)) = problem {
        set.skip(&format!("{}: {place}", shard.name), &reason("damaged shard", why), 0);
    }
    set.check()?;
    watch.read(length)?;
    Ok(members)
}

/// Why the end of a tar file is missing, if it is: a tar file ends with a block of zeros.
pub(crate) fn missing_end(shard: &Local) -> Result<Option<String>, DataError> {
    let ends = || -> io::Result<bool> {
        let mut file = File::open(&shard.path)?;
        let mut block = [0; 512];
        if file.metadata()?.len() < block.len() as u64 {
            return Ok(false);
        }
        file.seek(SeekFrom::End(-512))?;
        file.read_exact(&mut block)?;
        Ok(block == [0; 512])
    };
    if shard.damage.is_some() {
        return Ok(shard.damage.clone());
    }
    let ends = ends().map_err(|source| DataError::io(&shard.path, source))?;
    Ok((!ends).then(|| "its end mark is missing".to_owned()))
}

/// A shard that is being read.
struct Reading<'a> {
    shard: &'a Arc<Local>,
    options: &'a Options<'a>,
    set: &'a mut Builder,
    group: Group,
    halves: Halves,
}

impl Reading<'_> {
    fn see(&mut self, found: Result<Member<'_>, LeftOut>) -> io::Result<()> {
        match take_texts(found)? {
            Ok((key, part)) => {
                if let Some(group) = self.group.add(key, part) {
                    self.finish(group);
                }
            }
            Err((name, why)) => {
                self.set.skip(&format!("{}: {name:?}", self.shard.name), &why, 0);
            }
        }
        Ok(())
    }

    fn finish(&mut self, group: Group) {
        for group in group.samples() {
            if group.is_whole() { self.push(group) } else { self.halves.push(group) }
        }
    }

    fn end(mut self) {
        let group = std::mem::take(&mut self.group);
        if !group.is_empty() {
            self.finish(group);
        }
        for group in std::mem::take(&mut self.halves).joined() {
            self.push(group);
        }
    }

    /// Adds the sample, or the reason for skipping it.
    fn push(&mut self, group: Group) {
        // Escaped: a name out of a file may hold what a terminal would obey.
        let place = format!("{}: {:?}", self.shard.name, group.key);
        let found = self.sample(group);
        self.set.push(place, found, 0);
    }

    fn sample(&self, group: Group) -> Found {
        let found = group.captions(self.options);
        let Part { name, offset, size, .. } = group.image()?;
        let (captions, negatives) = found?;
        let image = ImagePlace::Member { shard: Arc::clone(self.shard), name, offset, size };
        Ok((image, captions, negatives))
    }
}

#[cfg(test)]
mod tests;
