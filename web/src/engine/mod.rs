//! An engine: a worker that holds the models and answers the page's requests.
//!
//! `clove` does the computation. This module handles messages, caches, the models' files, and the check of the device.

mod device;
mod files;
mod images;
#[cfg(feature = "trainer")]
mod lab;
mod library;
mod models;
mod trust;
mod worker;

pub use device::Kind;
pub use worker::start;

use std::collections::HashMap;

use clove::device::OpenDevice;
use clove_negatives::{Generator, Style};
use js_sys::Reflect;
use wasm_bindgen::JsValue;

use self::files::BrowserFiles;
use self::images::Image;
use self::models::Models;
use self::worker::Enclosed;
use crate::protocol::{Answer, Ask, Negative, Shape, Where};
use crate::stock::Stock;

/// Bytes of the images that the page sent, as the model takes them: some four hundred of 224 pixels.
const IMAGES: usize = 256 << 20;

/// A caption of typical length, for benchmarks.
const CAPTION: &str = "a brown dog runs over the wet grass beside an old man";

/// The state of an engine.
#[derive(Debug)]
struct Engine {
    kind: Kind,
    device: Option<OpenDevice>,
    models: Option<Models>,
    /// The scene models' files.
    scenes: (Vec<u8>, Vec<u8>),
    /// Models from the user's disk, by folder name.
    disk: HashMap<String, BrowserFiles>,
    images: Stock<u32, Image>,
    generator: Option<Generator>,
    #[cfg(feature = "trainer")]
    lab: Option<lab::Lab>,
}

/// Why a request can't be answered. Any error becomes one by `?`.
#[derive(Debug)]
pub struct Failure(String);

impl<E: std::fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// The failure of a full storage.
const FULL: &str = "the browser's storage is full; remove a stored model";

/// The failure of a pair of a scene model and another model.
const OTHER_SCENES: &str = "the scene model can only be patched with its own fine-tuned model";

/// Turns a browser's error into a failure.
fn checked<T>(result: Result<T, JsValue>) -> Result<T, Failure> {
    result.map_err(|error| {
        let part = |name: &str| Reflect::get(&error, &name.into()).ok()?.as_string();
        Failure(match part("name").as_deref() {
            Some("QuotaExceededError") => FULL.to_owned(),
            Some("NoModificationAllowedError") => {
                "already being downloaded, perhaps in another tab".to_owned()
            }
            _ => part("message").unwrap_or_else(|| format!("{error:?}")),
        })
    })
}

/// An answer, and its bytes.
type Answered = Result<(Answer, Option<Vec<u8>>), Failure>;

