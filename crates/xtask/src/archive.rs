//! `cargo xtask dist`: the program for this machine as an archive, with completions, manual page and licences.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::shell;

/// The most that an archive unpacks to, in bytes.
const LARGEST: u64 = 60_000_000;

/// What is packed as it stands.
const FILES: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// What `clove completions` is asked for, and where it goes.
const PRINTED: [(&str, &str); 6] = [
    ("bash", "completions/clove.bash"),
    ("elvish", "completions/clove.elv"),
    ("fish", "completions/clove.fish"),
    ("powershell", "completions/_clove.ps1"),
    ("zsh", "completions/_clove"),
    ("man", "man/clove.1"),
];

/// Builds, packs and measures.
///
/// # Errors
/// When the build fails, a file can't be written, or the archive is too large.
pub fn run() -> Result<()> {
    shell::run(
        shell::cargo()
            .args(["build", "--profile", "dist", "--workspace", "--bin", "clove"])
            .args(shell::locked()),
    )?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let program = format!("clove{}", env::consts::EXE_SUFFIX);
    let built = env::current_dir()?.join(target);
    let archives = built.join("archives");
    let built = built.join("dist").join(&program);
    let name =
        format!("clove-{}-{}-{}", env!("CARGO_PKG_VERSION"), env::consts::ARCH, env::consts::OS);
    let folder = archives.join(&name);
    // What an earlier version left would be packed too.
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    copy(&built, &folder.join(&program))?;
    for file in FILES {
        copy(Path::new(file), &folder.join(file))?;
    }
    for (what, file) in PRINTED {
        let text = shell::output(Command::new(&built).args(["completions", what]))
            .with_context(|| format!("`clove completions {what}` failed"))?;
        write(&folder.join(file), &text)?;
    }
    let bytes = size(&folder)?;
    ensure!(bytes <= LARGEST, "{} has {bytes} bytes, and {LARGEST} are allowed", folder.display());
    let archive = archives.join(format!("{name}.tar.gz"));
    shell::run(Command::new("tar").arg("-C").arg(&archives).arg("-czf").arg(&archive).arg(&name))?;
    shell::say(format_args!(
        "{}: {:.1} MB, unpacked {:.1} MB",
        archive.display(),
        megabytes(archive.metadata()?.len()),
        megabytes(bytes)
    ));
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::write(file, text).with_context(|| file.display().to_string())
}

/// The bytes of all files in a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            size(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
