//! Options and times of benchmarks.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::package;

/// The values of a benchmark's options. An unknown option prints the usage and ends the program.
pub fn options<const N: usize>(usage: &str, names: [&str; N]) -> [Option<String>; N] {
    let mut values = [const { None }; N];
    // cargo adds `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(arg) = args.next() {
        let Some(place) = names.iter().position(|name| *name == arg) else {
            println!("usage: {usage}");
            std::process::exit(2);
        };
        values[place] = args.next();
    }
    values
}

/// A path in an option; cargo runs a benchmark in its package's folder, and paths are relative to the root.
pub fn from_root(path: &str) -> PathBuf {
    package().join("..").join(path)
}

/// The time that a call takes.
pub fn time(run: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// The median.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The medians of two things that take turns, so that the machine's drift affects both alike; each runs once first to warm up.
pub fn alternate(
    runs: usize,
    mut first: impl FnMut(),
    mut second: impl FnMut(),
) -> (Duration, Duration) {
    first();
    second();
    let (left, right) = (0..runs).map(|_| (time(&mut first), time(&mut second))).unzip();
    (median(left), median(right))
}

/// Bytes of a field of this process's status, such as `VmRSS:`, from Linux.
pub fn memory(field: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(1_024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}

/// One duration divided by another.
pub fn ratio(left: Duration, right: Duration) -> f64 {
    left.as_secs_f64() / right.as_secs_f64()
}
