//! Writes a model directory in either layout.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::WeightsError;
use super::dtype::{decode_f32, encode_f32};
use super::names::{Layout, Stored, parameters};
use super::source::{ModelSource, transpose};
use super::tensors::{Dtype, TensorWriter};
use crate::preprocess::{Filter, Preprocess, Resize};

/// The type of the elements that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As they're read.
    Unchanged,
    /// 32 bits.
    F32,
    /// 16 bits, rounded to the nearest.
    F16,
}

impl Precision {
    pub(super) fn of(self, found: Dtype) -> Dtype {
        match self {
            Self::Unchanged => found,
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
        }
    }
}

/// A file that appears under its name only when it's complete: written beside it, then renamed.
///
/// A link is followed, and what's no file (a device, a pipe) is written to as it stands: renaming over it would replace it.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    temporary: Option<PathBuf>,
    file: Option<BufWriter<File>>,
}

impl AtomicFile {
    /// Starts `path`; its directory is made if it isn't there.
    ///
    /// # Errors
    /// When the directory or the file can't be made.
    pub fn create(path: &Path) -> Result<Self, WeightsError> {
        let failed = |source| WeightsError::Write { file: path.display().to_string(), source };
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let (temporary, file) = match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            Ok(found) if !found.is_file() => {
                let file = File::options().write(true).open(path).map_err(failed)?;
                (None, file)
            }
            _ => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent).map_err(failed)?;
                }
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let temporary =
                    path.with_file_name(format!(".{name}.{}.partial", std::process::id()));
                let file = File::create(&temporary).map_err(failed)?;
                (Some(temporary), file)
            }
        };
        Ok(Self {
            path: path.clone(),
            temporary,
            file: Some(BufWriter::with_capacity(1 << 18, file)),
        })
    }

    /// The system's error with this file's name.
    #[must_use]
    pub fn failed(path: &Path, source: io::Error) -> WeightsError {
        WeightsError::Write { file: path.display().to_string(), source }
    }

    /// Puts the file under its name. Like `cp`, it leaves it to the system when the bytes reach the disk.
    ///
    /// # Errors
    /// When the last bytes can't be written, or the file can't be renamed.
    pub fn commit(mut self) -> Result<(), WeightsError> {
        let Some(writer) = self.file.take() else {
            return Ok(());
        };
        writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|_| match self.temporary.take() {
                Some(temporary) => fs::rename(temporary, &self.path),
                None => Ok(()),
            })
            .map_err(|source| Self::failed(&self.path, source))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(buffer),
            None => Err(io::Error::other("the file is committed")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.flush(),
            None => Ok(()),
        }
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // It wasn't committed. Nothing can be done about a failure here.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Writes one small file, atomically.
fn write_file(path: &Path, bytes: &[u8]) -> Result<(), WeightsError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(|source| AtomicFile::failed(path, source))?;
    file.commit()
}

/// Copies the small files of a model (configuration, preprocessing, tokenizer, licence) byte for byte to `out`; weights,
/// pickles and anything larger than 64 MB stay behind.
///
/// # Errors
/// When a file can't be read or written.
pub fn copy_unchanged(source: &ModelSource, out: &Path) -> Result<(), WeightsError> {
    for name in source.files().names() {
        if Path::new(&name)
            .extension()
            .is_some_and(|kind| kind == "json" || kind == "txt" || kind == "md")
            && !name.ends_with(".index.json")
        {
            copy_file(source, &name, out)?;
        }
    }
    Ok(())
}

fn copy_file(source: &ModelSource, name: &str, out: &Path) -> Result<(), WeightsError> {
    let read = |error| WeightsError::Read { file: source.files().describe(name), source: error };
    if let Some(mut file) = source.files().open(name).map_err(read)? {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(read)?;
        write_file(&out.join(name), &bytes)?;
    }
    Ok(())
}

