//! The files and folders that a configuration names.

use std::path::{Path, PathBuf, absolute};

use clove_data::fetch::Shown;

use super::Config;

/// The keys of paths end like this.
pub(crate) const PATHS: [&str; 7] =
    ["init", "shape", "path", "images", "classes", "class_names", "templates"];

impl Config {
    /// Every file and folder that the run reads, with its key. A path can name several files, by braces for example.
    pub(crate) fn paths(&mut self) -> Vec<(String, &mut PathBuf)> {
        self.places().into_iter().filter(|(_, path)| !is_remote(path)).collect()
    }

    /// The same with addresses and names of the hub.
    fn places(&mut self) -> Vec<(String, &mut PathBuf)> {
        let Self { model, data, validation, .. } = self;
        let is_file = |path: &&mut PathBuf| path.as_os_str() != "scenes";
        let mut found = vec![
            ("model.init".to_owned(), model.init.as_mut().filter(is_file)),
            ("model.shape".to_owned(), model.shape.as_mut().filter(is_file)),
            ("data.path".to_owned(), data.path.as_mut()),
            ("data.images".to_owned(), data.images.as_mut()),
        ];
        for (number, set) in data.sets.iter_mut().enumerate() {
            found.push((format!("data.sets[{number}].path"), Some(&mut set.path)));
            found.push((format!("data.sets[{number}].images"), set.images.as_mut()));
        }
        if let Some(validation) = validation {
            found.push(("validation.path".to_owned(), Some(&mut validation.path)));
            for (name, path) in [
                ("images", &mut validation.images),
                ("classes", &mut validation.classes),
                ("class_names", &mut validation.class_names),
                ("templates", &mut validation.templates),
            ] {
                found.push((format!("validation.{name}"), path.as_mut()));
            }
        }
        found.into_iter().filter_map(|(key, path)| Some((key, path?))).collect()
    }

    /// The same with addresses as they may be shown: without user names, passwords and the values of their queries.
    #[must_use]
    pub(crate) fn shown(&self) -> Self {
        let mut config = self.clone();
        for (_, path) in config.places() {
            // A path that isn't UTF-8 is no address.
            if let Some(shown) = path.to_str().map(|text| Shown(text).to_string()) {
                *path = shown.into();
            }
        }
        config
    }

    /// The same with absolute paths, so that it means the same in any working directory.
    #[must_use]
    pub(crate) fn absolute(&self) -> Self {
        let mut config = self.clone();
        for (_, path) in config.paths() {
            // Only an empty path, which is reported elsewhere, and an unknown working directory have none.
            if let Ok(found) = absolute(&*path) {
                *path = found;
            }
        }
        config
    }
}

/// Whether a path is an address or a name of the hub.
fn is_remote(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("://") || text.starts_with("hf:")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[model]\ninit = \"clip\"\n[data]\nkind = \"json-lines\"\npath = \"a/set.jsonl\"\nimages = \"photos\"\n\
                        [validation]\npath = \"/held-out\"\nclasses = \"classes\"\ntemplates = \"t.json#x\"\n";

    #[test]
    fn every_path_is_found_and_made_absolute() {
        let mut config = Config::from_toml("x.toml", TEXT).unwrap();
        let keys: Vec<String> = config.paths().into_iter().map(|(key, _)| key).collect();
        let expected =
            ["model.init", "data.path", "data.images", "validation.path", "validation.classes"];
        assert_eq!(keys[..5], expected);
        assert_eq!(keys[5..], ["validation.templates"]);
        let here = std::env::current_dir().unwrap();
        let absolute = config.absolute();
        assert_eq!(absolute.model.init, Some(here.join("clip")));
        assert_eq!(absolute.data.path, Some(here.join("a/set.jsonl")));
        let validation = absolute.validation.as_ref().unwrap();
        assert_eq!(validation.path, Path::new("/held-out"));
        assert_eq!(validation.templates, Some(here.join("t.json#x")));
        assert_eq!(absolute.absolute(), absolute);
    }

    #[test]
    fn names_of_the_hub_addresses_and_scenes_are_no_paths() {
        for (model, data) in [
            ("init = \"scenes\"", "kind = \"scenes\""),
            (
                "init = \"hf:openai/clip\"",
                "kind = \"webdataset\"\npath = \"s3://bucket/{0..9}.tar\"",
            ),
            ("shape = \"scenes\"", "kind = \"webdataset\"\npath = \"https://host/a.tar\""),
        ] {
            let text = format!("[model]\n{model}\n[data]\n{data}\n");
            let mut config = Config::from_toml("x.toml", &text).unwrap();
            assert!(config.paths().is_empty(), "{text}");
            assert_eq!(config.absolute(), config);
            assert_eq!(config.shown(), config);
        }
    }

    #[test]
    fn no_secret_of_an_address_is_written() {
        let set = "[[data.sets]]\nkind = \"webdataset\"\npath = \"https://me:secret@host/{0..9}.tar?sig=secret\"\n";
        let text = format!(
            "[model]\nshape = \"scenes\"\n{set}{set}[validation]\nkind = \"webdataset\"\npath = \"https://secret@host/x.tar\"\n\
             [train]\nsteps = 4\n"
        );
        let config = Config::from_toml("x.toml", &text).unwrap();
        let written = config.to_toml().unwrap();
        assert!(!written.contains("secret"), "{written}");
        assert_eq!(written.matches("https://***@host/{0..9}.tar?sig=***").count(), 2, "{written}");
        // What is written is read again, and names what is hidden.
        let read = Config::from_toml("run.toml", &written).unwrap();
        assert_eq!(read.shown(), read);
        assert_eq!(read.to_toml().unwrap(), written);
    }
}
