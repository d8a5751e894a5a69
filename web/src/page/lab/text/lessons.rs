//! The lessons in words, and what their figures say.

use crate::lab::lesson::Lesson;
use crate::lab::{Contest, Measured};

/// A lesson in words.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    pub title: &'static str,
    pub short: &'static str,
    pub before: &'static [&'static str],
    pub question: &'static str,
    pub answers: [&'static str; Lesson::ANSWERS],
    pub run: &'static str,
    pub button: &'static str,
    pub after: &'static str,
    pub paper: (&'static str, &'static str),
}

/// A lesson's words.
pub fn lesson(lesson: Lesson) -> Words {
    match lesson {
        Lesson::BagOfWords => BAG_OF_WORDS,
        Lesson::HardNegatives => HARD_NEGATIVES,
        Lesson::Shortcut => SHORTCUT,
        Lesson::Forgetting => FORGETTING,
        Lesson::Patching => PATCHING,
        Lesson::DataCuration => DATA_CURATION,
    }
}

const BAG_OF_WORDS: Words = Words {
    title: "A bag of words",
    short: "A pretrained model knows what is in a picture. Does it know which thing has which colour?",
    before: &[
        "CLIP learns from pictures and the texts beside them on the web. It puts both into one space, and a picture's text should lie near the picture. \
                 The small model here learnt that from half a million drawn scenes with alt texts such as “star free clipart moon”.",
        "Below are two scenes. Their captions have the same words in another order.",
    ],
    question: "Will the pretrained model prefer the right caption of such a pair?",
    answers: [
        "Nearly always: the pictures are quite different.",
        "Hardly more often than a coin would.",
        "It will prefer the wrong one.",
    ],
    run: "The model chooses between a right and a wrong caption for 2,100 test pictures, wrong in seven different ways. A guess gets 50 %.",
    button: "Let it choose",
    after: "To tell another shape from the right one, it's enough to know which things are there: a bag of words. To tell an exchange, one must know which \
                    word belongs to which thing, and alt texts hardly ever reward that.",
    paper: (
        "When and why vision-language models behave like bags-of-words, and what to do about it (Yuksekgonul et al., ICLR 2023):",
        "https://arxiv.org/abs/2210.01936",
    ),
};

const HARD_NEGATIVES: Words = Words {
    title: "Hard negatives",
    short: "Train with wrong captions that are nearly right, and watch the model begin to look.",
    before: &[
        "In training a model sees many pictures and captions at once, and must find out which belong together. Other pictures' captions are easy to refuse. \
                 A hard negative isn't: it's the picture's own caption with two words exchanged.",
        "The model is fine-tuned from the pretrained one, on full captions, each with one such hard negative.",
    ],
    question: "After some minutes of this, how often will it tell captions with exchanged words?",
    answers: [
        "As before: the model is too small for it.",
        "Clearly more often than before, though far from always.",
        "Nearly always.",
    ],
    run: "Training takes a minute or three on one core. The curve is renewed as it learns.",
    button: "Train it",
    after: "Nothing but the wrong captions asks for it: who prefers them pays. More steps tell more: the model that comes with the page learnt from twice as many pairs. The other line of the curve is what it costs; that's the lesson after the next.",
    paper: (
        "CLoVe: Encoding compositional language in contrastive vision-language models (Castro et al., 2024) trains CLIP so on 600 million pictures:",
        "https://arxiv.org/abs/2402.15021",
    ),
};

