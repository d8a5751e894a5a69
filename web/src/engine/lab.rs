//! The lab's part of an engine: training runs, opened models, and requests about scene models.

mod held;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use clove::device::OpenDevice;
use clove::score::Scorer;
use clove::weights::{Precision, Snapshot};
use clove_lab::{self as lab, SceneSuite, Sizes, SweepPoint};
use clove_scenes::{Kind, Picture, Placed, Random, Split, draw_placed};

use self::held::Held;
use super::models::{contributions, cosines, patches, without_each_word};
use super::{Answered, Failure, worker};
use crate::lab::{Of, Step, Suite, Weights};
use crate::protocol::{Answer, Ask, Explained};

/// The most models kept ready to embed.
const READY: usize = 8;

/// The lab's state.
#[derive(Debug)]
pub struct Lab {
    device: OpenDevice,
    pretrained: Snapshot,
    shipped: Snapshot,
    held: BTreeMap<u32, Held>,
    /// Models ready to embed, the most recently used last.
    ready: Vec<(Key, Scorer)>,
    /// Drawn on first use.
    suites: HashMap<Suite, Rc<SceneSuite>>,
}

/// A model in one state: the bits of alpha, and a run's step.
type Key = (Of, u64, usize);

impl Lab {
    /// The lab of the page's scene models.
    pub fn new(device: &OpenDevice, pretrained: &[u8], deltas: &[u8]) -> Result<Self, Failure> {
        let pretrained = lab::read_model(pretrained)?;
        Ok(Self {
            device: device.clone(),
            shipped: lab::read_deltas(&pretrained, deltas)?,
            pretrained,
            held: BTreeMap::new(),
            ready: Vec::new(),
            suites: HashMap::new(),
        })
    }

    pub async fn answer(&mut self, ask: Ask, bytes: Option<Vec<u8>>) -> Answered {
        let bytes = bytes.ok_or("the bytes are missing");
        let answer = match ask {
            Ask::StartRun { run, settings } => {
                let held = Held::start(&self.pretrained, settings, &self.device)?;
                self.held.insert(run, held);
                Answer::Done
            }
            Ask::Step { run } => {
                let began = worker::now();
                let (report, is_last) = self.run(run)?.step().await?;
                let milliseconds = worker::now() - began;
                Answer::Step(Step { step: report.step, loss: report.loss, milliseconds, is_last })
            }
            Ask::KeepRun { run, record } => {
                let kept = self.run(run)?.keep(record).await?;
                return Ok((Answer::Bytes, Some(kept)));
            }
            Ask::RestoreRun { run, settings } => {
                let held = Held::restore(&bytes?, settings, &self.device)?;
                self.held.insert(run, held);
                self.forget(Of::Held(run));
                Answer::Done
            }
            Ask::Drop { held } => {
                self.held.remove(&held);
                self.forget(Of::Held(held));
                Answer::Done
            }
            Ask::OpenModel { held, name } => {
                let opened = Held::open(&name, bytes?)?;
                self.held.insert(held, opened);
                self.forget(Of::Held(held));
                Answer::Done
            }
            Ask::SaveModel { model } => {
                let snapshot = self.snapshot(model).await?;
                let file = snapshot.write_single_file(
                    Vec::new(),
                    Precision::F32,
                    &lab::preprocess()?,
                    Some(lab::tokenizer_json()),
                );
                return Ok((Answer::Bytes, Some(file?)));
            }
            ask => return self.look(ask).await,
        };
        Ok((answer, None))
    }

    /// Answers a request about models.
    async fn look(&mut self, ask: Ask) -> Answered {
        let answer = match ask {
            Ask::Measure { model, suite } => self.measure(model, suite).await?,
            Ask::ChooseAlpha { points } => {
                let points = points.into_iter();
                let points = points.map(|(alpha, composition, recognition)| SweepPoint {
                    alpha,
                    composition,
                    recognition,
                });
                Answer::Alpha { alpha: lab::choose_alpha(&points.collect::<Vec<_>>()) }
            }
            Ask::Scene { placed, seed, captions, models } => {
                return self.scene(&placed, seed, &captions, &models).await;
            }
            Ask::Explain { placed, seed, caption, model } => {
                self.explain(&placed, seed, &caption, model).await?
            }
            Ask::Matrix { model, first, count } => {
                let found = lab::matrix(self.scorer(model).await?, first, count).await?;
                let size = found.pictures.first().map_or(0, |picture| picture.size);
                let pictures = found.pictures.into_iter().flat_map(|picture| picture.rgb);
                let answer =
                    Answer::Matrix { size, texts: found.texts, similarities: found.similarities };
                return Ok((answer, Some(pictures.collect())));
            }
            Ask::Map { model, first, count } => {
                Answer::Map(lab::map(self.scorer(model).await?, first, count).await?)
            }
            Ask::Shortcut { model } => {
                const PER_KIND: usize = 100;
                Answer::Shortcut(lab::shortcut(self.scorer(model).await?, PER_KIND).await?)
            }
            _ => return Err("not a request of the lab".into()),
        };
        Ok((answer, None))
    }

