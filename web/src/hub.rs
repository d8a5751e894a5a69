//! Where models are downloaded from, and which of the files there a model needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::percent::encode;

/// The default hub.
pub const HUB: &str = "https://huggingface.co";

/// A model's possible files, except weights: those of `clove::weights::SMALL_FILES`, which the page doesn't link.
const SMALL: [&str; 8] = [
    "config.json",
    "open_clip_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
];
/// Possible weights, in order of preference, each with its configuration.
const WEIGHTS: [(&str, &str); 2] = [
    ("model.safetensors", "config.json"),
    ("open_clip_model.safetensors", "open_clip_config.json"),
];
/// The list of blake3 hashes in a checkpoint's folder.
pub const MANIFEST: &str = "manifest.json";

/// A place with a model's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A repository of a hub by owner and name, and its branch, tag or commit: `openai/clip-vit-base-patch32`, optionally with
    /// `@REVISION`.
    #[expect(missing_docs, reason = "the variant's text covers its fields")]
    Hub { repository: String, revision: String },
    /// A folder on the web; its URL ends in `/`.
    Web(String),
}

impl Place {
    /// Parses a model's name or URL.
    ///
    /// # Errors
    /// If it's neither.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let typed = typed.trim();
        if let Some(rest) = typed.strip_prefix(HUB) {
            let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
            return match parts.as_slice() {
                [owner, name] => Self::hub(owner, name, "main"),
                [owner, name, "tree" | "blob" | "resolve", revision, ..] => {
                    Self::hub(owner, name, revision)
                }
                _ => Err(format!("{typed} is not the page of a model")),
            };
        }
        if typed.starts_with("https://") || typed.starts_with("http://") {
            let path = typed.split(['?', '#']).next().unwrap_or(typed);
            let folder = match path.rsplit_once('/') {
                // A URL of one file means its folder.
                Some((folder, file)) if file.contains('.') && folder.len() > "https://".len() => {
                    folder
                }
                _ => path.trim_end_matches('/'),
            };
            return Ok(Self::Web(format!("{folder}/")));
        }
        let (repository, revision) = typed.split_once('@').unwrap_or((typed, "main"));
        match repository.split_once('/') {
            Some((owner, name)) => Self::hub(owner, name, revision),
            None => Err(format!(
                "\"{typed}\" is neither a model's name, such as openai/clip-vit-base-patch32, nor a URL"
            )),
        }
    }

    fn hub(owner: &str, name: &str, revision: &str) -> Result<Self, String> {
        let plain = |word: &str| {
            !word.is_empty()
                && !word.starts_with('.')
                && word.chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one))
        };
        for word in [owner, name].into_iter().chain(revision.split('/')) {
            if !plain(word) {
                return Err(format!("\"{word}\" is not a valid part of a model's name"));
            }
        }
        Ok(Self::Hub { repository: format!("{owner}/{name}"), revision: revision.to_owned() })
    }

    /// The name, for display and for the browser's storage.
    pub fn name(&self) -> String {
        match self {
            Self::Hub { repository, revision } if revision == "main" => repository.clone(),
            Self::Hub { repository, revision } => format!("{repository}@{revision}"),
            Self::Web(folder) => folder.clone(),
        }
    }

    /// The URL of a hub's list of files; a folder on the web has none.
    pub fn list(&self, hub: &str) -> Option<String> {
        match self {
            Self::Hub { repository, revision } => {
                let revision = in_path(revision);
                Some(format!("{hub}/api/models/{repository}/tree/{revision}"))
            }
            Self::Web(_) => None,
        }
    }

    /// A file's URL.
    pub fn file(&self, hub: &str, name: &str) -> String {
        match self {
            Self::Hub { repository, revision } => {
                format!("{hub}/{repository}/resolve/{}/{name}", in_path(revision))
            }
            Self::Web(folder) => format!("{folder}{name}"),
        }
    }
}

/// A revision as one segment of a URL: `refs/pr/1` contains slashes.
fn in_path(revision: &str) -> String {
    revision.replace('/', "%2F")
}

/// The expected hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hash {
    /// From a hub's list.
    Sha256(String),
    /// From a checkpoint's manifest.
    Blake3(String),
}

/// A file to download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// The name in the model's folder.
    pub name: String,
    /// Bytes, if known.
    pub size: Option<u64>,
    /// The expected hash, if known.
    pub hash: Option<Hash>,
}

