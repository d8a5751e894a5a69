//! Debian's packages, and Ubuntu's. Used by [`crate::vulkan`] and [`crate::web`].

use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// Installs packages, where that needs no password.
///
/// # Errors
/// When it does, or apt-get fails.
pub fn install(packages: &[&str]) -> Result<()> {
    let root = shell::output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let prefix: &[&str] = if root {
        &[]
    } else if shell::works("sudo", &["-n", "true"]) {
        &["sudo", "-n"]
    } else {
        bail!("neither root nor sudo without a password: nothing can be installed from here");
    };
    let apt = |args: &[&str]| {
        // Through `env`, since sudo drops the caller's variables.
        let words = [prefix, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(args);
        shell::run(&mut command)
    };
    // One broken source among many fails the update, and the packages may still be had.
    if let Err(error) = apt(&["update", "-qq"]) {
        shell::say(format_args!("{error:#}; trying to install all the same"));
    }
    apt(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}
