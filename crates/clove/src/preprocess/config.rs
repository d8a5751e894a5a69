//! Reads a model's preprocessing from Hugging Face's preprocessor_config.json or processor_config.json, or from open_clip's
//! open_clip_config.json.
//!
//! A setting that the references support and this module doesn't is an error.

use serde_json::{Map, Value};

use super::{CenterCrop, Filter, OPENAI_MEAN, OPENAI_STD, Preprocess, Resize};
pub use crate::config::ConfigError;
use crate::config::{Section, parse};

/// Default side of the image, in pixels (transformers' CLIPImageProcessor; open_clip's CLIPVisionCfg).
const DEFAULT_SIZE: u32 = 224;

/// Processor types that have CLIP's defaults. Others have different ones, so missing keys can't be filled in.
const CLIP_PROCESSORS: [&str; 4] = [
    "CLIPImageProcessor",
    "CLIPImageProcessorFast",
    "CLIPImageProcessorPil",
    "CLIPFeatureExtractor",
];

impl Preprocess {
    /// Reads the text of a Hugging Face `preprocessor_config.json` of a CLIP model.
    ///
    /// Missing and null keys take CLIPImageProcessor's defaults. The filter is bicubic (`"resample": 3`) or bilinear (2).
    ///
    /// # Errors
    /// Text that isn't JSON; a value that isn't supported, named with its key, such as padding or a crop that isn't square.
    pub fn from_hugging_face(json: &str) -> Result<Self, ConfigError> {
        Self::from_image_processor(&Section::new(&parse(json)?))
    }

    /// Reads the text of a Hugging Face `processor_config.json`, which since transformers 5 has the image processor's settings under
    /// `image_processor`. `None` if it hasn't, as in earlier versions: the settings are in `preprocessor_config.json`.
    ///
    /// # Errors
    /// As [`Self::from_hugging_face`].
    // Source: transformers 5 (src/transformers/processing_utils.py, `ProcessorMixin.save_pretrained`).
    pub fn from_hugging_face_processor(json: &str) -> Result<Option<Self>, ConfigError> {
        let root = parse(json)?;
        let config = Section::new(&root);
        if config.get("image_processor").is_none() {
            return Ok(None);
        }
        Self::from_image_processor(&config.section("image_processor")?).map(Some)
    }

    fn from_image_processor(config: &Section) -> Result<Self, ConfigError> {
        for key in ["image_processor_type", "feature_extractor_type"] {
            let name = config.read(key, "use a string", Value::as_str)?;
            if name.is_some_and(|name| !CLIP_PROCESSORS.contains(&name)) {
                return Err(config.error(key, "only CLIPImageProcessor's settings are supported"));
            }
        }
        if config.flag("do_pad", false)? {
            return Err(config.error("do_pad", "padding is not supported; use false"));
        }
        let resize = if config.flag("do_resize", true)? {
            hugging_face_resize(config)?
        } else {
            Resize::Keep
        };
        let size = if config.flag("do_center_crop", true)? {
            let wanted = "use a number, or a height and a width that are equal";
            let read = |size: &Value| size.as_object().map_or_else(|| side(size), square);
            config.read("crop_size", wanted, read)?.unwrap_or(DEFAULT_SIZE)
        } else if let Resize::Square(side) = resize {
            side
        } else {
            let wanted = "without a crop, size must be a height and a width that are equal";
            return Err(config.error("do_center_crop", wanted));
        };
        let filter = |number: &Value| match number.as_u64()? {
            3 => Some(Filter::Bicubic),
            2 => Some(Filter::Bilinear),
            _ => None,
        };
        let wanted = "only 3 (bicubic) and 2 (bilinear) are supported";
        let filter = config.read("resample", wanted, filter)?.unwrap_or(Filter::Bicubic);
        let (mean, std) = if config.flag("do_normalize", true)? {
            let mean = channels(config, "image_mean")?.unwrap_or(OPENAI_MEAN);
            (mean, channels(config, "image_std")?.unwrap_or(OPENAI_STD))
        } else {
            ([0.0; 3], [1.0; 3])
        };
        let rescale = if config.flag("do_rescale", true)? {
            let factor = config.read("rescale_factor", "use a number", Value::as_f64)?;
            factor.unwrap_or(1.0 / 255.0)
        } else {
            1.0
        };
        Ok(Self::clip(size)?.with_resize(resize, filter)?.with_normalisation(mean, std, rescale)?)
    }

