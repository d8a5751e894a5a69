//! The lab's part of an engine: runs, the models that came of them, and what is asked about models of scenes.

mod held;

use std::collections::{BTreeMap, HashMap};

use clove::device::OpenDevice;
use clove::score::Scorer;
use clove::weights::{Precision, Snapshot};
use clove_lab::{self as lab, SceneSuite, Sizes, SweepPoint};
use clove_scenes::{Kind, Placed, Random, Split, draw_placed};

use self::held::Held;
use super::{Answered, Failure, failure, worker};
use crate::lab::{Contest, Measured, Of, Step, Suite, Weights};
use crate::protocol::{Answer, Ask};

/// Models that are kept ready to embed.
const READY: usize = 8;

/// What the lab keeps.
#[derive(Debug)]
pub struct Lab {
    device: OpenDevice,
    pretrained: Snapshot,
    shipped: Snapshot,
    held: BTreeMap<u32, Held>,
    /// Models that are ready, by what they are and the step that they were at; the one that was used last at the end.
    ready: Vec<(Key, Scorer)>,
    /// Drawn when they're first asked for.
    suites: HashMap<Suite, SceneSuite>,
}

/// A model in one state: alpha's bits, and of a run its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    of: Of,
    alpha: u64,
    step: usize,
}

impl Lab {
    /// The lab of the models that come with the page.
    pub fn new(device: &OpenDevice, pretrained: &[u8], deltas: &[u8]) -> Result<Self, Failure> {
        let pretrained = lab::read_model(pretrained).map_err(failure)?;
        Ok(Self {
            device: device.clone(),
            shipped: lab::read_deltas(&pretrained, deltas).map_err(failure)?,
            pretrained,
            held: BTreeMap::new(),
            ready: Vec::new(),
            suites: HashMap::new(),
        })
    }

