//! Evaluation: scores from embeddings, and blind baselines.
//!
//! This module has the row types of the benchmarks ([`Pair`], [`Trial`]) and computes reports from [`Embeddings`]. It runs no model and
//! opens no file: `clove-data` reads the benchmark files, and the callers embed photos and texts.
//!
//! Ties count as wrong for a model, because equal similarities don't distinguish candidates, except where a benchmark's code takes the
//! first of equals ([`Metric::ties_win`], [`classify`]); every report counts them. Blind baselines often tie (two captions of equal
//! length), so they get the expected score of a guess.

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
    distinct_texts, row_index,
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
    ClassReport, ZeroShotReport, class_embeddings, classify, fill_template, most_similar, prompts,
};

/// Why inputs can't be evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvaluateError {
    /// The flat data isn't a whole number of rows.
    #[error("{values} embedding values aren't a whole number of rows of {dim}")]
    Shape {
        /// Width of a row.
        dim: usize,
        /// Number of values.
        values: usize,
    },
    /// A NaN or an infinity in a row.
    #[error(
        "embedding row {row} has {value} at position {position}: the model's output isn't finite; check its weights and precision"
    )]
    NotFinite {
        /// Row, from 0.
        row: usize,
        /// Position in the row, from 0.
        position: usize,
        /// The value.
        value: f32,
    },
    /// A row of zeros, which has no direction.
    #[error("embedding row {row} is all zeros; check the model's projection weights")]
    ZeroRow {
        /// Row, from 0.
        row: usize,
    },
    /// Embeddings of different widths.
    #[error("the embeddings have widths {left} and {right}; use embeddings of the same model")]
    Width {
        /// Width of the left-hand embeddings.
        left: usize,
        /// Width of the right-hand embeddings.
        right: usize,
    },
    /// An index past the last row.
    #[error("{what} {at} points to row {row}, but there are {rows} rows")]
    Index {
        /// The list of the index.
        what: &'static str,
        /// The entry of that list.
        at: String,
        /// The index.
        row: usize,
        /// Number of rows.
        rows: usize,
    },
    /// A list of the wrong length.
    #[error("{what}: {given} instead of {expected}")]
    Count {
        /// The list.
        what: &'static str,
        /// Its length.
        given: usize,
        /// The expected length.
        expected: usize,
    },
    /// A subset, a row of it, and its text without an embedding.
    #[error("row {1} of {0}: the text {2:?} has no embedding; embed all `distinct_texts`")]
    TextNotEncoded(String, String, String),
    /// A prompt template without a place for the class name.
    #[error("template {0:?} has no place for the class name; mark it with {{}} or {{c}}")]
    Template(String),
    /// A class whose prompts cancel out, so their mean has no direction.
    #[error("the prompt embeddings of class {class} have a mean of zero length")]
    ZeroClass {
        /// Class, from 0.
        class: usize,
    },
    /// An empty list.
    #[error("no {0}; at least one is needed")]
    Empty(&'static str),
    /// No caption is left to train the n-gram model.
    #[error(
        "none of the {given} training captions can train the n-gram model: {dropped} are in the benchmark (by text or photo), the rest have no words; use captions from outside the benchmark"
    )]
    NoTrainingCaptions {
        /// Number of captions.
        given: usize,
        /// Captions that are in the benchmark.
        dropped: usize,
    },
}
