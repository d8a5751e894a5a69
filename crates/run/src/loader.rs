//! Loads batches ahead of the trainer: on a thread of its own, with images on all cores.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use clove::train::Batch;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Context as _, Error, Result};
use crate::lost::panic_text;
use crate::samples::Samples;
use crate::session::Skipped;
use crate::unreadable::Tally;

/// Maximum number of finished batches in the queue.
pub const STOCK: usize = 2;

/// Time after which a waiting trainer asks whether to stop.
const PATIENCE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub struct Loaded {
    pub batch: Batch,
    /// The position after the last sample.
    pub position: u64,
    /// Distinct unreadable samples since training began.
    pub broken: u64,
    /// Those that were found for the first time.
    pub skipped: Vec<Skipped>,
    /// Why training can't go on. The batch is then incomplete and the last.
    pub verdict: Option<String>,
}

#[derive(Debug)]
pub struct Loader {
    /// Batches, or the panic of the thread.
    batches: Receiver<Result<Loaded, String>>,
    waited: Duration,
    shared: Arc<Shared>,
}

/// What the thread and the trainer share.
#[derive(Debug, Default)]
struct Shared {
    /// Nanoseconds that the thread has waited for the trainer.
    idle: AtomicU64,
    /// Samples of the batch that is being loaded.
    found: AtomicU64,
    /// Whether the trainer is gone.
    is_over: AtomicBool,
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

impl Loader {
    /// Starts loading `count` batches of `size` samples from `position` on. `tally` has the samples tried before.
    pub fn start(
        samples: Arc<Samples>,
        size: usize,
        position: u64,
        tally: Tally,
        count: usize,
    ) -> Result<Self> {
        // A separate pool: on the pool of the CPU back end, a step would wait for photos.
        let pool = ThreadPoolBuilder::new()
            .num_threads(thread::available_parallelism().map_or(1, NonZero::get))
            .thread_name(|number| format!("load-{number}"))
            .build()
            .context("can't start threads")?;
        let (sender, batches) = sync_channel(STOCK);
        let shared = Arc::<Shared>::default();
        let mut work =
            Work { samples, pool, size, position, tally, last: None, shared: Arc::clone(&shared) };
        thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                let result = catch_unwind(AssertUnwindSafe(|| work.send(count, &sender)));
                if let Err(panic) = result {
                    let why = panic_text(&*panic).unwrap_or("no reason given").to_owned();
                    // The receiver is gone if training stopped early.
                    let _ = sender.send(Err(why));
                }
            })
            .context("can't start a thread")?;
        Ok(Self { batches, waited: Duration::ZERO, shared })
    }

    /// The next batch; `None` if it isn't ready after a short time.
    pub fn next(&mut self) -> Result<Option<Loaded>> {
        let began = Instant::now();
        let loaded = self.batches.recv_timeout(PATIENCE);
        self.waited += began.elapsed();
        let failed = |why: &str| Error::Wrong(format!("loading images failed: {why}"));
        match loaded {
            Ok(loaded) => loaded.map(Some).map_err(|why| failed(&why)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(failed("the thread has ended")),
        }
    }

    /// Samples of the batch that is being loaded.
    pub fn found(&self) -> usize {
        self.shared.found.load(Ordering::Relaxed) as usize
    }

    /// Time that the trainer has waited for batches.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Time that loading has waited for the trainer.
    pub fn idle(&self) -> Duration {
        Duration::from_nanos(self.shared.idle.load(Ordering::Relaxed))
    }
}

/// The work of the thread.
struct Work {
    samples: Arc<Samples>,
    pool: ThreadPool,
    size: usize,
    position: u64,
    tally: Tally,
    /// The reason of the last unreadable sample.
    last: Option<String>,
    shared: Arc<Shared>,
}

impl Work {
    fn send(&mut self, count: usize, sender: &SyncSender<Result<Loaded, String>>) {
        for _ in 0..count {
            let loaded = self.load();
            if self.shared.is_over.load(Ordering::Relaxed) {
                return;
            }
            let is_last = loaded.verdict.is_some();
            let began = Instant::now();
            let sent = sender.send(Ok(loaded));
            let waited = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.shared.idle.fetch_add(waited, Ordering::Relaxed);
            if sent.is_err() || is_last {
                return;
            }
        }
    }

    /// Loads a batch. Samples at the next positions replace unreadable ones, so the batch depends only on its first position. It's
    /// incomplete if the trainer is gone.
    fn load(&mut self) -> Loaded {
        let size = self.size;
        let mut batch = Batch {
            texts: Vec::with_capacity(size),
            negatives: Vec::with_capacity(size),
            images: Vec::with_capacity(size),
            ..Batch::default()
        };
        let mut pictures = Vec::with_capacity(size);
        let (mut skipped, mut verdict) = (Vec::new(), None);
        while batch.texts.len() < size
            && verdict.is_none()
            && !self.shared.is_over.load(Ordering::Relaxed)
        {
            self.shared.found.store(batch.texts.len() as u64, Ordering::Relaxed);
            let missing = (size - batch.texts.len()) as u64;
            let positions = self.position..self.position + missing;
            let samples = &self.samples;
            let found: Vec<_> = self.pool.install(|| {
                positions.clone().into_par_iter().map(|position| samples.at(position)).collect()
            });
            self.position += missing;
            for (position, sample) in positions.zip(found) {
                let index = samples.index_at(position);
                if let Some(index) = index {
                    self.tally.add(index);
                }
                match sample {
                    Ok(example) => {
                        pictures.push(example.picture);
                        batch.texts.push(example.text);
                        batch.negatives.push(example.negatives);
                        batch.images.push(example.image);
                    }
                    Err(broken) => {
                        self.last = Some(broken.reason.clone());
                        if index.is_some_and(|index| self.tally.add_broken(index)) {
                            skipped.push(broken);
                        }
                    }
                }
            }
            verdict = self.tally.verdict();
        }
        let last = self.last.iter().map(|last| format!("; the last: {last}"));
        let verdict = verdict.map(|verdict| verdict + &last.collect::<String>());
        batch.pixels = self.samples.pixels(pictures);
        Loaded { batch, position: self.position, broken: self.tally.broken(), skipped, verdict }
    }
}
