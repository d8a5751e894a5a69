//! The bundled scene models: pretrained, fine-tuned, and any patch between the two.

use std::collections::HashMap;

use clove::device::OpenDevice;
use clove::evaluate::Embeddings;
use clove::lab;
use clove::preprocess::Preprocess;
use clove::score::{Scorer, Scores};
use clove::weights::Snapshot;
use serde::Deserialize;

use super::images::Image;
use super::{Failure, device, failure, worker};
use crate::protocol::{Answer, Model};

/// What the pretrained model makes of sample 0 on a CPU natively; `cargo test` holds it, CLOVE_WRITE_GOLDEN=1 writes it.
const KNOWN: &str = include_str!("known.json");

/// Largest difference from [`KNOWN`] with which a device is trusted: a thousandth of a unit vector's length, far above what
/// orders of summation differ by (1e-6), far below what a wrong kernel does.
const TRUSTED: f32 = 1e-3;

/// Captions whose embeddings are kept.
const KEPT: usize = 2_000;

#[derive(Debug, Deserialize)]
struct Known {
    image: Vec<f32>,
    text: Vec<f32>,
}

/// Two models on a device, and the patched one that is in use.
#[derive(Debug)]
pub struct Models {
    device: OpenDevice,
    pretrained: Snapshot,
    finetuned: Snapshot,
    preprocess: Preprocess,
    /// Bits of its alpha, and the model.
    patched: Option<(u64, Scorer)>,
    /// Embeddings of texts by the model in use.
    texts: HashMap<String, Vec<f32>>,
}

impl Models {
    /// Opens the device and the models, and compares what the device computes with what is known.
    pub async fn open() -> Result<(Self, Answer), Failure> {
        let began = worker::now();
        let device = device::open().await?;
        let mut models = Self {
            pretrained: lab::pretrained().map_err(failure)?,
            finetuned: lab::finetuned().map_err(failure)?,
            preprocess: lab::preprocess().map_err(failure)?,
            patched: None,
            texts: HashMap::new(),
            device,
        };
        let difference = models.difference().await?;
        if difference.is_nan() || difference > TRUSTED {
            return Err(format!(
                "{} computes wrong numbers: an embedding differs by {difference} from what it should be",
                models.device.description
            ));
        }
        let config = models.pretrained.config();
        let answer = Answer::Opened {
            backend: if models.device.is_gpu {
                "WebGPU"
            } else {
                "CPU"
            }
            .to_owned(),
            adapter: models.device.description.clone(),
            model: Model {
                name: "scenes".to_owned(),
                parameters: models.pretrained.elements() as u64,
                image_size: config.image.image_size as u32,
                context: config.text.context_length as u32,
            },
            difference,
            milliseconds: worker::now() - began,
        };
        Ok((models, answer))
    }

    /// The models' preprocessing.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// Captions against an image, by the model patched to `alpha`.
    pub async fn scores(
        &mut self,
        image: &mut Image,
        captions: &[String],
        alpha: f64,
    ) -> Result<Scores, Failure> {
        self.patch(alpha).await?;
        self.embed_texts(captions).await?;
        let scorer = self.scorer()?;
        if image
            .embedding
            .as_ref()
            .is_none_or(|(of, _)| *of != alpha.to_bits())
        {
            let embedded = scorer
                .embed_pixels(image.pixels.clone())
                .await
                .map_err(failure)?;
            image.embedding = Some((alpha.to_bits(), embedded));
        }
        let rows: Vec<f32> = captions
            .iter()
            .flat_map(|caption| &self.texts[caption])
            .copied()
            .collect();
        let texts = Embeddings::from_rows(scorer.config().embed_dim, rows).map_err(failure)?;
        let (_, embedded) = image
            .embedding
            .as_ref()
            .ok_or("the image has no embedding")?;
        Ok(scorer.scores(embedded, 0, &texts))
    }

    /// Each word of a caption with what it adds: the similarity less that of the caption without it.
    pub async fn words(
        &mut self,
        image: &mut Image,
        caption: &str,
        alpha: f64,
    ) -> Result<Vec<(String, f32)>, Failure> {
        let words: Vec<&str> = caption.split_whitespace().collect();
        let mut texts = vec![caption.to_owned()];
        texts.extend((0..words.len()).map(|without| {
            let mut rest = words.clone();
            rest.remove(without);
            rest.join(" ")
        }));
        let scores = self.scores(image, &texts, alpha).await?.similarities;
        Ok(words
            .iter()
            .zip(&scores[1..])
            .map(|(word, without)| ((*word).to_owned(), scores[0] - without))
            .collect())
    }

    /// Puts the model of an alpha in use.
    async fn patch(&mut self, alpha: f64) -> Result<(), Failure> {
        if !(0.0..=1.0).contains(&alpha) {
            return Err(format!("alpha is {alpha}, not between 0 and 1"));
        }
        if self
            .patched
            .as_ref()
            .is_some_and(|(of, _)| *of == alpha.to_bits())
        {
            return Ok(());
        }
        self.texts.clear();
        let mut weights = self.pretrained.patched(&self.finetuned, alpha);
        let config = self.pretrained.config().clone();
        let clip = config
            .build(&mut weights, &self.device.device)
            .map_err(failure)?;
        let scorer = Scorer::new(
            clip,
            config,
            lab::tokenizer().map_err(failure)?,
            self.preprocess.clone(),
            &self.device.device,
        );
        self.patched = Some((alpha.to_bits(), scorer.await.map_err(failure)?));
        Ok(())
    }

    fn scorer(&self) -> Result<&Scorer, Failure> {
        let (_, scorer) = self.patched.as_ref().ok_or("no model is open")?;
        Ok(scorer)
    }

    /// Embeds the captions that aren't known yet.
    async fn embed_texts(&mut self, captions: &[String]) -> Result<(), Failure> {
        if self.texts.len() > KEPT {
            self.texts.clear();
        }
        let mut new: Vec<&String> = captions
            .iter()
            .filter(|caption| !self.texts.contains_key(*caption))
            .collect();
        new.sort();
        new.dedup();
        let embedded = self
            .scorer()?
            .embed_texts(&new, &mut |_| ())
            .await
            .map_err(failure)?;
        let rows: Vec<(String, Vec<f32>)> = new
            .iter()
            .enumerate()
            .map(|(row, text)| ((*text).clone(), embedded.row(row).to_vec()))
            .collect();
        self.texts.extend(rows);
        Ok(())
    }

    /// How far the pretrained model's embeddings of sample 0 are from the known ones.
    async fn difference(&mut self) -> Result<f32, Failure> {
        let known: Known = serde_json::from_str(KNOWN).map_err(failure)?;
        let (mut image, caption, _) = Image::sample(0, &self.preprocess);
        self.scores(&mut image, std::slice::from_ref(&caption), 0.0)
            .await?;
        let (_, embedded) = image
            .embedding
            .as_ref()
            .ok_or("the image has no embedding")?;
        let text = &self.texts[&caption];
        if known.image.len() != embedded.dim() || known.text.len() != text.len() {
            return Ok(f32::NAN);
        }
        let differences = known
            .image
            .iter()
            .zip(embedded.row(0))
            .chain(known.text.iter().zip(text))
            .map(|(one, other)| (one - other).abs());
        Ok(differences.fold(0.0, |worst: f32, one| {
            if one > worst || one.is_nan() {
                one
            } else {
                worst
            }
        }))
    }
}
