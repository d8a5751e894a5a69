//! The lessons: which there are.

/// A lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lesson {
    /// A pretrained model hardly sees who does what to whom.
    BagOfWords,
    /// Training with wrong captions that are nearly right.
    HardNegatives,
    /// A rule that sees no picture wins a bad benchmark.
    Shortcut,
    /// What fine-tuning forgets.
    Forgetting,
    /// Between the two sets of weights.
    Patching,
    /// What the texts say decides what is learnt.
    DataCuration,
}

impl Lesson {
    /// How many answers a question has.
    pub const ANSWERS: usize = 3;

    /// In their order.
    pub const ALL: [Self; 6] = [
        Self::BagOfWords,
        Self::HardNegatives,
        Self::Shortcut,
        Self::Forgetting,
        Self::Patching,
        Self::DataCuration,
    ];

    /// Its name in addresses.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::BagOfWords => "bag-of-words",
            Self::HardNegatives => "hard-negatives",
            Self::Shortcut => "shortcut",
            Self::Forgetting => "forgetting",
            Self::Patching => "patching",
            Self::DataCuration => "data-curation",
        }
    }

    /// The lesson of this name.
    #[must_use]
    pub fn named(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lesson| lesson.slug() == slug)
    }
}
