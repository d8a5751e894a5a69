//! Finds or installs a Vulkan driver on Linux for the tests that need a GPU. Used by [`crate::test`].
//!
//! A software driver counts: Mesa's llvmpipe computes the same numbers, only slowly. macOS has Metal and Windows Direct3D 12, so
//! they need none.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::steps::Outcome;
use crate::{debian, files, shell};

/// Mesa's drivers, llvmpipe among them, and the loader that finds them.
const DEBIAN_PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];

/// How to install a software driver and the loader on other systems.
const ELSEWHERE: &str = "on Fedora `dnf install mesa-vulkan-drivers vulkan-loader`, on Arch `pacman -S vulkan-swrast vulkan-icd-loader`, \
                         on Alpine `apk add mesa-vulkan-swrast vulkan-loader`";

/// If this is 1, tests that need a GPU fail without one instead of being skipped.
const REQUIRE_GPU: &str = "CLOVE_REQUIRE_GPU";

/// Finds a Vulkan driver and its loader, or installs them if that needs no password.
pub fn ensure() -> Result<Outcome> {
    if !cfg!(target_os = "linux") || present() {
        return Ok(Outcome::Passed);
    }
    let fix = if shell::works("apt-get", &["--version"]) {
        match debian::install(&DEBIAN_PACKAGES) {
            Ok(()) if present() => return Ok(Outcome::Passed),
            Ok(()) => shell::say("apt-get succeeded, but there is still no driver"),
            Err(error) => shell::say(format_args!("{error:#}")),
        }
        format!("`sudo apt-get install {}`", DEBIAN_PACKAGES.join(" "))
    } else {
        ELSEWHERE.to_owned()
    };
    let missing = format!("no Vulkan driver and loader; install them: {fix}");
    if env::var_os(REQUIRE_GPU).is_some_and(|value| value == "1") {
        bail!("{missing} ({REQUIRE_GPU}=1 requires them)");
    }
    Ok(Outcome::Skipped(missing))
}

fn present() -> bool {
    driver_manifest().is_some() && loader()
}

/// The first driver manifest that the Vulkan loader would find.
fn driver_manifest() -> Option<PathBuf> {
    // The loader's own override comes first; the second name is its older spelling.
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        if let Some(files) = env::var_os(variable) {
            return env::split_paths(&files).find(|file| file.is_file());
        }
    }
    manifest_dirs(|name| env::var_os(name)).iter().find_map(|dir| manifest_in(dir))
}

/// The folders in which the loader looks for manifests (KhronosGroup/Vulkan-Loader: docs/LoaderDriverInterface.md, "Driver
/// Discovery on Linux"), and the folder of NixOS.
fn manifest_dirs(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let home = |below: &str| variable("HOME").map(|home| Path::new(&home).join(below));
    let single = |name: &str, below: &str| {
        variable(name).filter(|value| !value.is_empty()).map(PathBuf::from).or_else(|| home(below))
    };
    let many = |name: &str, default: &str| {
        let list = variable(name).filter(|value| !value.is_empty());
        env::split_paths(&list.unwrap_or_else(|| default.into())).collect::<Vec<_>>()
    };
    let mut dirs = Vec::new();
    dirs.extend(single("XDG_CONFIG_HOME", ".config"));
    dirs.extend(many("XDG_CONFIG_DIRS", "/etc/xdg"));
    dirs.extend(["/usr/local/etc", "/etc"].map(PathBuf::from));
    dirs.extend(single("XDG_DATA_HOME", ".local/share"));
    dirs.extend(many("XDG_DATA_DIRS", "/usr/local/share:/usr/share"));
    dirs.push("/run/opengl-driver/share".into());
    dirs.iter().map(|dir| dir.join("vulkan/icd.d")).collect()
}

fn manifest_in(dir: &Path) -> Option<PathBuf> {
    let is_manifest = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    files::list(dir).ok()?.into_iter().find(is_manifest)
}

/// Whether the dynamic linker knows the loader. If that can't be checked (musl, NixOS), a driver implies it.
fn loader() -> bool {
    ["ldconfig", "/sbin/ldconfig"]
        .iter()
        .find_map(|program| shell::output(Command::new(program).arg("-p")))
        .is_none_or(|list| list.contains("libvulkan.so.1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_sought_in_system_and_user_folders() {
        let dirs = manifest_dirs(|name| (name == "HOME").then(|| "/home/ada".into()));
        for dir in
            ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/home/ada/.local/share/vulkan/icd.d"]
        {
            assert!(dirs.contains(&PathBuf::from(dir)), "{dir} not in {dirs:?}");
        }
    }

    #[test]
    fn a_folder_without_a_manifest_has_no_driver() {
        assert_eq!(manifest_in(Path::new("/no/such/folder")), None);
        let sources = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("src");
        assert_eq!(manifest_in(&sources), None);
    }
}
