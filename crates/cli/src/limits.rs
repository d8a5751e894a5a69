//! Limits of the system. A file that grows too large and memory that runs out end with a line and exit code 1, not with a signal.

use anyhow::Result;

/// Handles the signals of limits.
#[cfg(unix)]
pub fn heed() -> Result<()> {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use anyhow::Context as _;
    use signal_hook::consts::{SIGABRT, SIGXFSZ};
    use signal_hook::flag;

    // Nobody reads the flag: with a handler, the write fails, and its error names the file.
    flag::register(SIGXFSZ, Arc::default())
        // Sent after the standard library's line about the memory that it can't allocate.
        .and_then(|_| {
            flag::register_conditional_shutdown(SIGABRT, 1, Arc::new(AtomicBool::new(true)))
        })
        .context("can't handle signals")?;
    Ok(())
}

/// Other systems don't send signals for limits.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same as on Unix")]
pub fn heed() -> Result<()> {
    Ok(())
}
