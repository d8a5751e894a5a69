//! Values chosen from a list of names.

use serde::{Deserialize, Serialize};

/// Declares enums with the names of their variants in configurations.
macro_rules! choices {
    ($($(#[$outer:meta])* $name:ident { $($variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "the text of the type covers its values")]
        pub enum $name {
            $(#[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// The name in configurations.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    )*};
}

choices! {
    /// The kind of the data, by data.kind.
    Kind {
        Scenes = "scenes", Folder = "folder", JsonLines = "json-lines", Table = "table", Webdataset = "webdataset",
        Parquet = "parquet", Coco = "coco", Mixture = "mixture",
    }

    /// The choice among a sample's captions: a random one in each epoch, the caption of the first field that has one, or the caption
    /// with the most characters.
    Choice { Random = "random", First = "first", Longest = "longest" }

    /// The device that crops and resizes photos: the CPU, or the training device.
    Crops { Cpu = "cpu", Gpu = "gpu" }

    /// The texts of scenes: full captions, noisy alt texts, or noisy alt texts of the scenes of captions.
    TextKind { Captions = "captions", Alt = "alt", AltCommon = "alt-common" }

    /// The style of hard negatives, by negatives.style. Scenes have no negatives of the styles swap, shuffle and file.
    Style {
        None = "none", Negclip = "negclip", Replace = "replace", Mixed = "mixed", Swap = "swap", Shuffle = "shuffle", File = "file",
    }

    /// The loss: CLIP's, CLoVe's or FSC-CLIP's.
    LossKind { Clip = "clip", Clove = "clove", Fsc = "fsc" }

    /// The precision of the towers: 32 bits, 16 bits with 11 or 8 significant ones, or the fastest by timing.
    Precision { F32 = "f32", F16 = "f16", Bf16 = "bf16", Auto = "auto" }

    /// A tower of the model.
    Tower { Image = "image", Text = "text" }
}

impl Kind {
    /// The kinds of sets on disk.
    pub const ON_DISK: [Self; 6] =
        [Self::Folder, Self::JsonLines, Self::Table, Self::Webdataset, Self::Parquet, Self::Coco];

    /// Whether sets of this kind can contain negatives.
    pub(crate) fn brings_negatives(self) -> bool {
        matches!(self, Self::JsonLines | Self::Table | Self::Webdataset | Self::Parquet)
    }

    /// Whether packed and remote files of this kind are copied to the cache.
    pub(crate) fn is_copied(self) -> bool {
        matches!(self, Self::Webdataset | Self::Parquet)
    }
}

impl Style {
    /// The style that generates negatives from captions, if any.
    pub fn of_captions(self) -> Option<clove_negatives::Style> {
        clove_negatives::Style::ALL.into_iter().find(|style| style.name() == self.name())
    }

    /// The style that generates negatives from scenes, if any.
    pub fn of_scenes(self) -> Option<clove_scenes::Style> {
        match self {
            Self::Negclip => Some(clove_scenes::Style::NegClip),
            Self::Replace => Some(clove_scenes::Style::Replace),
            Self::Mixed => Some(clove_scenes::Style::Mixed),
            Self::None | Self::File | Self::Swap | Self::Shuffle => None,
        }
    }
}
