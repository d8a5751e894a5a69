//! The WGSL of `shaders/` and its workgroups.

use std::borrow::Cow;

/// A kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shader {
    /// Weights between two models.
    Patch,
    /// The first pass of a resize.
    Resample,
    /// The second pass, and normalisation.
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
/// WebGPU's guaranteed maximum of workgroups along one dimension of a launch.
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

    /// The file in `shaders/` without its extension, its text, and the threads of a workgroup, x and y.
    fn parts(self) -> (&'static str, &'static str, [u32; 2]) {
        match self {
            Self::Patch => ("patch", include_str!("../shaders/patch.wgsl"), [256, 1]),
            Self::Resample => ("resample", include_str!("../shaders/resample.wgsl"), [16, 16]),
            Self::Preprocess { .. } => {
                ("preprocess", include_str!("../shaders/preprocess.wgsl"), [16, 16])
            }
            Self::Contrastive => {
                ("contrastive", include_str!("../shaders/contrastive.wgsl"), [16, 16])
            }
            Self::ContrastiveBackward => (
                "contrastive_backward",
                include_str!("../shaders/contrastive_backward.wgsl"),
                [16, 16],
            ),
            Self::OwnNegatives => {
                ("own_negatives", include_str!("../shaders/own_negatives.wgsl"), [64, 1])
            }
            Self::OwnNegativesBackward => (
                "own_negatives_backward",
                include_str!("../shaders/own_negatives_backward.wgsl"),
                [64, 1],
            ),
        }
    }

    /// The file in `shaders/`, without its extension.
    pub fn name(self) -> &'static str {
        self.parts().0
    }

    /// The WGSL.
    pub fn text(self) -> Cow<'static, str> {
        let text = self.parts().1;
        let Self::Preprocess { half } = self else {
            return text.into();
        };
        let (enable, element) = if half { ("enable f16;", "f16") } else { ("", "f32") };
        text.replace("{{ enable }}", enable).replace("{{ element }}", element).into()
    }

    /// The threads of a workgroup, x and y.
    pub fn workgroup(self) -> [u32; 2] {
        self.parts().2
    }
}

/// A grid of at least `count` workgroups within the limit of each dimension.
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
