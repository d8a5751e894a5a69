//! The filter of a training set: captions by length, images by size, and duplicates.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{ImagePlace, ImageTextSet, caption_key, count, reason, thousands};

/// Conditions on a sample; one that is `None` doesn't apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Fewest words of a caption, between white space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_words: Option<usize>,
    /// Most words of a caption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_words: Option<usize>,
    /// Fewest pixels of an image's shorter side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_side: Option<u32>,
    /// Largest ratio of an image's longer side to its shorter side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_aspect: Option<f64>,
    /// What to do with duplicates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<Duplicates>,
}

/// What to do with duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// Keep them.
    Keep,
    /// Drop a caption that occurred before, by [`caption_key`].
    Captions,
    /// Merge samples whose images have the same bytes into one, with the captions and negatives of all.
    Images,
}

impl Filter {
    /// How many times each image is read.
    pub fn passes(&self) -> usize {
        usize::from(self.looks_at_sizes())
            + usize::from(self.duplicates == Some(Duplicates::Images))
    }

    fn looks_at_sizes(&self) -> bool {
        self.min_side.is_some() || self.max_aspect.is_some()
    }
}

/// What a filter removed, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Filtered {
    /// Captions with fewer words than [`Filter::min_words`].
    pub short_captions: usize,
    /// Captions with more words than [`Filter::max_words`].
    pub long_captions: usize,
    /// Captions that occurred before.
    pub repeated_captions: usize,
    /// Samples without a caption left.
    pub without_a_caption: usize,
    /// Samples whose image has a side shorter than [`Filter::min_side`].
    pub small_images: usize,
    /// Samples whose image is longer than [`Filter::max_aspect`] allows.
    pub long_images: usize,
    /// Samples whose image can't be read; they are among the set's skipped.
    pub unreadable_images: usize,
    /// Samples merged into an earlier one of the same image.
    pub joined: usize,
}

impl Filtered {
    /// `7 samples: 5 without a caption left, 2 of a small image; 9 captions: 9 too short`; `nothing`.
    pub fn summary(&self) -> String {
        let samples = [
            (self.without_a_caption, "without a caption left"),
            (self.small_images, "with a small image"),
            (self.long_images, "with a long image"),
            (self.unreadable_images, "whose image can't be opened"),
            (self.joined, "joined to one of the same image"),
        ];
        let captions = [
            (self.short_captions, "too short"),
            (self.long_captions, "too long"),
            (self.repeated_captions, "repeated"),
        ];
        let part = |thing: &str, reasons: &[(usize, &str)]| {
            let all = reasons.iter().map(|(number, _)| number).sum();
            let reasons: Vec<String> = reasons
                .iter()
                .filter(|(number, _)| *number > 0)
                .map(|(number, words)| format!("{} {words}", thousands(*number)))
                .collect();
            (all > 0).then(|| format!("{}: {}", count(all, thing), reasons.join(", ")))
        };
        let parts = [part("sample", &samples), part("caption", &captions)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join("; ") }
    }
}

impl ImageTextSet {
    /// Removes the samples that don't pass the filter; the rest keeps its order. Of duplicates the first stays.
    ///
    /// Sizes of images are read from their headers, and bytes are compared where two files have the same length, on all cores. This
    /// happens before training because the number of samples determines the epochs and the order. `seen` is called once per pass
    /// ([`Filter::passes`]) and image; if it returns false, filtering stops and returns `None`.
    pub fn filter(
        &mut self,
        filter: &Filter,
        seen: &(dyn Fn() -> bool + Sync),
    ) -> Option<Filtered> {
        let mut filtered = Filtered::default();
        self.filter_captions(filter, &mut filtered);
        if filter.looks_at_sizes() {
            self.filter_sizes(filter, seen, &mut filtered)?;
        }
        if filter.duplicates == Some(Duplicates::Images) {
            self.join_images(seen, &mut filtered)?;
        }
        Some(filtered)
    }

    fn filter_captions(&mut self, filter: &Filter, filtered: &mut Filtered) {
        let mut known = HashSet::new();
        let (least, most) = (filter.min_words, filter.max_words);
        let counts_words = least.is_some() || most.is_some();
        let drops_repeated = filter.duplicates == Some(Duplicates::Captions);
        let mut passes = |caption: &String| {
            if counts_words {
                let words = caption.split_whitespace().count();
                let is_short = least.is_some_and(|least| words < least);
                let is_long = !is_short && most.is_some_and(|most| words > most);
                filtered.short_captions += usize::from(is_short);
                filtered.long_captions += usize::from(is_long);
                if is_short || is_long {
                    return false;
                }
            }
            if drops_repeated && !known.insert(caption_key(caption)) {
                filtered.repeated_captions += 1;
                return false;
            }
            true
        };
        let before = self.samples.len();
        self.samples.retain_mut(|sample| {
            sample.retain_captions(&mut passes);
            !sample.captions.is_empty()
        });
        filtered.without_a_caption = before - self.samples.len();
    }

