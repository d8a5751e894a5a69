//! Reads a model's preprocessing from its configuration: Hugging Face's preprocessor_config.json, open_clip's
//! open_clip_config.json.
//!
//! Called when a model's directory is opened. Whatever the references would do and this module cannot is an error.

use serde_json::{Map, Value};

use super::{Filter, OPENAI_MEAN, OPENAI_STD, Preprocess, PreprocessError, Resize};

/// Side of the image where a configuration names none, in pixels (transformers' CLIPImageProcessor; open_clip's
/// CLIPVisionCfg).
const DEFAULT_SIZE: u32 = 224;

/// Processor types whose defaults are CLIP's. Those of others differ, so a key they leave out can't be filled in.
const CLIP_PROCESSORS: [&str; 4] = [
    "CLIPImageProcessor",
    "CLIPImageProcessorFast",
    "CLIPImageProcessorPil",
    "CLIPFeatureExtractor",
];

/// Why a configuration gave no preprocessing. The caller knows the path and adds it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is not JSON.
    #[error("not valid JSON")]
    Json(#[from] serde_json::Error),
    /// A key's value is of the wrong kind or not supported.
    #[error("{key} is {value}: {wanted}")]
    Value {
        /// The key, with its parents.
        key: String,
        /// Its value, as JSON.
        value: String,
        /// What would be read.
        wanted: &'static str,
    },
    /// The settings can't be used together.
    #[error("no preprocessing of this kind")]
    Preprocess(#[from] PreprocessError),
}

impl Preprocess {
    /// Reads the text of a Hugging Face `preprocessor_config.json` of a CLIP model.
    ///
    /// Keys that are missing or null take CLIPImageProcessor's defaults. Both the bicubic (`"resample": 3`) and the
    /// bilinear (2) filter are read. `do_convert_rgb` has no effect: decoded images are RGB.
    ///
    /// # Errors
    /// Text that isn't JSON; a value that isn't supported, named with its key: another processor's configuration, a
    /// crop that isn't square, settings that give outputs of different shapes, padding.
    pub fn from_hugging_face(json: &str) -> Result<Self, ConfigError> {
        let root: Value = serde_json::from_str(json)?;
        let config = Section::root(&root)?;
        for key in ["image_processor_type", "feature_extractor_type"] {
            let name = config.text(key)?;
            if name.is_some_and(|name| !CLIP_PROCESSORS.contains(&name)) {
                return Err(config.error(key, "only CLIPImageProcessor's settings are read"));
            }
        }
        if config.flag("do_pad", false)? {
            return Err(config.error("do_pad", "padding is not supported; use false"));
        }

        let resize = if config.flag("do_resize", true)? {
            hugging_face_resize(&config)?
        } else {
            Resize::Keep
        };
        let size = if config.flag("do_center_crop", true)? {
            let key = "crop_size";
            let wanted = "use a number or a height and a width that are equal";
            match config.get(key) {
                None => DEFAULT_SIZE,
                Some(Value::Object(sides)) => {
                    square(sides).ok_or_else(|| config.error(key, wanted))?
                }
                Some(value) => side(value).ok_or_else(|| config.error(key, wanted))?,
            }
        } else if let Resize::Square(side) = resize {
            side
        } else {
            let wanted = "without a crop, size must be a height and a width that are equal";
            return Err(config.error("do_center_crop", wanted));
        };
        let filter = match config.get("resample").map(Value::as_u64) {
            None | Some(Some(3)) => Filter::Bicubic,
            Some(Some(2)) => Filter::Bilinear,
            Some(_) => {
                let wanted = "only 3 (bicubic) and 2 (bilinear) are supported";
                return Err(config.error("resample", wanted));
            }
        };
        let (mean, std) = if config.flag("do_normalize", true)? {
            (config.channels("image_mean", OPENAI_MEAN)?, config.channels("image_std", OPENAI_STD)?)
        } else {
            ([0.0; 3], [1.0; 3])
        };
        let rescale = if config.flag("do_rescale", true)? {
            config.number("rescale_factor")?.unwrap_or(1.0 / 255.0)
        } else {
            1.0
        };
        Ok(Self::clip(size)?.with_resize(resize, filter)?.with_normalisation(mean, std, rescale)?)
    }

    /// Reads the text of an `open_clip_config.json`: `preprocess_cfg`, and the image size from
    /// `model_cfg.vision_cfg.image_size`.
    ///
    /// Keys that are missing or null take open_clip's defaults (PreprocessCfg). The model's image size goes before
    /// `preprocess_cfg.size`, as in open_clip's factory. `interpolation` may be bicubic, bilinear, or random, which is
    /// bicubic for evaluation; `resize_mode` shortest or squash.
    ///
    /// # Errors
    /// Text that isn't JSON; a value that isn't supported, named with its key.
    pub fn from_open_clip(json: &str) -> Result<Self, ConfigError> {
        let root: Value = serde_json::from_str(json)?;
        let root = Section::root(&root)?;
        let config = root.section("preprocess_cfg")?;
        let vision = root.section("model_cfg")?.section("vision_cfg")?;

        if config.text("mode")?.is_some_and(|mode| mode != "RGB") {
            return Err(config.error("mode", "only \"RGB\" is supported"));
        }
        let size = match (vision.open_clip_size("image_size")?, config.get("size")) {
            (Some(size), _) => size,
            (None, Some(_)) => config.open_clip_size("size")?.unwrap_or(DEFAULT_SIZE),
            (None, None) => DEFAULT_SIZE,
        };
        let resize = match config.text("resize_mode")? {
            None | Some("shortest") => Resize::ShortestEdge(size),
            Some("squash") => Resize::Square(size),
            Some(_) => {
                let wanted = "only \"shortest\" and \"squash\" are supported";
                return Err(config.error("resize_mode", wanted));
            }
        };
        let filter = match config.text("interpolation")? {
            None | Some("bicubic" | "random") => Filter::Bicubic,
            Some("bilinear") => Filter::Bilinear,
            Some(_) => {
                let wanted = "only \"bicubic\" and \"bilinear\" are supported";
                return Err(config.error("interpolation", wanted));
            }
        };
        let mean = config.channels("mean", OPENAI_MEAN)?;
        let std = config.channels("std", OPENAI_STD)?;
        Ok(Self::clip(size)?.with_resize(resize, filter)?.with_normalisation(
            mean,
            std,
            1.0 / 255.0,
        )?)
    }
}

/// `size` as transformers reads it: a number is the shortest edge unless `default_to_square`.
// Source: transformers/image_processing_utils.py (`get_size_dict`).
fn hugging_face_resize(config: &Section) -> Result<Resize, ConfigError> {
    let wanted = "use a number, {\"shortest_edge\"}, or {\"height\", \"width\"} that are equal";
    let error = || config.error("size", wanted);
    match config.get("size") {
        None => Ok(Resize::ShortestEdge(DEFAULT_SIZE)),
        Some(Value::Object(sides)) => match sides.get("shortest_edge") {
            Some(edge) if sides.len() == 1 => {
                side(edge).map(Resize::ShortestEdge).ok_or_else(error)
            }
            _ => square(sides).map(Resize::Square).ok_or_else(error),
        },
        Some(value) => {
            let side = side(value).ok_or_else(error)?;
            let to_square = config.flag("default_to_square", false)?;
            Ok(if to_square { Resize::Square(side) } else { Resize::ShortestEdge(side) })
        }
    }
}

/// A whole number of pixels.
fn side(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|side| u32::try_from(side).ok())
}

