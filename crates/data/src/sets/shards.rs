//! Shards of a web dataset: tar files in which the files of a sample stand together, `000.jpg` beside `000.json` or `000.txt`.
//!
//! A shard's headers and texts are read at once and its images on demand, so that any order of training can be resumed, as with
//! separate files. A compressed or remote shard is read from a copy ([`crate::fetch`]).
//!
//! Source: webdataset/webdataset: src/webdataset/tariterators.py (`base_plus_ext`, `group_by_keys`).

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::braces::expand;
use super::json_lines::Fields;
use super::names::Captions;
use super::place::ImagePlace;
use super::{Found, ImageTextSet, not_blank, reason};
use crate::fetch::{Cache, Local};
use crate::photos::EXTENSIONS;
use crate::{DataError, json, text};

/// Bytes of a member with texts, far more than one has.
const LONGEST_TEXT: u64 = 16 << 20;
/// Bytes of an image, more than any photo has.
const LARGEST_IMAGE: u64 = 512 << 20;

impl ImageTextSet {
    /// The samples of a web dataset's shards, in their order: adjacent files of a tar file that share a name up to its first dot.
    ///
    /// `pattern` names one shard, or several by braces (`part-{00000..00099}.tar`, `{train,extra}.tar`). A sample is an image with a
    /// `.json` (captions and negatives as in [`Self::json_lines`]) or a `.txt` (a caption a line) beside it; other files are ignored. An
    /// incomplete or malformed sample is skipped, and so is the rest of a damaged shard. In `fields`, `txt` is the `.txt`.
    ///
    /// A shard that is compressed with gzip or zstd, or on a server (`s3://`, `gs://`, `https://`), is copied to `cache` first.
    ///
    /// # Errors
    /// [`DataError::Io`] for a shard that can't be read or copied; [`DataError::Format`] for an invalid pattern, a shard that the server
    /// refuses, and if there is no sample; [`DataError::Stopped`] where the cache's listener stops.
    pub fn shards(pattern: &str, fields: &[String], cache: &Cache<'_>) -> Result<Self, DataError> {
        let mut set = Self::default();
        let names = expand(pattern).map_err(|problem| DataError::format(pattern, problem))?;
        let mut members = 0;
        for shard in cache.local(&names)? {
            members += read_shard(shard, fields, &mut set)?;
        }
        set.unless_empty(pattern, || {
            format!(
                "none of its {members} members is an image ({}) beside a .json or .txt of the same key that has a caption",
                EXTENSIONS.join(", ")
            )
        })
    }
}

/// Adds a shard's samples and returns the number of its members.
fn read_shard(shard: Local, fields: &[String], set: &mut ImageTextSet) -> Result<usize, DataError> {
    let shard = Arc::new(shard);
    let wrong = |source| DataError::io(&shard.path, source);
    let file = File::open(&shard.path).map_err(wrong)?;
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries_with_seek().map_err(wrong)?;
    let mut members = 0;
    let mut group = Group::default();
    let mut is_whole = true;
    for entry in entries {
        let member = entry.and_then(|mut entry| {
            if !entry.header().entry_type().is_file() {
                return Ok(None);
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let Some((key, extension)) = key(&name) else {
                return Ok(None);
            };
            let extension = extension.to_ascii_lowercase();
            let content = if EXTENSIONS.contains(&extension.as_str()) {
                Content::Image { offset: entry.raw_file_position(), size: entry.size() }
            } else if extension == "json" || extension == "txt" {
                let mut bytes = Vec::new();
                entry.by_ref().take(LONGEST_TEXT + 1).read_to_end(&mut bytes)?;
                if extension == "json" { Content::Json(bytes) } else { Content::Text(bytes) }
            } else {
                return Ok(None);
            };
            Ok(Some((key.to_owned(), name, content)))
        });
        members += 1;
        match member {
            Ok(None) => {}
            Ok(Some((key, name, content))) => {
                if key != group.key {
                    std::mem::take(&mut group).finish(&shard, fields, set);
                    group.key = key;
                }
                group.members.push((name, content));
            }
            // Without its lengths the members that follow can't be found.
            Err(error) => {
                let after = match group.members.last() {
                    Some((name, _)) => format!("{}: in or after {name:?}", shard.name),
                    None => format!("{}: the beginning", shard.name),
                };
                let error = shard.damage.clone().unwrap_or_else(|| text::tar_error(&error));
                let why = reason("damaged shard", format_args!("{error}; the rest is skipped"));
                set.skipped.push((after, why));
                is_whole = false;
                break;
            }
        }
    }
    group.finish(&shard, fields, set);
    let lacks_end = || ends(&shard.path).map(|ends| !ends);
    if is_whole && (shard.damage.is_some() || lacks_end().map_err(wrong)?) {
        // Cut between two members, which the tar format doesn't notice.
        let why = shard.damage.as_deref().unwrap_or("its end mark is missing");
        let why = reason("damaged shard", format_args!("{why}; a part may be missing"));
        set.skipped.push((format!("{}: the end", shard.name), why));
    }
    Ok(members)
}

/// Whether a tar file ends as one does, with a block of zeros.
fn ends(shard: &Path) -> io::Result<bool> {
    let mut file = File::open(shard)?;
    let mut block = [0; 512];
    if file.metadata()?.len() < block.len() as u64 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-512))?;
    file.read_exact(&mut block)?;
    Ok(block == [0; 512])
}

