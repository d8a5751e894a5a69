//! Values that are one of several names.

use serde::{Deserialize, Serialize};

/// Declares enums whose variants have names in configurations.
macro_rules! choices {
    ($($(#[$outer:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// As configurations have it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    )*};
}

choices! {
    /// What kind of data there is to learn from.
    Kind {
        /// Drawn, and not on disk.
        Scenes = "scenes",
        /// Images, each with a text file beside it.
        Folder = "folder",
        /// A file with a JSON object a line.
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

    /// Which of a sample's captions is taken.
    Choice {
        /// Another one each time.
        Random = "random",
        /// That of the first field that has one.
        First = "first",
        /// That of the most characters.
        Longest = "longest",
    }

    /// Where photos are cropped and resized.
    Crops {
        /// On the CPU.
        Cpu = "cpu",
        /// On the device that trains.
        Gpu = "gpu",
    }

    /// What the texts of scenes are.
    TextKind {
        /// Full captions.
        Captions = "captions",
        /// Noisy alt texts.
        Alt = "alt",
        /// Noisy alt texts of the scenes that captions have.
        AltCommon = "alt-common",
    }

    /// How hard negatives are made.
    Style {
        /// There are none.
        None = "none",
        /// Two phrases or words change places.
        Negclip = "negclip",
        /// A word gives way to another.
        Replace = "replace",
        /// All kinds.
        Mixed = "mixed",
        /// Objects, or their attributes, change places. Not of scenes.
        Swap = "swap",
        /// Words lose their order. Not of scenes.
        Shuffle = "shuffle",
        /// The set brings them.
        File = "file",
    }

    /// What is minimised.
    LossKind {
        /// CLIP's own loss.
        Clip = "clip",
        /// CLoVe's.
        Clove = "clove",
        /// FSC-CLIP's.
        Fsc = "fsc",
    }

    /// What the towers are computed in.
    Precision {
        /// 32 bits.
        F32 = "f32",
        /// 16 bits, eleven of them significant.
        F16 = "f16",
        /// 16 bits, eight of them significant.
        Bf16 = "bf16",
        /// The fastest of them, until it was timed.
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
    /// Those of sets on disk.
    pub const ON_DISK: [Self; 6] =
        [Self::Folder, Self::JsonLines, Self::Table, Self::Webdataset, Self::Parquet, Self::Coco];
}

impl Style {
    /// How negatives are made of a set's captions; `None` if they aren't.
    #[must_use]
    pub fn of_captions(self) -> Option<clove_negatives::Style> {
        match self {
            Self::None | Self::File => None,
            Self::Negclip => Some(clove_negatives::Style::Negclip),
            Self::Replace => Some(clove_negatives::Style::Replace),
            Self::Mixed => Some(clove_negatives::Style::Mixed),
            Self::Swap => Some(clove_negatives::Style::Swap),
            Self::Shuffle => Some(clove_negatives::Style::Shuffle),
        }
    }

    /// How negatives are made of a scene; `None` if they aren't.
    #[must_use]
    pub fn of_scenes(self) -> Option<clove_scenes::Style> {
        match self {
            Self::Negclip => Some(clove_scenes::Style::NegClip),
            Self::Replace => Some(clove_scenes::Style::Replace),
            Self::Mixed => Some(clove_scenes::Style::Mixed),
            Self::None | Self::File | Self::Swap | Self::Shuffle => None,
        }
    }
}
