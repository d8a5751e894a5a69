//! `cargo xtask fixtures`: rewrites the golden files with the Python scripts that wrote them.
//!
//! Only needed to change a golden file; the tests read the committed files. Another Pillow or PyTorch may compute other numbers,
//! so an interpreter with other versions is refused.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{files, shell};

/// The folder of the scripts.
const SCRIPTS: &str = "tests/golden";

/// The versions that wrote the committed files, in pip's format.
const REQUIREMENTS: &str = include_str!("../fixtures-requirements.txt");

/// Compares `name==version` arguments with the installed packages; prints the differences and then fails.
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

/// Runs every script with a Python interpreter; without one, prints the requirements.
pub fn run(python: Option<&Path>) -> Result<()> {
    let scripts = scripts(Path::new(SCRIPTS))?;
    let Some(python) = python else {
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
    let mut scripts = files::list(dir)?;
    scripts.retain(|path| {
        files::name(path).starts_with("make_") && path.extension().is_some_and(|ext| ext == "py")
    });
    ensure!(!scripts.is_empty(), "no make_*.py in {}", dir.display());
    Ok(scripts)
}

#[cfg(test)]
mod tests {
    use super::*;

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