    /// Answers a request.
    pub async fn answer(&mut self, ask: Ask, bytes: Option<Vec<u8>>) -> Answered {
        let bytes = bytes.ok_or_else(|| "the bytes are missing".to_owned());
        let answer = match ask {
            Ask::StartRun { run, settings } => {
                let held = Held::start(&self.pretrained, settings, &self.device)?;
                self.held.insert(run, held);
                Answer::Done
            }
            Ask::Step { run } => {
                let began = worker::now();
                let report = self.run(run)?.step().await?;
                Answer::Step(Step { milliseconds: worker::now() - began, ..report })
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
                    &lab::preprocess().map_err(failure)?,
                    Some(lab::tokenizer_json()),
                );
                return Ok((Answer::Bytes, Some(file.map_err(failure)?)));
            }
            ask => return self.look(ask).await,
        };
        Ok((answer, None))
    }

    /// Answers what is asked about models.
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
                let found = lab::matrix(self.scorer(model).await?, first, count).await;
                let found = found.map_err(failure)?;
                let size = found.pictures.first().map_or(0, |picture| picture.size);
                let pictures = found.pictures.into_iter().flat_map(|picture| picture.rgb);
                let answer =
                    Answer::Matrix { size, texts: found.texts, similarities: found.similarities };
                return Ok((answer, Some(pictures.collect())));
            }
            Ask::Map { model, first, count } => {
                let found = lab::map(self.scorer(model).await?, first, count).await;
                let found = found.map_err(failure)?;
                Answer::Map {
                    pairs: found.pairs,
                    captions: found.captions,
                    explained: found.explained,
                    gap: found.gap,
                }
            }
            Ask::Shortcut { model } => {
                const PER_KIND: usize = 100;
                let contests = lab::shortcut(self.scorer(model).await?, PER_KIND).await;
                let contests = contests.map_err(failure)?.into_iter();
                let contests = contests.map(|contest| Contest {
                    name: contest.name,
                    model: contest.model,
                    blind: contest.blind,
                    example: contest.example,
                });
                Answer::Shortcut(contests.collect())
            }
            _ => return Err("asked beside the queue".to_owned()),
        };
        Ok((answer, None))
    }

    fn run(&mut self, run: u32) -> Result<&mut Held, Failure> {
        let held = self.held.get_mut(&run);
        held.ok_or_else(|| "this engine has no such run any more".to_owned())
    }

    /// What was made ready of a model is of no use any more.
    fn forget(&mut self, of: Of) {
        self.ready.retain(|(key, _)| key.of != of);
    }

    /// The fine-tuned model's parameters.
    async fn parameters(&self, of: Of) -> Result<Snapshot, Failure> {
        match of {
            Of::Pretrained => Ok(self.pretrained.clone()),
            Of::Shipped => Ok(self.shipped.clone()),
            Of::Held(held) => {
                let held = self.held.get(&held);
                let held = held.ok_or("this engine has no such model any more")?;
                held.snapshot().await
            }
        }
    }

    async fn snapshot(&self, model: Weights) -> Result<Snapshot, Failure> {
        if !(0.0..=1.0).contains(&model.alpha) {
            return Err(format!("alpha is {}, not between 0 and 1", model.alpha));
        }
        let tuned = self.parameters(model.of).await?;
        Ok(self.pretrained.patched(&tuned, model.alpha))
    }

    /// A model ready to embed.
    async fn scorer(&mut self, model: Weights) -> Result<&Scorer, Failure> {
        let step = match model.of {
            Of::Held(held) => self.held.get(&held).map_or(0, Held::steps),
            Of::Pretrained | Of::Shipped => 0,
        };
        // Without a step to the fine-tuned one it's the pretrained one, whosever it is.
        let of = if model.alpha == 0.0 { Of::Pretrained } else { model.of };
        let key = Key {
            of,
            alpha: model.alpha.to_bits(),
            step: if of == Of::Pretrained { 0 } else { step },
        };
        let found = self.ready.iter().position(|(other, _)| *other == key);
        let ready = if let Some(at) = found {
            self.ready.remove(at)
        } else {
            let snapshot = self.snapshot(Weights { of, ..model }).await?;
            let scorer = lab::scorer(&snapshot, &self.device.device).await;
            // The states of a run that are past aren't asked for again.
            self.ready.retain(|(other, _)| other.of != of || other.step == key.step);
            (key, scorer.map_err(failure)?)
        };
        if self.ready.len() >= READY {
            self.ready.remove(0);
        }
        self.ready.push(ready);
        let last = self.ready.last().ok_or("no model is ready")?;
        Ok(&last.1)
    }

    async fn measure(&mut self, model: Weights, suite: Suite) -> Result<Answer, Failure> {
        // Out of the way of the borrow, and back whatever becomes of it.
        let pictures = self.suites.remove(&suite).unwrap_or_else(|| draw(suite));
        let found = match self.scorer(model).await {
            Ok(scorer) => pictures.measure(scorer, &mut |_| {}).await.map_err(failure),
            Err(reason) => Err(reason),
        };
        self.suites.insert(suite, pictures);
        let found = found?;
        Ok(Answer::Measured(Measured {
            composition: found.composition,
            kinds: found.kinds,
            unseen: found.unseen,
            seen: found.seen,
        }))
    }

    async fn scene(
        &mut self,
        placed: &[Placed],
        seed: u64,
        captions: &[String],
        models: &[Weights],
    ) -> Answered {
        let mut similarities = Vec::with_capacity(models.len());
        let preprocess = lab::preprocess().map_err(failure)?;
        let picture = draw_placed(placed, preprocess.size(), &mut Random::new(&[seed]));
        let pixels = lab::pixels(picture.clone(), &preprocess);
        for model in models {
            let scorer = self.scorer(*model).await?;
            let image = scorer.embed_pixels(pixels.clone()).await.map_err(failure)?;
            let texts = scorer.embed_texts(captions, &mut |_| ()).await;
            let texts = texts.map_err(failure)?;
            similarities.push((0..texts.len()).map(|text| image.dot(0, &texts, text)).collect());
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
        let preprocess = lab::preprocess().map_err(failure)?;
        let picture = draw_placed(placed, preprocess.size(), &mut Random::new(&[seed]));
        let pixels = lab::pixels(picture, &preprocess);
        let scorer = self.scorer(model).await?;
        let image = scorer.embed_pixels(pixels.clone()).await.map_err(failure)?;
        let (words, mut texts) = super::models::without_each_word(caption);
        texts.insert(0, caption.to_owned());
        let embedded = scorer.embed_texts(&texts, &mut |_| ()).await;
        let embedded = embedded.map_err(failure)?;
        let whole = image.dot(0, &embedded, 0);
        let words = words.into_iter().zip(1..);
        let words = words.map(|(word, text)| (word, whole - image.dot(0, &embedded, text)));
        let words = words.collect();
        let patches = scorer.embed_patches(pixels).await.map_err(failure)?;
        let config = &scorer.config().image;
        Ok(Answer::Explained {
            words,
            side: (config.image_size / config.patch_size) as u32,
            patches: (0..patches.len()).map(|patch| patches.dot(patch, &embedded, 0)).collect(),
        })
    }
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
