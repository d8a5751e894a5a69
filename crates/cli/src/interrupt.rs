//! Ctrl-C and SIGTERM: the first stops at the next safe point, the second at once. SIGHUP stops like the first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit code of a program ended by Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// The flag that signals raise.
static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Whether a signal asked to stop.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<AtomicBool>);

/// Whether a signal has asked a command to stop.
pub fn was_asked() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed))
}

impl Interrupt {
    pub fn listen() -> Result<Self> {
        let asked = Arc::clone(ASKED.get_or_init(Arc::default));
        for signal in [SIGINT, SIGTERM] {
            // In this order, so that the first signal only raises the flag.
            flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(&asked))
                .and_then(|_| flag::register(signal, Arc::clone(&asked)))
                .context("can't listen for Ctrl-C")?;
        }
        // A terminal that is closed may send it twice.
        if let Some(signal) = hang_up() {
            flag::register(signal, Arc::clone(&asked)).context("can't listen for SIGHUP")?;
        }
        Ok(Self(asked))
    }

    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// SIGHUP, which comes when the terminal is closed, unless it's ignored, as under nohup.
#[cfg(unix)]
fn hang_up() -> Option<i32> {
    use std::io::IsTerminal as _;

    let ignored = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        Some(u64::from_str_radix(mask.trim(), 16).ok()? & 1 == 1)
    });
    // Elsewhere than on Linux, nohup is known by the file that it redirects messages to.
    let is_ignored = ignored.unwrap_or_else(|| !std::io::stderr().is_terminal());
    (!is_ignored).then_some(signal_hook::consts::SIGHUP)
}

/// Windows has no such signal.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same as on Unix")]
fn hang_up() -> Option<i32> {
    None
}
