//! `cargo xtask bench NAME [ARGS...]`: runs a benchmark with its arguments.

use anyhow::Result;

use crate::{shell, web};

/// The benchmarks: [`WEB`], and those in tests/benches.
const NAMES: [&str; 6] = ["data", "evaluate", "kernels", "model", "negatives", WEB];

/// The benchmark of the browser program in Chromium: tests/browser/bench.
const WEB: &str = "web";

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    name: String,
    args: Vec<String>,
}

impl Options {
    /// Reads the arguments that follow `bench`.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let known = NAMES.join(", ");
        let (name, args) = args
            .split_first()
            .ok_or_else(|| format!("`bench` needs the name of a benchmark, one of {known}"))?;
        if !NAMES.contains(&name.as_str()) {
            return Err(format!("unknown benchmark {name:?}; the benchmarks are {known}"));
        }
        Ok(Self { name: name.clone(), args: args.to_vec() })
    }
}

/// Builds and runs a benchmark, with the features of the whole workspace, so that burn isn't compiled again.
pub fn run(options: &Options) -> Result<()> {
    if options.name == WEB {
        return web::bench(&options.args);
    }
    shell::run(
        shell::cargo()
            .args(["bench", "--workspace", "--bench", &options.name, "--"])
            .args(&options.args),
    )
}

#[cfg(test)]
mod tests {
    use super::Options;
    use crate::shell::words;

    #[test]
    fn the_benchmark_is_named_and_the_rest_is_its_own() {
        let parse = |args| Options::parse(&words(args));
        assert_eq!(parse("negatives --out x").unwrap().args, ["--out", "x"]);
    }
}
