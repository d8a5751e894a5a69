//! Packages of Debian and Ubuntu. Used by [`crate::vulkan`] and [`crate::web`].

use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// Installs packages, if that needs no password.
pub fn install(packages: &[&str]) -> Result<()> {
    let root = shell::output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let prefix: &[&str] = if root {
        &[]
    } else if shell::works("sudo", &["-n", "true"]) {
        &["sudo", "-n"]
    } else {
        bail!("neither root nor sudo without a password: packages can't be installed");
    };
    let apt = |args: &[&str]| {
        // Through `env`, since sudo drops the caller's variables.
        let words = [prefix, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(args);
        shell::run(&mut command)
    };
    // One broken source fails the update, but the packages may still be available.
    if let Err(error) = apt(&["update", "-qq"]) {
        shell::say(format_args!("{error:#}; trying to install anyway"));
    }
    apt(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}