const SHORTCUT: Words = Words {
    title: "The shortcut",
    short: "How good is a benchmark that can be won with the eyes shut?",
    before: &[
        "To test whether a model sees order, one could take captions and shuffle their words: “a star left of a moon” against “left star moon a of a”. \
                 Or one could take twins: two scenes, each of whose captions is wrong for the other.",
        "A rule that never sees the picture takes part too: it has read 5,000 captions, and prefers the text whose pairs of words it has seen more often.",
    ],
    question: "How well will the blind rule do?",
    answers: [
        "It guesses on both benchmarks: it sees nothing.",
        "It nearly always wins on shuffled words, and guesses on twins.",
        "It beats the guess a little on both.",
    ],
    run: "The pretrained model and the blind rules choose for 400 pictures, once with shuffled words and once with twins.",
    button: "Let them choose",
    after: "Where a rule on texts alone wins, a high score says nothing about seeing. So every benchmark here is reported with blind rules beside it, and the lab's own is made \
                    of twins: each text is right as often as it's wrong.",
    paper: (
        "SugarCrepe: Fixing hackable benchmarks for vision-language compositionality (Hsieh et al., NeurIPS 2023):",
        "https://arxiv.org/abs/2306.14610",
    ),
};

const FORGETTING: Words = Words {
    title: "Forgetting",
    short: "What does a model lose while it learns to look?",
    before: &[
        "The pretrained model knows 22 shapes. Fine-tuning with hard negatives shows twelve of them; keys, cups, mushrooms and seven others never occur.",
        "After it, the model is shown single shapes, and must name each: of the twelve, or of the ten that it hasn't seen since.",
    ],
    question: "What becomes of the ten?",
    answers: [
        "Nothing: what it has learnt it keeps.",
        "It names fewer of them than before.",
        "It has forgotten all of them.",
    ],
    run: "The pretrained model and the one that CLoVe made of it name 1,000 pictures of unseen shapes and 600 of seen ones.",
    button: "Compare them",
    after: "Fine-tuning moves the weights to where the new task is done well, and nothing holds what the old one needs. On real CLIP models it's the same: \
                    composition rises, and ImageNet falls.",
    paper: (
        "Robust fine-tuning of zero-shot models (Wortsman et al., CVPR 2022) measured it for CLIP:",
        "https://arxiv.org/abs/2109.01903",
    ),
};

const PATCHING: Words = Words {
    title: "Patching",
    short: "Between two models lies a third: mix their weights.",
    before: &[
        "Two sets of weights: the pretrained one recognises ten rare shapes and hardly sees order; the fine-tuned one sees order and has forgotten part of the shapes.",
        "Mix them, number by number: (1 − alpha) times the first plus alpha times the second.",
    ],
    question: "What will a model from the middle do?",
    answers: [
        "Nothing: mixed weights make no sense.",
        "Half of both: it lies on the straight line between the two.",
        "Better than half: it keeps most of both.",
    ],
    run: "Eleven mixtures are measured on validation pictures. One is chosen by a rule, and measured on test pictures. It takes about a minute on one core.",
    button: "Mix them",
    after: "Fine-tuning from a pretrained model stays in one valley of the loss, so the way between them is no worse than its ends. That is CLoVe's last step: \
                    recognition comes back, and composition stays.",
    paper: (
        "Patching open-vocabulary models by interpolating weights (Ilharco et al., NeurIPS 2022):",
        "https://arxiv.org/abs/2208.05592",
    ),
};

const DATA_CURATION: Words = Words {
    title: "Data curation",
    short: "The same pictures, other texts: what decides what is learnt?",
    before: &[
        "A web page's text names a thing or two: “sticker star new red moon”. A synthetic caption says everything, and how things stand to each other: “a red star left of a striped moon”.",
        "Two models are fine-tuned from the pretrained one on the very same pictures, for as many steps and without any hard negatives: one with alt texts, one with full captions.",
    ],
    question: "Without negatives, do the texts matter for composition?",
    answers: [
        "No: only hard negatives teach it.",
        "Yes: full captions alone teach part of it.",
        "Alt texts teach more: there is more noise to learn from.",
    ],
    run: "Two short runs, one after the other; a minute or three on one core.",
    button: "Train both",
    after: "A loss can only teach what the texts say. CLoVe therefore begins with synthetic captions, before any hard negative.",
    paper: (
        "Improving multimodal datasets with image captioning (Nguyen et al., NeurIPS 2023) shows it for billions of web pictures:",
        "https://arxiv.org/abs/2307.10350",
    ),
};

