//! Finishes a build of the browser program: every file except the document and the service worker gets a name with the hash of
//! its content, and the document gets integrity attributes for its scripts.
//!
//! trunk calls this before it moves a build to its place (`web/Trunk.toml`). trunk itself adds hashes to the page's own program,
//! but not to workers and copied files, so an update could combine a new page with an old engine.
//!
//! The document contains requests in brackets: `[[hashed FILE]]` is the file's new name, `[[integrity FILE]]` its hash for an
//! `integrity` attribute, `[[engine NAME]]` the script that starts a worker, and `[[engine-integrity NAME]]` the hashes of that
//! script and of the script that it imports.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256, Sha384};

use crate::files::{self, read, read_text, write};

/// Finishes the build in `staging`.
pub fn finish(staging: &Path) -> Result<()> {
    let file = staging.join("index.html");
    let mut document = read_text(&file)?;
    let mut engines = BTreeMap::new();
    let mut hashed = BTreeMap::new();
    while let Some((start, end)) = request(&document) {
        let words = document[start + 2..end].to_owned();
        let (what, name) = words
            .split_once(' ')
            .with_context(|| format!("index.html: [[{words}]] needs two words"))?;
        let answer = match what {
            "hashed" => {
                if !hashed.contains_key(name) {
                    hashed.insert(name.to_owned(), rename(staging, name)?);
                }
                hashed[name].clone()
            }
            "integrity" => {
                let now = hashed.get(name).map_or(name, String::as_str);
                integrity(&read(&staging.join(now))?)
            }
            "engine" | "engine-integrity" => {
                if !engines.contains_key(name) {
                    engines.insert(name.to_owned(), engine(staging, name)?);
                }
                let (script, hashes) = &engines[name];
                if what == "engine" { script } else { hashes }.clone()
            }
            _ => bail!("index.html: unknown request [[{words}]]"),
        };
        document.replace_range(start..end + 2, &answer);
    }
    // Each engine has its own copy by now.
    files::remove_folder(&staging.join("snippets"))?;
    write(&file, &document)
}

/// The range of the first request in the document.
fn request(document: &str) -> Option<(usize, usize)> {
    let start = document.find("[[")?;
    let length = document[start..].find("]]")?;
    Some((start, start + length))
}

/// Adds its hash to a file's name.
fn rename(staging: &Path, name: &str) -> Result<String> {
    let old = staging.join(name);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let new = format!("{stem}-{}.{extension}", hex(&Sha256::digest(read(&old)?)));
    files::rename(&old, &staging.join(&new))?;
    Ok(new)
}

/// Moves a worker's files into a folder with the hash of all of them in its name, because the files refer to each other by name.
fn engine(staging: &Path, name: &str) -> Result<(String, String)> {
    let (glue_name, wasm_name) = (format!("{name}.js"), format!("{name}_bg.wasm"));
    let glue = read_text(&staging.join(&glue_name))?;
    let wasm = read(&staging.join(&wasm_name))?;
    let loader_name = format!("{name}_loader.js");
    let loader = format!(
        "import init from \"./{glue_name}\";\n\
         const wasm = new URL(\"./{wasm_name}\", import.meta.url);\n\
         init({{ module_or_path: fetch(wasm, {{ integrity: \"{}\" }}) }});\n",
        integrity(&wasm)
    );
    let mut snippets = Vec::new();
    for path in imports(&glue) {
        snippets.push((path.to_owned(), read(&staging.join(path))?));
    }
    let mut all = Sha256::new();
    for bytes in [glue.as_bytes(), &wasm, loader.as_bytes()] {
        all.update(bytes);
    }
    for (path, bytes) in &snippets {
        all.update(path);
        all.update(bytes);
    }
    let folder = format!("{name}-{}", hex(&all.finalize()));
    let to = staging.join(&folder);
    // Trunk's loader is overwritten below.
    let old = staging.join(&loader_name);
    if old.is_file() {
        files::rename(&old, &to.join(&loader_name))?;
    }
    for moved in [&glue_name, &wasm_name] {
        files::rename(&staging.join(moved), &to.join(moved))?;
    }
    for (path, bytes) in snippets {
        write(&to.join(path), bytes)?;
    }
    write(&to.join(&loader_name), &loader)?;
    let hashes = [loader.as_bytes(), glue.as_bytes()].map(integrity);
    Ok((format!("{folder}/{loader_name}"), hashes.join(" ")))
}

/// The files that a script of wasm-bindgen imports from its `snippets`.
fn imports(script: &str) -> impl Iterator<Item = &str> {
    script.lines().filter_map(|line| {
        let from = line.strip_prefix("import ")?.split_once(" from ")?.1;
        let path = from.trim_matches(|one| matches!(one, '\'' | '"' | ';' | ' '));
        let path = path.strip_prefix("./")?;
        path.starts_with("snippets/").then_some(path)
    })
}

/// For an `integrity` attribute.
fn integrity(bytes: &[u8]) -> String {
    format!("sha384-{}", BASE64_STANDARD.encode(Sha384::digest(bytes)))
}

/// The first bytes of a hash, for a name.
fn hex(hash: &[u8]) -> String {
    let mut text = String::new();
    for byte in &hash[..8] {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A build as trunk leaves it.
    fn staged(name: &str, document: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-dist-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("snippets/a-1")).unwrap();
        let glue = "import { f } from './snippets/a-1/f.js';\nexport default 1;\n";
        for (file, text) in [
            ("index.html", document),
            ("start.js", "start"),
            ("worker.js", glue),
            ("worker_bg.wasm", "wasm"),
            ("worker_loader.js", "trunk's"),
            ("snippets/a-1/f.js", "f"),
        ] {
            fs::write(folder.join(file), text).unwrap();
        }
        folder
    }

    #[test]
    fn files_are_named_by_their_content_and_held_to_their_hash() {
        let document = "<script src=\"./[[hashed start.js]]\" integrity=\"[[integrity start.js]]\" \
             data-worker=\"./[[engine worker]]\" data-hashes=\"[[engine-integrity worker]]\">";
        let folder = staged("names", document);
        finish(&folder).unwrap();
        let document = fs::read_to_string(folder.join("index.html")).unwrap();
        let quoted: Vec<&str> = document.split('"').skip(1).step_by(2).collect();
        let [start, hash, worker, hashes] = quoted[..] else { panic!("{document}") };
        // As sha256sum begins.
        assert_eq!(start, "./start-cced28c6dc3f99c2.js");
        assert_eq!(hash.len(), "sha384-".len() + 64);
        assert_eq!(hashes.split(' ').count(), 2);
        let folder_of = folder.join(worker).parent().unwrap().to_owned();
        for file in ["worker_loader.js", "worker.js", "worker_bg.wasm", "snippets/a-1/f.js"] {
            assert!(folder_of.join(file).is_file(), "{file}");
        }
        assert!(!folder.join("snippets").exists() && !folder.join("worker.js").exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        for (document, named) in [
            ("[[hashed gone.js]]", "gone.js"),
            ("[[minified start.js]]", "unknown request [[minified"),
            ("[[start.js]]", "two words"),
        ] {
            let folder = staged("wrong", document);
            let error = format!("{:#}", finish(&folder).unwrap_err());
            assert!(error.contains(named), "{error}");
            fs::remove_dir_all(folder).unwrap();
        }
    }
}