/// Writes `source` to the directory `out` in another layout (or the same one) and precision.
///
/// Parameters pass through one at a time. With [`Precision::Unchanged`] every number keeps its bits.
///
/// # Errors
/// When the source can't be read, the output can't be written, or the layout can't express the model.
pub fn write_model(
    source: &ModelSource,
    layout: Layout,
    precision: Precision,
    out: &Path,
) -> Result<(), WeightsError> {
    refuse_place(source, layout, out)?;
    let mut weights = source.weights()?;
    // Everything that can be refused is refused before the first byte is written.
    let configs =
        if layout == source.layout() { None } else { Some(configuration(source, layout)?) };

    let mut entries = Vec::new();
    for (parameter, shape) in parameters(source.config()) {
        let dtype = weights_dtype(&weights, source.layout(), &parameter);
        let stored = layout.stored(&parameter);
        for name in stored.names() {
            entries.push((name.clone(), precision.of(dtype), stored.shape(&shape)));
        }
    }
    let path = out.join(weights_name(layout));
    let failed = |error| AtomicFile::failed(&path, error);
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let file = AtomicFile::create(&path)?;
    let mut writer = TensorWriter::new(file, &entries, Some(metadata)).map_err(failed)?;
    for (parameter, shape) in parameters(source.config()) {
        let (found, bytes) = weights.bytes(&parameter, &shape)?;
        let bytes = recode(found, precision.of(found), bytes);
        let stored = layout.stored(&parameter);
        match stored {
            // Rows follow each other in memory as in the file.
            Stored::Whole(_) | Stored::Rows(_) => writer.write(&bytes).map_err(failed)?,
            Stored::Transposed(_) => {
                let size = precision.of(found).bitsize() / 8;
                writer.write(&transpose(&bytes, &shape, size)).map_err(failed)?;
            }
        }
    }
    writer.finish().map_err(failed)?.commit()?;

    match configs {
        None => copy_unchanged(source, out),
        Some(configs) => {
            for (name, config) in configs {
                write_json(&out.join(name), &config)?;
            }
            copy_file(source, "tokenizer.json", out)
        }
    }
}

/// Refuses to write over the source, and beside a model of the other layout, where no reader could tell which is meant.
fn refuse_place(source: &ModelSource, layout: Layout, out: &Path) -> Result<(), WeightsError> {
    let refuse = |reason: &str| WeightsError::NotAModel {
        place: out.display().to_string(),
        reason: reason.to_owned(),
    };
    if is_same_place(source, out) {
        return Err(refuse("this is the model that is read; write the new one elsewhere"));
    }
    let other = match layout {
        Layout::HuggingFace => "open_clip_config.json",
        Layout::OpenClip => "config.json",
    };
    if out.join(other).exists() {
        return Err(refuse("a model of the other layout stands here; write the new one elsewhere"));
    }
    Ok(())
}

/// Whether `out` is the directory that `source` is read from.
pub(crate) fn is_same_place(source: &ModelSource, out: &Path) -> bool {
    match (out.canonicalize(), Path::new(&source.place()).canonicalize()) {
        (Ok(out), Ok(place)) => out == place,
        _ => false,
    }
}

/// The configuration files of `source` in another layout.
fn configuration(
    source: &ModelSource,
    layout: Layout,
) -> Result<Vec<(&'static str, Value)>, WeightsError> {
    let preprocess = source.preprocess()?;
    let config_file = source.files().describe(source.config_file().0);
    match layout {
        Layout::HuggingFace => Ok(vec![
            ("config.json", source.config().to_hugging_face()),
            ("preprocessor_config.json", hugging_face_preprocess(&preprocess)),
        ]),
        Layout::OpenClip => {
            let model = source.config().to_open_clip().map_err(|error| WeightsError::Config {
                file: config_file.clone(),
                source: error,
            })?;
            let preprocess = open_clip_preprocess(&preprocess)
                .map_err(|reason| WeightsError::Malformed { file: source.place(), reason })?;
            Ok(vec![(
                "open_clip_config.json",
                json!({ "model_cfg": model, "preprocess_cfg": preprocess }),
            )])
        }
    }
}

