//! Downloads remote shards and unpacks packed ones. Reports progress to a listener, which can stop the copy.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use clove_data::fetch::{Cache, Progress};

use crate::Result;
use crate::event::{Control, Event, Listener};

/// Maximum number of characters of a file name in the progress.
const NAME: usize = 31;

/// Runs `work` with a cache in `folder`.
pub fn copying<T>(
    folder: Option<&Path>,
    listener: &mut Listener<'_>,
    work: impl FnOnce(&Cache<'_>) -> Result<T>,
) -> Result<T> {
    let told = Mutex::new((listener, String::new(), 0, 0));
    work(&Cache::new(folder, &|progress| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let (listener, what, done, of) = &mut *told;
        match progress {
            Progress::Begins(name, bytes) => {
                *of += bytes;
                // The end of a long name identifies the shard.
                let skipped = name.chars().count().saturating_sub(NAME);
                let end: String = name.chars().skip(skipped).collect();
                *what = format!("copying {end}");
            }
            Progress::Bytes(bytes) => *done += bytes,
        }
        let (what, done, of) = (what.as_str(), *done, *of);
        listener(&Event::Working { what, done, of }) == Control::Continue
    }))
}
