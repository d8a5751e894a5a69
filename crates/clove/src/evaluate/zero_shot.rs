//! Zero-shot classification: the class whose prompts are most similar to the photo.
//!
//! A class's embedding is the mean of its prompts' L2-normalised embeddings, L2-normalised again; a photo's class is the one
//! with the highest cosine (openai/CLIP notebooks/Prompt_Engineering_for_ImageNet.ipynb; LAION-AI/CLIP_benchmark
//! clip_benchmark/metrics/zeroshot_classification.py).

use serde::{Deserialize, Serialize};

use super::embeddings::{Panels, normalise};
use super::{Embeddings, EvaluateError};

/// The k of top-k accuracy, besides top-1.
const TOP_K: usize = 5;

/// Marks of the class name in a template: Python's, as in transformers (src/transformers/pipelines/zero_shot_image_classification.py)
/// and in lists of OpenAI's templates, and that of LAION-AI/CLIP_benchmark.
const MARKS: [&str; 2] = ["{}", "{c}"];

/// `template` with the class name in place of every `{}` and every `{c}`.
///
/// # Errors
/// [`EvaluateError::Template`] if it holds neither: all classes would get the same prompt.
pub fn fill_template(template: &str, class: &str) -> Result<String, EvaluateError> {
    if !MARKS.iter().any(|mark| template.contains(mark)) {
        return Err(EvaluateError::Template(template.to_owned()));
    }
    // In pieces, because a class may have a mark in its name.
    let pieces = template.split(MARKS[0]).map(|piece| piece.replace(MARKS[1], class));
    Ok(pieces.collect::<Vec<_>>().join(class))
}

/// All prompts, `[classes, templates]` in row-major order, for [`class_embeddings`].
///
/// # Errors
/// [`EvaluateError::Empty`] without classes or templates, and [`EvaluateError::Template`].
pub fn prompts<C: AsRef<str>, T: AsRef<str>>(
    classes: &[C],
    templates: &[T],
) -> Result<Vec<String>, EvaluateError> {
    for (what, empty) in [("class", classes.is_empty()), ("prompt template", templates.is_empty())]
    {
        if empty {
            return Err(EvaluateError::Empty(what));
        }
    }
    classes
        .iter()
        .flat_map(|class| {
            templates.iter().map(|template| fill_template(template.as_ref(), class.as_ref()))
        })
        .collect()
}

/// Class embeddings `[classes, dim]` from prompt embeddings `[classes * templates, dim]` in the order of [`prompts`].
///
/// # Errors
/// [`EvaluateError::Empty`] without classes, [`EvaluateError::Count`] if the prompts don't divide evenly among the classes,
/// [`EvaluateError::ZeroClass`] if the prompts of a class cancel out.
pub fn class_embeddings(prompts: &Embeddings, classes: usize) -> Result<Embeddings, EvaluateError> {
    if classes == 0 {
        return Err(EvaluateError::Empty("class"));
    }
    let templates = prompts.len() / classes;
    if templates == 0 || templates * classes != prompts.len() {
        return Err(EvaluateError::Count {
            what: "prompt embeddings (templates x classes)",
            given: prompts.len(),
            expected: templates.max(1) * classes,
        });
    }
    let dim = prompts.dim();
    let mut data = Vec::with_capacity(classes * dim);
    for class in 0..classes {
        let mut mean = vec![0f64; dim];
        for template in 0..templates {
            let row = prompts.row(class * templates + template);
            for (sum, &value) in mean.iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
        let mut row: Vec<f32> = mean.iter().map(|sum| (sum / templates as f64) as f32).collect();
        if !normalise(&mut row) {
            return Err(EvaluateError::ZeroClass { class });
        }
        data.extend(row);
    }
    Embeddings::from_rows(dim, data)
}

/// Zero-shot accuracies, 0 to 1, or null where nothing was scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZeroShotReport {
    /// Share of photos whose own class is the most similar, the first of equals.
    pub top1: Option<f64>,
    /// Share of photos whose own class is among the five most similar, equals in their order; `None` with fewer than five classes.
    pub top5: Option<f64>,
    /// Mean of the classes' top-1 accuracies, over the classes that have photos.
    pub mean_per_class: Option<f64>,
    /// Photos.
    pub rows: usize,
    /// Photos whose own class ties with another for the highest similarity; the first of the two is taken.
    pub ties: usize,
    /// By class, in order.
    pub classes: Vec<ClassReport>,
}

