use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use super::*;
use crate::testing::{Dir, captions, fails, kinds, strings};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/parquet")
}

fn read_golden(name: &str, images: Option<&Path>) -> Result<ImageTextSet, DataError> {
    open(&golden().join(name).with_extension("parquet"), images)
}

fn open(path: &Path, images: Option<&Path>) -> Result<ImageTextSet, DataError> {
    let options = Options { images, ..Options::default() };
    ImageTextSet::parquet(&path.to_string_lossy(), &options, &Cache::silent(None))
}

/// A folder with the one image that the goldens have by its path.
fn images() -> Dir {
    Dir::with(&[("seven.jpg", b"pixels of a file")])
}

#[test]
fn every_packing_gives_the_same_rows() {
    let dir = images();
    let packings = ["snappy", "gzip", "zstd", "plain", "pages", "delta-lengths", "delta-strings"];
    for name in packings {
        let set = read_golden(name, Some(dir.root())).unwrap();
        let rows: Vec<u64> = (0..60).filter(|row| ![8, 9, 10].contains(row)).collect();
        assert_eq!(set.samples.len(), rows.len(), "{name}");
        // The last first: any order is as good.
        for (sample, row) in set.samples.iter().zip(rows).rev() {
            let expected = match row {
                7 => "pixels of a file".to_owned(),
                row => format!("pixels of {row} ").repeat(7),
            };
            let bytes = sample.image.read().unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{name}");
            assert_eq!(sample.captions, [format!("a caption of {row}")], "{name}");
            let negatives = (0..row % 4).map(|at| format!("not {at} of {row}"));
            assert_eq!(sample.negatives, negatives.collect::<Vec<_>>(), "{name}");
            assert!(sample.place.ends_with(&format!("{name}.parquet row {row}")));
        }
        let rows = set.skipped.iter().map(|(place, _)| place.rsplit(' ').next().unwrap());
        assert_eq!(rows.collect::<Vec<_>>(), ["8", "9", "10"], "{name}");
        let expected = ["without an image", "without a caption", "without a caption"];
        assert_eq!(kinds(&set), expected, "{name}");
        let places: HashSet<&ImagePlace> = set.samples.iter().map(|s| &s.image).collect();
        assert_eq!(places.len(), 57, "{name}");
        let again = read_golden(name, Some(dir.root())).unwrap();
        assert_eq!(again.digest(), set.digest());
        assert_eq!(again, set);
    }
}

#[test]
fn a_binary_column_with_lists_of_captions_and_a_column_of_paths() {
    let set = read_golden("lists", None).unwrap();
    assert_eq!(captions(&set), ["one|two of 1", "one|two of 2"]);
    assert_eq!(set.samples[1].image.read().unwrap(), b"pixels of 2 ");
    assert!(set.samples[1].image.to_string().ends_with("lists.parquet row 2"));
    assert_eq!(set.skipped.len(), 1);

    let dir = images();
    let set = read_golden("paths", Some(dir.root())).unwrap();
    assert_eq!(set.samples[0].image.read().unwrap(), b"pixels of a file");
    assert_eq!(set.samples.len(), 1);
    let why: Vec<&str> = set.skipped.iter().map(|(_, why)| why.as_str()).collect();
    assert!(why[0].contains("none.jpg"), "{why:?}");
    assert!(why[1].starts_with("without an image"), "{why:?}");
}

#[test]
fn captions_stand_in_the_columns_that_are_asked_for() {
    let dir = images();
    let read = |fields: [&str; 2]| {
        let path = golden().join("snappy.parquet");
        let cache = Cache::silent(None);
        let fields = strings(&fields);
        let options = Options { images: Some(dir.root()), captions: &fields, ..Options::default() };
        ImageTextSet::parquet(&path.to_string_lossy(), &options, &cache)
    };
    let set = read(["negatives", "caption"]).unwrap();
    let row = |number: usize| {
        let end = format!("row {number}");
        let mut samples = set.samples.iter();
        samples.find(|sample| sample.place.ends_with(&end)).unwrap()
    };
    let texts = ["not 0 of 2", "not 1 of 2", "a caption of 2"];
    assert_eq!(
        (&row(2).captions[..], &row(2).fields[..]),
        (&texts.map(str::to_owned)[..], &[0, 0, 1][..])
    );
    // Its caption is null, and it has a text in the other column.
    assert_eq!((row(9).captions.len(), &row(9).fields[..]), (1, &[0][..]));
    assert_eq!(row(4).fields, [1]);
    fails(
        read(["caption", "none"]),
        &["no column of captions: texts or lists of texts under none"],
    );
}