    /// Reads the text of an `open_clip_config.json`: `preprocess_cfg`, and `model_cfg.vision_cfg.image_size`.
    ///
    /// Missing and null keys take open_clip's defaults (PreprocessCfg). As in open_clip's factory, the model's image size takes
    /// precedence over `preprocess_cfg.size`, and the `interpolation` random means bicubic; `resize_mode` is shortest or squash.
    ///
    /// # Errors
    /// Text that isn't JSON; a value that isn't supported, named with its key.
    pub fn from_open_clip(json: &str) -> Result<Self, ConfigError> {
        let root = parse(json)?;
        let root = Section::new(&root);
        let config = root.section("preprocess_cfg")?;
        let vision = root.section("model_cfg")?.section("vision_cfg")?;

        let is_rgb = |mode: &Value| (mode == "RGB").then_some(());
        config.read("mode", "only \"RGB\" is supported", is_rgb)?;
        let size = match open_clip_size(&vision, "image_size")? {
            Some(size) => size,
            None => open_clip_size(&config, "size")?.unwrap_or(DEFAULT_SIZE),
        };
        let resize = |mode: &Value| match mode.as_str()? {
            "shortest" => Some(Resize::ShortestEdge(size)),
            "squash" => Some(Resize::Square(size)),
            _ => None,
        };
        let wanted = "only \"shortest\" and \"squash\" are supported";
        let resize = config.read("resize_mode", wanted, resize)?;
        let filter = |name: &Value| match name.as_str()? {
            "bicubic" | "random" => Some(Filter::Bicubic),
            "bilinear" => Some(Filter::Bilinear),
            _ => None,
        };
        let wanted = "only \"bicubic\" and \"bilinear\" are supported";
        let filter = config.read("interpolation", wanted, filter)?.unwrap_or(Filter::Bicubic);
        let mean = channels(&config, "mean")?.unwrap_or(OPENAI_MEAN);
        let std = channels(&config, "std")?.unwrap_or(OPENAI_STD);
        let clip = Self::clip(size)?.with_center_crop(CenterCrop::Torchvision);
        let resized = clip.with_resize(resize.unwrap_or(Resize::ShortestEdge(size)), filter)?;
        Ok(resized.with_normalisation(mean, std, 1.0 / 255.0)?)
    }
}

/// `size` as transformers reads it: a number is the shortest edge unless `default_to_square`.
// Source: transformers/image_processing_utils.py (`get_size_dict`).
fn hugging_face_resize(config: &Section) -> Result<Resize, ConfigError> {
    let to_square = config.flag("default_to_square", false)?;
    let read = |size: &Value| match (size, size.get("shortest_edge")) {
        (Value::Object(sides), Some(edge)) if stated(sides) == 1 => {
            side(edge).map(Resize::ShortestEdge)
        }
        (Value::Object(sides), _) => square(sides).map(Resize::Square),
        _ if to_square => side(size).map(Resize::Square),
        _ => side(size).map(Resize::ShortestEdge),
    };
    let wanted = "use a number, {\"shortest_edge\"}, or {\"height\", \"width\"} that are equal";
    Ok(config.read("size", wanted, read)?.unwrap_or(Resize::ShortestEdge(DEFAULT_SIZE)))
}

/// A whole number of pixels.
fn side(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}

/// The side of `{"height": n, "width": n}`.
fn square(sides: &Map<String, Value>) -> Option<u32> {
    let height = side(sides.get("height")?)?;
    let width = side(sides.get("width")?)?;
    (height == width && stated(sides) == 2).then_some(height)
}

/// The number of sides that aren't null.
fn stated(sides: &Map<String, Value>) -> usize {
    sides.values().filter(|side| !side.is_null()).count()
}

/// Three numbers, or one for all channels.
fn channels(section: &Section, key: &str) -> Result<Option<[f32; 3]>, ConfigError> {
    let number = |value: &Value| value.as_f64().map(|number| number as f32);
    let read = |value: &Value| match value {
        Value::Array(list) => {
            list.iter().map(number).collect::<Option<Vec<f32>>>()?.try_into().ok()
        }
        value => number(value).map(|number| [number; 3]),
    };
    section.read(key, "use a list of three numbers", read)
}

/// A number, or a height and a width that are equal.
fn open_clip_size(section: &Section, key: &str) -> Result<Option<u32>, ConfigError> {
    let read = |value: &Value| match value.as_array().map(Vec::as_slice) {
        None => side(value),
        Some([height, width]) if height == width => side(height),
        Some(_) => None,
    };
    section.read(key, "use a number, or two that are equal", read)
}
