//! Finishes a build of the browser program: every file but the document and the service worker gets a name that changes with
//! its content, and what the document starts is held to its hash.
//!
//! trunk calls this before it puts a build in its place (`web/Trunk.toml`). It names the page's own program by content, but no
//! worker and no copied file; a new page with an old engine would be the result of an update at the wrong moment.
//!
//! The document says what it wants in brackets: `[[hashed FILE]]` is the file's new name, `[[integrity FILE]]` its hash for an
//! `integrity` attribute, `[[engine NAME]]` the script that starts a worker, and `[[engine-integrity NAME]]` the hashes of that
//! script and of the one that it imports.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256, Sha384};

/// Finishes the build that lies in `staging`.
///
/// # Errors
/// When a file that the document names isn't there, or can't be read or written.
pub fn finish(staging: &Path) -> Result<()> {
    let file = staging.join("index.html");
    let mut document = read_text(&file)?;
    let mut engines = BTreeMap::new();
    let mut hashed = BTreeMap::new();
    while let Some((start, end)) = wish(&document) {
        let words = document[start + 2..end].to_owned();
        let (what, name) = words
            .split_once(' ')
            .with_context(|| format!("[[{words}]] in index.html: two words are understood"))?;
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
            _ => bail!("[[{words}]] in index.html: {what} isn't known"),
        };
        document.replace_range(start..end + 2, &answer);
    }
    // Shared by the engines that have been given their own.
    let snippets = staging.join("snippets");
    if snippets.is_dir() {
        fs::remove_dir_all(&snippets).with_context(|| snippets.display().to_string())?;
    }
    write(&file, &document)
}

/// Where the first wish of the document begins and ends.
fn wish(document: &str) -> Option<(usize, usize)> {
    let start = document.find("[[")?;
    let length = document[start..].find("]]")?;
    Some((start, start + length))
}

/// Gives a file a name with its hash.
fn rename(staging: &Path, name: &str) -> Result<String> {
    let old = staging.join(name);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let new = format!("{stem}-{}.{extension}", short(&read(&old)?));
    fs::rename(&old, staging.join(&new)).with_context(|| old.display().to_string())?;
    Ok(new)
}

/// Moves a worker's files into a folder whose name holds the hash of all of them: they name each other, and go on doing so.
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
    fs::create_dir_all(&to).with_context(|| to.display().to_string())?;
    for moved in [&glue_name, &wasm_name] {
        fs::rename(staging.join(moved), to.join(moved)).with_context(|| moved.clone())?;
    }
    for (path, bytes) in snippets {
        let file = to.join(&path);
        let parent = file.parent().unwrap_or(&to);
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        fs::write(&file, bytes).with_context(|| file.display().to_string())?;
    }
    write(&to.join(&loader_name), &loader)?;
    let old = staging.join(&loader_name);
    if old.is_file() {
        fs::remove_file(&old).with_context(|| old.display().to_string())?;
    }
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

fn short(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Enough of a hash for a name.
fn hex(hash: &[u8]) -> String {
    let mut text = String::new();
    for byte in &hash[..8] {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
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
            ("[[minified start.js]]", "minified isn't known"),
            ("[[start.js]]", "two words"),
        ] {
            let folder = staged("wrong", document);
            let error = format!("{:#}", finish(&folder).unwrap_err());
            assert!(error.contains(named), "{error}");
            fs::remove_dir_all(folder).unwrap();
        }
    }
}