    fn filter_sizes(
        &mut self,
        filter: &Filter,
        seen: &(dyn Fn() -> bool + Sync),
        filtered: &mut Filtered,
    ) -> Option<()> {
        let sizes = self.of_images(size, seen)?;
        let mut sizes = self.readable(sizes, filtered).into_iter();
        self.samples.retain(|_| {
            let Some((width, height)) = sizes.next() else { return true };
            let (short, long) = (width.min(height), width.max(height));
            let is_small = filter.min_side.is_some_and(|least| short < least);
            let is_long = |most| f64::from(long) > most * f64::from(short);
            let is_long = !is_small && filter.max_aspect.is_some_and(is_long);
            filtered.small_images += usize::from(is_small);
            filtered.long_images += usize::from(is_long);
            !is_small && !is_long
        });
        Some(())
    }

    fn join_images(
        &mut self,
        seen: &(dyn Fn() -> bool + Sync),
        filtered: &mut Filtered,
    ) -> Option<()> {
        let lengths = self.of_images(|place| Ok(place.byte_len()?), &|| true)?;
        let mut places: HashMap<u64, (&ImagePlace, bool)> = HashMap::new();
        for (sample, length) in self.samples.iter().zip(&lengths) {
            if let Ok(length) = length {
                let (first, is_shared) = places.entry(*length).or_insert((&sample.image, false));
                *is_shared |= *first != &sample.image;
            }
        }
        let shared: HashSet<u64> = places
            .into_iter()
            .filter_map(|(length, (_, is_shared))| is_shared.then_some(length))
            .collect();
        let work = self.samples.par_iter().zip(lengths);
        let keys: Option<Vec<Result<[u8; 32], String>>> = work
            .map(|(sample, length)| {
                let key = length.and_then(|length| {
                    let bytes = if shared.contains(&length) {
                        sample.image.read().map_err(|error| error.to_string())?
                    } else {
                        // No other file is as long.
                        sample.image.identity()
                    };
                    Ok(*blake3::hash(&bytes).as_bytes())
                });
                seen().then_some(key)
            })
            .collect();
        let keys = self.readable(keys?, filtered);
        filtered.joined += self.merge(keys);
        Some(())
    }

    /// Looks at every image, on all cores.
    fn of_images<T: Send>(
        &self,
        look: impl Fn(&ImagePlace) -> Result<T, Box<dyn std::error::Error>> + Sync,
        seen: &(dyn Fn() -> bool + Sync),
    ) -> Option<Vec<Result<T, String>>> {
        self.samples
            .par_iter()
            .map(|sample| {
                let found = look(&sample.image).map_err(|error| error.to_string());
                seen().then_some(found)
            })
            .collect()
    }

    /// What was found of each image that could be read; the other samples are skipped.
    fn readable<T>(&mut self, found: Vec<Result<T, String>>, filtered: &mut Filtered) -> Vec<T> {
        let mut readable = Vec::with_capacity(found.len());
        let mut found = found.into_iter();
        let skipped = &mut self.skipped;
        self.samples.retain(|sample| match found.next() {
            Some(Err(why)) => {
                filtered.unreadable_images += 1;
                skipped.push((sample.place.clone(), reason("unreadable image", why)));
                false
            }
            found => {
                readable.extend(found.and_then(Result::ok));
                true
            }
        });
        readable
    }
}

/// Width and height, from an image's header.
fn size(place: &ImagePlace) -> Result<(u32, u32), Box<dyn std::error::Error>> {
    /// Beyond the header of nearly every file; where a camera's notes are longer, the whole is read.
    const HEADER: u64 = 32 << 10;
    let first = imagesize::blob_size(&place.first_bytes(HEADER)?);
    let size = match first {
        Ok(size) => size,
        Err(_) if place.byte_len()? > HEADER => {
            imagesize::blob_size(&place.read()?).map_err(|error| format!("{place}: {error}"))?
        }
        Err(error) => return Err(format!("{place}: {error}").into()),
    };
    Ok((u32::try_from(size.width)?, u32::try_from(size.height)?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::Sample;
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
        let filtered = found.filter(&filter, &|| false).unwrap();
        assert_eq!(captions(&found), ["one two", "One  two!|two three", "ONE TWO"]);
        assert_eq!(fields(&found), [&[1][..], &[0, 1], &[0]]);
        assert_eq!(
            filtered.summary(),
            "1 sample: 1 without a caption left; 3 captions: 2 too short, 1 too long"
        );
        let filter = Filter { duplicates: Some(Duplicates::Captions), ..filter };
        let (mut found, _dir) = set(&samples);
        let filtered = found.filter(&filter, &|| false).unwrap();
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
        let filtered = found.filter(&filter, &look).unwrap();
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
        let filtered = found.filter(&filter, &|| true).unwrap();
        assert_eq!(captions(&found), ["x|y|z", "x", "v|w"]);
        assert_eq!(found.samples[0].negatives, ["not a", "not c"]);
        assert_eq!(found.samples[0].fields, [0, 1, 1]);
        assert_eq!((filtered.joined, filtered.unreadable_images), (2, 1));
        assert_ne!(found.digest(), digest);
        assert_eq!(found.filter(&filter, &|| true), Some(Filtered::default()));
        assert_eq!(Filtered::default().summary(), "nothing");
    }

    #[test]
    fn it_stops_when_it_is_told_to() {
        for (min_side, duplicates) in [(Some(1), None), (None, Some(Duplicates::Images))] {
            let (mut found, _dir) = set(&[("a", png(9, 9), &["a"])]);
            let filter = Filter { min_side, duplicates, ..Filter::default() };
            assert_eq!(found.filter(&filter, &|| false), None);
        }
    }
}
