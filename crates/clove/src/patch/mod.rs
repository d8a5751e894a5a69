//! Patching: interpolation between pretrained and fine-tuned weights.
//!
//! `theta(alpha) = (1 - alpha) * pretrained + alpha * fine-tuned`, over every tensor, the logit scale included (CLoVe, arXiv 2402.15021,
//! section 3.3; Netflix/clove: src/training/utils.py:102). Alpha 0 and 1 give the two models bit for bit.

mod delta;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use thiserror::Error;

pub use self::delta::{Delta, DeltaError, Difference};
use crate::model::{ClipConfig, Parameters};
use crate::weights::{
    AtomicFile, Dtype, Layout, ModelSource, Snapshot, TensorFiles, TensorWriter, Weights,
    WeightsError, copy_unchanged, decode_f32, is_same_place,
};

/// Why two models can't be patched.
#[derive(Debug, Error)]
pub enum PatchError {
    /// A model can't be read, or the patched one can't be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Alpha isn't between 0 and 1.
    #[error("alpha is {0}; it must be between 0 (pretrained) and 1 (fine-tuned)")]
    Alpha(f64),
    /// The pretrained and the fine-tuned model, and their layouts, which differ.
    #[error(
        "{} is a {} model, {} a {} model; convert one of them with `clove convert`",
        .0[0], .1[0], .0[1], .1[1]
    )]
    Layouts([String; 2], [Layout; 2]),
    /// The pretrained and the fine-tuned model, and the differences of their shapes: `name: first value, second value`.
    #[error("{} and {} are different models: {}", .0[0], .0[1], .1.join("; "))]
    Configs([String; 2], Vec<String>),
    /// Only one model has these tensors.
    #[error("the models have different tensors: {}", .0.join(", "))]
    Tensors(Vec<String>),
    /// A constant, which isn't interpolated, differs.
    #[error("tensor `{0}` isn't a weight and differs between the models")]
    Constant(String),
    /// The output is one of the inputs.
    #[error("{0} is one of the models to patch; choose another output folder")]
    SamePlace(String),
}

/// Elements that are interpolated at a time, so that a block of each model stays in a core's cache.
const BLOCK: usize = 1 << 16;

/// Patched blocks that wait for the disk.
const BLOCKS_AHEAD: usize = 4;

/// Interpolates in f32 as PyTorch does: `(1 - alpha) * pretrained + alpha * fine-tuned`, 1 - alpha in f64, each product rounded.
pub fn interpolate(pretrained: &mut [f32], finetuned: &[f32], alpha: f64) {
    let (keep, take) = ((1.0 - alpha) as f32, alpha as f32);
    for (value, tuned) in pretrained.iter_mut().zip(finetuned) {
        *value = keep * *value + take * *tuned;
    }
}

/// Scores of a patched model on the validation data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    /// The share of the fine-tuned model.
    pub alpha: f64,
    /// The share that fine-tuning is to improve, such as the accuracy on hard negatives.
    pub composition: f64,
    /// The share that it must keep, such as zero-shot accuracy; `None` if it isn't tested.
    pub recognition: Option<f64>,
}

/// The alphas of a sweep: 0 to 1 by tenths. With a finer grid the validation split would overfit the choice.
pub fn tenths() -> Vec<f64> {
    (0..=10).map(|tenths| f64::from(tenths) / 10.0).collect()
}

/// The maximum loss of recognition of a patched model, as a share: one point.
pub const ALLOWED_LOSS: f64 = 0.01;

/// Chooses the alpha with the highest composition; of equals the lowest, which forgets the least. Where recognition is tested, it
/// must be within [`ALLOWED_LOSS`] of that of the first of `points`, the pretrained model at alpha 0. Without points the result is 0.
pub fn choose_alpha(points: impl IntoIterator<Item = Tried>) -> f64 {
    let mut points = points.into_iter();
    let Some(first) = points.next() else {
        return 0.0;
    };
    let least = first.recognition.map(|share| share - ALLOWED_LOSS);
    let best = points.fold(first, |best, point| {
        let allowed = point.recognition >= least;
        // A composition that isn't a number is the worst.
        let better = point.composition > best.composition || best.composition.is_nan();
        if allowed && better { point } else { best }
    });
    best.alpha
}