/// Parses a hub's list of files.
///
/// # Errors
/// If it's invalid.
pub fn listing(json: &str) -> Result<Vec<Remote>, String> {
    #[derive(Deserialize)]
    struct Entry {
        path: String,
        #[serde(default)]
        size: u64,
        lfs: Option<Lfs>,
    }
    #[derive(Deserialize)]
    struct Lfs {
        oid: String,
        size: u64,
    }
    let entries: Vec<Entry> = serde_json::from_str(json)
        .map_err(|error| format!("invalid list of files from the hub: {error}"))?;
    let remote = |entry: Entry| Remote {
        name: entry.path,
        size: Some(entry.lfs.as_ref().map_or(entry.size, |lfs| lfs.size)),
        hash: entry.lfs.map(|lfs| Hash::Sha256(lfs.oid.trim_start_matches("sha256:").to_owned())),
    };
    Ok(entries.into_iter().map(remote).collect())
}

/// Parses a checkpoint's manifest: each file's size and hash.
///
/// # Errors
/// If it's invalid.
pub fn manifest(json: &str) -> Result<BTreeMap<String, Remote>, String> {
    #[derive(Deserialize)]
    struct Manifest {
        files: BTreeMap<String, Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        bytes: u64,
        blake3: String,
    }
    let manifest: Manifest =
        serde_json::from_str(json).map_err(|error| format!("{MANIFEST}: {error}"))?;
    let remote = |(name, entry): (String, Entry)| {
        let remote = Remote {
            name: name.clone(),
            size: Some(entry.bytes),
            hash: Some(Hash::Blake3(entry.blake3)),
        };
        (name, remote)
    };
    Ok(manifest.files.into_iter().map(remote).collect())
}

/// The file names to try in a folder without a list.
pub fn candidates() -> Vec<&'static str> {
    SMALL.into_iter().chain(WEIGHTS.map(|(weights, _)| weights)).collect()
}

/// The files that a model needs: configuration, preprocessing, vocabulary and one set of weights. A tokenizer.json stands for the
/// vocabulary in several files.
///
/// # Errors
/// If the configuration or the weights are missing, or the weights are sharded.
pub fn needed(all: &[Remote]) -> Result<Vec<Remote>, String> {
    let find = |name: &str| all.iter().find(|file| file.name == name);
    let weights = WEIGHTS
        .into_iter()
        .find(|(weights, config)| find(weights).is_some() && find(config).is_some());
    let Some((weights, config)) = weights else {
        let sharded = all.iter().any(|file| file.name.ends_with(".safetensors.index.json"));
        return Err(if sharded {
            "the weights are split into several files; download the folder yourself and open it from disk"
                .to_owned()
        } else {
            "no CLIP in safetensors there: it needs a configuration (config.json or open_clip_config.json) and weights \
             (model.safetensors or open_clip_model.safetensors); try another revision, as NAME@REVISION"
                .to_owned()
        });
    };
    let other = WEIGHTS.map(|(_, config)| config);
    let unneeded: &[&str] = match find("tokenizer.json") {
        Some(_) => &["vocab.json", "merges.txt", "added_tokens.json"],
        None => &[],
    };
    let small = SMALL
        .into_iter()
        .filter(|name| *name == config || !(other.contains(name) || unneeded.contains(name)));
    let mut files: Vec<Remote> = small.filter_map(find).cloned().collect();
    files.extend(find(weights).cloned());
    Ok(files)
}

