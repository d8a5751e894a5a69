//! Zero-shot classification by class names, for the suite zero-shot and for validation.

use std::path::Path;

use clove::evaluate::{
    Embeddings, EvaluateError, ZeroShotReport, class_embeddings, classify, fill_template, prompts,
};
use clove_data::benchmarks::class_set::{ClassSet, lines};
use clove_data::benchmarks::zero_shot;
use clove_data::fetch::Cache;

use super::store::{EmbeddedPhotos, Embedder, Photo};
use crate::error::{Context as _, Result};
use crate::words::counted;

const TEMPLATE: &str = "a photo of a {}.";

#[derive(Debug)]
pub struct Classes {
    pub set: ClassSet,
    /// Prompt templates with `{}` or `{c}` for the class.
    pub templates: Vec<String>,
}

pub struct Classified {
    pub photos: EmbeddedPhotos,
    pub classes: Embeddings,
    /// Class of each readable photo.
    pub labels: Vec<usize>,
}

impl Classified {
    pub fn report(&self) -> Result<ZeroShotReport, EvaluateError> {
        classify(&self.photos.rows, &self.classes, &self.labels)
    }
}

impl Classes {
    /// Opens photos, class names and templates. The latter two are text files, one per line, or `FILE.json#DATASET` of
    /// `CLIP_benchmark`; shards may have both beside them. `place` prefixes their errors.
    pub fn open(
        path: &Path,
        names: Option<&Path>,
        templates: Option<&Path>,
        place: &str,
        cache: &Cache<'_>,
    ) -> Result<Self> {
        let names = names.map(texts).transpose();
        let names = names.with_context(|| format!("{place}class_names"))?;
        let of_templates = || format!("{place}templates");
        let check = |templates: &[String]| -> Result<()> {
            for template in templates {
                fill_template(template, "").with_context(of_templates)?;
            }
            Ok(())
        };
        let given = templates.map(texts).transpose().with_context(of_templates)?;
        check(given.as_deref().unwrap_or_default())?;
        let mut set = ClassSet::open(path, names.as_deref(), cache)?;
        let templates = given.or(set.templates.take());
        let templates = templates.unwrap_or_else(|| vec![TEMPLATE.to_owned()]);
        check(&templates)?;
        Ok(Self { set, templates })
    }

    /// Keeps at most `most` photos, spread over the classes.
    pub fn thin_out(&mut self, most: usize) {
        let all = self.set.photos.len();
        let taken = all.min(most);
        let mut number = 0;
        self.set.photos.retain(|_| {
            number += 1;
            number * taken / all > (number - 1) * taken / all
        });
    }

    /// `3 photos skipped, the first a.jpg: not an image`, if any are skipped.
    pub fn skipped(&self) -> Option<String> {
        let (place, why) = self.set.skipped.first()?;
        let skipped = counted(self.set.skipped.len() as u64, "photo");
        Some(format!("{skipped} skipped, the first {place}: {why}"))
    }

    /// `5 photos of 2 classes`
    pub fn summary(&self) -> String {
        let photos = counted(self.set.photos.len() as u64, "photo");
        let classes = self.set.classes.len();
        format!("{photos} of {classes} class{}", if classes == 1 { "" } else { "es" })
    }

    /// The photos, in their order.
    pub fn photos(&self) -> Vec<Photo> {
        self.set.photos.iter().map(|(place, _)| place.into()).collect()
    }

    pub fn embed(&self, embedder: &mut Embedder<'_>) -> Result<Classified> {
        let photos = embedder.photos(&self.photos())?;
        self.embed_with(photos, embedder)
    }

    /// [`Self::embed`] with photos that are embedded already.
    pub fn embed_with(
        &self,
        photos: EmbeddedPhotos,
        embedder: &mut Embedder<'_>,
    ) -> Result<Classified> {
        let set = &self.set;
        let prompts = embedder.texts(&prompts(&set.classes, &self.templates)?)?;
        let places = photos.places.iter();
        Ok(Classified {
            labels: places.map(|place| set.photos[*place].1).collect(),
            classes: class_embeddings(&prompts, set.classes.len())?,
            photos,
        })
    }
}

fn texts(path: &Path) -> Result<Vec<String>> {
    let name = path.to_string_lossy();
    Ok(match name.rsplit_once(".json#") {
        Some((file, set)) => zero_shot::read(Path::new(&format!("{file}.json")), set)?,
        None => lines(path)?,
    })
}
