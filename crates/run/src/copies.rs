//! Copies of shards that are on a server, or packed: a listener hears how far they are, and may stop them.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use clove_data::fetch::{Cache, Progress};

use crate::Result;
use crate::event::{Control, Event, Listener};

/// Characters of a file's name that are told.
const NAME: usize = 31;

/// Lets `work` make copies in `folder`.
///
/// # Errors
/// Those of `work`.
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
                // The end of a long name says which shard it is.
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
