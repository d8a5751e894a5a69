//! Guards that no row of a set is lost: for every reader the samples, what is skipped and the rows of other splits are together the
//! rows that an independent count finds.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use clove_data::fetch::Cache;
use clove_data::sets::{ImageTextSet, Options};
use clove_tests::{golden, tar};
use serde_json::{Value, json};

/// Rows of a set: good ones, others with an odd caption or without their image, and those of held-out splits.
const ROWS: usize = 120;

/// A row by its number: the name of its image and its caption, null where it has none.
fn row(number: usize) -> (String, Option<String>) {
    let image = if number % 7 == 3 { "gone.jpg".to_owned() } else { format!("{}.jpg", number % 5) };
    let caption = match number % 11 {
        4 => None,
        5 => Some(" ".to_owned()),
        6 => Some("a \"big\", \"red\" dog".to_owned()),
        7 => Some("one\ntwo".to_owned()),
        _ => Some(format!("caption {number}")),
    };
    (image, caption)
}

fn split(number: usize) -> &'static str {
    ["train", "train", "val", "test"][number % 4]
}

/// A folder with the images `0.jpg` to `4.jpg`.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..5 {
        fs::write(dir.path().join(format!("{number}.jpg")), b"pixels").unwrap();
    }
    dir
}

/// Rows of a set: those with samples, those with something skipped, and those of other splits.
fn rows(set: &ImageTextSet) -> usize {
    let samples = set.samples.iter().map(|sample| sample.place.as_str());
    let skipped = set.skipped.iter().map(|(place, _)| place.as_str());
    let places: HashSet<&str> = samples.clone().chain(skipped.clone()).collect();
    // No place is both or twice: one row is one sample here.
    assert_eq!(places.len(), samples.count() + skipped.count());
    places.len() + set.of_other_splits
}

#[track_caller]
fn all_are_told(set: &ImageTextSet, expected: usize) {
    assert_eq!(rows(set), expected, "{}", set.summary());
    assert!(!set.samples.is_empty() && !set.skipped.is_empty(), "{}", set.summary());
}

fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn table(separator: u8) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().delimiter(separator).from_writer(Vec::new());
    writer.write_record(["filepath", "title", "split"]).unwrap();
    for number in 0..ROWS {
        let (image, caption) = row(number);
        writer
            .write_record([image, caption.unwrap_or_default(), split(number).to_owned()])
            .unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn rows_of_tables() {
    let dir = folder();
    for (separator, name) in [(b',', "t.csv"), (b'\t', "t.tsv"), (b';', "s.csv"), (b'|', "b.csv")] {
        let bytes = table(separator);
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(&bytes[..]);
        let expected = reader.records().map(Result::unwrap).count();
        assert_eq!(expected, ROWS);
        let file = write(dir.path(), name, &bytes);
        let set = ImageTextSet::table(&file, &Options::default()).unwrap();
        all_are_told(&set, expected);
        assert_eq!(set.of_other_splits, ROWS / 2);
        let splits = ["all".to_owned()];
        let options = Options { splits: &splits, ..Options::default() };
        let set = ImageTextSet::table(&file, &options).unwrap();
        all_are_told(&set, expected);
        // Every caption is what the csv crate reads.
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(&bytes[..]);
        let records = reader.records().map(Result::unwrap);
        let good =
            records.filter(|record| &record[0] != "gone.jpg" && !record[1].trim().is_empty());
        let captions: Vec<String> = good.map(|record| record[1].to_owned()).collect();
        let found = set.samples.iter().flat_map(|sample| sample.captions.clone());
        assert_eq!(found.collect::<Vec<_>>(), captions);
    }
}

/// Lines, as `wc -l` counts them: a quote that doesn't close costs its own row alone.
#[test]
fn rows_of_a_table_with_tabs_and_stray_quotes() {
    let dir = folder();
    let lines: Vec<String> = (0..ROWS)
        .map(|number| match number % 10 {
            2 => "0.jpg\t\"never closed".to_owned(),
            6 => "0.jpg\t\"said\" twice".to_owned(),
            8 => "0.jpg".to_owned(),
            _ => format!("{}.jpg\tcaption {number}", number % 6),
        })
        .collect();
    let text = format!("image\tcaption\n{}\n", lines.join("\n"));
    let file = write(dir.path(), "t.tsv", &text);
    let set = ImageTextSet::table(&file, &Options::default()).unwrap();
    all_are_told(&set, text.lines().count() - 1);
}

#[test]
fn rows_of_json() {
    let dir = folder();
    let rows: Vec<Value> = (0..ROWS)
        .map(|number| {
            let (image, caption) = row(number);
            json!({"image": image, "caption": caption, "split": split(number)})
        })
        .collect();
    let mut lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    lines[10] = lines[10].replace("caption", "\"");
    lines[11] = "[]".to_owned();
    let file = write(dir.path(), "set.jsonl", lines.join("\n"));
    let set = ImageTextSet::json_lines(&file, &Options::default()).unwrap();
    all_are_told(&set, lines.len());
    assert!(set.of_other_splits > ROWS / 3);
    let mut items = rows;
    items[10] = json!(7);
    let file = write(dir.path(), "set.json", Value::from(items.clone()).to_string());
    let set = ImageTextSet::coco(&file, &Options::default()).unwrap();
    all_are_told(&set, items.len());
    let again = ImageTextSet::json_lines(&file, &Options::default()).unwrap();
    assert_eq!(again, set);
}

#[test]
fn images_and_annotations_of_coco() {
    let dir = folder();
    let images: Vec<Value> = (0..ROWS)
        .map(|number| match number % 13 {
            12 => json!({"id": number}),
            _ => json!({"id": number.to_string(), "file_name": row(number).0}),
        })
        .collect();
    let annotations: Vec<Value> = (0..3 * ROWS)
        .map(|number| match number % 17 {
            16 => json!({"image_id": number}),
            15 => json!({"caption": 7, "image_id": number % ROWS}),
            _ => json!({"image_id": number % (ROWS + 5), "caption": row(number).1}),
        })
        .collect();
    let document = json!({"images": images, "annotations": annotations});
    let file = write(dir.path(), "captions.json", document.to_string());
    let set = ImageTextSet::coco(&file, &Options::default()).unwrap();
    let (of_images, of_annotations): (Vec<_>, Vec<_>) =
        set.skipped.iter().partition(|(place, _)| place.contains(" image "));
    assert!(!of_images.is_empty() && !of_annotations.is_empty());
    assert_eq!(set.samples.len() + of_images.len(), images.len());
    // Captions of the images that are there; the others go with their images, which are skipped.
    let captions: usize = set.samples.iter().map(|sample| sample.captions.len()).sum();
    let gone = |id: usize| id % 7 == 3 && id % 13 != 12;
    let of_gone = annotations.iter().filter(|annotation| {
        let id = annotation["image_id"].as_u64().unwrap() as usize;
        let caption = annotation["caption"].as_str().unwrap_or_default();
        id < ROWS && gone(id) && !caption.trim().is_empty()
    });
    assert_eq!(captions + of_annotations.len() + of_gone.count(), annotations.len());
}

#[test]
fn images_of_karpathy() {
    let dir = folder();
    let images: Vec<Value> = (0..ROWS)
        .map(|number| {
            let (image, caption) = row(number);
            json!({"filename": image, "split": split(number), "sentences": [{"raw": caption, "tokens": []}]})
        })
        .collect();
    let file = write(dir.path(), "dataset.json", json!({"images": images}).to_string());
    let set = ImageTextSet::coco(&file, &Options::default()).unwrap();
    all_are_told(&set, images.len());
    assert_eq!(set.of_other_splits, ROWS / 2);
}

#[test]
fn images_of_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (mut images, mut alone) = (0, 0);
    for number in 0..ROWS {
        let image =
            if number % 9 == 8 { format!("{number}.heic") } else { format!("{number}.jpg") };
        if number % 6 != 5 {
            write(dir.path(), &format!("{}/{image}", number % 4), b"pixels");
            images += 1;
        }
        match number % 5 {
            0 => {}
            1 => drop(write(
                dir.path(),
                &format!("{}/{number}.json", number % 4),
                r#"{"caption": "a"}"#,
            )),
            _ => {
                write(
                    dir.path(),
                    &format!("{}/{number}.txt", number % 4),
                    row(number).1.unwrap_or_default(),
                );
                // A text whose image isn't there, or isn't read.
                alone += usize::from(number % 6 == 5 || number % 9 == 8);
            }
        }
    }
    for hidden in [".ipynb_checkpoints/0-checkpoint.jpg", "0/._0.jpg"] {
        write(dir.path(), hidden, b"pixels");
        images += 1;
    }
    write(dir.path(), ".DS_Store", b"");
    let set = ImageTextSet::folder(dir.path(), &Options::default()).unwrap();
    assert_eq!(set.samples.len() + set.skipped.len(), images + alone, "{}", set.summary());
    assert!(set.samples.len() > ROWS / 3, "{}", set.summary());
}

/// A sample for each key, as webdataset groups members: src/webdataset/tariterators.py (`base_plus_ext`, `group_by_keys`).
#[test]
fn keys_of_shards() {
    let dir = tempfile::tempdir().unwrap();
    let mut members: Vec<(String, Vec<u8>)> = Vec::new();
    let mut keys = HashSet::new();
    for number in 0..ROWS {
        let key = format!("{number:05}");
        keys.insert(key.clone());
        if number % 7 != 3 {
            members.push((format!("{key}.jpg"), b"pixels".to_vec()));
        }
        let caption = row(number).1;
        match number % 3 {
            0 => members.push((format!("{key}.txt"), caption.unwrap_or_default().into())),
            1 => members
                .push((format!("{key}.json"), json!({"caption": caption}).to_string().into())),
            _ => members.push((format!("{key}.json"), b"{".to_vec())),
        }
    }
    let file = write(dir.path(), "s.tar", tar(members));
    let cache = Cache::silent(None);
    let options = Options::default();
    let set = ImageTextSet::shards(&file.to_string_lossy(), &options, &cache).unwrap();
    all_are_told(&set, keys.len());
}

/// tests/golden/make_parquet.py writes 60 rows.
#[test]
fn rows_of_parquet() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "seven.jpg", b"pixels");
    let cache = Cache::silent(None);
    for name in ["snappy", "gzip", "zstd", "plain", "pages", "delta-lengths", "delta-strings"] {
        let file = golden("parquet").join(format!("{name}.parquet"));
        let options = Options { images: Some(dir.path()), ..Options::default() };
        let set = ImageTextSet::parquet(&file.to_string_lossy(), &options, &cache).unwrap();
        all_are_told(&set, 60);
    }
}
