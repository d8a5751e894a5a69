use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::Options;
use super::*;
use crate::fetch::Cache;
use crate::testing::{Dir, captions, kinds, strings, tar};

/// A set of two parts whose samples don't fit the memory that tests have.
fn set() -> ImageTextSet {
    let mut set = ImageTextSet::default();
    for number in 0..500_u16 {
        let part = u16::from(number >= 300);
        set.samples.push(Sample {
            image: PathBuf::from(format!("/x/{}.jpg", number % 400)).into(),
            captions: vec![format!("caption {number}"); 1 + usize::from(number % 3)],
            fields: vec![part; 1 + usize::from(number % 3)],
            negatives: vec!["none".to_owned(); usize::from(number % 2)],
            place: format!("/x/set.jsonl line {number}"),
            part,
        });
        let why = ["image not found: x", "not JSON: y"][usize::from(number % 4 == 0)];
        set.skipped.push((format!("line {number}"), why.to_owned()));
    }
    (set.notes, set.of_other_splits) = (strings(&["a note"]), 7);
    set
}

#[test]
fn an_index_is_what_a_set_in_memory_is() {
    let set = set();
    let indexed = IndexedSet::of(set.clone()).unwrap();
    assert!(indexed.segments.iter().all(|segment| segment.samples.is_filed()));
    assert_eq!(indexed.len(), 500);
    assert_eq!([0, 1, 2].map(|part| indexed.len_of_part(part)), [300, 200, 0]);
    for index in [0, 299, 300, 499] {
        assert_eq!(indexed.get(index).unwrap(), set.samples[index as usize]);
    }
    assert!(indexed.get(500).is_err());
    assert_eq!(indexed.digest().unwrap(), set.digest());
    assert_eq!(indexed.summary().unwrap(), set.summary());
    assert!(set.summary().starts_with("400 images in 500 samples with "), "{}", set.summary());
    assert_eq!(indexed.skipped_by_kind(), set.skipped_by_kind());
    assert_eq!(indexed.skipped_len(), 500);
    let captions: usize = set.samples[300..].iter().map(|sample| sample.captions.len()).sum();
    assert_eq!(indexed.captions_by_field(1), [0, captions as u64]);
    assert_eq!(indexed.into_memory().unwrap(), set);
}

const ROWS: usize = 200;

/// A list in which every tenth image is missing, and every fourth row of another split.
fn lines(word: &str) -> String {
    let lines = (0..ROWS).map(|row| {
        let image = if row % 10 == 3 { "gone.jpg" } else { "a.jpg" };
        let split = if row % 4 == 1 { "test" } else { "train" };
        format!(
            "{{\"image\": \"{image}\", \"caption\": \"{word} {row:03}\", \"split\": \"{split}\"}}\n"
        )
    });
    lines.collect()
}

