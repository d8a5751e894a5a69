//! What the run found, in a paragraph made of its figures.

use super::text::{escape, fixed, percent_sign, plural, short, usable};
use clove_lab::{ModelRow, Report};

/// Differences below this are printed as 0.0 points, and are not called a gain or a loss.
const NOTHING: f64 = 0.0005;

/// The three models of the story: pretrained, fine-tuned and not patched, patched.
fn story(report: &Report) -> Option<[&ModelRow; 3]> {
    let patched = report
        .models
        .iter()
        .rposition(|model| !model.alphas.is_empty())?;
    let unpatched = patched.checked_sub(1).filter(|index| *index > 0)?;
    Some([
        report.models.first()?,
        &report.models[unpatched],
        &report.models[patched],
    ])
}

/// A difference that can be spoken of; none below [`NOTHING`].
#[derive(Debug, Clone, Copy)]
enum Change {
    Up(f64),
    Down(f64),
    None,
}

impl Change {
    fn between(from: f64, to: f64) -> Option<Self> {
        let difference = usable(to - from)?;
        Some(if difference.abs() < NOTHING {
            Self::None
        } else if difference > 0.0 {
            Self::Up(difference)
        } else {
            Self::Down(-difference)
        })
    }
}

fn points(share: f64) -> String {
    format!("<strong>{}\u{a0}points</strong>", fixed(share * 100.0, 1))
}

/// The paragraph's HTML.
pub(super) fn paragraph(report: &Report) -> String {
    let told = story(report).and_then(|[pretrained, unpatched, patched]| {
        let [was, tuned, kept] =
            [pretrained, unpatched, patched].map(|model| model.composition.mean);
        let [knew, forgot, knows] =
            [pretrained, unpatched, patched].map(|model| model.recognition.mean);
        let composed = match Change::between(was, tuned)? {
            Change::Up(gain) => format!("raised composition by {}", points(gain)),
            Change::Down(loss) => format!("lowered composition by {}", points(loss)),
            Change::None => "left composition as it was".to_owned(),
        };
        let recognised = match Change::between(knew, forgot)? {
            Change::Up(gain) => format!("raised recognition by {}", points(gain)),
            Change::Down(loss) => format!("cost {} of recognition", points(loss)),
            Change::None => "left recognition as it was".to_owned(),
        };
        let returned = match (Change::between(knew, forgot)?, Change::between(forgot, knows)?) {
            (Change::Down(_), Change::Up(gain)) => {
                format!("gave back {} of recognition", points(gain))
            }
            (_, Change::Up(gain)) => format!("raised recognition by {}", points(gain)),
            (_, Change::Down(loss)) => format!("cost {} of recognition more", points(loss)),
            (_, Change::None) => "changed nothing in recognition".to_owned(),
        };
        let remained = match Change::between(was, kept)? {
            Change::Up(gain) => format!("{} above the pretrained model", points(gain)),
            Change::Down(loss) => format!("{} below the pretrained model", points(loss)),
            Change::None => "where the pretrained model has it".to_owned(),
        };
        Some(format!(
            "Fine-tuning with hard negative texts {composed} (from {} to {}) and {recognised} (from {} to {}). Patching, with {}, {returned} (to {}) and leaves composition {remained} (at {}).",
            percent_sign(was),
            percent_sign(tuned),
            percent_sign(knew),
            percent_sign(forgot),
            alphas(&patched.alphas),
            percent_sign(knows),
            percent_sign(kept)
        ))
    });
    let told = told.unwrap_or_else(|| match report.models.first() {
        Some(model) => format!(
            "{} reaches {} in composition and {} in recognition.",
            escape(&model.name),
            percent_sign(model.composition.mean),
            percent_sign(model.recognition.mean)
        ),
        None => "This run has no figures of a model.".to_owned(),
    });
    let seeds = report.settings.seeds.len();
    let over = if seeds > 1 {
        format!("on the test split, means over {}", plural(seeds, "seed"))
    } else {
        "on the test split".to_owned()
    };
    format!(r#"<p class="finding">{told} All figures are {over}.</p>"#)
}

/// The alphas of the seeds: one if they agree.
pub(super) fn alphas(alphas: &[f64]) -> String {
    let texts: Vec<String> = alphas.iter().copied().map(short).collect();
    match texts.as_slice() {
        [] => "no alpha".to_owned(),
        [first, rest @ ..] if rest.iter().all(|text| text == first) => {
            format!("α = {first}")
        }
        _ => format!("α = {} by seed", texts.join(", ")),
    }
}
