//! The small files beside a model's weights: their names, reading and copying them.

use std::io::Read as _;
use std::path::Path;

use super::names::Layout;
use super::source::ModelSource;
use super::{ModelFiles, Problem, WeightsError, write_file};

/// The preprocessing in transformers' layout: since version 5 within `processor_config.json`, before in a file of its own.
pub(super) const PROCESSOR: &str = "processor_config.json";
pub(super) const PREPROCESS: &str = "preprocessor_config.json";

/// The tokenizer in one file.
pub(super) const TOKENIZER: &str = "tokenizer.json";
/// The tokenizer in several files.
pub(super) const VOCABULARY: &str = "vocab.json";
pub(super) const MERGES: &str = "merges.txt";
pub(super) const ADDED: &str = "added_tokens.json";

/// Every file that a model may be read from, except its weights.
pub const SMALL_FILES: [&str; 8] = [
    "config.json",
    "open_clip_config.json",
    PROCESSOR,
    PREPROCESS,
    TOKENIZER,
    VOCABULARY,
    MERGES,
    ADDED,
];

/// The beginning of the text that Git checks out for a file in Git LFS.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What some editors on Windows write before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Configuration files are some kilobytes, tokenizers some megabytes.
const LARGEST_TEXT: u64 = 64 << 20;

/// The problem of a file that is a pointer to its content.
pub(super) fn lfs_pointer() -> Problem {
    let reason = "this is a Git LFS pointer to the file; run `git lfs pull` in its repository";
    Problem::Malformed(reason.to_owned())
}

/// A file's bytes; `None` if it doesn't exist.
pub(super) fn read_whole(
    files: &dyn ModelFiles,
    name: &str,
) -> Result<Option<Vec<u8>>, WeightsError> {
    let failed = |error| Problem::Read(error).of(files.describe(name));
    let Some(reader) = files.open(name).map_err(failed)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    reader.take(LARGEST_TEXT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST_TEXT {
        let reason = format!("larger than {LARGEST_TEXT} bytes");
        return Err(Problem::Malformed(reason).of(files.describe(name)));
    }
    if bytes.starts_with(LFS_POINTER) {
        return Err(lfs_pointer().of(files.describe(name)));
    }
    Ok(Some(bytes))
}

/// A file's text, without a byte order mark; `None` if it doesn't exist.
pub(super) fn read_text(
    files: &dyn ModelFiles,
    name: &str,
) -> Result<Option<String>, WeightsError> {
    let Some(mut bytes) = read_whole(files, name)? else {
        return Ok(None);
    };
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|error| Problem::Malformed(format!("not UTF-8: {error}")).of(files.describe(name)))
}

/// Whether a file describes a model in any layout: its tokenizer, its description or its licence.
fn fits_any_layout(name: &str) -> bool {
    let tokenizer =
        [TOKENIZER, VOCABULARY, MERGES, ADDED, "tokenizer_config.json", "special_tokens_map.json"];
    let stem = name.strip_suffix(".md").or_else(|| name.strip_suffix(".txt")).unwrap_or(name);
    tokenizer.contains(&name) || ["README", "LICENSE", "LICENCE", "NOTICE"].contains(&stem)
}

/// Whether a name is that of a model's file, in either layout and with any library's weights, or one that systems add to folders.
pub(super) fn is_of_a_model(name: &str) -> bool {
    const OTHERS: [&str; 7] = [
        "generation_config.json",
        "manifest.json",
        "sweep.json",
        ".gitattributes",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
    ];
    let is_weights = ["model", "open_clip_model", "pytorch_model", "open_clip_pytorch_model"]
        .iter()
        .any(|stem| name.starts_with(stem))
        && [".safetensors", ".bin", ".index.json"].iter().any(|end| name.ends_with(end));
    is_weights || fits_any_layout(name) || SMALL_FILES.contains(&name) || OTHERS.contains(&name)
}

/// Copies the model's small files byte for byte to `out`, for weights in the same layout.
pub(crate) fn copy_unchanged(source: &ModelSource, out: &Path) -> Result<(), WeightsError> {
    let own = [source.layout().config_file(), PROCESSOR, PREPROCESS];
    copy(source, out, |name| fits_any_layout(name) || own.contains(&name))
}

/// Copies the small files that don't depend on the layout.
pub(super) fn copy_for_other_layout(source: &ModelSource, out: &Path) -> Result<(), WeightsError> {
    copy(source, out, fits_any_layout)
}

fn copy(
    source: &ModelSource,
    out: &Path,
    is_chosen: impl Fn(&str) -> bool,
) -> Result<(), WeightsError> {
    for name in source.files().names().iter().filter(|name| is_chosen(name)) {
        if let Some(bytes) = read_whole(source.files(), name)? {
            write_file(&out.join(name), bytes)?;
        }
    }
    Ok(())
}

/// Whether a folder has the configuration of a model.
pub(super) fn has_config(dir: &Path) -> bool {
    [Layout::HuggingFace, Layout::OpenClip]
        .iter()
        .any(|layout| dir.join(layout.config_file()).is_file())
}