/// A member's path up to the first dot of its name, and the rest.
fn key(name: &str) -> Option<(&str, &str)> {
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = start + name[start..].find('.')?;
    // A hidden file has no key.
    (dot > start).then(|| (&name[..dot], &name[dot + 1..]))
}

enum Content {
    Image { offset: u64, size: u64 },
    Json(Vec<u8>),
    Text(Vec<u8>),
}

/// The members of one key.
#[derive(Default)]
struct Group {
    key: String,
    members: Vec<(String, Content)>,
}

impl Group {
    /// Adds the sample, or the reason for skipping it.
    fn finish(self, shard: &Arc<Local>, fields: &[String], set: &mut ImageTextSet) {
        if self.members.is_empty() {
            return;
        }
        // Escaped: a name out of a file may hold what a terminal would obey.
        let place = format!("{}: {:?}", shard.name, self.key);
        set.push(place, self.sample(shard, fields));
    }

    fn sample(self, shard: &Arc<Local>, names: &[String]) -> Found {
        let (mut image, mut json, mut text) = (None, None, None);
        for (name, content) in self.members {
            match content {
                Content::Image { offset, size } if image.is_none() => {
                    image = Some((name, offset, size));
                }
                Content::Image { .. } => return Err(reason("several images", name)),
                Content::Json(bytes) => json = Some(bytes),
                Content::Text(bytes) => text = Some(bytes),
            }
        }
        let (name, offset, size) =
            image.ok_or_else(|| reason("without an image", "no member is one"))?;
        if size > LARGEST_IMAGE {
            let why = format_args!("it has {size} bytes, at most {LARGEST_IMAGE} are read");
            return Err(reason("too large", why));
        }
        if [&json, &text].into_iter().flatten().any(|bytes| bytes.len() as u64 > LONGEST_TEXT) {
            let why = format_args!("its texts have more than {LONGEST_TEXT} bytes");
            return Err(reason("too large", why));
        }
        let (captions, negatives) = match (json, text) {
            (json, text) if !names.is_empty() => {
                let fields = json.as_deref().map(json::object).transpose()?.map(Fields);
                let captions = Captions::of(names, |name| match (&text, &fields) {
                    (Some(text), _) if name == "txt" => lines(text),
                    (_, Some(fields)) => fields.texts(name),
                    _ => Ok(Vec::new()),
                })?;
                let negatives = fields.map(|fields| fields.negatives());
                (captions, negatives.transpose()?.unwrap_or_default())
            }
            (Some(json), text) => {
                let fields = Fields(json::object(&json)?);
                let captions = match (fields.captions(), text) {
                    (Err(_), Some(text)) => lines(&text)?,
                    (captions, _) => captions?,
                };
                (Captions::usual(captions), fields.negatives()?)
            }
            (None, Some(text)) => (Captions::usual(lines(&text)?), Vec::new()),
            (None, None) => {
                return Err(reason("without a caption", "there is no .json and no .txt"));
            }
        };
        let image = ImagePlace::Member { shard: Arc::clone(shard), name, offset, size };
        Ok((image, captions, negatives))
    }
}

