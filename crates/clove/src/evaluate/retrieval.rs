//! Retrieval between photos and captions, with several captions per photo.
//!
//! Image to text: the share of photos with at least one own caption among the k most similar captions. Text to image: the share of
//! captions whose photo is among the k most similar photos (LAION-AI/CLIP_benchmark clip_benchmark/metrics/zeroshot_retrieval.py).
//!
//! A query's rank is the number of wrong candidates above its best right one, counted block by block, without sorting and without a
//! matrix of all similarities. Ranks over blocks of photos are merged, so threads share the work.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

use serde::{Deserialize, Serialize};

use super::embeddings::Panels;
use super::zero_shot::{check_labels, share};
use super::{Embeddings, EvaluateError};

/// Captions in a block: with 512 values each, 256 KiB, which fit a second-level cache.
const CAPTION_BLOCK: usize = 128;

/// The rank of a query's best right candidate among the wrong ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rank {
    /// Wrong candidates of strictly greater similarity.
    pub greater: usize,
    /// Wrong candidates of exactly the same similarity.
    pub ties: usize,
}

/// The ranks of all queries in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranks {
    /// By photo; `None` for photos without captions or outside the counted range.
    pub image_to_text: Vec<Option<Rank>>,
    /// By caption, among the photos of the counted range.
    pub text_to_image: Vec<Rank>,
}

/// Recall in one direction, 0 to 1; null without queries.
///
/// `at_*` counts ties as lost (rank = greater + ties), so a constant model scores 0; `ties_won_at_*` counts them as won.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recall {
    /// Queries.
    pub queries: usize,
    /// R@1.
    pub at_1: Option<f64>,
    /// R@5.
    pub at_5: Option<f64>,
    /// R@10.
    pub at_10: Option<f64>,
    /// Queries that tie with at least one wrong candidate.
    pub ties: usize,
    /// R@1 with ties as won.
    pub ties_won_at_1: Option<f64>,
    /// R@5 with ties as won.
    pub ties_won_at_5: Option<f64>,
    /// R@10 with ties as won.
    pub ties_won_at_10: Option<f64>,
}

/// Recall in both directions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetrievalReport {
    /// From photos to captions.
    pub image_to_text: Recall,
    /// From captions to photos.
    pub text_to_image: Recall,
    /// Photos without captions, which are only candidates.
    pub images_without_captions: usize,
}

/// Recall in both directions of photos `[photos, dim]` and captions `[captions, dim]`; `image_of[caption]` is the caption's photo.
///
/// # Errors
/// Those of [`count_ranks`].
pub fn retrieval(
    images: &Embeddings,
    captions: &Embeddings,
    image_of: &[usize],
) -> Result<RetrievalReport, EvaluateError> {
    ranks(images, captions, image_of).map(|ranks| ranks.report())
}

