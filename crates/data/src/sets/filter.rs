//! The filter of a training set: captions by length, images by size, and duplicates.

use std::mem;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::index::{Bits, Builder, Groups};
use super::same::join;
use super::{ImagePlace, ImageTextSet, IndexedSet, Sample, caption_key, count, reason, thousands};
use crate::DataError;

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

    fn counts_words(&self) -> bool {
        self.min_words.is_some() || self.max_words.is_some()
    }

    /// Whether a caption has enough words and not too many.
    fn has_right_length(&self, caption: &str, filtered: &mut Filtered) -> bool {
        if !self.counts_words() {
            return true;
        }
        let words = caption.split_whitespace().count();
        let is_short = self.min_words.is_some_and(|least| words < least);
        let is_long = !is_short && self.max_words.is_some_and(|most| words > most);
        filtered.short_captions += usize::from(is_short);
        filtered.long_captions += usize::from(is_long);
        !is_short && !is_long
    }

    /// Whether an image of this width and height is large enough and not too long.
    fn has_right_size(&self, (width, height): (u32, u32), filtered: &mut Filtered) -> bool {
        let (short, long) = (width.min(height), width.max(height));
        let is_small = self.min_side.is_some_and(|least| short < least);
        let is_long = |most| f64::from(long) > most * f64::from(short);
        let is_long = !is_small && self.max_aspect.is_some_and(is_long);
        filtered.small_images += usize::from(is_small);
        filtered.long_images += usize::from(is_long);
        !is_small && !is_long
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
    /// [`IndexedSet::filter`] of these samples.
    ///
    /// # Errors
    /// Those of [`IndexedSet::filter`].
    pub fn filter(
        &mut self,
        filter: &Filter,
        seen: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Filtered>, DataError> {
        let mut set = IndexedSet::of(mem::take(self))?;
        let filtered = set.filter(filter, seen)?;
        *self = set.into_memory()?;
        Ok(filtered)
    }
}

impl IndexedSet {
    /// Removes the samples that don't pass the filter; the rest keeps its order. Of duplicates the first stays.
    ///
    /// Sizes of images are read from their headers, and bytes are compared where two files have the same length, on all cores. This
    /// happens before training because the number of samples determines the epochs and the order. `seen` is called once per pass
    /// ([`Filter::passes`]) and image; if it returns false, filtering stops and returns `None`.
    ///
    /// # Errors
    /// [`DataError::Io`] if the samples can't be read or written.
    pub fn filter(
        &mut self,
        filter: &Filter,
        seen: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Filtered>, DataError> {
        let mut filtered = Filtered::default();
        let is_looked_at = filter.counts_words()
            || filter.looks_at_sizes()
            || filter.duplicates == Some(Duplicates::Captions);
        if is_looked_at && !self.pass(filter, seen, &mut filtered)? {
            return Ok(None);
        }
        if filter.duplicates == Some(Duplicates::Images)
            && !self.join_images(seen, &mut filtered)?
        {
            return Ok(None);
        }
        Ok(Some(filtered))
    }

    /// Removes samples and captions by themselves, and captions that occurred before. Returns whether it wasn't stopped.
    fn pass(
        &mut self,
        filter: &Filter,
        seen: &(dyn Fn() -> bool + Sync),
        filtered: &mut Filtered,
    ) -> Result<bool, DataError> {
        let repeated = if filter.duplicates == Some(Duplicates::Captions) {
            self.repeated_captions(filter)?
        } else {
            Bits::default()
        };
        // Of the captions that have the right length.
        let mut number = 0;
        let passed = self.rewritten(|segment, kept| {
            for samples in segment.chunks() {
                let mut samples = samples?;
                let before = samples.len();
                samples.retain_mut(|sample| {
                    sample.retain_captions(|caption| {
                        let is_right = filter.has_right_length(caption, filtered);
                        let is_repeated = is_right && repeated.has(number);
                        number += u64::from(is_right);
                        filtered.repeated_captions += usize::from(is_repeated);
                        is_right && !is_repeated
                    });
                    !sample.captions.is_empty()
                });
                filtered.without_a_caption += before - samples.len();
                if filter.looks_at_sizes() {
                    let look = |sample: &Sample| {
                        let size = size(&sample.image).map_err(|error| error.to_string());
                        seen().then_some(size)
                    };
                    let sizes: Option<Vec<_>> = samples.par_iter().map(look).collect();
                    let Some(sizes) = sizes else { return Ok(false) };
                    let mut sizes = sizes.into_iter();
                    samples.retain(|sample| match sizes.next() {
                        Some(Err(why)) => {
                            unreadable(sample, &why, kept, filtered);
                            false
                        }
                        Some(Ok(size)) => filter.has_right_size(size, filtered),
                        None => true,
                    });
                }
                for sample in &samples {
                    kept.add(sample, 0);
                }
                kept.check()?;
            }
            Ok(true)
        })?;
        let Some(passed) = passed else { return Ok(false) };
        self.take_over(passed);
        Ok(true)
    }

    /// The captions that occurred before, by their numbers among those of the right length.
    fn repeated_captions(&self, filter: &Filter) -> Result<Bits, DataError> {
        let mut groups = Groups::new(&self.home());
        let mut number = 0;
        for samples in self.chunks() {
            let samples = samples?;
            let keys: Vec<[u8; 16]> = samples
                .par_iter()
                .flat_map_iter(|sample| {
                    let captions = sample.captions.iter();
                    captions
                        .filter(|caption| {
                            filter.has_right_length(caption, &mut Filtered::default())
                        })
                        .map(|caption| caption_key(caption))
                })
                .collect();
            for key in keys {
                groups.add(key, number)?;
                number += 1;
            }
        }
        let mut repeated = Bits::default();
        groups.each(|_, numbers| numbers[1..].iter().for_each(|number| repeated.add(*number)))?;
        Ok(repeated)
    }

    /// Merges samples whose images have the same bytes. Returns whether it wasn't stopped.
    fn join_images(
        &mut self,
        seen: &(dyn Fn() -> bool + Sync),
        filtered: &mut Filtered,
    ) -> Result<bool, DataError> {
        let alone = self.images_alone()?;
        let (mut groups, mut broken) = (Groups::new(&self.home()), Bits::default());
        let (mut number, mut skipped) = (0, Builder::new(&self.home()));
        for samples in self.chunks() {
            let samples = samples?;
            let look = |(at, sample): (usize, &Sample)| {
                let image = &sample.image;
                let key = if alone.has(number + at as u64) {
                    Ok(hash_of(b"place", &image.identity()))
                } else {
                    let bytes = image.byte_len().and_then(|_| image.read());
                    bytes.map(|bytes| hash_of(b"bytes", &bytes)).map_err(|error| error.to_string())
                };
                seen().then_some(key)
            };
            let keys: Option<Vec<_>> = samples.par_iter().enumerate().map(look).collect();
            let Some(keys) = keys else { return Ok(false) };
            for (sample, key) in samples.iter().zip(keys) {
                match key {
                    Ok(key) => groups.add(key, number)?,
                    Err(why) => {
                        unreadable(sample, &why, &mut skipped, filtered);
                        broken.add(number);
                    }
                }
                number += 1;
            }
        }
        // The first sample of an image with each later one.
        let (mut later, mut pairs) = (Bits::default(), Vec::new());
        groups.each(|_, numbers| {
            for other in &numbers[1..] {
                later.add(*other);
                pairs.push((numbers[0], *other));
            }
        })?;
        pairs.sort_unstable();
        filtered.joined += pairs.len();
        let mut pairs = pairs.into_iter().peekable();
        let mut number = 0;
        let joined = self.rewritten(|segment, kept| {
            for samples in segment.chunks() {
                for mut sample in samples? {
                    while let Some((_, other)) = pairs.next_if(|(first, _)| *first == number) {
                        join(&mut sample, self.get(other)?);
                    }
                    if !broken.has(number) && !later.has(number) {
                        kept.add(&sample, 0);
                    }
                    number += 1;
                }
                kept.check()?;
            }
            Ok(true)
        })?;
        self.take_over(joined.unwrap_or_default());
        self.add(skipped.finish()?, 0);
        Ok(true)
    }

    /// The samples whose images are as long as no other image. They needn't be read to be told from others.
    fn images_alone(&self) -> Result<Bits, DataError> {
        let mut groups = Groups::new(&self.home());
        let mut number = 0;
        for samples in self.chunks() {
            let look = |sample: &Sample| {
                let length = sample.image.byte_len().ok()?;
                let [mut key, place] = [
                    hash_of(b"length", &length.to_le_bytes()),
                    hash_of(b"place", &sample.image.identity()),
                ];
                key[LENGTH..].copy_from_slice(&place[LENGTH..]);
                Some(key)
            };
            let keys: Vec<Option<[u8; 16]>> = samples?.par_iter().map(look).collect();
            for key in keys {
                if let Some(key) = key {
                    groups.add(key, number)?;
                }
                number += 1;
            }
        }
        // Places of one length come one after another.
        let (mut alone, mut last, mut of_last) = (Bits::default(), [0; 16], Vec::new());
        groups.each(|key, numbers| {
            if key[..LENGTH] == last[..LENGTH] {
                of_last.clear();
                return;
            }
            of_last.drain(..).for_each(|number| alone.add(number));
            (last, of_last) = (*key, numbers.to_vec());
        })?;
        for number in of_last {
            alone.add(number);
        }
        Ok(alone)
    }
}

/// Bytes of a key that tell lengths apart; the rest tells places apart.
const LENGTH: usize = 8;

/// Half of BLAKE3's hash: 2^64 tries find no two things with the same.
fn hash_of(domain: &[u8], bytes: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(domain).update(&[0]).update(bytes);
    let mut hash = [0; 16];
    hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    hash
}

fn unreadable(sample: &Sample, why: &str, skipped: &mut Builder, filtered: &mut Filtered) {
    filtered.unreadable_images += 1;
    skipped.skip(&sample.place, &reason("unreadable image", why), 0);
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
mod tests;