#[test]
fn a_folder_or_braces_name_several_files() {
    let lists = fs::read(golden().join("lists.parquet")).unwrap();
    let dir = Dir::with(&[("b.parquet", &lists), ("a.PARQUET", &lists), ("notes.md", b"ignored")]);
    let of_folder = open(dir.root(), None).unwrap();
    assert_eq!(of_folder.samples.len(), 4);
    assert!(of_folder.samples[0].place.contains("a.PARQUET row 1"));
    assert_eq!(open(&dir.path("{a.PARQUET,b.parquet}"), None).unwrap(), of_folder);
    fails(open(Dir::with(&[]).root(), None), &["ends in .parquet"]);
}

/// The captions that pyarrow's `to_pydict` gives for these files.
#[test]
fn captions_are_the_values_of_maps_and_the_texts_of_structures() {
    let set = read_golden("maps", None).unwrap();
    assert_eq!(captions(&set), ["a cat|eine Katze"]);
    assert_eq!(kinds(&set), ["without a caption"; 2]);
    let set = read_golden("structures", None).unwrap();
    assert_eq!(captions(&set), ["1 raw 0", "2 raw 0|2 raw 1"]);
    let of = |field: &str| {
        let fields = strings(&[field]);
        let options = Options { captions: &fields, ..Options::default() };
        let path = golden().join("structures.parquet");
        ImageTextSet::parquet(&path.to_string_lossy(), &options, &Cache::silent(None))
    };
    assert_eq!(captions(&of("caption.de").unwrap()), ["0 Katzen", "1 Katzen", "2 Katzen"]);
    fails(
        of("caption"),
        &["under caption; ", "its column \"caption\" are named like \"caption.en\""],
    );
}

/// pixparse's sets are web datasets that were converted to Parquet: `jpg` and `txt`.
#[test]
fn rows_of_the_split_are_read_and_columns_are_named_in_any_case() {
    let read = |splits: &[&str]| {
        let splits = strings(splits);
        let options = Options { splits: &splits, ..Options::default() };
        let path = golden().join("members.parquet");
        ImageTextSet::parquet(&path.to_string_lossy(), &options, &Cache::silent(None)).unwrap()
    };
    let set = read(&[]);
    assert_eq!((captions(&set), set.of_other_splits), (strings(&["of train"]), 2));
    assert!(set.notes[0].contains("not of \"test\" (1), \"val\" (1)"), "{:?}", set.notes);
    assert_eq!(captions(&read(&["validation"])), ["of val|too"]);
    assert_eq!(captions(&read(&["all"])), ["of train", "of val|too", "of test"]);
    let dir = images();
    fails(read_golden("links", Some(dir.root())), &["download the images of its addresses first"]);
}

#[test]
fn what_has_no_rows_is_no_damage() {
    let set = read_golden("empty-group", None).unwrap();
    assert_eq!(captions(&set), ["0", "1", "2"]);
    assert_eq!(set.samples[2].image.read().unwrap(), b"pixels of 2 ");
    fails(read_golden("empty", None), &["no usable row"]);
    let [empty, full] = ["empty", "lists"]
        .map(|name| fs::read(golden().join(name).with_extension("parquet")).unwrap());
    let dir = Dir::with(&[("0.parquet", &empty), ("1.parquet", &full)]);
    assert_eq!(open(dir.root(), None).unwrap().samples.len(), 2);
}

