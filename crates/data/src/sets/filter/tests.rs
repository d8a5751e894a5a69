use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::testing::{captions, fields, strings};

/// The beginning of a PNG of this size: what its header tells, and no pixel.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend(b"\x08\x02\0\0\0");
    bytes
}

/// A set of files with captions, and its folder.
fn set(samples: &[(&str, Vec<u8>, &[&str])]) -> (ImageTextSet, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut set = ImageTextSet::default();
    for (name, bytes, captions) in samples {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        set.samples.push(Sample {
            image: path.into(),
            captions: strings(captions),
            fields: (0..).take(captions.len()).collect(),
            negatives: vec![format!("not {name}")],
            place: format!("{name}.txt"),
            part: 0,
        });
    }
    (set, dir)
}

#[test]
fn captions_pass_by_their_words_and_once() {
    let samples: [(&str, Vec<u8>, &[&str]); 4] = [
        ("a", vec![], &["one", "one two", "one two three four"]),
        ("b", vec![], &["one"]),
        ("c", vec![], &["One  two!", "two three"]),
        ("d", vec![], &["ONE TWO"]),
    ];
    let filter = Filter { min_words: Some(2), max_words: Some(3), ..Filter::default() };
    let (mut found, _dir) = set(&samples);
    let filtered = found.filter(&filter, &|| false).unwrap().unwrap();
    assert_eq!(captions(&found), ["one two", "One  two!|two three", "ONE TWO"]);
    assert_eq!(fields(&found), [&[1][..], &[0, 1], &[0]]);
    assert_eq!(
        filtered.summary(),
        "1 sample: 1 without a caption left; 3 captions: 2 too short, 1 too long"
    );
    let filter = Filter { duplicates: Some(Duplicates::Captions), ..filter };
    let (mut found, _dir) = set(&samples);
    let filtered = found.filter(&filter, &|| false).unwrap().unwrap();
    assert_eq!(captions(&found), ["one two", "two three"]);
    assert_eq!((filtered.repeated_captions, filtered.without_a_caption), (2, 2));
}

#[test]
fn images_pass_by_their_headers() {
    let (mut found, _dir) = set(&[
        ("small", png(63, 200), &["a"]),
        ("good", png(64, 192), &["b"]),
        ("long", png(64, 193), &["c"]),
        ("words", b"no image".to_vec(), &["d"]),
        ("wide", png(193, 64), &["e"]),
    ]);
    let filter = Filter { min_side: Some(64), max_aspect: Some(3.0), ..Filter::default() };
    let seen = AtomicUsize::new(0);
    let look = || seen.fetch_add(1, Ordering::Relaxed) < 100;
    let filtered = found.filter(&filter, &look).unwrap().unwrap();
    assert_eq!(captions(&found), ["b"]);
    assert_eq!(seen.into_inner(), filter.passes() * 5);
    assert_eq!(
        filtered.summary(),
        "4 samples: 1 with a small image, 2 with a long image, 1 whose image can't be opened"
    );
    assert!(found.skipped[0].1.starts_with("unreadable image: "));
    assert_eq!(found.skipped[0].0, "words.txt");
}

#[test]
fn a_header_behind_long_notes_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut jpeg = vec![0xff, 0xd8];
    for _ in 0..3 {
        jpeg.extend([0xff, 0xe1, 0xea, 0x60]);
        jpeg.extend(vec![0; 60_000 - 2]);
    }
    jpeg.extend([0xff, 0xc0, 0, 11, 8, 0, 50, 0, 70, 1, 1, 0x11, 0]);
    let path = dir.path().join("a.jpg");
    fs::write(&path, jpeg).unwrap();
    assert_eq!(size(&path.into()).unwrap(), (70, 50));
}

#[test]
fn samples_of_the_same_bytes_become_one_with_all_texts() {
    let (mut found, dir) = set(&[
        ("a", b"same".to_vec(), &["x", "y"]),
        ("b", b"else".to_vec(), &["x"]),
        ("c", b"same".to_vec(), &["y", "z"]),
        ("d", b"longer".to_vec(), &["v"]),
    ]);
    // A place that occurs twice, of a length of its own.
    found.samples.push(Sample { captions: vec!["w".to_owned()], ..found.samples[3].clone() });
    let image = dir.path().join("none").into();
    found.samples.push(Sample { image, ..found.samples[0].clone() });
    let filter = Filter { duplicates: Some(Duplicates::Images), ..Filter::default() };
    let digest = found.digest();
    let filtered = found.filter(&filter, &|| true).unwrap().unwrap();
    assert_eq!(captions(&found), ["x|y|z", "x", "v|w"]);
    assert_eq!(found.samples[0].negatives, ["not a", "not c"]);
    assert_eq!(found.samples[0].fields, [0, 1, 1]);
    assert_eq!((filtered.joined, filtered.unreadable_images), (2, 1));
    assert_ne!(found.digest(), digest);
    assert_eq!(found.filter(&filter, &|| true).unwrap(), Some(Filtered::default()));
    assert_eq!(Filtered::default().summary(), "nothing");
}

