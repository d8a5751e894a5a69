//! Time and memory for computing a benchmark's figures from its embeddings.
//!
//! `cargo xtask bench evaluate`
//!
//! Retrieval among 5,000 photos with 25,000 captions, as in COCO's test of Karpathy's split, and pairs of 7,511 rows, as in SugarCrepe,
//! with blind rules and bootstrap intervals; embeddings of 512 numbers, drawn at random.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark talks to its terminal")]

use clove::evaluate::{
    Embeddings, Pair, PairEmbeddings, Subset, TrialSet, add_intervals, evaluate_trials, photos_of,
    retrieval, row_index, texts_of,
};
use clove_random::Random;
use clove_tests::timing::time;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const DIM: usize = 512;
const PHOTOS: usize = 5_000;
const CAPTIONS: usize = 5;
/// The fastest counts.
const RUNS: usize = 5;

fn embeddings(rows: usize, seed: u64) -> Embeddings {
    let mut random = Random::new(&[seed]);
    let values = (0..rows * DIM).map(|_| random.between(-1.0, 1.0));
    Embeddings::from_rows(DIM, values.collect()).unwrap()
}

/// The time of the fastest run in seconds, and the peak of additional memory.
fn timed(mut work: impl FnMut()) -> (f64, f32) {
    let before = MEMORY.current_usage_as_mb();
    MEMORY.reset_peak_usage();
    let times = (0..RUNS).map(|_| time(&mut work).as_secs_f64());
    let best = times.fold(f64::INFINITY, f64::min);
    (best, MEMORY.peak_usage_as_mb() - before)
}

fn main() {
    let photos = embeddings(PHOTOS, 1);
    let captions = embeddings(PHOTOS * CAPTIONS, 2);
    let image_of: Vec<usize> = (0..captions.len()).map(|caption| caption / CAPTIONS).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{threads} threads; embeddings of {DIM} numbers\n");
    let (seconds, memory) = timed(|| {
        retrieval(&photos, &captions, &image_of).unwrap();
    });
    println!(
        "retrieval, {PHOTOS} photos x {} captions: {seconds:.2} s, {memory:.0} MB beside the embeddings",
        captions.len()
    );

    let sizes = [692, 2062, 788, 1652, 1406, 666, 245];
    let subsets: Vec<TrialSet> = sizes
        .iter()
        .enumerate()
        .map(|(number, rows)| {
            let pair = |row: usize| Pair {
                id: row.to_string(),
                image: format!("{}.jpg", (row * 7 + number) % 1_560),
                caption: format!("caption {row} of {number}"),
                negative: format!("another caption, {row} of {number}"),
            };
            TrialSet::from(&Subset {
                name: number.to_string(),
                rows: (0..*rows).map(pair).collect(),
            })
        })
        .collect();
    let (names, texts) = (photos_of(&subsets), texts_of(&subsets, |_| true));
    let (photos, captions) = (embeddings(names.len(), 3), embeddings(texts.len(), 4));
    let (image_rows, text_rows) = (row_index(&names), row_index(&texts));
    let (seconds, memory) = timed(|| {
        let world = PairEmbeddings {
            images: &photos,
            texts: &captions,
            image_rows: &image_rows,
            text_rows: &text_rows,
        };
        let (mut report, rows) = evaluate_trials("pairs", &subsets, world, None).unwrap();
        add_intervals(&mut report, &rows);
    });
    println!(
        "pairs, {} rows with blind rules and intervals: {seconds:.2} s, {memory:.0} MB",
        sizes.iter().sum::<usize>()
    );
}