impl Snapshot {
    /// The weights between this model, the pretrained one, and a fine-tuned one of the same shape; see [`crate::patch`].
    ///
    /// # Panics
    /// If the shapes differ.
    #[must_use]
    pub fn patched(&self, finetuned: &Self, alpha: f64) -> Self {
        assert_eq!(self.config(), finetuned.config(), "models of one shape");
        let mut patched = if alpha == 1.0 { finetuned.clone() } else { self.clone() };
        if alpha != 0.0 && alpha != 1.0 {
            for (values, tuned) in patched.beside(finetuned) {
                interpolate(values, tuned, alpha);
            }
        }
        patched
    }
}

/// Two models that differ only in their weights.
#[derive(Debug)]
pub struct Pair {
    pretrained: Weights,
    finetuned: Weights,
}

impl Pair {
    /// Opens the weights of both models and compares layouts, configurations and tensors.
    ///
    /// # Errors
    /// When a model can't be read, or they differ in layout, configuration or tensors.
    pub fn open(pretrained: &ModelSource, finetuned: &ModelSource) -> Result<Self, PatchError> {
        let differences = differences(pretrained.config(), finetuned.config());
        let layouts = [pretrained.layout(), finetuned.layout()];
        let places = [pretrained.place(), finetuned.place()];
        if !differences.is_empty() {
            return Err(PatchError::Configs(places, differences));
        }
        if layouts[0] != layouts[1] {
            return Err(PatchError::Layouts(places, layouts));
        }
        let pair = Self { pretrained: pretrained.weights()?, finetuned: finetuned.weights()? };
        let names = |weights: &Weights| -> BTreeSet<String> {
            weights.tensors().names().map(str::to_owned).collect()
        };
        let (left, right) = (names(&pair.pretrained), names(&pair.finetuned));
        let tensors: Vec<String> = left.symmetric_difference(&right).cloned().collect();
        if tensors.is_empty() { Ok(pair) } else { Err(PatchError::Tensors(tensors)) }
    }

    /// The patched parameters.
    ///
    /// # Errors
    /// When alpha isn't between 0 and 1.
    pub fn at(&mut self, alpha: f64) -> Result<Patched<'_>, PatchError> {
        check(alpha)?;
        Ok(Patched { pair: self, alpha })
    }
}

/// The parameters between two models. See [`Pair::at`].
#[derive(Debug)]
pub struct Patched<'a> {
    pair: &'a mut Pair,
    alpha: f64,
}

impl Parameters for Patched<'_> {
    type Error = WeightsError;

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        if self.alpha == 1.0 {
            return self.pair.finetuned.values(name, shape);
        }
        let mut values = self.pair.pretrained.values(name, shape)?;
        if self.alpha != 0.0 {
            interpolate(&mut values, &self.pair.finetuned.values(name, shape)?, self.alpha);
        }
        Ok(values)
    }
}

