//! Evaluation arithmetic: scores from embeddings, and the blind baselines that stand beside them.
//!
//! Role: this module owns the row types of the benchmarks ([`Pair`], [`Subset`]) and turns embeddings into reports.
//! It runs no model and opens no file: `clove-data` reads benchmark files into these rows, and the callers (the `clove`
//! program, the web page, `patch`'s sweep) encode photos and texts and hand over [`Embeddings`].
//!
//! One tie rule holds throughout: a model that gives two candidates the same similarity has not told them apart, so a tie
//! never counts as right for a model, and every report counts its ties. Blind baselines get half a point for a tie, because
//! they tie often (two captions of equal length) and a forced guess is right half of the time.

mod blind;
mod bootstrap;
mod embeddings;
mod matching;
mod ngram;
mod pairs;
mod report;
mod retrieval;
mod tower;
mod trials;
mod zero_shot;

pub use blind::{Baseline, BlindFigures, BlindReport, BlindSubset};
pub use bootstrap::{Difference, add_intervals, difference, share_interval};
pub use embeddings::{Embeddings, normalise};
pub use matching::{MatchReport, judge};
pub use ngram::{BigramModel, TrainingCaption, TrainingSummary};
pub use pairs::{
    Pair, PairEmbeddings, RowIndex, RowsBySubset, ScoredRow, Subset, SubsetReport, SubsetScore,
    distinct_images, distinct_texts, row_index,
};
pub use report::{
    GroupReport, ImageLift, MAX_LISTED_IMAGES, MeanIntervals, Report, evaluate_pairs,
    evaluate_trials,
};
pub use retrieval::{Rank, Ranks, Recall, RetrievalReport, count_ranks, ranks, retrieval};
pub use trials::{
    Comparison, Metric, Similarity, Trial, TrialSet, photos_of, score_trials, texts_of,
};
pub use zero_shot::{
    ClassReport, ZeroShotReport, class_embeddings, classify, fill_template, prompts,
};

/// What can be wrong with the inputs of an evaluation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvaluateError {
    /// The flat data can't be cut into rows.
    #[error(
        "{values} embedding values can't be cut into rows of {dim}: pass rows x dim values, dim above 0"
    )]
    Shape {
        /// Width asked for.
        dim: usize,
        /// Number of values given.
        values: usize,
    },
    /// A NaN or an infinity in a row.
    #[error(
        "embedding row {row} holds {value} at position {position}: the model's output is not finite (check its weights and precision)"
    )]
    NotFinite {
        /// Row, from 0.
        row: usize,
        /// Position in the row, from 0.
        position: usize,
        /// The value found.
        value: f32,
    },
    /// A row of zeros has no direction.
    #[error(
        "embedding row {row} is all zeros and has no direction: check the model's projection weights"
    )]
    ZeroRow {
        /// Row, from 0.
        row: usize,
    },
    /// Image and text embeddings (or images and classes) of different widths.
    #[error(
        "embeddings of width {left} can't be compared with embeddings of width {right}: take both from the same model"
    )]
    Width {
        /// Width of the left-hand embeddings.
        left: usize,
        /// Width of the right-hand embeddings.
        right: usize,
    },
    /// An index points past the embeddings.
    #[error("{what} {at} points to row {row}, but there are {rows} rows")]
    Index {
        /// Which list the index stands in.
        what: &'static str,
        /// The entry of that list.
        at: String,
        /// Where it points.
        row: usize,
        /// Rows there are.
        rows: usize,
    },
    /// Two lists that must run in step don't.
    #[error("{what}: {given} given, {expected} expected")]
    Count {
        /// What was counted.
        what: &'static str,
        /// Number given.
        given: usize,
        /// Number expected.
        expected: usize,
    },
    /// A text of a row was not encoded.
    #[error(
        "row {row} of {subset}: no embedding for the text {text:?}; encode every text of `distinct_texts`"
    )]
    TextNotEncoded {
        /// Subset's name.
        subset: String,
        /// Row's id.
        row: String,
        /// The text.
        text: String,
    },
    /// A prompt template without a place for the class name.
    #[error("template {template:?} has no place for the class name: write {{c}} where it belongs")]
    Template {
        /// The template.
        template: String,
    },
    /// A class whose prompts cancel out, so that their mean has no direction.
    #[error("the prompt embeddings of class {class} have a mean of zero length")]
    ZeroClass {
        /// Class, from 0.
        class: usize,
    },
    /// A class or list of which there must be at least one.
    #[error("no {what}: at least one is needed")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// Nothing is left to train the n-gram model on.
    #[error(
        "none of the {given} training captions is left for the n-gram model: {dropped} occur in the test rows (by text or photo) and the rest hold no words; pass captions that are disjoint from the benchmark"
    )]
    NoTrainingCaptions {
        /// Captions passed.
        given: usize,
        /// Captions dropped because they occur in the test rows.
        dropped: usize,
    },
}
