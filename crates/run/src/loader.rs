//! Loads batches ahead of the trainer: on a thread of its own, with images on all cores.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use clove::train::Batch;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Context as _, Error, Result};
use crate::samples::Samples;
use crate::session::Skipped;

/// Maximum number of finished batches in the queue.
pub const STOCK: usize = 2;

/// Number of broken samples that is tolerated at any share.
const BORNE: u64 = 20;

#[derive(Debug)]
pub struct Loaded {
    pub batch: Batch,
    /// The position after the last sample.
    pub position: u64,
    /// Samples skipped since training began.
    pub broken: u64,
    pub skipped: Vec<Skipped>,
    /// Largest tolerated share of unreadable samples.
    bearable: f64,
}

impl Loaded {
    /// Whether too many samples are unreadable. The batch is then incomplete and the last.
    pub fn is_hopeless(&self) -> bool {
        self.broken >= BORNE && self.broken as f64 > self.bearable * self.position as f64
    }
}

#[derive(Debug)]
pub struct Loader {
    batches: Receiver<Loaded>,
    waited: Duration,
    /// Nanoseconds that the thread has waited for the trainer.
    idle: Arc<AtomicU64>,
}

impl Loader {
    /// Starts loading `count` batches of `size` samples from `position` on. `broken` samples were skipped before; up to the share
    /// `bearable` is tolerated.
    pub fn start(
        samples: Arc<Samples>,
        size: usize,
        position: u64,
        broken: u64,
        bearable: f64,
        count: usize,
    ) -> Result<Self> {
        // A separate pool: on the pool of the CPU back end, a step would wait for photos.
        let pool = ThreadPoolBuilder::new()
            .num_threads(thread::available_parallelism().map_or(1, NonZero::get))
            .thread_name(|number| format!("load-{number}"))
            .build()
            .context("can't start threads")?;
        let (sender, batches) = sync_channel(STOCK);
        let idle = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&idle);
        thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                let mut place = (position, broken);
                for _ in 0..count {
                    let loaded = load(&samples, &pool, size, bearable, place);
                    place = (loaded.position, loaded.broken);
                    let is_last = loaded.is_hopeless();
                    let began = Instant::now();
                    let sent = sender.send(loaded);
                    let waited = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    counted.fetch_add(waited, Ordering::Relaxed);
                    // The receiver is gone if training stopped early.
                    if sent.is_err() || is_last {
                        return;
                    }
                }
            })
            .context("can't start a thread")?;
        Ok(Self { batches, waited: Duration::ZERO, idle })
    }

    pub fn next(&mut self) -> Result<Loaded> {
        let began = Instant::now();
        let loaded = self.batches.recv();
        self.waited += began.elapsed();
        loaded.map_err(|_| Error::Wrong("the image loading thread failed".to_owned()))
    }

    /// Time that the trainer has waited for batches.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Time that loading has waited for the trainer.
    pub fn idle(&self) -> Duration {
        Duration::from_nanos(self.idle.load(Ordering::Relaxed))
    }
}

/// Loads a batch. Samples at the next positions replace unreadable ones, so the batch depends only on its first position.
fn load(
    samples: &Samples,
    pool: &ThreadPool,
    size: usize,
    bearable: f64,
    (position, broken): (u64, u64),
) -> Loaded {
    let mut loaded = Loaded {
        batch: Batch {
            pixels: Vec::new().into(),
            texts: Vec::with_capacity(size),
            negatives: Vec::with_capacity(size),
        },
        position,
        broken,
        skipped: Vec::new(),
        bearable,
    };
    let mut pictures = Vec::with_capacity(size);
    while loaded.batch.texts.len() < size && !loaded.is_hopeless() {
        let missing = (size - loaded.batch.texts.len()) as u64;
        let first = loaded.position;
        let found: Vec<_> = pool.install(|| {
            (first..first + missing).into_par_iter().map(|position| samples.at(position)).collect()
        });
        loaded.position += missing;
        for sample in found {
            match sample {
                Ok(example) => {
                    pictures.push(example.picture);
                    loaded.batch.texts.push(example.text);
                    loaded.batch.negatives.push(example.negatives);
                }
                Err(broken) => {
                    loaded.broken += 1;
                    loaded.skipped.push(broken);
                }
            }
        }
    }
    loaded.batch.pixels = samples.pixels(pictures);
    loaded
}
