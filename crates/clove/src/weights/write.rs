//! Writes a model directory in either layout.

use std::path::Path;

use serde_json::{Value, json};

use super::checked::transpose;
use super::companions::{PREPROCESS, copy_for_other_layout, copy_unchanged};
use super::dtype::{decode_f32, encode_finite};
use super::durable::{AtomicFile, write_file};
use super::names::{Layout, Stored, parameters};
use super::output::OutputDir;
use super::source::ModelSource;
use super::tensors::{Dtype, TensorWriter};
use super::{Problem, WeightsError};
use crate::model::ClipConfig;
use crate::preprocess::{Filter, Preprocess, Resize};

/// The element type of written weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// The type of the source.
    Unchanged,
    /// 32 bits.
    F32,
    /// 16 bits, rounded to nearest.
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

/// Writes `source` in another layout (or the same one) and precision.
///
/// Memory holds one parameter at a time. With [`Precision::Unchanged`] every number keeps its bits.
///
/// # Errors
/// When the source can't be read, the output can't be written, an element isn't finite in the precision, or the layout can't express the
/// model.
pub fn write_model(
    source: &ModelSource,
    layout: Layout,
    precision: Precision,
    out: &OutputDir,
) -> Result<(), WeightsError> {
    write_files(source, layout, precision, out.path()).map_err(|error| out.naming(error))
}

fn write_files(
    source: &ModelSource,
    layout: Layout,
    precision: Precision,
    out: &Path,
) -> Result<(), WeightsError> {
    let mut weights = source.weights()?;
    // All checks come before the first byte is written.
    let configs =
        if layout == source.layout() { None } else { Some(configuration(source, layout)?) };

    let dtype = |parameter: &str| precision.of(weights.dtype(parameter));
    let entries = layout.tensors(source.config(), dtype);
    let path = out.join(layout.weights_file());
    let failed = |error| AtomicFile::failed(&path, error);
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let file = AtomicFile::create(&path)?;
    let mut writer = TensorWriter::new(file, &entries, Some(metadata)).map_err(failed)?;
    for (parameter, shape) in parameters(source.config()) {
        let (found, bytes) = weights.bytes(&parameter, &shape)?;
        let names = source.layout().stored(&parameter);
        let mut bytes = recode(names.names(), found, precision.of(found), bytes)
            .map_err(|problem| problem.of(weights.tensors().describe()))?;
        if let Stored::Transposed(_) = layout.stored(&parameter) {
            bytes = transpose(&bytes, &shape, precision.of(found).bitsize() / 8);
        }
        writer.write(&bytes).map_err(failed)?;
    }
    writer.finish().map_err(failed)?.commit()?;

    match configs {
        None => copy_unchanged(source, out),
        Some(configs) => {
            for (name, config) in configs {
                write_file(&out.join(name), format!("{config:#}\n"))?;
            }
            copy_for_other_layout(source, out)
        }
    }
}

/// The configuration files of `source` in another layout.
fn configuration(
    source: &ModelSource,
    layout: Layout,
) -> Result<Vec<(&'static str, Value)>, WeightsError> {
    let preprocess = source.preprocess()?;
    let file = source.files().describe(source.layout().config_file());
    match layout {
        Layout::HuggingFace => Ok(hugging_face_configs(source.config(), &preprocess).into()),
        Layout::OpenClip => {
            let model =
                source.config().to_open_clip().map_err(|error| Problem::Config(error).of(file))?;
            let preprocess = open_clip_preprocess(&preprocess)
                .map_err(|reason| Problem::Malformed(reason).of(source.place()))?;
            Ok(vec![(
                layout.config_file(),
                json!({ "model_cfg": model, "preprocess_cfg": preprocess }),
            )])
        }
    }
}

/// Converts the elements of tensors to another type.
fn recode(names: &[String], from: Dtype, to: Dtype, bytes: Vec<u8>) -> Result<Vec<u8>, Problem> {
    if from == to {
        return Ok(bytes);
    }
    let mut values = vec![0.0; bytes.len() * 8 / from.bitsize()];
    decode_f32(from, &bytes, &mut values).expect("types were checked when the weights were opened");
    let mut recoded = bytes;
    encode_finite(names, to, &values, &mut recoded)?;
    Ok(recoded)
}

/// f32 constants as the shortest decimals that parse to them, instead of as the nearest f64.
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

/// The preprocessing for open_clip, or why it can't express it.
fn open_clip_preprocess(preprocess: &Preprocess) -> Result<Value, String> {
    let size = preprocess.size();
    let mode = match preprocess.resize() {
        Resize::ShortestEdge(edge) if edge == size => "shortest",
        Resize::Square(edge) if edge == size => "squash",
        other => {
            return Err(format!(
                "open_clip has no resize {other:?} before a crop of {size} pixels"
            ));
        }
    };
    if (preprocess.rescale() * 255.0 - 1.0).abs() > 1e-6 {
        return Err(format!(
            "open_clip divides pixels by 255; this model multiplies them by {}",
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

/// The configuration files of a Hugging Face model: names and contents.
pub(super) fn hugging_face_configs(
    config: &ClipConfig,
    preprocess: &Preprocess,
) -> [(&'static str, Value); 2] {
    [
        (Layout::HuggingFace.config_file(), config.to_hugging_face()),
        (PREPROCESS, hugging_face_preprocess(preprocess)),
    ]
}

fn hugging_face_preprocess(preprocess: &Preprocess) -> Value {
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
