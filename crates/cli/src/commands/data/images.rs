//! Statistics of a sample of images, opened as for training.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use clove::preprocess::{DecodeLimits, decode};
use clove_data::sets::{ImagePlace, ImageTextSet};
use rayon::prelude::*;
use serde::Serialize;

use super::spread::Spread;
use crate::interrupt::Interrupt;
use crate::output;
use crate::progress::Progress;
use crate::thumbnail::thumbnail;

const SMALLEST: usize = 5;

/// Lower bounds of the histogram of shorter sides, with common sizes of CLIP models.
const SIDES: [u32; 7] = [0, 64, 128, 224, 336, 512, 1_024];

#[derive(Debug, Default, Serialize)]
pub struct Images {
    /// Number of images opened.
    pub tried: usize,
    pub width: Spread,
    pub height: Spread,
    pub shorter_side: Spread,
    /// Ratio of the longer to the shorter side, in percent.
    pub aspect_percent: Spread,
    /// Histogram of shorter sides: lower bound and count.
    pub by_shorter_side: Vec<(u32, usize)>,
    pub formats: BTreeMap<String, usize>,
    pub smallest: Vec<(String, u32, u32)>,
    pub unreadable: Vec<(String, String)>,
}

/// A picture as a data URL, or the reason why it is missing.
pub type Thumbnail = Result<String, String>;

/// Width, height and format of an image, and its thumbnail.
type Looked = (u32, u32, String, Option<String>);

impl Images {
    /// Opens the images of samples, and makes thumbnails of those at the indices `shown`.
    pub fn of(
        set: &ImageTextSet,
        opened: &[usize],
        shown: &[usize],
        progress: &Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Vec<Thumbnail>)> {
        let looked: Vec<Option<Result<Looked>>> = opened
            .par_iter()
            .enumerate()
            .map(|(place, &sample)| {
                if interrupt.asked() {
                    return None;
                }
                let is_shown = shown.binary_search(&place).is_ok();
                let looked = look(&set.samples[sample].image, is_shown);
                progress.advance(1);
                Some(looked)
            })
            .collect();
        let mut all = Self {
            tried: opened.len(),
            by_shorter_side: SIDES.map(|side| (side, 0)).to_vec(),
            ..Self::default()
        };
        let mut thumbnails = Vec::new();
        let mut sizes = Vec::new();
        for (place, (looked, &sample)) in looked.into_iter().zip(opened).enumerate() {
            let name = set.samples[sample].image.to_string();
            let thumbnail = match looked {
                None => bail!("stopped while opening images"),
                Some(Ok((width, height, format, thumbnail))) => {
                    *all.formats.entry(format).or_default() += 1;
                    sizes.push((width, height, name));
                    thumbnail.map(Ok)
                }
                Some(Err(error)) => {
                    let reason = output::one_line(&error);
                    all.unreadable.push((name, reason.clone()));
                    shown.binary_search(&place).is_ok().then_some(Err(reason))
                }
            };
            thumbnails.extend(thumbnail);
        }
        all.measure(sizes);
        Ok((all, thumbnails))
    }

    fn measure(&mut self, mut sizes: Vec<(u32, u32, String)>) {
        let of = |measure: fn(u32, u32) -> u32| {
            let sizes = sizes.iter();
            Spread::of(sizes.map(|(w, h, _)| measure(*w, *h)).collect())
        };
        self.width = of(|width, _| width);
        self.height = of(|_, height| height);
        self.shorter_side = of(u32::min);
        self.aspect_percent = of(|width, height| {
            let (long, short) = (width.max(height), width.min(height).max(1));
            (100.0 * f64::from(long) / f64::from(short)).round() as u32
        });
        for (width, height, _) in &sizes {
            let side = *width.min(height);
            let group = SIDES.partition_point(|from| *from <= side) - 1;
            self.by_shorter_side[group].1 += 1;
        }
        sizes.sort_by_key(|(width, height, _)| (*width.min(height), *width.max(height)));
        sizes.truncate(SMALLEST);
        self.smallest =
            sizes.into_iter().map(|(width, height, name)| (name, width, height)).collect();
    }
}

fn look(place: &ImagePlace, is_shown: bool) -> Result<Looked> {
    let bytes = place.read()?;
    let image = decode(&bytes, &DecodeLimits::default()).with_context(|| place.to_string())?;
    let format = image::guess_format(&bytes);
    let format = format.map_or_else(|_| "unknown".to_owned(), |format| format!("{format:?}"));
    let thumbnail = is_shown.then(|| thumbnail(&image)).transpose()?;
    Ok((image.width(), image.height(), format, thumbnail))
}