/// The captions of a text, one a line.
fn lines(text: &[u8]) -> Result<Vec<String>, String> {
    let lines = not_blank(text::utf8(text)?.lines());
    if lines.is_empty() {
        return Err(reason("without a caption", "the .txt is empty"));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Dir, captions, fields, gzip, kinds, strings, tar, zstd};

    fn set(shards: &[(&str, &[u8])], pattern: &str) -> Result<ImageTextSet, DataError> {
        set_by(shards, pattern, &[])
    }

    fn set_by(
        shards: &[(&str, &[u8])],
        pattern: &str,
        fields: &[String],
    ) -> Result<ImageTextSet, DataError> {
        let dir = Dir::with(shards);
        let copies = dir.path("copies");
        let cache = Cache::silent(Some(&copies));
        let set = ImageTextSet::shards(&dir.path(pattern).to_string_lossy(), fields, &cache)?;
        for sample in &set.samples {
            // The bytes are those of the member, wherever it stands.
            let bytes = sample.image.read().unwrap();
            assert!(bytes.starts_with(b"pixels of "), "{}", sample.image);
        }
        Ok(set)
    }

    fn shard(keys: &[&str]) -> Vec<u8> {
        let members = keys.iter().flat_map(|key| {
            let json = format!("{{\"caption\": \"{key}\"}}");
            [(format!("{key}.jpg"), format!("pixels of {key}")), (format!("{key}.json"), json)]
        });
        let members: Vec<_> = members.collect();
        let members = members.iter().map(|(name, text)| (name.as_str(), text.as_bytes()));
        tar(&members.collect::<Vec<_>>())
    }

    #[test]
    fn samples_of_all_shards_come_in_their_order() {
        let shards = [("s-0.tar", &shard(&["a", "b/c"])[..]), ("s-1.tar", &shard(&["d"]))];
        let found = set(&shards, "s-{0..1}.tar").unwrap();
        assert_eq!(captions(&found), ["a", "b/c", "d"]);
        assert!(found.skipped.is_empty());
        assert!(found.samples[1].image.to_string().contains("s-0.tar: \"b/c.jpg\""));
    }

    #[test]
    fn captions_come_from_json_or_from_text_and_negatives_with_them() {
        let image: &[u8] = b"pixels of x";
        let bytes = tar(&[
            ("0.JPG", image),
            ("0.json", b"{\"captions\": [\"a\", \"b\"], \"negatives\": [\"c\"]}"),
            ("1.txt", b"d\n\n e \n"),
            ("1.png", image),
            ("1.cls", b"7"),
            ("2.jpg", image),
            ("2.json", b"{\"id\": 1}"),
            ("2.txt", b"f"),
        ]);
        let found = set(&[("s.tar", &bytes)], "s.tar").unwrap();
        assert_eq!(captions(&found), ["a|b", "d|e", "f"]);
        assert_eq!(found.samples[0].negatives, ["c"]);
    }

    #[test]
    fn captions_stand_in_the_fields_that_are_asked_for() {
        let image: &[u8] = b"pixels of x";
        let json: &[u8] = b"{\"alt\": \"a\", \"made\": [\"b\", \"c\"], \"caption\": \"no\"}";
        let bytes = tar(&[
            ("0.jpg", image),
            ("0.json", json),
            ("0.txt", b"d"),
            ("1.jpg", image),
            ("1.txt", b"e\nf"),
            ("2.jpg", image),
            ("2.json", b"{\"made\": \"g\", \"alt\": null}"),
            ("3.jpg", image),
            ("3.json", b"{\"caption\": \"no\"}"),
        ]);
        let names = strings(&["made", "txt", "alt"]);
        let found = set_by(&[("s.tar", &bytes)], "s.tar", &names).unwrap();
        assert_eq!(captions(&found), ["b|c|d|a", "e|f", "g"]);
        assert_eq!(fields(&found), [&[0, 0, 1, 2][..], &[1, 1], &[0]]);
        let why = "without a caption: no text under made, txt, alt";
        assert_eq!(found.skipped[0].1, why);
    }

    #[test]
    fn what_is_no_sample_is_skipped_and_told() {
        let image: &[u8] = b"pixels of x";
        let bytes = tar(&[
            ("0.json", b"{\"caption\": \"a\"}"),
            ("1.jpg", image),
            ("2.jpg", image),
            ("2.json", b"{"),
            ("3.jpg", image),
            ("3.txt", b"\xff"),
            ("4.jpg", image),
            ("4.txt", b"good"),
            ("5.jpg", image),
            ("5.png", image),
            ("5.txt", b"b"),
        ]);
        let found = set(&[("s.tar", &bytes)], "s.tar").unwrap();
        assert_eq!(captions(&found), ["good"]);
        let expected =
            ["without an image", "without a caption", "not JSON", "not UTF-8", "several images"];
        assert_eq!(kinds(&found), expected);
        assert!(found.skipped[0].0.ends_with("s.tar: \"0\""));
    }

    #[test]
    fn of_a_cut_shard_the_rest_is_read() {
        let whole = shard(&["a", "b", "c"]);
        // Each member is a header and a block: in the third header, in the fourth text, and between members.
        for (end, left) in [
            (2 * 1024 + 100, vec!["a"]),
            (3 * 1024 + 512 + 4, vec!["a"]),
            (2 * 1024, vec!["a"]),
            (4 * 1024, vec!["a", "b"]),
        ] {
            let shards = [("s-0.tar", &whole[..end]), ("s-1.tar", &shard(&["z"]))];
            let found = set(&shards, "s-{0..1}.tar").unwrap();
            assert_eq!(captions(&found), [left, vec!["z"]].concat(), "{end}");
            let damaged = kinds(&found).into_iter().filter(|kind| *kind == "damaged shard");
            assert_eq!(damaged.count(), 1, "{:?}", found.skipped);
        }
    }

    #[test]
    fn packed_shards_are_read_as_those_that_are_not() {
        let bytes = shard(&["a", "b", "c"]);
        let plain = set(&[("s.tar", &bytes)], "s.tar").unwrap();
        let frames = bytes.chunks(1000).map(zstd).collect::<Vec<_>>().concat();
        let members = bytes.chunks(700).map(gzip).collect::<Vec<_>>().concat();
        for packed in [gzip(&bytes), zstd(&bytes), frames, members] {
            let found = set(&[("s.tar.gz", &packed)], "s.tar.gz").unwrap();
            assert_eq!(captions(&found), captions(&plain));
            assert!(found.skipped.is_empty());
            // Cut anywhere, it gives what came before and says that something is missing.
            for end in (0..packed.len()).step_by(packed.len() / 9).skip(1) {
                let shards = [("s-0.tar.gz", &packed[..end]), ("s-1.tar.gz", &shard(&["z"]))];
                let found = set(&shards, "s-{0..1}.tar.gz").unwrap();
                let captions = captions(&found);
                let whole = ["a", "b", "c"];
                assert_eq!(captions[..captions.len() - 1], whole[..captions.len() - 1]);
                assert_eq!(captions.last().unwrap(), "z");
                assert!(kinds(&found).contains(&"damaged shard"), "{end}");
            }
        }
    }

    #[test]
    fn what_cannot_be_used_at_all_is_an_error() {
        let error = |bytes: &[u8]| set(&[("s.tar", bytes)], "s.tar").unwrap_err().to_string();
        assert!(error(&[0x1f, 0x8b, 8, 0]).contains("damaged shard"));
        assert!(error(&[0x28, 0xb5, 0x2f, 0xfd]).contains("damaged shard"));
        assert!(error(&tar(&[("0.txt", b"a")])).contains("none of its 1 members"));
        assert!(error(&[b'x'; 2_000]).contains("damaged shard"));
        assert!(set(&[], "none.tar").unwrap_err().to_string().contains("none.tar"));
        assert!(set(&[], "s-{0..}.tar").unwrap_err().to_string().contains("{0..}"));
    }
}
