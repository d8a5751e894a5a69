//! `cargo xtask dist`: the program for this machine as an archive, with completions, manual page and licences.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{files, shell};

/// Size limit of an unpacked archive, in bytes.
const LARGEST: u64 = 60_000_000;

/// Files that are packed unchanged.
const FILES: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// The arguments of `clove completions`, and the files for its output.
const PRINTED: [(&str, &str); 6] = [
    ("bash", "completions/clove.bash"),
    ("elvish", "completions/clove.elv"),
    ("fish", "completions/clove.fish"),
    ("powershell", "completions/_clove.ps1"),
    ("zsh", "completions/_clove"),
    ("man", "man/clove.1"),
];

/// Builds and packs the program, and checks the size.
pub fn run() -> Result<()> {
    shell::run(
        shell::cargo()
            .args(["build", "--profile", "dist", "--workspace", "--bin", "clove"])
            .args(shell::locked()),
    )?;
    let program = format!("clove{}", env::consts::EXE_SUFFIX);
    let target = files::target()?;
    let archives = target.join("archives");
    let built = target.join("dist").join(&program);
    let name =
        format!("clove-{}-{}-{}", env!("CARGO_PKG_VERSION"), env::consts::ARCH, env::consts::OS);
    let folder = archives.join(&name);
    // Files of an earlier version would be packed too.
    files::remove_folder(&folder)?;
    files::copy(&built, &folder.join(&program))?;
    for file in FILES {
        files::copy(Path::new(file), &folder.join(file))?;
    }
    for (what, file) in PRINTED {
        let text = shell::output(Command::new(&built).args(["completions", what]))
            .with_context(|| format!("`clove completions {what}` failed"))?;
        files::write(&folder.join(file), &text)?;
    }
    let bytes = size(&folder)?;
    ensure!(bytes <= LARGEST, "{} has {bytes} bytes, more than {LARGEST}", folder.display());
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

/// The bytes of all files in a folder.
fn size(folder: &Path) -> Result<u64> {
    let sizes = files::list(folder)?
        .into_iter()
        .map(|path| if path.is_dir() { size(&path) } else { Ok(path.metadata()?.len()) });
    sizes.sum()
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