fn write(path: &Path, text: &str, time: SystemTime) {
    fs::write(path, text).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Folders of the indexes that are kept.
fn kept(cache: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache.join("indexes")).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

#[test]
fn an_index_is_found_again_and_made_anew_where_it_is_not_right() {
    let dir = Dir::with(&[("a.jpg", b"")]);
    let (list, cache) = (dir.path("set.jsonl"), dir.path("cache"));
    let open = || {
        let options = Options { keep_index: true, ..Options::default() };
        let set = IndexedSet::json_lines(&list, &options, &Cache::silent(Some(&cache))).unwrap();
        set.into_memory().unwrap()
    };
    let first = |set: &ImageTextSet| set.samples[0].captions[0].clone();
    let time = SystemTime::now();
    write(&list, &lines("old"), time);
    let made = open();
    // As without an index.
    assert_eq!(made, ImageTextSet::json_lines(&list, &Options::default()).unwrap());
    assert_eq!(made.of_other_splits, ROWS / 4);
    assert!(made.notes[0].contains("not of \"test\" (50)"), "{:?}", made.notes);
    assert_eq!(kinds(&made).len(), 10);
    assert_eq!(kept(&cache).len(), 1);

    // A file of the same size and time is the same one, which isn't read.
    write(&list, &lines("new"), time);
    assert_eq!(open(), made);
    let later = time + std::time::Duration::from_secs(1);
    write(&list, &lines("new"), later);
    assert_eq!(first(&open()), "new 000");
    assert_eq!(kept(&cache).len(), 1);

    // Other bytes in the index, at the beginning and where the records end, and a part of it alone.
    write(&list, &lines("odd"), later);
    let samples = kept(&cache)[0].join("samples");
    assert_eq!(first(&open()), "new 000");
    let changes: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes[20] ^= 1,
        |bytes| *bytes.last_mut().unwrap() ^= 1,
        |bytes| bytes.truncate(100),
        Vec::clear,
    ];
    for change in changes {
        let mut bytes = fs::read(&samples).unwrap();
        change(&mut bytes);
        fs::write(&samples, bytes).unwrap();
        assert_eq!(first(&open()), "odd 000");
    }
    fs::write(samples.with_file_name("index.json"), "{}").unwrap();
    assert_eq!(first(&open()), "odd 000");

    // An image that wasn't there.
    fs::write(dir.path("gone.jpg"), "").unwrap();
    let all = open();
    assert_eq!(all.samples.len(), ROWS * 3 / 4);
    assert!(all.skipped.is_empty(), "{:?}", all.skipped);
    assert!(
        !cache
            .join("indexes")
            .read_dir()
            .unwrap()
            .any(|entry| { entry.unwrap().path().extension().is_some_and(|end| end == "partial") })
    );
}

#[test]
fn every_choice_has_an_index_of_its_own() {
    let dir = Dir::with(&[("a.jpg", b"")]);
    let (list, cache) = (dir.path("set.jsonl"), dir.path("cache"));
    fs::write(&list, lines("a")).unwrap();
    let (train, test) = (strings(&["train"]), strings(&["test"]));
    for _ in 0..2 {
        let of = |splits: &[String], keep_index| {
            let options = Options { splits, keep_index, ..Options::default() };
            let set = IndexedSet::json_lines(&list, &options, &Cache::silent(Some(&cache)));
            captions(&set.unwrap().into_memory().unwrap())
        };
        assert_eq!(of(&test, true)[0], "a 001");
        assert_eq!(of(&train, true)[0], "a 000");
        assert_eq!(of(&train, false)[0], "a 000");
        assert_eq!(kept(&cache).len(), 2);
    }
}

#[test]
fn images_in_shards_and_tables_are_found_by_an_index() {
    let members: Vec<(String, Vec<u8>)> = (0..100)
        .flat_map(|number| {
            let [image, text] = ["jpg", "txt"].map(|end| format!("{number:03}.{end}"));
            [(image, number.to_string().into_bytes()), (text, b"a caption of some length".to_vec())]
        })
        .collect();
    let members: Vec<(&str, &[u8])> =
        members.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let dir = Dir::with(&[("0.tar", &tar(&members[..120])), ("1.tar", &tar(&members[120..]))]);
    let cache = dir.path("cache");
    let options = Options { keep_index: true, ..Options::default() };
    let shards = dir.path("{0..1}.tar").to_string_lossy().into_owned();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/parquet");
    let table = golden.join("plain.parquet").to_string_lossy().into_owned();
    let mut found = Vec::new();
    for _ in 0..2 {
        let cache = Cache::silent(Some(&cache));
        let of_shards = IndexedSet::shards(&shards, &options, &cache).unwrap();
        let of_table = IndexedSet::parquet(&table, &options, &cache).unwrap();
        let (last, some) = (of_shards.get(99).unwrap(), of_table.get(of_table.len() - 1).unwrap());
        assert_eq!(last.image.read().unwrap(), b"99");
        let bytes = some.image.read().unwrap();
        found.push((bytes, of_shards.into_memory().unwrap(), of_table.into_memory().unwrap()));
    }
    assert_eq!(kept(&cache).len(), 2);
    assert!(found[0] == found[1]);
}
