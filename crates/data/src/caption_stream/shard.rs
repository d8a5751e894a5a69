//! Shards of web datasets: tar files in which the files of one image stand together, `000.jpg` beside `000.json`.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use super::Row;
use crate::DataError;
use crate::sets::Options;
use crate::sets::shards::members::{Damage, Tar};
use crate::sets::shards::{Group, take_texts};
use crate::text::{self, reason};

/// Gives a row for each image with a text, in the order of the shard.
pub(super) fn read(
    input: impl Read,
    name: &Path,
    options: &Options<'_>,
    take: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let mut tar = Tar::new(input);
    let (mut rows, mut others, mut next) = (0_u64, 0_u64, ControlFlow::Continue(()));
    let mut give = |group: Group| -> ControlFlow<()> {
        for group in group.samples().into_iter().flat_map(Group::rows) {
            if group.has_texts() {
                rows += 1;
                // Escaped: a name out of a file may hold what a terminal would obey.
                take(Row::new(group.all_captions(options), || format!("{:?}", group.key)))?;
            }
        }
        ControlFlow::Continue(())
    };
    let mut group = Group::default();
    let read = tar.each(|found| {
        others += 1;
        if let Ok((key, part)) = take_texts(found)?
            && let Some(before) = group.add(key, part)
        {
            next = give(before);
        }
        Ok(next)
    });
    if next.is_break() || give(group).is_break() {
        return Ok(());
    }
    // Without its lengths the members that follow can't be found.
    if let Err(Damage { after, error }) = read {
        let (kind, place) = match after {
            Some(member) => ("damaged", format!("in or after {member:?}")),
            None => ("no tar file", "the beginning".to_owned()),
        };
        let error = text::tar_error(&error);
        let reason = reason(kind, format_args!("{error}; the rest is skipped"));
        let _ = take(Row::left_out(place, reason));
        return Ok(());
    }
    if rows == 0 && others > 0 {
        let problem = format!(
            "none of its {others} members is a .json or .txt file; a web dataset has one for each image"
        );
        return Err(DataError::format(name, problem));
    }
    Ok(())
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
    fn every_image_with_texts_is_a_row() {
        let long = format!("{}/3.json", "folder/".repeat(40));
        let shard = tar(&[
            ("0.json", "{\"caption\": \"a\", \"top_caption\": \"b\"}"),
            ("0.jpg", "no image"),
            ("0.txt", "a"),
            ("1.json", "{\n  \"captions\": [\"c\", \"d\"]\n}\n"),
            ("2.json", "{\n  \"caption\": 1,\n  x\n}\n"),
            (&long, "{\"top_caption\": \"e\"}"),
            ("4.jpg", "no image"),
            ("4.txt", "f\ng\n"),
            ("x.0.json", "{\"caption\": \"h\"}"),
            ("x.1.json", "{\"caption\": \"i\"}"),
        ]);
        let mut told = short(&rows(&shard, Format::Webdataset, None).unwrap());
        let bad = told.remove(2);
        assert_eq!(told, ["a", "c|d", "e", "f|g", "h", "i"]);
        assert!(bad.starts_with("! \"2\": not JSON: ") && bad.contains("line 3"), "{bad}");
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
