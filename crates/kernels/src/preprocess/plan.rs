//! The plans of photos for the shaders, and the launches.

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::{CropBox, MOST_PIXELS, Photo, Settings};
use crate::ops::Kernels as _;
use crate::resample::{Filter, FixedPoint, vertical_first};
use crate::shader::MOST_WORKGROUPS;

pub fn preprocess(
    photos: &[Photo<'_>],
    settings: &Settings<'_>,
    device: &Device,
) -> Option<Tensor<4>> {
    let has_type = !settings.half || device.supports_dtype(DType::F16);
    let runs = crate::run_on(device) && has_type;
    if !runs || settings.values.len() != 3 * 256 || photos.is_empty() {
        return None;
    }
    let plans: Vec<Plan> =
        photos.iter().map(|photo| Plan::new(photo, settings.filter)).collect::<Option<_>>()?;
    let mut batches = Vec::new();
    let mut first = 0;
    while first < plans.len() {
        let mut pixels = 0;
        let fitting = plans[first..].iter().take_while(|plan| {
            pixels += plan.pixels().max(plan.between());
            pixels <= MOST_PIXELS
        });
        // The z dimension of a launch counts them.
        let count = fitting.count().min(MOST_WORKGROUPS as usize);
        if count == 0 {
            return None;
        }
        let range = first..first + count;
        batches.push(run(&photos[range.clone()], &plans[range], settings, device));
        first += count;
    }
    Some(if batches.len() == 1 { batches.swap_remove(0) } else { Tensor::cat(batches, 0) })
}

/// The plan of a photo. Its region is the part that the result depends on; all starts are relative to it.
struct Plan {
    horizontal: FixedPoint,
    vertical: FixedPoint,
    /// Whether the vertical pass comes first.
    vertical_first: bool,
    /// The region of the photo.
    region: CropBox,
    window: CropBox,
    pad: [u32; 2],
}

/// Words of a plan in the tables.
const PLAN: usize = 21;

impl Plan {
    fn new(photo: &Photo<'_>, filter: Filter) -> Option<Self> {
        let (CropBox { x, y, width, height }, window) = (photo.source, photo.window);
        let (resized_width, resized_height) = photo.resized;
        let widest = MOST_WORKGROUPS * 16;
        let fits = width <= widest
            && height <= widest
            && photo.source.fits(photo.width, photo.height)
            && window.fits(resized_width, resized_height)
            && photo.rgb.len() == photo.width as usize * photo.height as usize * 3;
        if !fits {
            return None;
        }
        let axis = |input, output, first, count| {
            let mut axis = FixedPoint::new(filter, input, output, first..first + count)?;
            let range = axis.source_range();
            for start in &mut axis.starts {
                *start -= range.start as u32;
            }
            Some((axis, range))
        };
        let (horizontal, columns) = axis(width, resized_width, window.x, window.width)?;
        let (vertical, rows) = axis(height, resized_height, window.y, window.height)?;
        Some(Self {
            horizontal,
            vertical,
            vertical_first: vertical_first((width, height), photo.resized),
            region: CropBox {
                x: x + columns.start as u32,
                y: y + rows.start as u32,
                width: columns.len() as u32,
                height: rows.len() as u32,
            },
            window,
            pad: photo.pad,
        })
    }

    fn pixels(&self) -> usize {
        self.region.width as usize * self.region.height as usize
    }

    /// Size of the first pass's result.
    fn between_size(&self) -> [u32; 2] {
        if self.vertical_first {
            [self.region.width, self.window.height]
        } else {
            [self.window.width, self.region.height]
        }
    }

    /// Pixels of the first pass's result.
    fn between(&self) -> usize {
        let [width, height] = self.between_size();
        width as usize * height as usize
    }
}

fn run(
    photos: &[Photo<'_>],
    plans: &[Plan],
    settings: &Settings<'_>,
    device: &Device,
) -> Tensor<4> {
    let total = plans.iter().map(Plan::pixels).sum();
    let mut pixels: Vec<i32> = Vec::with_capacity(total);
    let mut tables = Tables::new(plans.len());
    let (mut between, mut largest) = (0, [0, 0]);
    for (photo, plan) in photos.iter().zip(plans) {
        tables.add(plan, pixels.len(), between, settings.size);
        between += plan.between();
        let [width, height] = plan.between_size();
        largest = [width.max(largest[0]), height.max(largest[1])];
        let CropBox { x, y, width, height } = plan.region;
        for row in y..y + height {
            let first = (row as usize * photo.width as usize + x as usize) * 3;
            let row = &photo.rgb[first..first + width as usize * 3];
            let words = row.as_chunks::<3>().0.iter();
            pixels.extend(words.map(|&[r, g, b]| i32::from_le_bytes([r, g, b, 255])));
        }
    }
    let tables = tables.finish(settings.values);
    let words = |words: Vec<i32>| {
        let count = words.len();
        Tensor::<1, Int>::from_data(TensorData::new(words, [count]), device).into_dispatch()
    };
    let tables = words(tables);
    let grid = [largest[0].div_ceil(16), largest[1].div_ceil(16), plans.len() as u32];
    let between = Dispatch::clove_resample(words(pixels), tables.clone(), between, grid);
    let values = Dispatch::clove_preprocess(
        between,
        tables,
        plans.len(),
        settings.size as usize,
        settings.half,
    );
    Tensor::from_dispatch(values)
}

/// The tables of both shaders: plans first, then the data they point to.
struct Tables {
    plans: Vec<i32>,
    /// The data after the plans.
    rest: Vec<i32>,
    /// Words of all plans.
    offset: usize,
}

impl Tables {
    fn new(photos: usize) -> Self {
        Self { plans: Vec::new(), rest: Vec::new(), offset: photos * PLAN }
    }

    /// The offsets of the starts, lengths and weights of an axis, and the number of weights of an output.
    fn axis(&mut self, axis: &FixedPoint) -> [usize; 4] {
        let mut put = |words: &mut dyn Iterator<Item = i32>| {
            let at = self.offset + self.rest.len();
            self.rest.extend(words);
            at
        };
        [
            put(&mut axis.starts.iter().map(|&start| start as i32)),
            put(&mut axis.lengths.iter().map(|&length| length as i32)),
            put(&mut axis.weights.iter().copied()),
            axis.window,
        ]
    }

    fn add(&mut self, plan: &Plan, first: usize, between: usize, size: u32) {
        let horizontal = self.axis(&plan.horizontal);
        let vertical = self.axis(&plan.vertical);
        let (one, other) =
            if plan.vertical_first { (vertical, horizontal) } else { (horizontal, vertical) };
        let [width, height] = plan.between_size();
        let mut words = vec![first, between, width as usize, height as usize];
        words.push(usize::from(!plan.vertical_first));
        words.extend(one);
        words.push(plan.region.width as usize);
        let kept = [plan.pad[0], plan.pad[1], plan.window.width, plan.window.height];
        words.extend(kept.map(|number| number as usize));
        words.push(usize::from(plan.vertical_first));
        words.extend(other);
        // `finish` fills in the offset of the bytes' values.
        words.extend([0, size as usize]);
        debug_assert_eq!(words.len(), PLAN);
        self.plans.extend(words.into_iter().map(|word| word as i32));
    }

    fn finish(mut self, values: &[f32]) -> Vec<i32> {
        let at = (self.offset + self.rest.len()) as i32;
        for plan in self.plans.chunks_exact_mut(PLAN) {
            plan[PLAN - 2] = at;
        }
        self.plans.extend(self.rest);
        self.plans.extend(values.iter().map(|value| value.to_bits() as i32));
        self.plans
    }
}
