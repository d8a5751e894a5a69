//! `cargo xtask bench NAME`: a benchmark, with the arguments that follow handed to it.

use anyhow::Result;

use crate::{shell, web};

/// The benchmarks that there are: [`WEB`], and the others in tests/benches.
const NAMES: [&str; 6] = ["data", "evaluate", "kernels", "model", "negatives", WEB];

/// The browser program, in Chromium: tests/browser/bench.
const WEB: &str = "web";

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    name: String,
    args: Vec<String>,
}

impl Options {
    /// Reads the arguments that follow `bench`.
    ///
    /// # Errors
    /// For a benchmark that isn't there; names those that are.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let known = NAMES.join(", ");
        let (name, args) = args
            .split_first()
            .ok_or_else(|| format!("`bench` lacks the benchmark's name, one of {known}"))?;
        if !NAMES.contains(&name.as_str()) {
            return Err(format!("there is no benchmark {name:?}, only {known}"));
        }
        Ok(Self { name: name.clone(), args: args.to_vec() })
    }
}

/// Builds and runs it. The whole workspace is selected, so that burn is compiled with the features that it has everywhere else.
///
/// # Errors
/// When it failed.
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

    #[test]
    fn the_benchmark_is_named_and_the_rest_is_its_own() {
        let parse = |args: &[&str]| {
            Options::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(parse(&["negatives", "--out", "x"]).unwrap().args, ["--out", "x"]);
        assert!(parse(&[]).unwrap_err().contains("negatives"));
        assert!(parse(&["speed"]).unwrap_err().contains("\"speed\""));
    }
}
