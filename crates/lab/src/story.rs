//! The rows and examples of the report.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use clove_scenes::{Kind, Picture, draw};

use crate::data::pixels;
use crate::error::LabError;
use crate::report::{BlindRow, Example, Figure, ModelRow};
use crate::suite::{SceneSuite, figures};
use clove::evaluate::{Embeddings, Report as Scores};
use clove::preprocess::RgbImage;
use clove::score::Scorer;

/// A model's row, from its scores on the test split for each seed.
pub fn model_row(name: &str, about: &str, scores: &[&Scores], alphas: Vec<f64>) -> ModelRow {
    let over = |value: &dyn Fn(&Scores) -> f64| {
        Figure::over(&scores.iter().map(|scores| value(scores)).collect::<Vec<_>>())
    };
    ModelRow {
        name: name.to_owned(),
        about: about.to_owned(),
        composition: over(&|scores| figures(scores).0),
        kinds: Kind::ALL
            .iter()
            .map(|kind| {
                let accuracy = |scores: &Scores| {
                    let found = scores.subsets.iter().find(|subset| subset.name == kind.name());
                    found.and_then(|subset| subset.accuracy).unwrap_or(f64::NAN)
                };
                (kind.name().to_owned(), over(&accuracy))
            })
            .collect(),
        recognition: over(&|scores| figures(scores).1),
        alphas,
    }
}

/// The rows of text-only rules, chance first. They are the same in every model's scores.
pub fn blind_rows(scores: &Scores) -> Vec<BlindRow> {
    let mut rows = vec![BlindRow {
        name: "chance".to_owned(),
        composition: 0.5,
        kinds: Kind::ALL.iter().map(|kind| (kind.name().to_owned(), 0.5)).collect(),
    }];
    rows.extend(scores.blind.iter().filter(|blind| blind.baseline != "chance").map(|blind| {
        BlindRow {
            name: blind.baseline.clone().into_owned(),
            composition: blind.all_rows.macro_mean.unwrap_or(f64::NAN),
            kinds: blind
                .all_rows
                .subsets
                .iter()
                .map(|subset| (subset.name.clone(), subset.accuracy.unwrap_or(f64::NAN)))
                .collect(),
        }
    }));
    rows
}

/// The first pair of each kind, not selected by outcome, with the scores of `models` (name and model) on its first picture.
///
/// # Errors
/// If the device fails.
pub async fn examples(
    suite: &SceneSuite,
    models: &[(&str, &Scorer)],
) -> Result<Vec<Example>, LabError> {
    let mut examples = Vec::new();
    for kind in Kind::ALL {
        let Some(twins) = suite.twins().iter().find(|twins| twins.kind == kind) else {
            continue;
        };
        let mut example = Example {
            kind: kind.name().to_owned(),
            caption: twins.captions[0].clone(),
            negative: twins.captions[1].clone(),
            picture: String::new(),
            scores: Vec::new(),
        };
        for (name, scorer) in models {
            let preprocess = scorer.preprocess();
            let picture = draw(&twins.scenes[0], preprocess.size(), &mut twins.drawing[0].clone());
            if example.picture.is_empty() {
                example.picture = data_url(&picture)?;
            }
            let images: Embeddings = scorer.embed_pixels(pixels(picture, preprocess)).await?;
            let texts = scorer.embed_texts(&twins.captions, &mut |_| {}).await?;
            let score = |text| images.dot(0, &texts, text);
            example.scores.push(((*name).to_owned(), score(0), score(1)));
        }
        examples.push(example);
    }
    Ok(examples)
}

/// A picture as a PNG in a URL.
fn data_url(picture: &Picture) -> Result<String, LabError> {
    let image = RgbImage::from_raw(picture.size, picture.size, picture.rgb.clone())
        .expect("a picture has three bytes for each pixel");
    let mut png = std::io::Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png)?;
    Ok(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png.get_ref())))
}
