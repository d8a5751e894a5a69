//! Values chosen from a list of names.

use serde::{Deserialize, Serialize};

/// Declares enums with the names of their variants in configurations.
macro_rules! choices {
    ($($(#[$outer:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $text)] $variant,)*
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
    /// The kind of the data.
    Kind {
        /// Synthetic scenes.
        Scenes = "scenes",
        /// A folder of images, each with a text file.
        Folder = "folder",
        /// A file with one JSON object per line.
        JsonLines = "json-lines",
        /// A .csv or .tsv file.
        Table = "table",
        /// Tar files.
        Webdataset = "webdataset",
        /// Parquet files.
        Parquet = "parquet",
        /// COCO's or Karpathy's JSON.
        Coco = "coco",
        /// Several sets.
        Mixture = "mixture",
    }

    /// The choice among a sample's captions.
    Choice {
        /// A random one in each epoch.
        Random = "random",
        /// The caption of the first field that has one.
        First = "first",
        /// The caption with the most characters.
        Longest = "longest",
    }

    /// The device that crops and resizes photos.
    Crops {
        /// The CPU.
        Cpu = "cpu",
        /// The training device.
        Gpu = "gpu",
    }

    /// The texts of scenes.
    TextKind {
        /// Full captions.
        Captions = "captions",
        /// Noisy alt texts.
        Alt = "alt",
        /// Noisy alt texts of the scenes of captions.
        AltCommon = "alt-common",
    }

    /// The style of hard negatives.
    Style {
        /// No negatives.
        None = "none",
        /// Swaps two phrases or words.
        Negclip = "negclip",
        /// Replaces a word.
        Replace = "replace",
        /// Mixes all styles.
        Mixed = "mixed",
        /// Swaps objects or their attributes. Not for scenes.
        Swap = "swap",
        /// Shuffles words. Not for scenes.
        Shuffle = "shuffle",
        /// The negatives of the set.
        File = "file",
    }

    /// The loss.
    LossKind {
        /// CLIP's.
        Clip = "clip",
        /// CLoVe's.
        Clove = "clove",
        /// FSC-CLIP's.
        Fsc = "fsc",
    }

    /// The precision of the towers.
    Precision {
        /// 32 bits.
        F32 = "f32",
        /// 16 bits with 11 significant ones.
        F16 = "f16",
        /// 16 bits with 8 significant ones.
        Bf16 = "bf16",
        /// The fastest, by timing.
        Auto = "auto",
    }

    /// A tower of the model.
    Tower {
        /// The image tower.
        Image = "image",
        /// The text tower.
        Text = "text",
    }
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
