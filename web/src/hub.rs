//! Where models are fetched from, and which of the files there make a model.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The hub that names without an address mean.
pub const HUB: &str = "https://huggingface.co";

/// The files that a model may have, apart from its weights.
const SMALL: [&str; 4] =
    ["config.json", "open_clip_config.json", "preprocessor_config.json", "tokenizer.json"];
/// The files that may hold its weights; the first that is there is taken.
const WEIGHTS: [(&str, &str); 2] = [
    ("model.safetensors", "config.json"),
    ("open_clip_model.safetensors", "open_clip_config.json"),
];
/// A list of blake3 hashes that lies beside checkpoints.
pub const MANIFEST: &str = "manifest.json";

/// A place that has a model's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A repository of a hub: `openai/clip-vit-base-patch32`, or with a revision behind `@`.
    Hub {
        /// Owner and name.
        repository: String,
        /// Branch, tag or commit.
        revision: String,
    },
    /// A folder on the web, its address ending in `/`.
    Web(String),
}

impl Place {
    /// Reads what someone typed.
    ///
    /// # Errors
    /// In words, when it's neither a name nor an address.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let typed = typed.trim();
        if let Some(rest) = typed.strip_prefix(HUB) {
            let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
            return match parts.as_slice() {
                [owner, name] => Self::hub(owner, name, "main"),
                [owner, name, "tree" | "blob" | "resolve", revision, ..] => {
                    Self::hub(owner, name, revision)
                }
                _ => Err(format!("{typed} is no model's page")),
            };
        }
        if typed.starts_with("https://") || typed.starts_with("http://") {
            let path = typed.split(['?', '#']).next().unwrap_or(typed);
            let folder = match path.rsplit_once('/') {
                // A file of the model stands for its folder.
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
                "\"{typed}\" is neither a model's name, such as openai/clip-vit-base-patch32, nor an address"
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
                return Err(format!("\"{word}\" is no part of a model's name"));
            }
        }
        Ok(Self::Hub { repository: format!("{owner}/{name}"), revision: revision.to_owned() })
    }

    /// Its name, for people, and for the browser's storage.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Hub { repository, revision } if revision == "main" => repository.clone(),
            Self::Hub { repository, revision } => format!("{repository}@{revision}"),
            Self::Web(folder) => folder.clone(),
        }
    }

    /// Where a hub lists the files; a folder on the web has no list.
    #[must_use]
    pub fn list(&self, hub: &str) -> Option<String> {
        match self {
            Self::Hub { repository, revision } => {
                let revision = in_path(revision);
                Some(format!("{hub}/api/models/{repository}/tree/{revision}"))
            }
            Self::Web(_) => None,
        }
    }

    /// A file's address.
    #[must_use]
    pub fn file(&self, hub: &str, name: &str) -> String {
        match self {
            Self::Hub { repository, revision } => {
                format!("{hub}/{repository}/resolve/{}/{name}", in_path(revision))
            }
            Self::Web(folder) => format!("{folder}{name}"),
        }
    }
}

/// A revision as one part of an address: `refs/pr/1` has slashes of its own.
fn in_path(revision: &str) -> String {
    revision.replace('/', "%2F")
}

/// What a file's bytes must hash to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hash {
    /// As hubs have it.
    Sha256(String),
    /// As manifests of checkpoints have it.
    Blake3(String),
}

/// A file that can be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Its name in the model's folder.
    pub name: String,
    /// In bytes, where it's told.
    pub size: Option<u64>,
    /// Where it's told.
    pub hash: Option<Hash>,
}

/// Reads a hub's list of files.
///
/// # Errors
/// In words, when it's no such list.
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
    let entries: Vec<Entry> =
        serde_json::from_str(json).map_err(|error| format!("the hub's list of files: {error}"))?;
    let remote = |entry: Entry| Remote {
        name: entry.path,
        size: Some(entry.lfs.as_ref().map_or(entry.size, |lfs| lfs.size)),
        hash: entry.lfs.map(|lfs| Hash::Sha256(lfs.oid.trim_start_matches("sha256:").to_owned())),
    };
    Ok(entries.into_iter().map(remote).collect())
}

/// Reads the manifest of a checkpoint's folder: each file's size and hash.
///
/// # Errors
/// In words, when it's none.
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

/// The names that a model's files can have in a folder that doesn't list them; shards are named by their index.
#[must_use]
pub fn candidates() -> Vec<&'static str> {
    SMALL.into_iter().chain(WEIGHTS.map(|(weights, _)| weights)).collect()
}

/// Those of the files that make a model: its configuration, its preprocessing, its vocabulary, and one set of weights.
///
/// # Errors
/// In words, when something that a model needs isn't there.
pub fn needed(all: &[Remote]) -> Result<Vec<Remote>, String> {
    let find = |name: &str| all.iter().find(|file| file.name == name);
    let weights = WEIGHTS
        .into_iter()
        .find(|(weights, config)| find(weights).is_some() && find(config).is_some());
    let Some((weights, config)) = weights else {
        let sharded = all.iter().any(|file| file.name.ends_with(".safetensors.index.json"));
        return Err(if sharded {
            "its weights lie in several files; fetch them by other means and open the folder"
                .to_owned()
        } else {
            "no CLIP in safetensors lies there: a configuration (config.json or open_clip_config.json) and weights \
             (model.safetensors or open_clip_model.safetensors) are needed; another revision may have them, behind @"
                .to_owned()
        });
    };
    let other = WEIGHTS.map(|(_, config)| config);
    let small = SMALL.into_iter().filter(|name| *name == config || !other.contains(name));
    let mut files: Vec<Remote> = small.filter_map(find).cloned().collect();
    files.extend(find(weights).cloned());
    Ok(files)
}

/// A folder's name for a place, such as any file system takes.
#[must_use]
pub fn folder(place: &str) -> String {
    let mut name = String::new();
    for byte in place.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name
}

/// The place that a folder is named after.
#[must_use]
pub fn unfolder(folder: &str) -> String {
    let mut bytes = Vec::new();
    let mut parts = folder.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let code = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                bytes.extend(part[2..].bytes());
            }
            None => bytes.extend(part.bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_manifest_gives_blake3_hashes() {
        let files =
            manifest(r#"{"step":3,"files":{"model.safetensors":{"bytes":5,"blake3":"ab"}}}"#);
        let file = &files.unwrap()["model.safetensors"];
        assert_eq!(file.hash, Some(Hash::Blake3("ab".to_owned())));
        assert_eq!(file.size, Some(5));
        assert!(manifest("[]").is_err());
    }

    #[test]
    fn folders_of_different_places_differ() {
        assert_eq!(folder("a/b"), "a%2Fb");
        assert_ne!(folder("a%2Fb"), folder("a/b"));
        for place in ["a/b@refs/pr/1", "https://x.org/ü%20/", "", "%"] {
            assert_eq!(unfolder(&folder(place)), place);
        }
        assert_eq!(unfolder("%zz%"), "zz");
    }
}
