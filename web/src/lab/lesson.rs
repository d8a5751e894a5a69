//! The lessons.

/// A lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lesson {
    /// A pretrained model mostly ignores word order.
    BagOfWords,
    /// Fine-tuning with hard negatives.
    HardNegatives,
    /// A text-only rule wins a bad benchmark.
    Shortcut,
    /// What fine-tuning forgets.
    Forgetting,
    /// Interpolation of two sets of weights.
    Patching,
    /// The content of the texts decides what a model learns.
    DataCuration,
}

impl Lesson {
    /// Answers per question.
    pub const ANSWERS: usize = 3;

    /// All lessons, in order.
    pub const ALL: [Self; 6] = [
        Self::BagOfWords,
        Self::HardNegatives,
        Self::Shortcut,
        Self::Forgetting,
        Self::Patching,
        Self::DataCuration,
    ];

    /// The name in addresses.
    pub fn slug(self) -> &'static str {
        const SLUGS: [&str; Lesson::ALL.len()] = [
            "bag-of-words",
            "hard-negatives",
            "shortcut",
            "forgetting",
            "patching",
            "data-curation",
        ];
        SLUGS[self as usize]
    }
}