    fn run(&mut self, run: u32) -> Result<&mut Held, Failure> {
        Ok(self.held.get_mut(&run).ok_or("this engine has no such run")?)
    }

    /// Drops a model's ready states.
    fn forget(&mut self, of: Of) {
        self.ready.retain(|((other, ..), _)| *other != of);
    }

    /// The fine-tuned model's parameters.
    async fn parameters(&self, of: Of) -> Result<Snapshot, Failure> {
        match of {
            Of::Pretrained => Ok(self.pretrained.clone()),
            Of::Shipped => Ok(self.shipped.clone()),
            Of::Held(held) => {
                let held = self.held.get(&held);
                let held = held.ok_or("this engine has no such model")?;
                held.snapshot().await
            }
        }
    }

    async fn snapshot(&self, model: Weights) -> Result<Snapshot, Failure> {
        if !(0.0..=1.0).contains(&model.alpha) {
            return Err(format!("alpha is {}, not between 0 and 1", model.alpha).into());
        }
        let tuned = self.parameters(model.of).await?;
        Ok(self.pretrained.patched(&tuned, model.alpha))
    }

    /// A model ready to embed.
    async fn scorer(&mut self, model: Weights) -> Result<&Scorer, Failure> {
        // With alpha 0 every model is the pretrained one.
        let of = if model.alpha == 0.0 { Of::Pretrained } else { model.of };
        let step = match of {
            Of::Held(held) => self.held.get(&held).map_or(0, Held::steps),
            Of::Pretrained | Of::Shipped => 0,
        };
        let key = (of, model.alpha.to_bits(), step);
        let found = self.ready.iter().position(|(other, _)| *other == key);
        let ready = if let Some(at) = found {
            self.ready.remove(at)
        } else {
            let snapshot = self.snapshot(Weights { of, ..model }).await?;
            let scorer = lab::scorer(&snapshot, &self.device.device).await?;
            // Earlier states of a run aren't needed again.
            self.ready.retain(|((other, _, at), _)| *other != of || *at == step);
            (key, scorer)
        };
        if self.ready.len() >= READY {
            self.ready.remove(0);
        }
        self.ready.push(ready);
        let last = self.ready.last().ok_or("no model is ready")?;
        Ok(&last.1)
    }

    async fn measure(&mut self, model: Weights, suite: Suite) -> Result<Answer, Failure> {
        let pictures = self.suites.entry(suite).or_insert_with(|| Rc::new(draw(suite)));
        let pictures = Rc::clone(pictures);
        let scorer = self.scorer(model).await?;
        Ok(Answer::Measured(pictures.measure(scorer, &mut |_| {}).await?))
    }

    async fn scene(
        &mut self,
        placed: &[Placed],
        seed: u64,
        captions: &[String],
        models: &[Weights],
    ) -> Answered {
        let mut similarities = Vec::with_capacity(models.len());
        let (picture, pixels) = drawn(placed, seed)?;
        for model in models {
            let scorer = self.scorer(*model).await?;
            let image = scorer.embed_pixels(pixels.clone()).await?;
            similarities.push(cosines(&image, &scorer.embed_texts(captions, &mut |_| ()).await?));
        }
        let answer = Answer::Scene { size: picture.size, similarities };
        Ok((answer, Some(picture.rgb)))
    }

    async fn explain(
        &mut self,
        placed: &[Placed],
        seed: u64,
        caption: &str,
        model: Weights,
    ) -> Result<Answer, Failure> {
        let (_, pixels) = drawn(placed, seed)?;
        let scorer = self.scorer(model).await?;
        let image = scorer.embed_pixels(pixels.clone()).await?;
        let (words, texts) = without_each_word(caption);
        let embedded = scorer.embed_texts(&texts, &mut |_| ()).await?;
        let words = contributions(words, &cosines(&image, &embedded));
        let (side, patches) = patches(scorer, pixels, &embedded).await?;
        Ok(Answer::Explained(Explained { words, side, patches }))
    }
}

/// A picture at the scene models' size, and its normalised pixels.
fn drawn(placed: &[Placed], seed: u64) -> Result<(Picture, Vec<f32>), Failure> {
    let preprocess = lab::preprocess()?;
    let picture = draw_placed(placed, preprocess.size(), &mut Random::new(&[seed]));
    let pixels = lab::pixels(picture.clone(), &preprocess);
    Ok((picture, pixels))
}

fn draw(suite: Suite) -> SceneSuite {
    match suite {
        Suite::Glance => SceneSuite::new(Split::Validation, Sizes::GLANCED),
        Suite::Sweep => SceneSuite::new(Split::Validation, Sizes::SWEPT),
        Suite::Test => SceneSuite::new(Split::Test, Sizes::REPORTED),
        Suite::Swaps => {
            let swaps = [Kind::SwapObject, Kind::SwapAttribute];
            let sizes = Sizes { specimens: 0, common: 0, ..Sizes::REPORTED };
            SceneSuite::of_kinds(&swaps, Split::Test, sizes)
        }
    }
}