fn weights_name(layout: Layout) -> &'static str {
    match layout {
        Layout::HuggingFace => "model.safetensors",
        Layout::OpenClip => "open_clip_model.safetensors",
    }
}

/// The type that [`super::Weights::bytes`] will give for a parameter.
fn weights_dtype(weights: &super::Weights, layout: Layout, parameter: &str) -> Dtype {
    let stored = layout.stored(parameter);
    let mut types = stored
        .names()
        .iter()
        .filter_map(|name| weights.tensors().info(name).map(|(dtype, _)| dtype));
    let first = types.next().unwrap_or(Dtype::F32);
    if types.all(|dtype| dtype == first) { first } else { Dtype::F32 }
}

/// The same numbers in another type; the same bytes where the type is the same.
pub(crate) fn recode(from: Dtype, to: Dtype, bytes: Vec<u8>) -> Vec<u8> {
    if from == to {
        return bytes;
    }
    let mut values = vec![0.0; bytes.len() * 8 / from.bitsize()];
    let mut recoded = Vec::new();
    decode_f32(from, &bytes, &mut values)
        .and_then(|()| encode_f32(to, &values, &mut recoded))
        .expect("types were checked when the weights were opened");
    recoded
}

fn write_json(path: &Path, value: &Value) -> Result<(), WeightsError> {
    let mut text = format!("{value:#}");
    text.push('\n');
    write_file(path, text.as_bytes())
}

/// f32 constants as the shortest decimals that give them back, not as the f64 nearest to them.
fn decimals(values: [f32; 3]) -> Value {
    values
        .iter()
        .map(|value| value.to_string().parse::<f64>().map_or(Value::Null, Value::from))
        .collect()
}

fn interpolation(filter: Filter) -> (&'static str, u8) {
    match filter {
        Filter::Bicubic => ("bicubic", 3),
        Filter::Bilinear => ("bilinear", 2),
    }
}

/// What open_clip can't express is said in words.
fn open_clip_preprocess(preprocess: &Preprocess) -> Result<Value, String> {
    let size = preprocess.size();
    let mode = match preprocess.resize() {
        Resize::ShortestEdge(edge) if edge == size => "shortest",
        Resize::Square(edge) if edge == size => "squash",
        other => {
            return Err(format!(
                "open_clip can't express the resize {other:?} before a crop of {size} pixels"
            ));
        }
    };
    if (preprocess.rescale() * 255.0 - 1.0).abs() > 1e-6 {
        return Err(format!(
            "open_clip divides pixels by 255, this model multiplies them by {}",
            preprocess.rescale()
        ));
    }
    Ok(json!({
        "size": size,
        "mode": "RGB",
        "mean": decimals(preprocess.mean()),
        "std": decimals(preprocess.std()),
        "interpolation": interpolation(preprocess.filter()).0,
        "resize_mode": mode,
    }))
}

pub(super) fn hugging_face_preprocess(preprocess: &Preprocess) -> Value {
    let crop = preprocess.size();
    let (resize, size) = match preprocess.resize() {
        Resize::Keep => (false, json!({ "shortest_edge": crop })),
        Resize::ShortestEdge(edge) => (true, json!({ "shortest_edge": edge })),
        Resize::Square(edge) => (true, json!({ "height": edge, "width": edge })),
    };
    json!({
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": true,
        "do_resize": resize,
        "do_center_crop": true,
        "do_rescale": true,
        "do_normalize": true,
        "size": size,
        "crop_size": { "height": crop, "width": crop },
        "resample": interpolation(preprocess.filter()).1,
        "rescale_factor": preprocess.rescale(),
        "image_mean": decimals(preprocess.mean()),
        "image_std": decimals(preprocess.std()),
    })
}
