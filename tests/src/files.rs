//! Files that tests read, write and compare.

use std::fs;
use std::path::{Path, PathBuf};

use clove::model::{ClipConfig, RandomInit};
use clove::preprocess::Preprocess;
use clove::weights::{
    InMemory, Layout, ModelSource, OutputDir, Precision, Snapshot, WeightsError, write_model,
};
use clove_data::run::Companions;
use clove_lab::{preprocess, tokenizer_json};
use safetensors::SafeTensors;
use serde_json::Value;

/// The f32 values of a tensor in a safetensors file, with its shape.
pub fn floats(file: &Path, tensor: &str) -> (Vec<f32>, Vec<usize>) {
    let bytes = fs::read(file).expect("a golden file");
    let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let view = tensors.tensor(tensor).expect("a tensor of this name");
    assert_eq!(view.dtype(), safetensors::Dtype::F32);
    (bytemuck::pod_collect_to_vec(view.data()), view.shape().to_vec())
}

/// Replaces an element of a tensor of f32 in a safetensors file.
pub fn set(file: &Path, tensor: &str, element: usize, value: f32) {
    let mut bytes = fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let view = tensors.tensor(tensor).unwrap();
    assert_eq!(view.dtype(), safetensors::Dtype::F32);
    let start = view.data().as_ptr() as usize - bytes.as_ptr() as usize + 4 * element;
    bytes[start..start + 4].copy_from_slice(&value.to_le_bytes());
    fs::write(file, bytes).unwrap();
}

/// A JSON file.
pub fn json(file: &Path) -> Value {
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The strings of a JSON array.
pub fn strings(array: &Value) -> Vec<String> {
    array.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The values of a file of JSON lines.
pub fn json_lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The content of a golden file; with `CLOVE_WRITE_GOLDEN=1`, `found` is written to it first.
pub fn held(file: &Path, found: impl FnOnce() -> String) -> String {
    if super::is_set("CLOVE_WRITE_GOLDEN") {
        fs::write(file, found()).unwrap();
    }
    fs::read_to_string(file).unwrap()
}

/// The weights in a model's directory of either layout.
pub fn weights_file(dir: &Path) -> PathBuf {
    let single = dir.join("model.safetensors");
    if single.exists() { single } else { dir.join("open_clip_model.safetensors") }
}

/// Writes a model in a layout and a precision to a folder, in place of the model there.
///
/// # Errors
/// When the model can't be read or written.
pub fn convert(
    source: &ModelSource,
    layout: Layout,
    precision: Precision,
    dir: &Path,
) -> Result<(), WeightsError> {
    let out = OutputDir::claim(dir, true, &[])?;
    write_model(source, layout, precision, &out)?;
    out.commit()
}

/// Writes a model with random weights to a new directory in open_clip's layout; returns the file of its weights.
pub fn random_open_clip(dir: &Path, config: &ClipConfig) -> PathBuf {
    let Ok(snapshot) = Snapshot::from_parameters(config, &mut RandomInit::new(config, 0));
    let weights = snapshot.write_hugging_face(Vec::new(), Precision::F32).unwrap();
    let preprocess = Preprocess::clip(config.image.image_size as u32).unwrap();
    let texts = snapshot.hugging_face_configs(&preprocess);
    let texts = texts.map(|(name, text)| (name, text.into_bytes()));
    let files = texts.into_iter().chain([("model.safetensors", weights)]);
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes.into())).collect();
    let source = ModelSource::open(Box::new(InMemory { name: "made".to_owned(), files })).unwrap();
    convert(&source, Layout::OpenClip, Precision::Unchanged, dir).unwrap();
    weights_file(dir)
}

/// Cuts the context of a Hugging Face model of f32, as Netflix/clove does before training (src/training/utils.py:91-97).
pub fn cut_context(dir: &Path, context: usize) {
    let source = super::model(dir);
    let mut weights = source.weights().unwrap();
    let snapshot = Snapshot::from_parameters(source.config(), &mut weights).unwrap();
    let snapshot = snapshot.with_context(context);
    let file = snapshot.write_hugging_face(Vec::new(), Precision::F32).unwrap();
    let [(config, text), _] = snapshot.hugging_face_configs(&source.preprocess().unwrap());
    fs::write(weights_file(dir), file).unwrap();
    fs::write(dir.join(config), text).unwrap();
}

/// Copies a folder and everything below it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// A tar file of members.
pub fn tar<N: AsRef<Path>, B: AsRef<[u8]>>(members: impl IntoIterator<Item = (N, B)>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let bytes: &[u8] = bytes.as_ref();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The JSON members of a tar file.
pub fn json_members(file: &Path) -> Vec<Value> {
    let mut archive = tar::Archive::new(fs::File::open(file).unwrap());
    let members = archive.entries().unwrap().map(Result::unwrap);
    members
        .filter(|member| member.path().unwrap().extension().is_some_and(|end| end == "json"))
        .map(|member| serde_json::from_reader(member).unwrap())
        .collect()
}

/// A PNG that ends after its header of `width` x `height` RGB pixels.
pub fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    // PNG's checksum, CRC-32.
    let step = |crc: u32, _| {
        if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
    };
    let crc = header.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step));
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(&header);
    png.extend((!crc).to_be_bytes());
    png
}

/// The files that lie beside the weights of the scene models.
pub fn companions() -> Companions {
    Companions { preprocess: preprocess().unwrap(), tokenizer: Some(tokenizer_json()) }
}