/// The ranks in both directions of photos `[photos, dim]` and captions `[captions, dim]`; `image_of[caption]` is the caption's photo.
///
/// # Errors
/// Those of [`count_ranks`].
pub fn ranks(
    images: &Embeddings,
    captions: &Embeddings,
    image_of: &[usize],
) -> Result<Ranks, EvaluateError> {
    // A browser has one thread.
    let threads = if cfg!(target_family = "wasm") {
        1
    } else {
        thread::available_parallelism().map_or(1, NonZero::get)
    };
    let part = images.len().div_ceil(threads).max(1);
    let ranges = (0..images.len()).step_by(part);
    let ranges: Vec<Range<usize>> =
        ranges.map(|from| from..(from + part).min(images.len())).collect();
    let [first, rest @ ..] = &ranges[..] else {
        return count_ranks(images, captions, image_of, 0..0);
    };
    let count = |range: &Range<usize>| count_ranks(images, captions, image_of, range.clone());
    thread::scope(|scope| {
        let others: Vec<_> = rest.iter().map(|range| scope.spawn(move || count(range))).collect();
        let mut all = count(first)?;
        for other in others {
            match other.join() {
                Ok(ranks) => all.merge(&ranks?)?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}

/// The ranks over the photos of `range` only: of these photos, and of every caption among them. [`Ranks::merge`] combines ranges.
///
/// # Errors
/// Different widths, not one photo per caption, or a photo number or range past the photos.
pub fn count_ranks(
    images: &Embeddings,
    captions: &Embeddings,
    image_of: &[usize],
    range: Range<usize>,
) -> Result<Ranks, EvaluateError> {
    check(images, captions, image_of, &range)?;
    // The right candidates: a caption's own photo, a photo's best caption.
    let own: Vec<f32> = image_of
        .iter()
        .enumerate()
        .map(|(caption, &image)| images.dot(image, captions, caption))
        .collect();
    let mut best = vec![f32::NEG_INFINITY; images.len()];
    let mut ranks = Ranks {
        image_to_text: vec![None; images.len()],
        text_to_image: vec![Rank::default(); captions.len()],
    };
    for (&image, &similarity) in image_of.iter().zip(&own) {
        best[image] = best[image].max(similarity);
        if range.contains(&image) {
            ranks.image_to_text[image] = Some(Rank::default());
        }
    }
    let mut first = 0;
    while first < captions.len() {
        let block = first..captions.len().min(first + CAPTION_BLOCK);
        let mut counts = BlockCounts {
            own: &own[block.clone()],
            image_of: &image_of[block.clone()],
            greater: vec![0; block.len()],
            ties: vec![0; block.len()],
        };
        let panels = Panels::new(captions, block.clone());
        panels.for_each_row(images, range.clone(), |photo, similarities| {
            let rank = counts.add(photo, best[photo], similarities);
            if let Some(sum) = &mut ranks.image_to_text[photo] {
                *sum = sum.plus(rank);
            }
        });
        let found = counts.greater.iter().zip(&counts.ties);
        for (rank, (&greater, &ties)) in ranks.text_to_image[block.clone()].iter_mut().zip(found) {
            *rank = Rank { greater: greater as usize, ties: ties as usize };
        }
        first = block.end;
    }
    Ok(ranks)
}

fn check(
    images: &Embeddings,
    captions: &Embeddings,
    image_of: &[usize],
    range: &Range<usize>,
) -> Result<(), EvaluateError> {
    images.check_width(captions)?;
    let names = ["photos of captions", "photo of caption"];
    check_labels(names, image_of, captions.len(), images.len())?;
    if range.end > images.len() {
        let (at, row, rows) = (format!("{range:?}"), range.end, images.len());
        return Err(EvaluateError::Index { what: "range of photos", at, row, rows });
    }
    Ok(())
}

/// Counters of a block of captions.
struct BlockCounts<'a> {
    own: &'a [f32],
    image_of: &'a [usize],
    greater: Vec<u32>,
    ties: Vec<u32>,
}

impl BlockCounts<'_> {
    /// Counts one photo as a wrong candidate for the block's captions, and returns its rank among them.
    fn add(&mut self, photo: usize, best: f32, similarities: &[f32]) -> Rank {
        let (mut above, mut equal) = (0u32, 0u32);
        let captions = self.own.iter().zip(self.image_of);
        let counters = self.greater.iter_mut().zip(&mut self.ties);
        for ((&similarity, (&own, &image)), (greater, ties)) in
            similarities.iter().zip(captions).zip(counters)
        {
            // Without branches, so that the loop vectorises.
            let wrong = u32::from(image != photo);
            *greater += u32::from(similarity > own) & wrong;
            *ties += u32::from(similarity == own) & wrong;
            above += u32::from(similarity > best) & wrong;
            equal += u32::from(similarity == best) & wrong;
        }
        Rank { greater: above as usize, ties: equal as usize }
    }
}

impl Rank {
    fn plus(self, other: Self) -> Self {
        Self { greater: self.greater + other.greater, ties: self.ties + other.ties }
    }
}

impl Ranks {
    /// Adds the ranks of another range of the same photos and captions.
    ///
    /// # Errors
    /// [`EvaluateError::Count`] if the numbers of photos or captions differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), EvaluateError> {
        for (what, given, expected) in [
            ("photos to merge", other.image_to_text.len(), self.image_to_text.len()),
            ("captions to merge", other.text_to_image.len(), self.text_to_image.len()),
        ] {
            if given != expected {
                return Err(EvaluateError::Count { what, given, expected });
            }
        }
        for (sum, rank) in self.image_to_text.iter_mut().zip(&other.image_to_text) {
            if let Some(rank) = rank {
                *sum = Some(sum.unwrap_or_default().plus(*rank));
            }
        }
        for (sum, rank) in self.text_to_image.iter_mut().zip(&other.text_to_image) {
            *sum = sum.plus(*rank);
        }
        Ok(())
    }

    /// Recall in both directions.
    pub fn report(&self) -> RetrievalReport {
        let of_images: Vec<Rank> = self.image_to_text.iter().flatten().copied().collect();
        RetrievalReport {
            images_without_captions: self.image_to_text.len() - of_images.len(),
            image_to_text: Recall::of(&of_images),
            text_to_image: Recall::of(&self.text_to_image),
        }
    }
}

impl Recall {
    fn of(ranks: &[Rank]) -> Self {
        let at = |k: usize, rank: fn(&Rank) -> usize| {
            let found = ranks.iter().filter(|r| rank(r) < k).count();
            share(found, ranks.len())
        };
        let lost = |k| at(k, |rank| rank.greater + rank.ties);
        let won = |k| at(k, |rank| rank.greater);
        Self {
            queries: ranks.len(),
            at_1: lost(1),
            at_5: lost(5),
            at_10: lost(10),
            ties: ranks.iter().filter(|rank| rank.ties > 0).count(),
            ties_won_at_1: won(1),
            ties_won_at_5: won(5),
            ties_won_at_10: won(10),
        }
    }
}
