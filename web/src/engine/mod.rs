//! An engine: a worker that holds the models, and answers the page's requests one after the other.
//!
//! What it computes is `clove`'s; here are only the messages, what is kept between them, and the check that the device can be
//! trusted.

mod device;
mod images;
mod models;
mod worker;

pub use worker::start;

use std::collections::HashMap;

use clove_negatives::{Generator, Style};

use self::images::Image;
use self::models::Models;
use crate::protocol::{Answer, Ask, Negative};

/// What an engine keeps.
#[derive(Debug, Default)]
struct Engine {
    models: Option<Models>,
    images: HashMap<u32, Image>,
    generator: Option<Generator>,
}

/// Why a request can't be answered, in words.
type Failure = String;

fn failure(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}

impl Engine {
    /// Answers a request; `bytes` came with it, and those of the result go with the answer.
    async fn answer(&mut self, ask: Ask, bytes: Option<Vec<u8>>) -> (Answer, Option<Vec<u8>>) {
        match self.try_answer(ask, bytes).await {
            Ok(answered) => answered,
            Err(reason) => (Answer::Failed { reason }, None),
        }
    }

    async fn try_answer(
        &mut self,
        ask: Ask,
        bytes: Option<Vec<u8>>,
    ) -> Result<(Answer, Option<Vec<u8>>), Failure> {
        let plain = |answer| Ok((answer, None));
        match ask {
            Ask::Open => {
                let (models, opened) = Models::open().await?;
                self.models = Some(models);
                plain(opened)
            }
            Ask::Image { image } => {
                let bytes = bytes.ok_or("the image's bytes are missing")?;
                let taken = Image::decode(&bytes, self.models()?.preprocess())?;
                let answer = taken.answer();
                self.images.insert(image, taken);
                plain(answer)
            }
            Ask::Sample { image, number } => {
                let (taken, caption, picture) = Image::sample(number, self.models()?.preprocess());
                self.images.insert(image, taken);
                let answer = Answer::Image {
                    width: picture.size,
                    height: picture.size,
                    caption: Some(caption),
                    pixels: true,
                };
                Ok((answer, Some(picture.rgb)))
            }
            Ask::Score {
                image,
                captions,
                alpha,
            } => {
                let began = worker::now();
                let (models, image) = self.models_and(image)?;
                let scores = models.scores(image, &captions, alpha).await?;
                plain(Answer::Scores {
                    similarities: scores.similarities,
                    probabilities: scores.probabilities,
                    milliseconds: worker::now() - began,
                })
            }
            Ask::Curve {
                image,
                captions,
                alphas,
            } => {
                let (models, image) = self.models_and(image)?;
                let mut similarities = Vec::with_capacity(alphas.len());
                for alpha in &alphas {
                    similarities.push(models.scores(image, &captions, *alpha).await?.similarities);
                }
                plain(Answer::Curve {
                    alphas,
                    similarities,
                })
            }
            Ask::Lexicon => {
                let bytes = bytes.ok_or("the lexicon's bytes are missing")?;
                self.generator = Some(Generator::new(&bytes).map_err(failure)?);
                plain(Answer::Lexicon)
            }
            Ask::Negatives {
                caption,
                others,
                style,
                count,
                seed,
            } => plain(self.negatives(&caption, &others, &style, count, seed)?),
            Ask::Words {
                image,
                caption,
                alpha,
            } => {
                let (models, image) = self.models_and(image)?;
                let words = models.words(image, &caption, alpha).await?;
                plain(Answer::Words { words })
            }
        }
    }

    fn models(&mut self) -> Result<&mut Models, Failure> {
        self.models
            .as_mut()
            .ok_or_else(|| "no model is open".to_owned())
    }

    fn models_and(&mut self, image: u32) -> Result<(&mut Models, &mut Image), Failure> {
        let models = self.models.as_mut().ok_or("no model is open")?;
        let image = self
            .images
            .get_mut(&image)
            .ok_or("there is no such image any more")?;
        Ok((models, image))
    }

    fn negatives(
        &self,
        caption: &str,
        others: &[String],
        style: &str,
        count: usize,
        seed: u64,
    ) -> Result<Answer, Failure> {
        let generator = self
            .generator
            .as_ref()
            .ok_or("the lexicon isn't there yet")?;
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
