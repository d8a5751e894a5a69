//! The benchmarks.

macro_rules! suites {
    ($($suite:ident = $name:literal, $about:literal, $data:literal;)*) => {
        /// A benchmark.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Suite {
            $(#[doc = $about] $suite,)*
        }

        impl Suite {
            /// All benchmarks.
            pub const ALL: &[Self] = &[$(Self::$suite),*];

            /// The name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$suite => $name,)* }
            }

            /// What it measures, and its source.
            pub fn about(self) -> &'static str {
                match self { $(Self::$suite => $about,)* }
            }

            /// The files of `--data`.
            pub fn data(self) -> &'static str {
                match self { $(Self::$suite => $data,)* }
            }
        }
    };
}

suites! {
    Scenes = "scenes",
        "Synthetic scenes, without data: pairs that can't be solved from text, and recognition",
        "nothing";
    SugarCrepe = "sugar-crepe",
        "SugarCrepe (Hsieh et al. 2023): seven kinds of hard negatives on COCO val2017",
        "the folder data/ of RAIVNLab/sugar-crepe";
    SugarCrepePp = "sugar-crepe-pp",
        "SugarCrepe++ (Dumpala et al. 2024): two equivalent captions and a negative",
        "the folder data/ of Sri-Harsha/scpp";
    VgRelation = "vg-relation",
        "ARO's relations (Yuksekgonul et al. 2023)",
        "visual_genome_relation.json";
    VgAttribution = "vg-attribution",
        "ARO's attributes (Yuksekgonul et al. 2023)",
        "visual_genome_attribution.json";
    Order = "order",
        "ARO's word orders (Yuksekgonul et al. 2023), generated from captions with --seed or read from a file, caption first",
        "photos with captions, or a JSON list of objects with image and caption_options";
    SvoProbes = "svo-probes",
        "SVO-Probes (Hendricks and Nematzadeh 2021) by CLoVe's protocol; photo names are ids",
        "svo_probes.csv";
    Cola = "cola",
        "COLA's multi-object benchmark (Ray et al. 2023)",
        "COLA_multiobjects_matching_benchmark.json";
    Winoground = "winoground",
        "Winoground's format (Thrush et al. 2022)",
        "examples.jsonl";
    Own = "own",
        "Your own pairs; each of [[sets]] has name, path and images",
        "a TOML file with [[sets]]";
    Retrieval = "retrieval",
        "Retrieval in both directions: Karpathy's or COCO's JSON, JSON lines, a table, shards or a folder",
        "photos with captions";
    ZeroShot = "zero-shot",
        "Zero-shot classification by class names: a folder or tar of folders, shards with .cls files, or CIFAR's binary files",
        "photos in folders named after their classes";
}
