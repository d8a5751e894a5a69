//! Runs independent pieces of work in parallel, each on one thread.

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use rayon::ThreadPoolBuilder;

use crate::error::{Context as _, Error, Result};

/// Number of pieces that run in parallel: one on a GPU, the number of cores on a CPU.
pub(crate) fn workers(is_gpu: bool) -> usize {
    if is_gpu { 1 } else { thread::available_parallelism().map_or(1, NonZero::get) }
}

/// Runs `work` for each item on up to `workers` threads. Returns the results in order, or the first error in order. Starts no new
/// piece after an error.
///
/// Small models don't gain from threads: two train a scene model only 1.1 times as fast as one. So the cores are divided among the
/// pieces, and each piece computes the same as alone.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    workers: usize,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let workers = workers.min(items.len()).max(1);
    if workers == 1 {
        return items.iter().map(work).collect();
    }
    let threads = (self::workers(false) / workers).max(1);
    let queue = Mutex::new(items.iter().enumerate());
    let next = || queue.lock().ok()?.next();
    let run = || -> Result<Vec<(usize, Result<R>)>> {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        // Burn's streams belong to threads, so a piece stays on one.
        Ok(pool.context("can't start threads")?.install(|| {
            let mut results = Vec::new();
            while let Some((index, item)) = next() {
                let result = work(item);
                if result.is_err() {
                    while next().is_some() {}
                }
                results.push((index, result));
            }
            results
        }))
    };
    let results = thread::scope(|scope| -> Result<Vec<_>> {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
        let failed = |_| Error::Wrong("a worker thread failed".to_owned());
        running.into_iter().map(|thread| thread.join().map_err(failed).flatten()).collect()
    })?;
    let mut results: Vec<(usize, Result<R>)> = results.into_iter().flatten().collect();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::map;
    use crate::error::bail;

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
