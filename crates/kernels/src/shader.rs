//! The WGSL of `shaders/`, and what each kernel asks of a device.

use std::borrow::Cow;

/// A kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shader {
    /// Weights between two models.
    Patch,
    /// The first pass of a resize.
    Resample,
    /// The second pass, and normalisation; in 16 bits where `half`.
    Preprocess {
        /// Whether it writes f16.
        half: bool,
    },
    /// InfoNCE with hard negatives.
    Contrastive,
    /// Its gradients.
    ContrastiveBackward,
    /// Each image's choice between its caption and that caption's negatives.
    OwnNegatives,
    /// Its gradients.
    OwnNegativesBackward,
}

#[cfg(any(test, feature = "gpu"))]
/// Workgroups along one dimension of a launch that WebGPU promises.
pub const MOST_WORKGROUPS: u32 = 65_535;

impl Shader {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Patch,
        Self::Resample,
        Self::Preprocess { half: false },
        Self::Preprocess { half: true },
        Self::Contrastive,
        Self::ContrastiveBackward,
        Self::OwnNegatives,
        Self::OwnNegativesBackward,
    ];

    /// The file in `shaders/`, without its ending.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Resample => "resample",
            Self::Preprocess { .. } => "preprocess",
            Self::Contrastive => "contrastive",
            Self::ContrastiveBackward => "contrastive_backward",
            Self::OwnNegatives => "own_negatives",
            Self::OwnNegativesBackward => "own_negatives_backward",
        }
    }

    /// The WGSL.
    #[must_use]
    pub fn text(self) -> Cow<'static, str> {
        match self {
            Self::Patch => include_str!("../shaders/patch.wgsl").into(),
            Self::Resample => include_str!("../shaders/resample.wgsl").into(),
            Self::Preprocess { half } => {
                let (enable, element) = if half { ("enable f16;", "f16") } else { ("", "f32") };
                include_str!("../shaders/preprocess.wgsl")
                    .replace("{{ enable }}", enable)
                    .replace("{{ element }}", element)
                    .into()
            }
            Self::Contrastive => include_str!("../shaders/contrastive.wgsl").into(),
            Self::ContrastiveBackward => {
                include_str!("../shaders/contrastive_backward.wgsl").into()
            }
            Self::OwnNegatives => include_str!("../shaders/own_negatives.wgsl").into(),
            Self::OwnNegativesBackward => {
                include_str!("../shaders/own_negatives_backward.wgsl").into()
            }
        }
    }

    /// The threads of a workgroup, x and y.
    #[must_use]
    pub fn workgroup(self) -> [u32; 2] {
        match self {
            Self::Patch => [256, 1],
            Self::Resample
            | Self::Preprocess { .. }
            | Self::Contrastive
            | Self::ContrastiveBackward => [16, 16],
            Self::OwnNegatives | Self::OwnNegativesBackward => [64, 1],
        }
    }
}

/// A grid of at least `count` workgroups that no dimension of a launch is too small for.
#[cfg(any(test, feature = "gpu"))]
pub(crate) fn grid(count: usize) -> [u32; 3] {
    let rows = count.div_ceil(MOST_WORKGROUPS as usize).max(1);
    [count.div_ceil(rows) as u32, rows as u32, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_covers_all_within_the_limit() {
        for count in [1, 2, 65_535, 65_536, 131_071, 148_225, 10_000_000] {
            let [x, y, z] = grid(count);
            assert!(x <= MOST_WORKGROUPS && y <= MOST_WORKGROUPS && z == 1);
            assert!((x * y) as usize >= count);
        }
    }
}
