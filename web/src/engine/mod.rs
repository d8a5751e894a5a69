//! An engine: a worker that holds the models, and answers the page's requests.
//!
//! What it computes is `clove`'s; here are only the messages, what is kept between them, the models' files, and the check that
//! the device can be trusted.

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

use self::files::BrowserFiles;
use self::images::Image;
use self::models::Models;
use self::worker::Enclosed;
use crate::protocol::{Answer, Ask, Negative, Shape, Where};

/// A caption of usual length, for measurements.
const CAPTION: &str = "a brown dog runs over the wet grass beside an old man";

/// What an engine keeps.
#[derive(Debug)]
struct Engine {
    kind: Kind,
    device: Option<OpenDevice>,
    models: Option<Models>,
    /// The scene models' files, as they came.
    scenes: (Vec<u8>, Vec<u8>),
    /// Models that the user chose, by the names of their folders.
    disk: HashMap<String, BrowserFiles>,
    images: HashMap<u32, Image>,
    generator: Option<Generator>,
    #[cfg(feature = "trainer")]
    lab: Option<lab::Lab>,
}

/// Why a request can't be answered, in words.
type Failure = String;

fn failure(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}

/// An answer, and bytes that go with it.
type Answered = Result<(Answer, Option<Vec<u8>>), Failure>;

impl Engine {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            device: None,
            models: None,
            scenes: Default::default(),
            disk: HashMap::new(),
            images: HashMap::new(),
            generator: None,
            #[cfg(feature = "trainer")]
            lab: None,
        }
    }

    /// Answers a request.
    async fn answer(&mut self, ask: Ask, enclosed: Enclosed) -> (Answer, Option<Vec<u8>>) {
        match self.try_answer(ask, enclosed).await {
            Ok(answered) => answered,
            Err(reason) => (Answer::Failed { reason }, None),
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
                let preprocess = self.models()?.preprocess();
                let taken = Image::decode(&bytes, preprocess, device.as_ref()).await?;
                let (width, height) = (taken.width, taken.height);
                self.images.insert(image, taken);
                Answer::Image { width, height, caption: None, wrong: None, pixels: false }
            }
            Ask::Sample { image, number } => return self.sample(image, number),
            Ask::Score { image, .. }
            | Ask::Curve { image, .. }
            | Ask::Embed { image, .. }
            | Ask::Words { image, .. }
            | Ask::Heat { image, .. } => return self.compute(image, ask).await,
            Ask::Lexicon => {
                let bytes = bytes.ok_or("the lexicon's bytes are missing")?;
                self.generator = Some(Generator::new(&bytes).map_err(failure)?);
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
            _ => return Err("this engine doesn't train".to_owned()),
        };
        Ok((answer, None))
    }

    /// The lab, made when it's first asked.
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

    /// Answers what is about an image and captions.
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
            _ => return Err("it's not about an image".to_owned()),
        };
        Ok((answer, None))
    }

    fn models(&mut self) -> Result<&mut Models, Failure> {
        self.models.as_mut().ok_or_else(|| "no model is open".to_owned())
    }

    fn models_and(&mut self, image: u32) -> Result<(&mut Models, &Image), Failure> {
        let models = self.models.as_mut().ok_or("no model is open")?;
        let image = self.images.get(&image).ok_or("there is no such image any more")?;
        Ok((models, image))
    }

    /// Opens the device and the scene models, and compares what the device computes with what is known.
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

    /// Puts other models in use; the old ones go first, so that there is room.
    async fn load(
        &mut self,
        pretrained: Where,
        finetuned: Option<Where>,
    ) -> Result<Answer, Failure> {
        let device = self.device.clone().ok_or("no device is open")?;
        if pretrained == Where::Scenes {
            if !matches!(finetuned, None | Some(Where::Scenes)) {
                return Err("the scene model has its own fine-tuned sister".to_owned());
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

    /// Where the files of a model are.
    async fn files(&self, place: Where) -> Result<BrowserFiles, Failure> {
        match place {
            Where::Scenes => Err("the scene model goes with itself only".to_owned()),
            Where::Kept(place) => library::files(&place).await,
            Where::Disk(place) => self
                .disk
                .get(&place)
                .cloned()
                .ok_or_else(|| format!("{place} was not chosen since this engine started")),
        }
    }

    fn sample(&mut self, image: u32, number: u32) -> Answered {
        let models = self.models()?;
        let (taken, [caption, wrong], picture) =
            Image::sample(number, models.preprocess(), models.are_scenes())?;
        self.images.insert(image, taken);
        let answer = Answer::Image {
            width: picture.size,
            height: picture.size,
            caption: Some(caption),
            wrong: Some(wrong),
            pixels: true,
        };
        Ok((answer, Some(picture.rgb)))
    }

    /// Runs a model on one image and on one caption, with nothing kept from run to run.
    async fn time(&mut self, shape: Shape, runs: u32) -> Result<Answer, Failure> {
        let made;
        let scorer = match shape {
            Shape::InUse => self.models()?.scorer(),
            Shape::VitB32 => {
                let device = self.device.as_ref().ok_or("no device is open")?;
                made = models::vit_b32(device).await?;
                &made
            }
        };
        let size = scorer.config().image.image_size;
        let pixels = vec![0.5; 3 * size * size];
        let (mut image, mut caption) = (Vec::new(), Vec::new());
        // The first run compiles shaders and fills caches.
        for _ in 0..=runs {
            let began = worker::now();
            scorer.embed_pixels(pixels.clone()).await.map_err(failure)?;
            let between = worker::now();
            scorer.embed_texts(&[CAPTION], &mut |_| ()).await.map_err(failure)?;
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
        let generator = self.generator.as_ref().ok_or("the lexicon isn't there yet")?;
        let style = Style::ALL
            .into_iter()
            .find(|known| known.name() == style)
            .ok_or_else(|| format!("{style} is no style of negatives"))?;
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