/// The figures of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Top-1 accuracy, 0 to 1; none without photos.
    pub accuracy: Option<f64>,
    /// Photos of the class.
    pub rows: usize,
    /// Photos that are right.
    pub correct: usize,
}

/// Classifies photos `[photos, dim]` by `classes` `[classes, dim]`; `labels[photo]` is the photo's own class.
///
/// Of equally similar classes the first is taken, as PyTorch's `argmax` does in `CLIP_benchmark`: two classes of one name, such as
/// ImageNet's two missiles, have the same embedding, and the photos of both go to the first.
///
/// # Errors
/// Different widths, not one label per photo, or a label past the classes.
pub fn classify(
    images: &Embeddings,
    classes: &Embeddings,
    labels: &[usize],
) -> Result<ZeroShotReport, EvaluateError> {
    images.check_width(classes)?;
    check_labels(["labels of photos", "label of photo"], labels, images.len(), classes.len())?;
    let mut by_class = vec![ClassReport { accuracy: None, rows: 0, correct: 0 }; classes.len()];
    let (mut correct, mut in_top_k, mut ties) = (0, 0, 0);
    let panels = Panels::new(classes, 0..classes.len());
    panels.for_each_row(images, 0..images.len(), |photo, similarities| {
        let label = labels[photo];
        let own = similarities[label];
        let above = similarities.iter().filter(|other| **other > own).count();
        let equals = |others: &[f32]| others.iter().filter(|other| **other == own).count();
        let first = equals(&similarities[..label]);
        let class = &mut by_class[label];
        class.rows += 1;
        if above + first == 0 {
            class.correct += 1;
            correct += 1;
        }
        // The class itself is one of the equals.
        ties += usize::from(above == 0 && equals(similarities) > 1);
        in_top_k += usize::from(above + first < TOP_K);
    });
    for class in &mut by_class {
        class.accuracy = share(class.correct, class.rows);
    }
    Ok(ZeroShotReport {
        top1: share(correct, images.len()),
        top5: share(in_top_k, images.len()).filter(|_| classes.len() >= TOP_K),
        mean_per_class: super::blind::macro_mean(by_class.iter().map(|class| class.accuracy)),
        rows: images.len(),
        ties,
        classes: by_class,
    })
}

/// The class of a photo: the most similar one, the first of equals.
///
/// # Panics
/// If the photo doesn't exist or the widths differ.
pub fn most_similar(images: &Embeddings, photo: usize, classes: &Embeddings) -> usize {
    let similar = |class: usize| images.dot(photo, classes, class);
    let (class, _) = (0..classes.len()).fold((0, f32::NEG_INFINITY), |best, class| {
        let similarity = similar(class);
        if similarity > best.1 { (class, similarity) } else { best }
    });
    class
}

/// Checks that there are `count` labels, which errors call by these names, all below `rows`.
pub(super) fn check_labels(
    [all, one]: [&'static str; 2],
    labels: &[usize],
    count: usize,
    rows: usize,
) -> Result<(), EvaluateError> {
    if labels.len() != count {
        return Err(EvaluateError::Count { what: all, given: labels.len(), expected: count });
    }
    labels.iter().position(|label| *label >= rows).map_or(Ok(()), |at| {
        Err(EvaluateError::Index { what: one, at: at.to_string(), row: labels[at], rows })
    })
}

/// `part / whole`; `None` if `whole` is 0.
pub(super) fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