/// The name of a place's folder, valid in any file system; percent-decoding gives the place.
pub fn folder(place: &str) -> String {
    encode(place, "-_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::percent::decode;

    fn hub(repository: &str, revision: &str) -> Place {
        Place::Hub { repository: repository.to_owned(), revision: revision.to_owned() }
    }

    #[test]
    fn names_and_addresses_are_told_apart() {
        for (typed, place) in [
            (" openai/clip-vit-base-patch32 ", hub("openai/clip-vit-base-patch32", "main")),
            ("a/b@v1.0", hub("a/b", "v1.0")),
            ("a/b@refs/pr/3", hub("a/b", "refs/pr/3")),
            ("https://huggingface.co/a/b", hub("a/b", "main")),
            ("https://huggingface.co/a/b/tree/dev", hub("a/b", "dev")),
            ("https://huggingface.co/a/b/blob/dev/model.safetensors", hub("a/b", "dev")),
            ("https://x.org/models/clip", Place::Web("https://x.org/models/clip/".to_owned())),
            (
                "http://localhost:8000/clip/model.safetensors?raw=1",
                Place::Web("http://localhost:8000/clip/".to_owned()),
            ),
            ("https://x.org", Place::Web("https://x.org/".to_owned())),
        ] {
            assert_eq!(Place::parse(typed), Ok(place), "{typed}");
        }
        for typed in ["", "clip", "a/b/c", "../b", "a/..", "https://huggingface.co/a"] {
            assert!(Place::parse(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn a_hubs_list_gives_sizes_and_hashes() {
        let json = r#"[
            {"type":"directory","oid":"x","size":0,"path":"onnx"},
            {"type":"file","oid":"x","size":4186,"path":"config.json"},
            {"type":"file","oid":"x","size":134,"path":"model.safetensors","lfs":{"oid":"abc","size":605,"pointerSize":134}},
            {"type":"file","oid":"x","size":9,"path":"pytorch_model.bin"},
            {"type":"file","oid":"x","size":7,"path":"tokenizer.json"}
        ]"#;
        let files = needed(&listing(json).unwrap()).unwrap();
        let told: Vec<_> =
            files.iter().map(|file| (file.name.as_str(), file.size, file.hash.clone())).collect();
        let sha = Hash::Sha256("abc".to_owned());
        assert_eq!(
            told,
            [
                ("config.json", Some(4186), None),
                ("tokenizer.json", Some(7), None),
                ("model.safetensors", Some(605), Some(sha)),
            ]
        );
        assert!(listing("{\"error\":\"gone\"}").is_err());
    }

    #[test]
    fn one_set_of_weights_is_taken_with_its_configuration() {
        let file = |name: &str| Remote { name: name.to_owned(), size: None, hash: None };
        let names = |all: &[&str]| {
            let all: Vec<Remote> = all.iter().map(|name| file(name)).collect();
            needed(&all).map(|files| files.into_iter().map(|one| one.name).collect::<Vec<_>>())
        };
        let both = [
            "config.json",
            "model.safetensors",
            "open_clip_config.json",
            "open_clip_model.safetensors",
        ];
        assert_eq!(names(&both).unwrap(), ["config.json", "model.safetensors"]);
        assert_eq!(
            names(&["open_clip_config.json", "open_clip_model.safetensors"]).unwrap(),
            ["open_clip_config.json", "open_clip_model.safetensors"]
        );
        assert!(names(&["config.json", "pytorch_model.bin"]).is_err());
        assert!(
            names(&["config.json", "model.safetensors.index.json"])
                .unwrap_err()
                .contains("several files")
        );
    }

    #[test]
    fn preprocessing_and_tokenizer_come_in_every_form_that_models_have() {
        let names = |all: &[&str]| {
            let weights = ["config.json", "model.safetensors"];
            let all = weights.iter().chain(all).map(|name| Remote {
                name: (*name).to_owned(),
                size: None,
                hash: None,
            });
            let files = needed(&all.collect::<Vec<_>>()).unwrap();
            let small = files.into_iter().map(|file| file.name);
            small.filter(|name| !weights.contains(&name.as_str())).collect::<Vec<_>>()
        };
        let several = ["vocab.json", "merges.txt", "added_tokens.json"];
        assert_eq!(names(&several), several);
        assert_eq!(names(&[&several[..], &["tokenizer.json"]].concat()), ["tokenizer.json"]);
        let both = ["processor_config.json", "preprocessor_config.json"];
        assert_eq!(names(&[&both[..], &["README.md"]].concat()), both);
    }

    #[test]
    fn a_manifest_gives_blake3_hashes() {
        let files =
            manifest(r#"{"step":3,"files":{"model.safetensors":{"bytes":5,"blake3":"ab"}}}"#);
        let file = &files.unwrap()["model.safetensors"];
        assert_eq!(file.hash, Some(Hash::Blake3("ab".to_owned())));
        assert_eq!(file.size, Some(5));
        assert!(manifest("[]").is_err());
    }

    #[test]
    fn places_survive_their_folders() {
        assert_eq!(folder("a/b"), "a%2Fb");
        assert_ne!(folder("a%2Fb"), folder("a/b"));
        for place in ["a/b@refs/pr/1", "https://x.org/ü%20/", "", "%"] {
            assert_eq!(decode(&folder(place)), place);
        }
        assert_eq!(decode("%zz%"), "%zz%");
    }
}
