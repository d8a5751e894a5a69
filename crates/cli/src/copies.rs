//! Copies of shards that are on a server, or packed: how far they are, and Ctrl-C between them.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::Result;
use clove_data::fetch::{Cache, Progress as Told};

use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// Where copies go, and who may stop them.
#[derive(Debug)]
pub struct Copies<'a> {
    folder: Option<&'a Path>,
    interrupt: &'a Interrupt,
}

impl<'a> Copies<'a> {
    pub fn new(folder: Option<&'a Path>, interrupt: &'a Interrupt) -> Self {
        Self { folder, interrupt }
    }

    /// Lets `work` make copies, and shows how far it is with them.
    pub fn with<T>(&self, work: impl FnOnce(&Cache<'_>) -> Result<T>) -> Result<T> {
        // Where nothing is copied, nothing is shown.
        let progress: OnceLock<Progress> = OnceLock::new();
        let listener = |told: Told<'_>| {
            let progress = progress.get_or_init(Progress::new);
            match told {
                Told::Begins(name, bytes) => {
                    progress.plan_more(bytes);
                    // The end of a long name says which shard it is.
                    let skipped = name.chars().count().saturating_sub(NAME);
                    let end: String = name.chars().skip(skipped).collect();
                    progress.say(&format!("copying {end}"));
                }
                Told::Bytes(bytes) => progress.advance(bytes),
            }
            !self.interrupt.asked()
        };
        let done = work(&Cache::new(self.folder, &listener));
        if let Some(progress) = progress.get() {
            progress.finish();
        }
        done
    }
}

/// Characters of a file's name that are shown.
const NAME: usize = 31;
