//! Patches files block by block, so that memory never holds a model.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use super::{Pair, PatchError, check, interpolate};
use crate::weights::{
    AtomicFile, Dtype, ModelSource, OutputDir, TensorFiles, TensorWriter, WeightsError,
    copy_unchanged, decode_f32, encode_finite,
};

/// Elements that are interpolated at a time, so that a block of each model stays in a core's cache.
const BLOCK: usize = 1 << 16;

/// Patched blocks that wait for the disk.
const BLOCKS_AHEAD: usize = 4;

/// Writes the patched model, in the pretrained model's layout and with its other files.
///
/// Both models are streamed in blocks. Tensors of different types become f32. `progress` gets the bytes written and the total.
///
/// # Errors
/// When the models can't be patched, read or written, or have an element that isn't finite.
pub fn patch_to(
    pretrained: &ModelSource,
    finetuned: &ModelSource,
    alpha: f64,
    out: &OutputDir,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), PatchError> {
    write(pretrained, finetuned, alpha, out.path(), progress).map_err(|error| match error {
        PatchError::Weights(error) => out.naming(error).into(),
        other => other,
    })
}

fn write(
    pretrained: &ModelSource,
    finetuned: &ModelSource,
    alpha: f64,
    out: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), PatchError> {
    check(alpha)?;
    let pair = Pair::open(pretrained, finetuned)?;
    let is_buffer = |name: &str| pair.pretrained.is_buffer(name);
    let (left, right) = (pair.pretrained.tensors(), pair.finetuned.tensors());
    let tensors: Vec<Tensor> = left
        .names_in_file_order()
        .into_iter()
        .filter_map(|name| {
            let (dtype, shape) = left.info(&name)?;
            let elements = shape.iter().product();
            let entry = (name.clone(), dtype, shape.to_vec());
            match right.info(&name).filter(|_| !is_buffer(&name)) {
                // A constant is the pretrained model's.
                None => Some(Tensor { entry, elements, common: 0 }),
                Some((other, tuned)) => {
                    let common = tuned.iter().product::<usize>().min(elements);
                    let dtype = if dtype == other { dtype } else { Dtype::F32 };
                    Some(Tensor { entry: (name, dtype, entry.2), elements, common })
                }
            }
        })
        .collect();
    let (mut left, mut right) = (pair.pretrained.into_tensors(), pair.finetuned.into_tensors());
    let entries: Vec<_> = tensors.iter().map(|tensor| tensor.entry.clone()).collect();
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
        'all: for Tensor { entry: (name, dtype, _), elements, common } in &tensors {
            let mut start = 0;
            while start < *elements {
                let is_patched = start < *common;
                let end = if is_patched { *common } else { *elements };
                let range = start..end.min(start + BLOCK);
                start = range.end;
                if is_patched {
                    block.patch(&mut left, &mut right, name, *dtype, range, alpha)?;
                } else {
                    block.keep(&mut left, name, *dtype, range, *common > 0)?;
                }
                let bytes = std::mem::replace(&mut block.left, used.try_recv().unwrap_or_default());
                done += bytes.len() as u64;
                if blocks.send(bytes).is_err() {
                    break 'all; // The writer failed; its error comes from `join`.
                }
                progress(done, total);
            }
        }
        drop(blocks);
        match writing.join() {
            Ok(written) => {
                Ok::<_, PatchError>(written.and_then(TensorWriter::finish).map_err(failed)?)
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    file.commit()?;
    copy_unchanged(pretrained, out)?;
    Ok(())
}

/// A tensor of the patched model.
struct Tensor {
    entry: (String, Dtype, Vec<usize>),
    elements: usize,
    /// How many of its first elements are interpolated; the others are the pretrained model's.
    common: usize,
}

/// Writes the blocks and returns their buffers: new buffers would cost more than the arithmetic.
fn write_blocks(
    mut writer: TensorWriter<AtomicFile>,
    blocks: &mpsc::Receiver<Vec<u8>>,
    empty: &mpsc::Sender<Vec<u8>>,
) -> io::Result<TensorWriter<AtomicFile>> {
    for block in blocks {
        writer.write(&block)?;
        // The receiver may be closed already.
        let _ = empty.send(block);
    }
    // Where a block couldn't be read the file isn't complete.
    Ok(writer)
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
        range: Range<usize>,
        alpha: f64,
    ) -> Result<(), WeightsError> {
        let elements = range.len();
        let left_type = read(left, name, &range, &mut self.left)?;
        let right_type = read(right, name, &range, &mut self.right)?;
        // No arithmetic at 0 and 1, so that even negative zeros keep their bits.
        if alpha == 0.0 && left_type == dtype {
            return Ok(());
        }
        if alpha == 1.0 && right_type == dtype {
            std::mem::swap(&mut self.left, &mut self.right);
            return Ok(());
        }
        self.left_values.resize(elements, 0.0);
        self.right_values.resize(elements, 0.0);
        decode_f32(left_type, &self.left, &mut self.left_values)
            .and_then(|()| decode_f32(right_type, &self.right, &mut self.right_values))
            .expect("types were checked when the weights were opened");
        if alpha == 1.0 {
            self.left_values.copy_from_slice(&self.right_values);
        } else if alpha != 0.0 {
            interpolate(&mut self.left_values, &self.right_values, alpha);
        }
        self.encode(left, name, dtype)
    }

    /// Writes the bytes of the elements `range` of the pretrained model's tensor, a weight or a constant, to `self.left`.
    fn keep(
        &mut self,
        left: &mut TensorFiles,
        name: &str,
        dtype: Dtype,
        range: Range<usize>,
        is_weight: bool,
    ) -> Result<(), WeightsError> {
        if !is_weight {
            let size = dtype.bitsize() / 8;
            self.left.resize(range.len() * size, 0);
            return left.read_at(name, range.start * size, &mut self.left);
        }
        let elements = range.len();
        let found = read(left, name, &range, &mut self.left)?;
        if found == dtype {
            return Ok(());
        }
        self.left_values.resize(elements, 0.0);
        decode_f32(found, &self.left, &mut self.left_values)
            .expect("types were checked when the weights were opened");
        self.encode(left, name, dtype)
    }

    /// Writes the bytes of `self.left_values` to `self.left`.
    fn encode(
        &mut self,
        tensors: &TensorFiles,
        name: &str,
        dtype: Dtype,
    ) -> Result<(), WeightsError> {
        encode_finite(&[name], dtype, &self.left_values, &mut self.left)
            .map_err(|problem| problem.of(tensors.describe()))
    }
}

/// Reads a range of a weight's elements; returns their type.
fn read(
    tensors: &mut TensorFiles,
    name: &str,
    range: &Range<usize>,
    bytes: &mut Vec<u8>,
) -> Result<Dtype, WeightsError> {
    let size = tensors.dtype(name)?.bitsize() / 8;
    bytes.resize(range.len() * size, 0);
    tensors.read_weight(name, range.start * size, bytes)
}