/// The side of `{"height": n, "width": n}`.
fn square(sides: &Map<String, Value>) -> Option<u32> {
    let height = side(sides.get("height")?)?;
    let width = side(sides.get("width")?)?;
    (height == width && sides.len() == 2).then_some(height)
}

/// An object of the configuration, which knows its own name for the errors. A missing object has no keys.
struct Section<'a> {
    path: String,
    keys: Option<&'a Map<String, Value>>,
}

impl<'a> Section<'a> {
    fn root(value: &'a Value) -> Result<Self, ConfigError> {
        let Value::Object(keys) = value else {
            return Err(ConfigError::Value {
                key: "the file".to_owned(),
                value: shortened(value),
                wanted: "a JSON object is needed",
            });
        };
        Ok(Self { path: String::new(), keys: Some(keys) })
    }

    fn section(&self, key: &str) -> Result<Self, ConfigError> {
        let keys = match self.get(key) {
            None => None,
            Some(Value::Object(keys)) => Some(keys),
            Some(_) => return Err(self.error(key, "a JSON object is needed")),
        };
        Ok(Self { path: format!("{}{key}.", self.path), keys })
    }

    /// A key's value; null is as good as missing in both libraries.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.keys?.get(key).filter(|value| !value.is_null())
    }

    fn error(&self, key: &str, wanted: &'static str) -> ConfigError {
        ConfigError::Value {
            key: format!("{}{key}", self.path),
            value: self.get(key).map_or("missing".to_owned(), shortened),
            wanted,
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.error(key, "use true or false")),
        }
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(key, "use a string")),
        }
    }

    fn number(&self, key: &str) -> Result<Option<f64>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.error(key, "use a number")),
            },
        }
    }

    /// Three numbers, or one for all channels.
    fn channels(&self, key: &str, default: [f32; 3]) -> Result<[f32; 3], ConfigError> {
        let wanted = "use a list of three numbers";
        let number = |value: &Value| value.as_f64().map(|number| number as f32);
        match self.get(key) {
            None => Ok(default),
            Some(Value::Array(list)) => {
                let numbers: Option<Vec<f32>> = list.iter().map(number).collect();
                numbers
                    .and_then(|numbers| numbers.try_into().ok())
                    .ok_or_else(|| self.error(key, wanted))
            }
            Some(value) => {
                number(value).map(|number| [number; 3]).ok_or_else(|| self.error(key, wanted))
            }
        }
    }

    /// A number, or a height and a width that are equal.
    fn open_clip_size(&self, key: &str) -> Result<Option<u32>, ConfigError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let size = match value.as_array().map(Vec::as_slice) {
            None => side(value),
            Some([height, width]) if height == width => side(height),
            Some(_) => None,
        };
        let wanted = "use a number or two that are equal";
        size.map(Some).ok_or_else(|| self.error(key, wanted))
    }
}

/// A value as JSON, cut to a length that suits one line of an error.
fn shortened(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
