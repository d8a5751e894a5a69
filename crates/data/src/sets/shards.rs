//! Shards of a web dataset: tar files in which the files of a sample stand together, `000.jpg` beside `000.json` or `000.txt`.
//! Called by [`ImageTextSet::shards`].
//!
//! A shard's headers and texts are read at once and its images on demand, wherever they stand: so any order of training can be
//! resumed, as with files of their own. What is packed, or on a server, is read from a copy ([`crate::fetch`]).
//!
//! Source: webdataset/webdataset: src/webdataset/tariterators.py (`base_plus_ext`, `group_by_keys`).

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::braces::expand;
use super::json_lines::Fields;
use super::names::Captions;
use super::place::ImagePlace;
use super::{ImageTextSet, Sample, not_blank, reason};
use crate::fetch::{Cache, Local};
use crate::photos::EXTENSIONS;
use crate::{DataError, json, text};

/// Bytes of a member with texts: far above any.
const LONGEST_TEXT: u64 = 16 << 20;
/// Bytes of an image: above any photo.
const LARGEST_IMAGE: u64 = 512 << 20;

pub(super) fn read(
    pattern: &str,
    fields: &[String],
    cache: &Cache<'_>,
) -> Result<ImageTextSet, DataError> {
    let mut set = ImageTextSet::default();
    let names = expand(pattern)
        .map_err(|problem| DataError::Format { path: PathBuf::from(pattern), problem })?;
    let mut members = 0;
    for shard in cache.local(&names)? {
        members += read_shard(shard, fields, &mut set)?;
    }
    if set.samples.is_empty() {
        let why = if set.skipped.is_empty() {
            String::new()
        } else {
            format!("; skipped: {}", set.why_skipped())
        };
        return Err(DataError::Format {
            path: PathBuf::from(pattern),
            problem: format!(
                "none of its {members} members is an image ({}) beside a .json or .txt of the same key that has a caption{why}",
                EXTENSIONS.join(", ")
            ),
        });
    }
    Ok(set)
}