impl Engine {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            device: None,
            models: None,
            scenes: Default::default(),
            disk: HashMap::new(),
            images: Stock::new(IMAGES),
            generator: None,
            #[cfg(feature = "trainer")]
            lab: None,
        }
    }

    async fn answer(&mut self, ask: Ask, enclosed: Enclosed) -> (Answer, Option<Vec<u8>>) {
        match self.try_answer(ask, enclosed).await {
            Ok(answered) => answered,
            Err(failure) => (Answer::Failed { reason: failure.0 }, None),
        }
    }

    async fn try_answer(&mut self, ask: Ask, enclosed: Enclosed) -> Answered {
        let Enclosed { bytes, files } = enclosed;
        let answer = match ask {
            Ask::Open { pretrained } => {
                let mut before = bytes.ok_or("the scene models are missing")?;
                let after = before.split_off(before.len().min(pretrained as usize));
                self.scenes = (before, after);
                self.open().await?
            }
            Ask::Image { image, on_device } => {
                let bytes = bytes.ok_or("the image's bytes are missing")?;
                let device = self.device.clone().filter(|_| on_device);
                let preprocess = self.models()?.scorer.preprocess();
                let taken = Image::decode(&bytes, preprocess, device.as_ref()).await?;
                let (width, height) = (taken.width, taken.height);
                let dropped = self.keep(image, taken);
                Answer::Image { width, height, caption: None, wrong: None, pixels: false, dropped }
            }
            Ask::Sample { image, number } => return self.sample(image, number),
            Ask::Score { image, .. }
            | Ask::Curve { image, .. }
            | Ask::Embed { image, .. }
            | Ask::Words { image, .. }
            | Ask::Heat { image, .. } => return self.compute(image, ask).await,
            Ask::Lexicon => {
                let bytes = bytes.ok_or("the lexicon's bytes are missing")?;
                self.generator = Some(Generator::new(&bytes)?);
                Answer::Lexicon
            }
            Ask::Negatives { caption, others, style, count, seed } => {
                self.negatives(&caption, &others, &style, count, seed)?
            }
            Ask::Files { place } => {
                self.disk.insert(place.clone(), BrowserFiles::new(&place, files));
                Answer::Done
            }
            Ask::Load { pretrained, finetuned } => self.load(pretrained, finetuned).await?,
            Ask::Time { shape, runs } => self.time(shape, runs).await?,
            Ask::TimePhoto { width, height, runs } => {
                let device = self.device.as_ref().ok_or("no device is open")?;
                images::time(width, height, runs, device).await?
            }
            Ask::Check { fault } => {
                let device = self.device.as_ref().ok_or("no device is open")?;
                trust::check_parts(device, fault.as_deref()).await?;
                Answer::Done
            }
            Ask::Memory => Answer::Memory { bytes: worker::memory() },
            #[cfg(feature = "trainer")]
            ask => return self.lab()?.answer(ask, bytes).await,
            #[cfg(not(feature = "trainer"))]
            _ => return Err("this engine doesn't train".into()),
        };
        Ok((answer, None))
    }

    /// The lab, made on its first request.
    #[cfg(feature = "trainer")]
    fn lab(&mut self) -> Result<&mut lab::Lab, Failure> {
        match &mut self.lab {
            Some(lab) => Ok(lab),
            none => {
                let device = self.device.as_ref().ok_or("no device is open")?;
                let (pretrained, deltas) = &self.scenes;
                Ok(none.insert(lab::Lab::new(device, pretrained, deltas)?))
            }
        }
    }

    /// Answers a request about an image and captions.
    async fn compute(&mut self, image: u32, ask: Ask) -> Answered {
        let (models, image) = self.models_and(image)?;
        let answer = match ask {
            Ask::Score { captions, alpha, .. } => {
                let began = worker::now();
                let scores = models.scores(image, &captions, alpha).await?;
                Answer::Scores {
                    similarities: scores.similarities,
                    probabilities: scores.probabilities,
                    milliseconds: worker::now() - began,
                }
            }
            Ask::Curve { captions, alphas, .. } => {
                let mut similarities = Vec::with_capacity(alphas.len());
                for alpha in &alphas {
                    similarities.push(models.scores(image, &captions, *alpha).await?.similarities);
                }
                Answer::Curve { alphas, similarities }
            }
            Ask::Embed { captions, alpha, .. } => {
                let (image, texts) = models.embeddings(image, &captions, alpha).await?;
                let rows = image.as_slice().iter().chain(texts.as_slice());
                let bytes = rows.flat_map(|value| value.to_le_bytes()).collect();
                let width = image.dim() as u32;
                return Ok((Answer::Embeddings { width }, Some(bytes)));
            }
            Ask::Words { caption, alpha, .. } => {
                Answer::Words { words: models.words(image, &caption, alpha).await? }
            }
            Ask::Heat { caption, alpha, .. } => {
                let (side, similarities) = models.heat(image, &caption, alpha).await?;
                Answer::Heat { side, similarities, seen: image.seen }
            }
            _ => return Err("not a request about an image".into()),
        };
        Ok((answer, None))
    }

    fn models(&mut self) -> Result<&mut Models, Failure> {
        Ok(self.models.as_mut().ok_or("no model is open")?)
    }

    fn models_and(&mut self, image: u32) -> Result<(&mut Models, &Image), Failure> {
        let models = self.models.as_mut().ok_or("no model is open")?;
        let image = self.images.get(&image).ok_or("there is no such image")?;
        Ok((models, image))
    }

    /// Opens the device and the scene models, and checks the device's results.
    async fn open(&mut self) -> Result<Answer, Failure> {
        let began = worker::now();
        let device = self.kind.open().await?;
        let mut models = Models::scenes(&device, &self.scenes.0, &self.scenes.1).await?;
        let difference = trust::check(&mut models, &device.description).await?;
        if device.is_gpu {
            trust::check_parts(&device, None).await?;
        }
        let answer = Answer::Opened {
            backend: if device.is_gpu { "WebGPU" } else { "CPU" }.to_owned(),
            adapter: device.description.clone(),
            model: models.about(),
            difference,
            milliseconds: worker::now() - began,
        };
        self.models = Some(models);
        self.device = Some(device);
        Ok(answer)
    }

    /// Opens other models.
    async fn load(
        &mut self,
        pretrained: Where,
        finetuned: Option<Where>,
    ) -> Result<Answer, Failure> {
        let device = self.device.clone().ok_or("no device is open")?;
        if pretrained == Where::Scenes {
            if !matches!(finetuned, None | Some(Where::Scenes)) {
                return Err(OTHER_SCENES.into());
            }
            self.images.clear();
            self.models = None;
            self.models = Some(Models::scenes(&device, &self.scenes.0, &self.scenes.1).await?);
        } else {
            let before = self.files(pretrained).await?;
            let after = match finetuned {
                Some(place) => Some(self.files(place).await?),
                None => None,
            };
            let loaded = Models::load(&device, &before, after).await?;
            self.images.clear();
            self.models = Some(loaded);
        }
        Ok(Answer::Loaded(self.models()?.about()))
    }

    /// The files of a model.
    async fn files(&self, place: Where) -> Result<BrowserFiles, Failure> {
        match place {
            Where::Scenes => Err(OTHER_SCENES.into()),
            Where::Kept(place) => library::files(&place).await,
            Where::Disk(place) => {
                let files = self.disk.get(&place).cloned();
                Ok(files.ok_or_else(|| format!("{place} was not chosen; choose it again"))?)
            }
        }
    }

    /// Keeps an image, and returns those that had to go.
    fn keep(&mut self, image: u32, taken: Image) -> Vec<u32> {
        let bytes = size_of_val(&*taken.pixels);
        self.images.put(image, taken, bytes)
    }

    fn sample(&mut self, image: u32, number: u32) -> Answered {
        let models = self.models()?;
        let (taken, [caption, wrong], picture) =
            Image::sample(number, models.scorer.preprocess(), models.are_scenes)?;
        let dropped = self.keep(image, taken);
        let answer = Answer::Image {
            dropped,
            width: picture.size,
            height: picture.size,
            caption: Some(caption),
            wrong: Some(wrong),
            pixels: true,
        };
        Ok((answer, Some(picture.rgb)))
    }

    /// Times a model on one image and on one caption, without caches.
    async fn time(&mut self, shape: Shape, runs: u32) -> Result<Answer, Failure> {
        let made;
        let scorer = match shape {
            Shape::InUse => &self.models()?.scorer,
            Shape::VitB32 => {
                let device = self.device.as_ref().ok_or("no device is open")?;
                made = models::vit_b32(device).await?;
                &made
            }
        };
        let size = scorer.config().image.image_size;
        let pixels = vec![0.5; 3 * size * size];
        let (mut image, mut caption) = (Vec::new(), Vec::new());
        // The first run is a warm-up.
        for _ in 0..=runs {
            let began = worker::now();
            scorer.embed_pixels(pixels.clone()).await?;
            let between = worker::now();
            scorer.embed_texts(&[CAPTION], &mut |_| ()).await?;
            image.push(between - began);
            caption.push(worker::now() - between);
        }
        Ok(Answer::Times { image: image.split_off(1), caption: caption.split_off(1) })
    }

    fn negatives(
        &self,
        caption: &str,
        others: &[String],
        style: &str,
        count: usize,
        seed: u64,
    ) -> Result<Answer, Failure> {
        let generator = self.generator.as_ref().ok_or("the lexicon is missing")?;
        let style = Style::ALL
            .into_iter()
            .find(|known| known.name() == style)
            .ok_or_else(|| format!("{style} is not a style of negatives"))?;
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let made = generator.negatives(&clove_negatives::Request {
            caption,
            others: &others,
            style,
            count,
            seed,
            epoch: 0,
            index: 0,
        });
        Ok(Answer::Negatives {
            negatives: made
                .negatives
                .into_iter()
                .map(|negative| Negative {
                    kind: negative.kind.name().to_owned(),
                    text: negative.text,
                    from: negative.from,
                    to: negative.to,
                })
                .collect(),
            why_none: made.why_none.map(|why| why.words().to_owned()),
        })
    }
}
