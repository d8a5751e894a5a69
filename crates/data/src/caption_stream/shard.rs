//! Shards of web datasets: tar files in which the files of one image stand together, `000.jpg` beside `000.json`.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

use super::{LONGEST_ROW, Row, Unreadable, captions, too_long};
use crate::DataError;
use crate::text::{self, reason};

pub(super) fn read(
    input: &mut impl Read,
    name: &Path,
    fields: &[&str],
    take: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let mut archive = tar::Archive::new(input);
    let entries = archive.entries().map_err(|source| DataError::io(name, source))?;
    let (mut rows, mut others) = (0_u64, 0_u64);
    // The current member; none before the first valid header.
    let mut member = None;
    for entry in entries {
        let read = entry.and_then(|mut entry| {
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let extension = Path::new(&path).extension();
            let is_row = entry.header().entry_type().is_file()
                && extension.is_some_and(|extension| extension == "json");
            // Escaped: a name out of a file may hold what a terminal would obey.
            member = Some(format!("{path:?}"));
            is_row.then(|| read_member(&mut entry)).transpose()
        });
        match read {
            Ok(Some(bytes)) => {
                rows += 1;
                let captions = if bytes.len() > LONGEST_ROW {
                    Err(too_long("a member has one object"))
                } else {
                    captions(&bytes, fields)
                };
                if take(Row::new(captions, || member.clone().unwrap_or_default())).is_break() {
                    return Ok(());
                }
            }
            Ok(None) => others += 1,
            // Without its lengths the members that follow can't be found.
            Err(error) => {
                let (kind, place) = match &member {
                    Some(member) => ("damaged", format!("in or after {member}")),
                    None => ("no tar file", "the beginning".to_owned()),
                };
                let error = text::tar_error(&error);
                let reason = reason(kind, format_args!("{error}; the rest is skipped"));
                let _ = take(Row::Unreadable(Unreadable { place, reason, shown: None }));
                return Ok(());
            }
        }
    }
    if rows == 0 && others > 0 {
        let problem = format!(
            "none of its {others} members is a .json file; a web dataset has one for each image"
        );
        return Err(DataError::format(name, problem));
    }
    Ok(())
}

/// A member's bytes, up to one more than the limit.
fn read_member(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let size = entry.size().min(LONGEST_ROW as u64 + 1);
    entry.take(LONGEST_ROW as u64 + 1).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rows, short};
    use super::super::{Format, Row};

    fn tar(members: &[(&str, &str)]) -> Vec<u8> {
        let members = members.iter().map(|(name, content)| (*name, content.as_bytes()));
        crate::testing::tar(&members.collect::<Vec<_>>())
    }

    #[test]
    fn every_json_member_is_a_row() {
        let long = format!("{}/3.json", "folder/".repeat(40));
        let shard = tar(&[
            ("0.json", "{\"caption\": \"a\", \"top_caption\": \"b\"}"),
            ("0.jpg", "no image"),
            ("0.txt", "a"),
            ("1.json", "{\n  \"captions\": [\"c\", \"d\"]\n}\n"),
            ("2.json", "{\n  \"caption\": 1,\n  x\n}\n"),
            (&long, "{\"caption\": \"e\"}"),
        ]);
        let mut told = short(&rows(&shard, Format::Webdataset, None).unwrap());
        let bad = told.remove(2);
        assert_eq!(told, ["b", "c|d", "e"]);
        assert!(bad.starts_with("! \"2.json\": not JSON: ") && bad.contains("line 3"), "{bad}");
    }

    #[test]
    fn a_field_can_be_named_and_a_shard_without_rows_is_refused() {
        let shard = tar(&[("0.json", "{\"caption\": \"a\", \"alt\": [\"b\"]}")]);
        let named = rows(&shard, Format::Webdataset, Some("alt")).unwrap();
        assert_eq!(short(&named), ["b"]);
        let error = rows(&tar(&[("0.jpg", "x")]), Format::Webdataset, None).unwrap_err();
        assert!(error.contains("none of its 1 members is a .json"), "{error}");
        assert!(rows(&[], Format::Webdataset, None).unwrap().is_empty());
        assert!(rows(&tar(&[]), Format::Webdataset, None).unwrap().is_empty());
    }

    #[test]
    fn what_comes_before_the_damage_is_read() {
        let shard = tar(&[("0.json", "{\"caption\": \"a\"}"), ("1.json", "{\"caption\": \"b\"}")]);
        // In the first member's bytes, between members, and in the second header.
        for (end, count) in [(520, 0), (1_024 + 100, 1), (1_024 + 512 + 3, 1)] {
            let found = rows(&shard[..end], Format::Webdataset, None).unwrap();
            assert_eq!(found.len(), count + 1, "{end}: {found:?}");
            let Some(Row::Unreadable(last)) = found.last() else {
                panic!("{end}: {found:?}");
            };
            assert!(last.shown.is_none() && last.reason.ends_with("; the rest is skipped"));
        }
        let words = rows(&[b'x'; 2_000], Format::Webdataset, None).unwrap();
        assert!(short(&words)[0].starts_with("! the beginning: no tar file: "));
    }
}
