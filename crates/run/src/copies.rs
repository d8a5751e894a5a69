//! Downloads remote shards and unpacks packed ones. Reports progress to a listener, which can stop the copy.

use std::sync::{Mutex, PoisonError};

use clove_data::fetch::{Cache, Copies, Progress};

use crate::Result;
use crate::event::{Control, Event, Listener};

/// Maximum number of characters of a file name in the progress.
const NAME: usize = 31;

/// Runs `work` with a cache of `copies`.
pub fn copying<T>(
    copies: Copies<'_>,
    listener: &mut Listener<'_>,
    work: impl FnOnce(&Cache<'_>) -> Result<T>,
) -> Result<T> {
    let told = Mutex::new((listener, String::new(), 0, 0));
    work(&Cache::new(copies, &|progress| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let (listener, what, done, of) = &mut *told;
        match progress {
            Progress::Begins(name, bytes) | Progress::Reads(name, bytes) => {
                *of += bytes;
                // The end of a long name identifies the shard.
                let skipped = name.chars().count().saturating_sub(NAME);
                let end: String = name.chars().skip(skipped).collect();
                let is_copied = matches!(progress, Progress::Begins(..));
                *what = format!("{} {end}", if is_copied { "copying" } else { "reading" });
            }
            Progress::Bytes(bytes) => *done += bytes,
            Progress::Note(text) => {
                return listener(&Event::Note(text.to_owned())) == Control::Continue;
            }
        }
        let (what, done, of) = (what.as_str(), *done, *of);
        listener(&Event::Working { what, done, of }) == Control::Continue
    }))
}
