//! Independent pieces of work on all cores: each on one thread from its beginning to its end.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use rayon::ThreadPoolBuilder;

/// How many pieces run side by side: on a GPU one, on the CPU as many as there are cores.
pub fn workers(is_gpu: bool) -> usize {
    if is_gpu { 1 } else { thread::available_parallelism().map_or(1, NonZero::get) }
}

/// Does `work` for each item on up to `workers` threads, and gives the results in the items' order. After an error no new piece
/// is begun, and the first error in that order is given.
///
/// Small models don't gain from several threads: two of them train a scene model 1.1 times as fast as one does. So the cores are
/// shared out among the pieces, and each piece computes the same as it would alone.
pub fn map<T: Sync, R: Send>(
    items: &[T],
    workers: usize,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let workers = workers.min(items.len()).max(1);
    if workers == 1 {
        return items.iter().map(work).collect();
    }
    let threads = (self::workers(false) / workers).max(1);
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    let results: Mutex<Vec<Option<Result<R>>>> = Mutex::new(items.iter().map(|_| None).collect());
    thread::scope(|scope| -> Result<()> {
        let mut running = Vec::new();
        for _ in 0..workers {
            let pool = ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .context("can't start threads")?;
            let (next, failed, results, work) = (&next, &failed, &results, &work);
            running.push(scope.spawn(move || {
                // One thread for the whole piece: burn's streams belong to threads.
                pool.install(|| {
                    while failed.load(Ordering::Relaxed) == usize::MAX {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(item) = items.get(index) else {
                            return;
                        };
                        let result = work(item);
                        if result.is_err() {
                            failed.fetch_min(index, Ordering::Relaxed);
                        }
                        if let Ok(mut results) = results.lock() {
                            results[index] = Some(result);
                        }
                    }
                });
            }));
        }
        for thread in running {
            thread.join().map_err(|_| anyhow!("a worker thread failed"))?;
        }
        Ok(())
    })?;
    let results = results.into_inner().map_err(|_| anyhow!("a worker thread failed"))?;
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::map;
    use anyhow::bail;

    #[test]
    fn results_keep_their_order_and_the_first_error_wins() {
        let items: Vec<u32> = (0..40).collect();
        let doubled = map(&items, 3, |item| Ok(item * 2)).unwrap();
        assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        let failed = map(&items, 3, |item| {
            if *item >= 7 {
                bail!("item {item}")
            }
            Ok(())
        });
        assert_eq!(failed.unwrap_err().to_string(), "item 7");
        assert!(map(&[] as &[u32], 3, |_| Ok(())).unwrap().is_empty());
    }
}
