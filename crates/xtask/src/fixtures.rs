//! `cargo xtask fixtures`: rewrites the golden files by the Python scripts that first wrote them.
//!
//! Only needed when a golden file is to change; the tests read what is committed. The versions matter: another Pillow or
//! PyTorch may compute other numbers, so an interpreter with other versions is refused.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Where the scripts lie, from the root.
const SCRIPTS: &str = "tests/golden";

/// The versions that the committed files were written with, as pip reads them.
const REQUIREMENTS: &str = include_str!("../fixtures-requirements.txt");

/// Compares `name==version` arguments with what is installed; prints what differs, and then fails.
const COMPARE_VERSIONS: &str = r#"
import sys
from importlib.metadata import PackageNotFoundError, version

wrong = []
for requirement in sys.argv[1:]:
    name, wanted = requirement.split("==")
    try:
        # "2.15.0+cpu" is 2.15.0, built for one kind of machine.
        found = version(name).split("+")[0]
    except PackageNotFoundError:
        found = "not installed"
    if found != wanted:
        wrong.append(f"{name}: {found}, wanted {wanted}")
if wrong:
    sys.exit("\n".join(wrong))
"#;

/// What to run the scripts with.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// The interpreter; none to say what is needed.
    pub python: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments that follow `fixtures`.
    ///
    /// # Errors
    /// For an argument that isn't known, or a missing path; names it.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        match args {
            [] => Ok(Self { python: None }),
            [flag] if flag == "--python" => Err("--python lacks the interpreter's path".into()),
            [flag, path] if flag == "--python" => Ok(Self { python: Some(path.into()) }),
            [flag, _, extra, ..] if flag == "--python" => {
                Err(format!("`fixtures` doesn't take {extra:?}"))
            }
            [arg, ..] => Err(format!("`fixtures` doesn't take {arg:?}")),
        }
    }
}

/// Runs every script, or says what running them takes.
///
/// # Errors
/// When there is no script, the interpreter hasn't the versions, or a script fails.
pub fn run(options: &Options) -> Result<()> {
    let scripts = scripts(Path::new(SCRIPTS))?;
    let Some(python) = &options.python else {
        shell::say("The golden files are written by");
        for script in &scripts {
            shell::say(format_args!("  {}", script.display()));
        }
        shell::say(format_args!(
            "with these packages for Python 3.11:\n{REQUIREMENTS}\n\
             python3.11 -m venv VENV\n\
             VENV/bin/python -m pip install -r crates/xtask/fixtures-requirements.txt\n\
             cargo xtask fixtures --python VENV/bin/python"
        ));
        return Ok(());
    };
    compare_versions(python)?;
    for script in &scripts {
        shell::run(Command::new(python).arg(script))?;
    }
    shell::say("`git diff --stat` shows what changed.");
    Ok(())
}

fn compare_versions(python: &Path) -> Result<()> {
    let compared = Command::new(python)
        .args(["-c", COMPARE_VERSIONS])
        .args(requirements())
        .output()
        .with_context(|| format!("can't start the interpreter {}", python.display()))?;
    if compared.status.success() {
        return Ok(());
    }
    bail!(
        "{} can't write the golden files; see `cargo xtask fixtures`\n{}",
        python.display(),
        String::from_utf8_lossy(&compared.stderr).trim_end()
    )
}

fn requirements() -> impl Iterator<Item = &'static str> {
    REQUIREMENTS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The scripts in `dir`, in the order of their names.
fn scripts(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("can't list {}", dir.display()))?;
    let mut scripts = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("can't list {}", dir.display()))?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with("make_") && path.extension().is_some_and(|ext| ext == "py") {
            scripts.push(path);
        }
    }
    if scripts.is_empty() {
        bail!("no make_*.py in {}", dir.display());
    }
    scripts.sort();
    Ok(scripts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, String> {
        Options::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn the_interpreter_is_optional_but_not_its_path() {
        assert_eq!(parse(&[]).unwrap().python, None);
        let given = parse(&["--python", "venv/bin/python"]).unwrap();
        assert_eq!(given.python.as_deref(), Some(Path::new("venv/bin/python")));
        assert!(parse(&["--python"]).unwrap_err().contains("path"));
        assert!(parse(&["--python", "p", "q"]).unwrap_err().contains("\"q\""));
    }

    #[test]
    fn every_requirement_is_pinned() {
        assert!(requirements().count() > 0);
        for requirement in requirements() {
            let (name, version) = requirement.split_once("==").unwrap_or_default();
            assert!(!name.is_empty() && !version.is_empty(), "{requirement}");
        }
    }

    #[test]
    fn the_scripts_are_found() {
        let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../..");
        let scripts = scripts(&root.join(SCRIPTS)).unwrap();
        assert!(scripts.iter().any(|path| path.ends_with("make_tokens.py")));
        assert!(super::scripts(&root.join("crates/xtask/src")).is_err());
    }
}
