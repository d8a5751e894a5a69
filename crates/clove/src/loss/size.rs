//! The sizes of a loss's tensors, and whether its device can bind them.

use burn::tensor::Device;
use thiserror::Error;

use super::Loss;

/// Bytes of a number.
const NUMBER: u64 = 4;
/// Candidates of a launch of the project's kernels (`clove-kernels`: losses.rs).
const MOST_CANDIDATES: u64 = 65_535 * 16;

/// A loss has a tensor that is larger than its device can bind: kernels would compute with a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the loss of a batch of {pairs} and {negatives} negatives has a tensor of {needed} bytes, and the device binds {most}; {}",
    remedy(*.can_fuse)
)]
pub struct TooLarge {
    /// Pairs of the batch.
    pub pairs: usize,
    /// Hard negatives of all of them.
    pub negatives: usize,
    /// Bytes of the largest tensor.
    pub needed: u64,
    /// Bytes that the device binds.
    pub most: u64,
    /// Whether the project's kernels could compute it.
    pub can_fuse: bool,
}

fn remedy(can_fuse: bool) -> &'static str {
    if can_fuse {
        "set loss.fused = true, which stores no similarities, or lower train.batch"
    } else {
        "lower train.batch"
    }
}

impl Loss {
    /// Bytes of the largest tensor that a loss makes of embeddings of a `width`, with so many `negatives` of each caption. If `fused`,
    /// by the project's kernels.
    pub fn largest_tensor(self, negatives: &[usize], width: usize, fused: bool) -> u64 {
        let number = |count: usize| count as u64;
        let (pairs, width) = (number(negatives.len()), number(width));
        let all = if self == Self::Clip { 0 } else { number(negatives.iter().sum()) };
        let candidates = match self {
            Self::Clip | Self::Fsc(_) => pairs,
            Self::Clove => pairs + all,
        };
        let embeddings = (pairs + all) * width;
        // The candidates that are left out have a bit each.
        let similarities = pairs * if fused { (pairs + all).div_ceil(32) + 1 } else { candidates };
        let own = match self {
            Self::Fsc(_) if !fused => {
                let most = negatives.iter().copied().max().unwrap_or(0);
                let rows = negatives.iter().filter(|&&count| count > 0).count();
                number(rows) * number(most) * width
            }
            _ => 0,
        };
        NUMBER * embeddings.max(similarities).max(own)
    }

    /// Checks that kernels which bind at most `most` bytes can compute the loss of a batch, as in [`Self::largest_tensor`].
    ///
    /// # Errors
    /// If its largest tensor is larger.
    pub fn fits(
        self,
        negatives: &[usize],
        width: usize,
        fused: bool,
        (most, can_fuse): (u64, bool),
    ) -> Result<(), TooLarge> {
        let pairs = negatives.len();
        let of_all = negatives.iter().sum();
        let runs = can_fuse && (pairs + of_all) as u64 <= MOST_CANDIDATES;
        let needed = self.largest_tensor(negatives, width, fused && runs);
        if needed <= most {
            return Ok(());
        }
        let can_fuse = runs && !fused && self.largest_tensor(negatives, width, true) <= most;
        Err(TooLarge { pairs, negatives: of_all, needed, most, can_fuse })
    }

    /// [`Self::fits`] for a device.
    ///
    /// # Errors
    /// As [`Self::fits`].
    pub fn fits_on(
        self,
        negatives: &[usize],
        width: usize,
        fused: bool,
        device: &Device,
    ) -> Result<(), TooLarge> {
        let limits = (clove_kernels::largest_buffer(device), clove_kernels::run_on(device));
        self.fits(negatives, width, fused, limits)
    }
}

#[cfg(test)]
mod tests {
    use super::super::OwnNegatives;
    use super::*;

    const WIDTH: usize = 512;

    /// WebGPU's default binding.
    const BINDS: u64 = 128 << 20;

    #[test]
    fn a_large_batch_needs_the_fused_loss_and_is_told_so() {
        let negatives = vec![1; 8_192];
        let needed = Loss::Clove.largest_tensor(&negatives, WIDTH, false);
        assert_eq!(needed, 4 * 8_192 * 16_384);
        let error = Loss::Clove.fits(&negatives, WIDTH, false, (BINDS, true)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the loss of a batch of 8192 and 8192 negatives has a tensor of 536870912 bytes, and the device binds 134217728; set loss.fused = true, which stores no similarities, or lower train.batch"
        );
        Loss::Clove.fits(&negatives, WIDTH, true, (BINDS, true)).unwrap();
        // Where the kernels don't run, a smaller batch is the only remedy.
        for fused in [false, true] {
            let error = Loss::Clove.fits(&negatives, WIDTH, fused, (BINDS, false)).unwrap_err();
            assert!(error.to_string().ends_with("binds 134217728; lower train.batch"), "{error}");
        }
        Loss::Clove.fits(&negatives, WIDTH, false, (u64::MAX, false)).unwrap();
    }

    #[test]
    fn each_loss_has_its_own_largest_tensor() {
        let (few, many) = ([2, 0, 2], vec![3; 4_096]);
        let fsc = Loss::Fsc(OwnNegatives::default());
        assert_eq!(Loss::Clip.largest_tensor(&few, 8, false), 4 * 3 * 8);
        assert_eq!(Loss::Clove.largest_tensor(&few, 8, false), 4 * 7 * 8);
        assert_eq!(Loss::Clip.largest_tensor(&many, 8, false), 4 * 4_096 * 4_096);
        assert_eq!(Loss::Clove.largest_tensor(&many, 8, false), 4 * 4_096 * 16_384);
        // As many negatives beside each image as any has.
        let uneven = [vec![1; 63], vec![32]].concat();
        assert_eq!(fsc.largest_tensor(&uneven, 512, false), 4 * 64 * 32 * 512);
        assert_eq!(fsc.largest_tensor(&uneven, 512, true), 4 * (64 + 95) * 512);
    }
}
