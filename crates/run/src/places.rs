//! What a run writes: its folder must hold nothing of others that the run would overwrite, and nothing that it reads.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use clove::weights::{SMALL_FILES, refuse_inputs};
use clove_data::run::RunFolder;

use crate::config::Config;
use crate::error::{Context as _, Result, bail};

/// The models of a run, in its folder.
pub const MODELS: [&str; 3] = ["model", "best", "patched"];

/// The other files of a run that a later one would continue or replace.
const LISTS: [&str; 3] = ["skipped.jsonl", "validation.jsonl", "patching.jsonl"];

/// The files of a model besides [`SMALL_FILES`].
const WEIGHTS: &str = "model.safetensors";

/// Refuses a folder that can't have a new run.
pub fn check_new(config: &Config) -> Result<()> {
    let out = &config.out;
    let ends = out.ancestors().find(|path| path.exists());
    if let Some(file) = ends.filter(|path| !path.is_dir()) {
        bail!("out: {} is a file; choose a folder", file.display());
    }
    RunFolder::vacant(out)?;
    for name in MODELS.iter().chain(&LISTS) {
        if fs::symlink_metadata(out.join(name)).is_ok() {
            bail!(
                "{}: already holds {name}, which a run would replace; move it, or choose another `out`",
                out.display()
            );
        }
    }
    refuse(config, out)
}

/// Refuses a run's folder with files of others where the run writes.
pub fn check_resumed(config: &Config) -> Result<()> {
    for name in MODELS {
        let dir = config.out.join(name);
        check_model(&dir)?;
        refuse(config, &dir)?;
    }
    refuse(config, &config.out.join("checkpoints"))
}

/// Refuses to replace a model's folder with files that no run has written.
pub fn check_model(dir: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Ok(());
    };
    let is_own = |name: &OsStr| {
        name.to_str().is_some_and(|name| name == WEIGHTS || SMALL_FILES.contains(&name))
    };
    let mut names = entries.flatten().map(|entry| entry.file_name());
    if let Some(other) = names.find(|name| !is_own(name)) {
        bail!(
            "{}: has {}, which no run has written, and the run would replace the folder; move it",
            dir.display(),
            other.display()
        );
    }
    Ok(())
}

/// Refuses a place that has what the run reads, or lies in a model that it reads.
fn refuse(config: &Config, place: &Path) -> Result<()> {
    let mut config = config.clone();
    for (key, path) in config.paths() {
        // Of a pattern the folder is there.
        let there = path.ancestors().find(|path| path.exists()).map(PathBuf::from);
        if let Some(there) = there {
            refuse_inputs(place, &[&there]).with_context(|| key)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a model, photos, and the folder of a run with this name.
    fn config(root: &Path, out: &str) -> Config {
        for (name, text) in [
            ("clip/config.json", "{}"),
            ("clip/model.safetensors", "weights"),
            ("photos/a.jpg", "pixels"),
            ("list.jsonl", "{}"),
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
        let text = format!(
            "out = {:?}\n[model]\ninit = {:?}\n[data]\nkind = \"json-lines\"\npath = {:?}\nimages = {:?}\n",
            path(out),
            path("clip"),
            path("list.jsonl"),
            path("photos")
        );
        Config::from_toml("x.toml", &text).unwrap()
    }

    fn refused(result: Result<()>, parts: &[&str]) {
        let error = crate::error::one_line(&result.unwrap_err());
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_new_run_takes_no_folder_with_something_it_would_write_or_reads() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for out in ["run", "runs/deep/run"] {
            check_new(&config(root, out)).unwrap();
        }
        fs::create_dir_all(root.join("run")).unwrap();
        fs::write(root.join("run/notes.txt"), "mine").unwrap();
        check_new(&config(root, "run")).unwrap();
        for name in MODELS.iter().chain(&LISTS) {
            let path = root.join("run").join(name);
            fs::create_dir(&path).unwrap();
            refused(check_new(&config(root, "run")), &[&format!("already holds {name}")]);
            fs::remove_dir(&path).unwrap();
        }
        refused(check_new(&config(root, "list.jsonl")), &["list.jsonl is a file"]);
        refused(check_new(&config(root, "list.jsonl/run")), &["list.jsonl is a file"]);
        refused(check_new(&config(root, "photos")), &["data.images: "]);
        refused(check_new(&config(root, "clip")), &["model.init: "]);
        refused(check_new(&config(root, ".")), &["model.init: "]);
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_to_no_input() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let config = config(root, "run");
        std::os::unix::fs::symlink(root.join("photos"), root.join("run")).unwrap();
        refused(check_new(&config), &["data.images: "]);
        fs::remove_file(root.join("run")).unwrap();
        fs::create_dir(root.join("run")).unwrap();
        std::os::unix::fs::symlink(root.join("clip"), root.join("run/model")).unwrap();
        refused(check_new(&config), &["already holds model"]);
        refused(check_resumed(&config), &["model.init: "]);
    }

    #[test]
    fn a_resumed_run_replaces_its_own_models_and_no_file_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "run");
        check_resumed(&config).unwrap();
        let model = config.out.join("patched");
        fs::create_dir_all(&model).unwrap();
        for name in
            ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"]
        {
            fs::write(model.join(name), "").unwrap();
        }
        check_resumed(&config).unwrap();
        fs::write(model.join("notes.txt"), "mine").unwrap();
        refused(check_resumed(&config), &["patched: has notes.txt, which no run has written"]);
    }
}