fn percent(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{:.1} %", 100.0 * value))
}

fn points(before: Option<f64>, after: Option<f64>) -> String {
    match before.zip(after) {
        // A minus as it's printed, not a hyphen.
        Some((before, after)) => {
            format!("{:+.1} points", 100.0 * (after - before)).replace('-', "−")
        }
        None => "–".to_owned(),
    }
}

/// What figures of models say.
pub fn happened(lesson: Lesson, models: &[(String, Measured)]) -> String {
    let none = Measured::default();
    let of = |at: usize| models.get(at).map_or(&none, |(_, measured)| measured);
    let kind = |measured: &Measured, name: &str| {
        let found = measured.kinds.iter().find(|(kind, _)| kind == name);
        found.map(|(_, value)| *value)
    };
    match lesson {
        Lesson::BagOfWords => format!(
            "It tells another shape in {} of the pictures, and exchanged words in {}.",
            percent(kind(of(0), "replace_obj")),
            percent(of(0).swaps())
        ),
        Lesson::HardNegatives => format!(
            "Exchanged words are told in {} of the pictures instead of {}: {}.",
            percent(of(1).swaps()),
            percent(of(0).swaps()),
            points(of(0).swaps(), of(1).swaps())
        ),
        Lesson::Forgetting => format!(
            "Of the shapes that fine-tuning never showed it names {} instead of {} ({}), of those that it showed {} instead of {}. Composition: {}.",
            percent(of(1).unseen),
            percent(of(0).unseen),
            points(of(0).unseen, of(1).unseen),
            percent(of(1).seen),
            percent(of(0).seen),
            points(of(0).composition, of(1).composition)
        ),
        _ => format!(
            "Composition over all kinds: {} before; {} with alt texts ({}); {} with full captions ({}).",
            percent(of(0).composition),
            percent(of(1).composition),
            points(of(0).composition, of(1).composition),
            percent(of(2).composition),
            points(of(0).composition, of(2).composition)
        ),
    }
}

/// What two benchmarks say.
pub fn happened_blind(contests: &[Contest]) -> String {
    let best = |contest: &Contest| {
        let all = contest.blind.iter().map(|(_, value)| *value);
        all.fold(f64::NEG_INFINITY, f64::max)
    };
    let each = contests.iter().map(|contest| {
        let name = match contest.name.as_str() {
            "twins" => "on twins",
            _ => "on shuffled words",
        };
        format!(
            "{name} the best blind rule gets {:.1} % and the model {:.1} %",
            100.0 * best(contest),
            100.0 * contest.model
        )
    });
    let all: Vec<String> = each.collect();
    let mut said = all.join("; ");
    if let Some(first) = said.get(..1) {
        let first = first.to_uppercase();
        said.replace_range(..1, &first);
    }
    said.push('.');
    said
}

/// What a sweep says.
pub fn happened_sweep(test: &[(u32, Measured)], chosen: Option<u32>) -> String {
    let at = |alpha: u32| {
        test.iter()
            .find(|(other, _)| *other == alpha)
            .map(|(_, one)| one)
    };
    let none = Measured::default();
    let (before, after) = (at(0).unwrap_or(&none), at(100).unwrap_or(&none));
    let chosen = chosen.unwrap_or(0);
    let patched = at(chosen).unwrap_or(&none);
    let kept = match (before.composition, patched.composition, after.composition) {
        (Some(before), Some(patched), Some(after)) if after > before => {
            format!(
                ", {:.0} % of what fine-tuning gained",
                100.0 * (patched - before) / (after - before)
            )
        }
        _ => String::new(),
    };
    format!(
        "Alpha {:.1} was chosen. On test pictures it has {} of composition ({} against the pretrained model{kept}) and {} of recognition ({}; the fine-tuned one has {}).",
        f64::from(chosen) / 100.0,
        percent(patched.composition),
        points(before.composition, patched.composition),
        percent(patched.unseen),
        points(before.unseen, patched.unseen),
        percent(after.unseen)
    )
}
