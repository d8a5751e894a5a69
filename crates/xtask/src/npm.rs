//! `cargo xtask npm`: the npm package `clove-web`, from the engines of a browser build.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{files, shell, web};

/// The package's own files.
const SOURCE: &str = "web/npm";
const ENGINES: [&str; 2] = ["engine-cpu", "engine-gpu"];
/// What else the engines need and users read: from where, and its place in the package.
const FILES: [(&str, &str); 5] = [
    ("crates/lab/models/pretrained.safetensors", "scenes/pretrained.safetensors"),
    ("crates/lab/models/clove.deltas", "scenes/clove.deltas"),
    ("crates/negatives/english.lexicon", "english.lexicon"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("LICENSE-MIT", "LICENSE-MIT"),
];

/// Builds the browser programs and packs the package.
///
/// # Errors
/// When the build fails, or npm does.
pub fn run() -> Result<()> {
    web::tools()?.build()?;
    let folder = assemble()?;
    shell::run(
        Command::new("npm")
            .arg("pack")
            .arg(&folder)
            .args(["--pack-destination"])
            .arg(folder.parent().context("the package's folder has a parent")?),
    )
}

/// Puts the package's files together from `web/dist`; gives its folder.
///
/// # Errors
/// When a file is missing or can't be copied.
pub fn assemble() -> Result<PathBuf> {
    let folder = files::target()?.join("npm/clove-web");
    files::remove_folder(&folder)?;
    copy_folder(Path::new(SOURCE), &folder)?;
    for name in ENGINES {
        copy_folder(&built(name)?, &folder.join(name))?;
    }
    for (from, to) in FILES {
        files::copy(Path::new(from), &folder.join(to))?;
    }
    let manifest = files::read_text(&folder.join("package.json"))?;
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    ensure!(manifest.contains(&version), "{SOURCE}/package.json: write {version}");
    Ok(folder)
}

/// An engine's folder in `web/dist`, whose name ends in its hash.
fn built(name: &str) -> Result<PathBuf> {
    let dist = Path::new("web/dist");
    let paths = files::list(dist).context("run `cargo xtask web` first")?;
    let prefix = format!("{name}-");
    paths
        .into_iter()
        .find(|path| path.is_dir() && files::name(path).starts_with(&prefix))
        .with_context(|| format!("web/dist has no {name}"))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for path in files::list(from)? {
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() { copy_folder(&path, &target)? } else { files::copy(&path, &target)? }
    }
    Ok(())
}