/// As `datasets` names the files of a repository (src/datasets/data_files.py).
#[test]
fn of_a_repository_the_files_for_training_are_read() {
    let lists = fs::read(golden().join("lists.parquet")).unwrap();
    let names = ["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"];
    let files = names.map(|name| format!("data/{name}.parquet"));
    let files: Vec<(&str, &[u8])> = files.iter().map(|name| (&**name, &*lists)).collect();
    let dir = Dir::with(&[&files[..], &[("README.md", b"")]].concat());
    for (pattern, files, is_noted) in
        [("", 2, true), ("data", 2, true), ("data/*", 2, true), ("data/test-*", 1, false)]
    {
        let set = open(&dir.path(pattern), None).unwrap();
        assert_eq!((set.samples.len(), set.notes.is_empty()), (2 * files, !is_noted), "{pattern}");
        assert_eq!(set.samples[0].place.contains("test-"), !is_noted, "{pattern}");
    }
}

/// Every row of a file is a sample, skipped, or of another split.
#[test]
fn every_row_is_counted() {
    let dir = images();
    for (name, rows) in [
        ("snappy", 60),
        ("lists", 3),
        ("paths", 3),
        ("maps", 3),
        ("members", 3),
        ("empty-group", 3),
    ] {
        let set = read_golden(name, Some(dir.root())).unwrap();
        let found = set.samples.len() + set.skipped.len() + set.of_other_splits;
        assert_eq!(found, rows, "{name}");
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let error = |name: &str| read_golden(name, None).unwrap_err().to_string();
    let lz4 = error("lz4");
    assert!(lz4.contains("lz4.parquet") && lz4.contains("compressed with LZ4"), "{lz4}");
    let others = error("others");
    assert!(others.contains("[\"photo\", \"words\"]"), "{others}");
    assert!(error("none").contains("none.parquet"));
    let nowhere = read_golden("plain", Some(Path::new("nowhere"))).unwrap_err();
    assert!(nowhere.to_string().starts_with("nowhere"), "{nowhere}");
}

#[test]
fn a_damaged_file_is_an_error_that_names_it_and_never_a_panic() {
    let dir = images();
    let path = dir.path("damaged.parquet");
    for name in ["snappy", "gzip", "zstd", "plain", "pages", "delta-strings"] {
        let whole = fs::read(golden().join(name).with_extension("parquet")).unwrap();
        for end in [0, 3, 8, 11, 40, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..end]).unwrap();
            fails(open(&path, None), &["damaged.parquet: it doesn't end like"]);
        }
        // A byte in each of many places: an error, another text, or an image that is another or can't be read.
        for at in (0..whole.len()).step_by(29) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            fs::write(&path, &bytes).unwrap();
            match open(&path, Some(dir.root())) {
                Ok(set) => set.samples.iter().for_each(|sample| drop(sample.image.read())),
                Err(error) => assert!(error.to_string().contains("damaged.parquet"), "{error}"),
            }
        }
    }
}

#[test]
fn a_page_that_is_damaged_later_makes_its_own_images_unreadable_and_no_others() {
    let dir = images();
    let path = dir.path("damaged.parquet");
    let mut bytes = fs::read(golden().join("pages.parquet")).unwrap();
    fs::write(&path, &bytes).unwrap();
    let set = open(&path, Some(dir.root())).unwrap();
    let first = b"pixels of 0";
    let at = bytes.windows(first.len()).position(|window| window == first).unwrap();
    // The length of the first image, in what is packed.
    bytes[at - 4..at].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    let errors: Vec<String> = set
        .samples
        .iter()
        .filter_map(|sample| sample.image.read().err())
        .map(|error| error.to_string())
        .collect();
    // Those of the first group of 25 rows, at most.
    assert!((1..=25).contains(&errors.len()), "{} of {}", errors.len(), set.samples.len());
    let names_it = |error: &String| error.contains("damaged.parquet: row ");
    assert!(errors.iter().all(names_it), "{errors:?}");
}
