//! `cargo xtask bench NAME [ARGS...]`: runs a benchmark with its arguments.

use anyhow::Result;

use crate::{shell, web};

/// The benchmarks: [`WEB`], and those in tests/benches.
pub const NAMES: [&str; 6] = ["data", "evaluate", "kernels", "model", "negatives", WEB];

/// The benchmark of the browser program in Chromium: tests/browser/bench.
const WEB: &str = "web";

/// Builds and runs a benchmark, with the features of the whole workspace, so that burn isn't compiled again.
pub fn run(name: &str, args: &[String]) -> Result<()> {
    if name == WEB {
        return web::bench(args);
    }
    shell::run(shell::cargo().args(["bench", "--workspace", "--bench", name, "--"]).args(args))
}
