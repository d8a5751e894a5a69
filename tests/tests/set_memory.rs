//! Guards that memory keeps next to nothing of a set's samples: at opening, filtering and reading.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::PoisonError;

use clove_data::fetch::Cache;
use clove_data::sets::{Duplicates, Filter, IndexedSet, Options};
use clove_tests::tar;

use super::{MEASURING, MEMORY};

/// Most bytes of memory of a sample.
const MOST: usize = 16;
/// What is held for a while, whatever the number of samples: lines that are looked at, and buffers of what is written.
const BUFFERS: usize = 32 << 20;
const ROWS: usize = 200_000;
const IMAGES: usize = 1_000;

/// Checks what a step keeps for each of `samples`, and what it takes for a while.
fn bounded<T>(name: &str, samples: usize, step: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let made = step();
    let (kept, peak) =
        (MEMORY.current_usage().saturating_sub(before), MEMORY.peak_usage().saturating_sub(before));
    println!("{name}: {} bytes a sample, {} MiB for a while", kept / samples, peak >> 20);
    assert!(kept <= MOST * samples, "{name}: {kept} bytes for {samples} samples");
    assert!(peak <= MOST * samples + BUFFERS, "{name}: {peak} bytes for {samples} samples");
    made
}

fn lines(table: bool) -> String {
    let mut text = if table { "image,caption\n".to_owned() } else { String::new() };
    for row in 0..ROWS {
        let (image, caption) = (row % IMAGES, row % 90_000);
        if table {
            writeln!(text, "{image}.jpg,a caption of a photo {caption}").unwrap();
        } else {
            writeln!(
                text,
                r#"{{"image": "{image}.jpg", "caption": "a caption of a photo {caption}"}}"#
            )
            .unwrap();
        }
    }
    text
}

#[test]
fn a_sample_takes_next_to_no_memory() {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for image in 0..IMAGES {
        fs::write(path(&format!("{image}.jpg")), image.to_string()).unwrap();
    }
    let caches = path("cache");
    let cache = Cache::silent(Some(&caches));
    let options = Options { keep_index: true, ..Options::default() };
    fs::write(path("warm-up.jsonl"), "{\"image\": \"0.jpg\", \"caption\": \"a\"}\n").unwrap();
    IndexedSet::json_lines(&path("warm-up.jsonl"), &options, &cache).unwrap();

    fs::write(path("set.jsonl"), lines(false)).unwrap();
    let open = || IndexedSet::json_lines(&path("set.jsonl"), &options, &cache).unwrap();
    drop(bounded("JSON lines, without an index", ROWS, open));
    let mut set = bounded("JSON lines, by their index", ROWS, open);
    assert_eq!(set.len(), ROWS as u64);
    bounded("a digest", ROWS, || set.digest().unwrap());
    for duplicates in [Duplicates::Captions, Duplicates::Images] {
        let filter =
            Filter { min_words: Some(2), duplicates: Some(duplicates), ..Filter::default() };
        bounded("a filter", ROWS, || set.filter(&filter, &|| true).unwrap().unwrap());
    }
    assert_eq!(set.len(), IMAGES as u64);

    fs::write(path("set.csv"), lines(true)).unwrap();
    let open = || IndexedSet::table(&path("set.csv"), &options, &cache).unwrap();
    drop(bounded("a table, without an index", ROWS, open));
    drop(bounded("a table, by its index", ROWS, open));
    shards(&path("set.tar"), &cache);
}

fn shards(path: &Path, cache: &Cache<'_>) {
    const SAMPLES: usize = 20_000;
    let members = (0..SAMPLES).flat_map(|number| {
        let caption = format!("a caption of a photo of the number {number}, and some more of it");
        [
            (format!("{number:06}.jpg"), b"pixels".to_vec()),
            (format!("{number:06}.txt"), caption.into()),
        ]
    });
    fs::write(path, tar(members)).unwrap();
    let options = Options { keep_index: true, ..Options::default() };
    let open = || IndexedSet::shards(&path.to_string_lossy(), &options, cache).unwrap();
    drop(bounded("a shard, without an index", SAMPLES, open));
    let set = bounded("a shard, by its index", SAMPLES, open);
    assert_eq!(set.get(SAMPLES as u64 - 1).unwrap().image.read().unwrap(), b"pixels");
}