/// Writes the patched model to the directory `out`, in the pretrained model's layout and with its other files.
///
/// Both models are streamed in blocks. Tensors of different types become f32. `progress` gets the bytes written and the total.
///
/// # Errors
/// When the models can't be patched, read or written.
pub fn patch_to(
    pretrained: &ModelSource,
    finetuned: &ModelSource,
    alpha: f64,
    out: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), PatchError> {
    check(alpha)?;
    for source in [pretrained, finetuned] {
        if is_same_place(source, out) {
            return Err(PatchError::SamePlace(source.place()));
        }
    }
    let pair = Pair::open(pretrained, finetuned)?;
    let (mut left, mut right) = (pair.pretrained.into_tensors(), pair.finetuned.into_tensors());
    let names = left.names_in_file_order();
    let entries: Vec<(String, Dtype, Vec<usize>)> = names
        .iter()
        .filter_map(|name| {
            let (dtype, shape) = left.info(name)?;
            let (other, _) = right.info(name)?;
            let dtype = if dtype == other { dtype } else { Dtype::F32 };
            Some((name.clone(), dtype, shape.to_vec()))
        })
        .collect();
    let total = entries
        .iter()
        .map(|(_, dtype, shape)| (shape.iter().product::<usize>() * dtype.bitsize() / 8) as u64)
        .sum();
    let path = out.join(pretrained.layout().weights_file());
    let failed = |error| AtomicFile::failed(&path, error);
    let file = AtomicFile::create(&path)?;
    let writer = TensorWriter::new(file, &entries, left.metadata().cloned()).map_err(failed)?;
    let file = thread::scope(|scope| {
        // Writing overlaps reading and computing, to keep the disk busy.
        let (blocks, incoming) = mpsc::sync_channel(BLOCKS_AHEAD);
        let (empty, used) = mpsc::channel();
        let writing = scope.spawn(move || write_blocks(writer, &incoming, &empty));
        let mut block = Block::default();
        let mut done = 0;
        for (name, dtype, shape) in &entries {
            let elements = shape.iter().product::<usize>();
            for start in (0..elements).step_by(BLOCK) {
                let range = start..elements.min(start + BLOCK);
                block.patch(&mut left, &mut right, name, *dtype, range, alpha)?;
                let bytes = std::mem::replace(&mut block.left, used.try_recv().unwrap_or_default());
                done += bytes.len() as u64;
                if blocks.send(bytes).is_err() {
                    break; // The writer failed; its error comes from `join`.
                }
                progress(done, total);
            }
        }
        drop(blocks);
        match writing.join() {
            Ok(written) => Ok::<_, PatchError>(written.map_err(failed)?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    file.commit()?;
    copy_unchanged(pretrained, out)?;
    Ok(())
}

/// Writes the blocks and returns their buffers: new buffers would cost more than the arithmetic.
fn write_blocks(
    mut writer: TensorWriter<AtomicFile>,
    blocks: &mpsc::Receiver<Vec<u8>>,
    empty: &mpsc::Sender<Vec<u8>>,
) -> io::Result<AtomicFile> {
    for block in blocks {
        writer.write(&block)?;
        // The receiver may be closed already.
        let _ = empty.send(block);
    }
    writer.finish()
}

/// The buffers of one block.
#[derive(Default)]
struct Block {
    left: Vec<u8>,
    right: Vec<u8>,
    left_values: Vec<f32>,
    right_values: Vec<f32>,
}

impl Block {
    /// Writes the bytes of the patched elements `range` of a tensor to `self.left`.
    fn patch(
        &mut self,
        left: &mut TensorFiles,
        right: &mut TensorFiles,
        name: &str,
        dtype: Dtype,
        range: std::ops::Range<usize>,
        alpha: f64,
    ) -> Result<(), PatchError> {
        let left_type = read(left, name, &range, &mut self.left)?;
        let right_type = read(right, name, &range, &mut self.right)?;
        let is_weight = |dtype| matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16);
        if !is_weight(left_type) || !is_weight(right_type) {
            return if left_type == right_type && self.left == self.right {
                Ok(())
            } else {
                Err(PatchError::Constant(name.to_owned()))
            };
        }
        // No arithmetic at 0 and 1, so that even NaNs and negative zeros keep their bits.
        if alpha == 0.0 && left_type == dtype {
            return Ok(());
        }
        if alpha == 1.0 && right_type == dtype {
            std::mem::swap(&mut self.left, &mut self.right);
            return Ok(());
        }
        self.left_values.resize(range.len(), 0.0);
        self.right_values.resize(range.len(), 0.0);
        decode_f32(left_type, &self.left, &mut self.left_values)
            .and_then(|()| decode_f32(right_type, &self.right, &mut self.right_values))
            .expect("both types are weights, as checked above");
        if alpha == 1.0 {
            self.left_values.copy_from_slice(&self.right_values);
        } else if alpha != 0.0 {
            interpolate(&mut self.left_values, &self.right_values, alpha);
        }
        crate::weights::encode_f32(dtype, &self.left_values, &mut self.left)
            .expect("the type is one of the two, or f32");
        Ok(())
    }
}

/// Reads a range of elements; returns their type.
fn read(
    tensors: &mut TensorFiles,
    name: &str,
    range: &std::ops::Range<usize>,
    bytes: &mut Vec<u8>,
) -> Result<Dtype, WeightsError> {
    let dtype = tensors.dtype(name)?;
    let size = dtype.bitsize() / 8;
    bytes.resize(range.len() * size, 0);
    tensors.read_at(name, range.start * size, bytes)?;
    Ok(dtype)
}

fn check(alpha: f64) -> Result<(), PatchError> {
    if (0.0..=1.0).contains(&alpha) { Ok(()) } else { Err(PatchError::Alpha(alpha)) }
}

/// The differences of two configurations that matter to the computation.
pub fn differences(left: &ClipConfig, right: &ClipConfig) -> Vec<String> {
    let facts = |config: &ClipConfig| {
        let (image, text) = (&config.image, &config.text);
        let mut facts = vec![
            ("embedding width".to_owned(), config.embed_dim.to_string()),
            ("image size".to_owned(), image.image_size.to_string()),
            ("patch size".to_owned(), image.patch_size.to_string()),
            ("context length".to_owned(), text.context_length.to_string()),
            ("vocabulary".to_owned(), text.vocab_size.to_string()),
        ];
        for (tower, transformer) in config.transformers() {
            facts.extend(
                [
                    ("width", transformer.width.to_string()),
                    ("layers", transformer.layers.to_string()),
                    ("heads", transformer.heads.to_string()),
                    ("perceptron", transformer.mlp_width.to_string()),
                    ("activation", transformer.activation.name().to_owned()),
                    ("epsilon", transformer.layer_norm_epsilon.to_string()),
                ]
                .map(|(name, value)| (format!("{tower} {name}"), value)),
            );
        }
        facts
    };
    facts(left)
        .into_iter()
        .zip(facts(right))
        .filter(|(left, right)| left.1 != right.1)
        .map(|((name, left), (_, right))| format!("{name}: {left}, {right}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Tried, choose_alpha};

    fn tried(points: &[(f64, f64, f64)]) -> f64 {
        choose_alpha(points.iter().map(|&(alpha, composition, share)| Tried {
            alpha,
            composition,
            recognition: (share > 0.0).then_some(share),
        }))
    }

    #[test]
    fn alpha_is_the_best_composition_that_keeps_recognition() {
        let points = [
            (0.0, 0.55, 0.90),
            (0.3, 0.66, 0.905),
            (0.5, 0.72, 0.8901),
            (0.7, 0.78, 0.88),
            (1.0, 0.80, 0.80),
        ];
        assert_eq!(tried(&points), 0.5);
        assert_eq!(tried(&points[..2]), 0.3);
        assert_eq!(tried(&[points[0], points[4]]), 0.0);
        assert_eq!(tried(&[]), 0.0);
        // Where nothing tests recognition, composition alone decides; of equals the lowest alpha is taken.
        assert_eq!(tried(&[(0.2, 0.5, 0.0), (0.4, 0.7, 0.0), (0.6, 0.7, 0.0)]), 0.4);
        assert_eq!(tried(&[(0.2, f64::NAN, 0.0), (0.4, 0.1, 0.0)]), 0.4);
    }
}