/// Adds a shard's samples, and gives the number of its members.
fn read_shard(shard: Local, fields: &[String], set: &mut ImageTextSet) -> Result<usize, DataError> {
    let shard = Arc::new(shard);
    let wrong = |source| text::io(&shard.path, source);
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
                let bytes = read_text(&mut entry)?;
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
            // Without its lengths a tar file has no places to go on from.
            Err(error) => {
                let after = match group.members.last() {
                    Some((name, _)) => format!("{}: in or after {name:?}", shard.name),
                    None => format!("{}: the beginning", shard.name),
                };
                let error = error.to_string();
                // What tar adds quotes whole headers.
                let error = error.split(" when ").next().unwrap_or_default();
                let error = shard.damage.as_deref().unwrap_or(error);
                let why = format_args!("{error}; what follows is lost");
                set.skipped.push((after, reason("damaged shard", why)));
                is_whole = false;
                break;
            }
        }
    }
    group.finish(&shard, fields, set);
    let lacks_end = || ends(&shard.path).map(|ends| !ends);
    if is_whole && (shard.damage.is_some() || lacks_end().map_err(wrong)?) {
        // Cut between two members, which the tar format itself doesn't notice.
        let why = shard.damage.as_deref();
        let why = why.unwrap_or("it ends without the mark of a tar file's end");
        let why = format_args!("{why}; what may have followed is lost");
        let place = format!("{}: the end", shard.name);
        set.skipped.push((place, reason("damaged shard", why)));
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

/// A member's path up to the first dot of its name, and what follows that.
fn key(name: &str) -> Option<(&str, &str)> {
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = start + name[start..].find('.')?;
    // A hidden file has no key.
    (dot > start).then(|| (&name[..dot], &name[dot + 1..]))
}

fn read_text(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(LONGEST_TEXT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
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
    /// Adds the sample, or why there's none.
    fn finish(self, shard: &Arc<Local>, fields: &[String], set: &mut ImageTextSet) {
        if self.members.is_empty() {
            return;
        }
        // Escaped: a name out of a file may hold what a terminal would obey.
        let place = format!("{}: {:?}", shard.name, self.key);
        match self.sample(shard, fields, &place) {
            Ok(sample) => set.samples.push(sample),
            Err(why) => set.skipped.push((place, why)),
        }
    }

    fn sample(self, shard: &Arc<Local>, names: &[String], place: &str) -> Result<Sample, String> {
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
        let too_long = |bytes: &[u8]| bytes.len() as u64 > LONGEST_TEXT;
        if json.as_deref().is_some_and(too_long) || text.as_deref().is_some_and(too_long) {
            let why = format_args!("its texts have more than {LONGEST_TEXT} bytes");
            return Err(reason("too large", why));
        }
        let (captions, negatives) = match (json, text) {
            (json, text) if !names.is_empty() => {
                let object = json.as_deref().map(json::object).transpose()?;
                let fields = object.map(Fields::new);
                let captions = Captions::of(names, |name| match (&text, &fields) {
                    (Some(text), _) if name == "txt" => lines(text),
                    (_, Some(fields)) => fields.texts(name),
                    _ => Ok(Vec::new()),
                })?;
                let negatives = fields.map(|fields| fields.negatives());
                (captions, negatives.transpose()?.unwrap_or_default())
            }
            (Some(json), text) => {
                let fields = Fields::new(json::object(&json)?);
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
        Ok(Sample {
            image: ImagePlace::Member { shard: Arc::clone(shard), name, offset, size },
            captions: captions.texts,
            fields: captions.fields,
            negatives,
            place: place.to_owned(),
            part: 0,
        })
    }
}

/// The captions of a text, one a line.
fn lines(text: &[u8]) -> Result<Vec<String>, String> {
    let text = str::from_utf8(text).map_err(|error| reason("not UTF-8", error))?;
    let lines = not_blank(text.lines());
    if lines.is_empty() {
        return Err(reason("without a caption", "the .txt is empty"));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn set(shards: &[(&str, Vec<u8>)], pattern: &str) -> Result<ImageTextSet, DataError> {
        set_by(shards, pattern, &[])
    }

    fn set_by(
        shards: &[(&str, Vec<u8>)],
        pattern: &str,
        fields: &[String],
    ) -> Result<ImageTextSet, DataError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in shards {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let copies = dir.path().join("copies");
        let cache = Cache::silent(Some(&copies));
        let set = read(&format!("{}/{pattern}", dir.path().display()), fields, &cache)?;
        for sample in &set.samples {
            // The bytes are those of the member, wherever it stands.
            let bytes = sample.image.read().unwrap();
            assert!(bytes.starts_with(b"pixels of "), "{}", sample.image);
        }
        Ok(set)
    }

    fn good(key: &str) -> Vec<(String, Vec<u8>)> {
        vec![
            (format!("{key}.jpg"), format!("pixels of {key}").into_bytes()),
            (format!("{key}.json"), format!("{{\"caption\": \"{key}\"}}").into_bytes()),
        ]
    }

    fn shard(keys: &[&str]) -> Vec<u8> {
        let members: Vec<_> = keys.iter().flat_map(|key| good(key)).collect();
        let members: Vec<(&str, &[u8])> =
            members.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        tar(&members)
    }

    fn captions(set: &ImageTextSet) -> Vec<String> {
        set.samples.iter().map(|sample| sample.captions.join("|")).collect()
    }

    #[test]
    fn samples_of_all_shards_come_in_their_order() {
        let shards = [("s-0.tar", shard(&["a", "b/c"])), ("s-1.tar", shard(&["d"]))];
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
        let found = set(&[("s.tar", bytes)], "s.tar").unwrap();
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
        let fields = ["made", "txt", "alt"].map(str::to_owned);
        let found = set_by(&[("s.tar", bytes)], "s.tar", &fields).unwrap();
        assert_eq!(captions(&found), ["b|c|d|a", "e|f", "g"]);
        let fields: Vec<&[u16]> = found.samples.iter().map(|s| s.fields.as_slice()).collect();
        assert_eq!(fields, [&[0, 0, 1, 2][..], &[1, 1], &[0]]);
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
        let found = set(&[("s.tar", bytes)], "s.tar").unwrap();
        assert_eq!(captions(&found), ["good"]);
        let kinds: Vec<&str> =
            found.skipped.iter().map(|(_, why)| why.split(':').next().unwrap()).collect();
        let expected =
            ["without an image", "without a caption", "not JSON", "not UTF-8", "several images"];
        assert_eq!(kinds, expected);
        assert!(found.skipped[0].0.ends_with("s.tar: \"0\""));
    }

    #[test]
    fn of_a_cut_shard_the_rest_is_read() {
        let whole = shard(&["a", "b", "c"]);
        // Each member is a header and a block; in the third member's header, and in the fourth one's text.
        // And between two of them.
        for (end, left) in [
            (2 * 1024 + 100, vec!["a"]),
            (3 * 1024 + 512 + 4, vec!["a"]),
            (2 * 1024, vec!["a"]),
            (4 * 1024, vec!["a", "b"]),
        ] {
            let shards = [("s-0.tar", whole[..end].to_vec()), ("s-1.tar", shard(&["z"]))];
            let found = set(&shards, "s-{0..1}.tar").unwrap();
            assert_eq!(captions(&found), [left, vec!["z"]].concat(), "{end}");
            let damaged =
                found.skipped.iter().filter(|(_, why)| why.starts_with("damaged shard: "));
            assert_eq!(damaged.count(), 1, "{:?}", found.skipped);
        }
    }

    #[test]
    fn packed_shards_are_read_as_those_that_are_not() {
        let bytes = shard(&["a", "b", "c"]);
        let plain = set(&[("s.tar", bytes.clone())], "s.tar").unwrap();
        let frames = bytes.chunks(1000).map(zstd).collect::<Vec<_>>().concat();
        let members = bytes.chunks(700).map(gzip).collect::<Vec<_>>().concat();
        for packed in [gzip(&bytes), zstd(&bytes), frames, members] {
            let found = set(&[("s.tar.gz", packed.clone())], "s.tar.gz").unwrap();
            assert_eq!(captions(&found), captions(&plain));
            assert!(found.skipped.is_empty());
            // Cut anywhere, it gives what came before and says that something is missing.
            for end in (0..packed.len()).step_by(packed.len() / 9).skip(1) {
                let shards =
                    [("s-0.tar.gz", packed[..end].to_vec()), ("s-1.tar.gz", shard(&["z"]))];
                let found = set(&shards, "s-{0..1}.tar.gz").unwrap();
                let captions = captions(&found);
                let whole = ["a", "b", "c"];
                assert_eq!(captions[..captions.len() - 1], whole[..captions.len() - 1]);
                assert_eq!(captions.last().unwrap(), "z");
                let damaged = |why: &str| why.starts_with("damaged shard: ");
                assert!(found.skipped.iter().any(|(_, why)| damaged(why)), "{end}");
            }
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        use ruzstd::encoding::{CompressionLevel, compress_to_vec};

        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    #[test]
    fn what_cannot_be_used_at_all_is_an_error() {
        let error = |bytes: Vec<u8>| set(&[("s.tar", bytes)], "s.tar").unwrap_err().to_string();
        assert!(error(vec![0x1f, 0x8b, 8, 0]).contains("damaged shard"));
        assert!(error(vec![0x28, 0xb5, 0x2f, 0xfd]).contains("damaged shard"));
        assert!(error(tar(&[("0.txt", b"a")])).contains("none of its 1 members"));
        assert!(error(vec![b'x'; 2_000]).contains("damaged shard"));
        assert!(set(&[], "none.tar").unwrap_err().to_string().contains("none.tar"));
        assert!(set(&[], "s-{0..}.tar").unwrap_err().to_string().contains("{0..}"));
    }
}