#[test]
fn it_stops_when_it_is_told_to() {
    for (min_side, duplicates) in [(Some(1), None), (None, Some(Duplicates::Images))] {
        let (mut found, _dir) = set(&[("a", png(9, 9), &["a"])]);
        let filter = Filter { min_side, duplicates, ..Filter::default() };
        assert_eq!(found.filter(&filter, &|| false).unwrap(), None);
    }
}

/// What earlier versions did, with the whole set in memory: the samples and what is skipped.
fn reference(set: &ImageTextSet, filter: &Filter) -> ImageTextSet {
    let mut found = set.clone();
    let mut known = HashSet::new();
    found.samples.retain_mut(|sample| {
        sample.retain_captions(|caption| {
            let words = caption.split_whitespace().count();
            filter.min_words.is_none_or(|least| words >= least)
                && filter.max_words.is_none_or(|most| words <= most)
                && (filter.duplicates != Some(Duplicates::Captions)
                    || known.insert(caption_key(caption)))
        });
        !sample.captions.is_empty()
    });
    if filter.min_side.is_some() {
        let (mut kept, mut skipped) = (Vec::new(), Vec::new());
        for sample in mem::take(&mut found.samples) {
            match size(&sample.image) {
                Ok((width, height)) if Some(width.min(height)) < filter.min_side => {}
                Ok(_) => kept.push(sample),
                Err(why) => skipped.push((sample.place, reason("unreadable image", why))),
            }
        }
        found.samples = kept;
        found.skipped.extend(skipped);
    }
    if filter.duplicates == Some(Duplicates::Images) {
        let mut kept: Vec<(Vec<u8>, Sample)> = Vec::new();
        for sample in mem::take(&mut found.samples) {
            let bytes = match sample.image.byte_len().and_then(|_| sample.image.read()) {
                Ok(bytes) => bytes,
                Err(why) => {
                    found.skipped.push((sample.place, reason("unreadable image", why)));
                    continue;
                }
            };
            match kept.iter_mut().find(|(other, _)| *other == bytes) {
                Some((_, first)) => join(first, sample),
                None => kept.push((bytes, sample)),
            }
        }
        found.samples = kept.into_iter().map(|(_, sample)| sample).collect();
    }
    found
}

#[test]
fn a_filter_on_disk_keeps_what_one_in_memory_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = clove_random::Random::new(&[26]);
    let images: Vec<_> = (0..40)
        .map(|number| {
            let path = dir.path().join(format!("{number}.png"));
            // Of a few sizes and lengths; one in twenty isn't there.
            let mut bytes = png(40 + 10 * random.below(3) as u32, 60);
            bytes.extend(vec![0; random.below(3)]);
            if number % 20 != 7 {
                fs::write(&path, bytes).unwrap();
            }
            path
        })
        .collect();
    let words = ["a", "b", "c", "A", "d!"];
    let mut set = ImageTextSet::default();
    for number in 0..600 {
        let captions: Vec<String> = (0..=random.below(3))
            .map(|_| {
                (0..=random.below(4)).map(|_| random.pick(&words)).collect::<Vec<_>>().join(" ")
            })
            .collect();
        set.samples.push(Sample {
            image: random.pick(&images.iter().collect::<Vec<_>>()).clone().into(),
            fields: (0..).take(captions.len()).collect(),
            captions,
            negatives: vec![format!("not {number}")],
            place: format!("line {number}"),
            part: u16::from(number >= 350),
        });
    }
    set.skipped.push(("line 600".to_owned(), "not JSON: x".to_owned()));
    for filter in [
        Filter { duplicates: Some(Duplicates::Captions), ..Filter::default() },
        Filter { duplicates: Some(Duplicates::Images), ..Filter::default() },
        Filter {
            min_words: Some(2),
            max_words: Some(3),
            duplicates: Some(Duplicates::Captions),
            ..Filter::default()
        },
        Filter {
            min_words: Some(2),
            min_side: Some(50),
            duplicates: Some(Duplicates::Images),
            ..Filter::default()
        },
    ] {
        let mut found = set.clone();
        let filtered = found.filter(&filter, &|| true).unwrap().unwrap();
        let expected = reference(&set, &filter);
        assert_eq!(found, expected);
        assert_eq!(filtered.unreadable_images, expected.skipped.len() - set.skipped.len());
        assert!(!found.samples.is_empty() && found.samples.len() < set.samples.len());
    }
}
