//! The texts of the lessons, and their results in words.

use crate::lab::lesson::Lesson;
use crate::lab::{Contest, Measured};

/// The texts of a lesson.
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

/// A lesson's texts.
pub fn lesson(lesson: Lesson) -> Words {
    WORDS[lesson as usize]
}

/// The lessons, in the order of [`Lesson::ALL`].
const WORDS: [Words; 6] = [
    Words {
        title: "A bag of words",
        short: "A pretrained model knows what is in a picture. Does it know which object has which colour?",
        before: &[
            "CLIP learns from pictures and their texts on the web. It embeds both in one space, and is trained to place a picture and its text close together. The small model here was trained on half a million drawn scenes with alt texts such as “star free clipart moon”.",
            "Below are two scenes. Their captions have the same words in another order.",
        ],
        question: "Will the pretrained model prefer the right caption of such a pair?",
        answers: [
            "Nearly always: the pictures are quite different.",
            "About as often as a coin toss.",
            "It will prefer the wrong one.",
        ],
        run: "The model chooses between a right and a wrong caption for 2,100 test pictures, with seven kinds of wrong captions. Chance is 50 %.",
        button: "Run the test",
        after: "A bag of words is enough to reject a wrong shape. To reject swapped words, a model must know which word belongs to which object, and alt texts rarely reward that.",
        paper: (
            "When and why vision-language models behave like bags-of-words, and what to do about it (Yuksekgonul et al., ICLR 2023):",
            "https://arxiv.org/abs/2210.01936",
        ),
    },
    Words {
        title: "Hard negatives",
        short: "Train with wrong captions that are nearly right, and watch word order start to count.",
        before: &[
            "In training, a model matches a batch of pictures with their captions. The captions of other pictures are easy to reject. A hard negative is difficult: the picture's own caption with two words swapped.",
            "The pretrained model is fine-tuned on full captions, each with one such hard negative.",
        ],
        question: "After a few minutes, how often will it reject captions with swapped words?",
        answers: [
            "As before: the model is too small for it.",
            "Clearly more often than before, but far from always.",
            "Nearly always.",
        ],
        run: "Training takes one to three minutes on one core. The curve updates as it learns.",
        button: "Train it",
        after: "Only the wrong captions require word order: preferring one raises the loss. More steps help; the model included with this page saw twice as many pairs. The other line of the curve shows the cost, which is the topic of the lesson after next.",
        paper: (
            "CLoVe: Encoding compositional language in contrastive vision-language models (Castro et al., 2024) trains CLIP so on 600 million pictures:",
            "https://arxiv.org/abs/2402.15021",
        ),
    },
    Words {
        title: "The shortcut",
        short: "What does a benchmark measure if a text-only rule can win it?",
        before: &[
            "To test word order, a benchmark can shuffle the words of a caption: “a star left of a moon” against “left star moon a of a”. Or it can use twins: two scenes, where the caption of each is wrong for the other.",
            "A text-only rule competes: it has read 5,000 captions, and prefers the text with the more frequent word pairs.",
        ],
        question: "How well will the text-only rule do?",
        answers: [
            "Chance on both benchmarks: it sees no picture.",
            "Nearly perfect on shuffled words, chance on twins.",
            "A little above chance on both.",
        ],
        run: "The pretrained model and the text-only rules choose for 400 pictures, once with shuffled words and once with twins.",
        button: "Run the test",
        after: "Where a text-only rule wins, a high score says nothing about vision. So every benchmark here is reported with text-only baselines, and the lab's own is made of twins: each text is right as often as it is wrong.",
        paper: (
            "SugarCrepe: Fixing hackable benchmarks for vision-language compositionality (Hsieh et al., NeurIPS 2023):",
            "https://arxiv.org/abs/2306.14610",
        ),
    },
    Words {
        title: "Forgetting",
        short: "What does a model lose while it learns composition?",
        before: &[
            "The pretrained model knows 22 shapes. The fine-tuning data has twelve of them; keys, cups, mushrooms and seven others never occur.",
            "Afterwards, the model names single shapes: of the twelve, or of the ten absent from fine-tuning.",
        ],
        question: "What happens to the ten?",
        answers: [
            "Nothing: it keeps what it has learnt.",
            "It names fewer of them than before.",
            "It has forgotten all of them.",
        ],
        run: "The pretrained and the fine-tuned model name 1,000 pictures of absent shapes and 600 of the others.",
        button: "Compare them",
        after: "Fine-tuning moves the weights toward the new task, and nothing preserves the old one. Real CLIP models behave alike: composition improves, and ImageNet accuracy drops.",
        paper: (
            "Robust fine-tuning of zero-shot models (Wortsman et al., CVPR 2022) measured this for CLIP:",
            "https://arxiv.org/abs/2109.01903",
        ),
    },
    Words {
        title: "Patching",
        short: "Interpolate the weights of two models to get a third.",
        before: &[
            "Two sets of weights: the pretrained model recognises ten rare shapes and mostly ignores word order; the fine-tuned model uses word order and has forgotten some of the shapes.",
            "Interpolate every weight: (1 − alpha) times the first plus alpha times the second.",
        ],
        question: "What will a model in the middle do?",
        answers: [
            "Nothing useful: the average is meaningless.",
            "Half of both: a straight line between the two.",
            "Better than half: it keeps most of both.",
        ],
        run: "Measures eleven values of alpha on validation pictures, chooses one by a fixed rule, and measures it on test pictures. Takes about a minute on one core.",
        button: "Interpolate",
        after: "Fine-tuning from a pretrained model stays in the same valley of the loss, so models along the path are good too. This is the last step of CLoVe: recognition returns, and composition stays.",
        paper: (
            "Patching open-vocabulary models by interpolating weights (Ilharco et al., NeurIPS 2022):",
            "https://arxiv.org/abs/2208.05592",
        ),
    },
    Words {
        title: "Data curation",
        short: "Same pictures, different texts: which decides what a model learns?",
        before: &[
            "An alt text names an object or two: “sticker star new red moon”. A synthetic caption names every object and relation: “a red star left of a striped moon”.",
            "Two models are fine-tuned from the pretrained model on the same pictures, for the same number of steps and without hard negatives: one on alt texts, one on full captions.",
        ],
        question: "Without negatives, do the texts matter for composition?",
        answers: [
            "No: only hard negatives teach it.",
            "Yes: full captions alone teach part of it.",
            "Alt texts teach more: there is more noise to learn from.",
        ],
        run: "Two short runs, one after the other; one to three minutes on one core.",
        button: "Train both",
        after: "A loss can only teach what the texts contain. CLoVe therefore starts with synthetic captions, before hard negatives.",
        paper: (
            "Improving multimodal datasets with image captioning (Nguyen et al., NeurIPS 2023) shows it for billions of web pictures:",
            "https://arxiv.org/abs/2307.10350",
        ),
    },
];

fn percent(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{:.1} %", 100.0 * value))
}

fn points(before: Option<f64>, after: Option<f64>) -> String {
    match before.zip(after) {
        // A minus sign, not a hyphen.
        Some((before, after)) => {
            format!("{:+.1} points", 100.0 * (after - before)).replace('-', "−")
        }
        None => "–".to_owned(),
    }
}

/// The result of measured models.
pub fn happened(lesson: Lesson, models: &[(String, Measured)]) -> String {
    let none = Measured::default();
    let of = |at: usize| models.get(at).map_or(&none, |(_, measured)| measured);
    match lesson {
        Lesson::BagOfWords => format!(
            "It rejects a wrong shape in {} of the pictures, and swapped words in {}.",
            percent(of(0).kind("replace_obj")),
            percent(of(0).swaps())
        ),
        Lesson::HardNegatives => format!(
            "It rejects swapped words in {} of the pictures, before {}: {}.",
            percent(of(1).swaps()),
            percent(of(0).swaps()),
            points(of(0).swaps(), of(1).swaps())
        ),
        Lesson::Forgetting => format!(
            "Accuracy on shapes absent from fine-tuning: {}, before {} ({}). On the others: {}, before {}. Composition: {}.",
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

/// The result of two benchmarks.
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
            "{name} the best text-only rule gets {:.1} % and the model {:.1} %",
            100.0 * best(contest),
            100.0 * contest.model
        )
    });
    let said = each.collect::<Vec<_>>().join("; ");
    // The first letter is ASCII.
    let (first, rest) = said.split_at(said.len().min(1));
    format!("{}{rest}.", first.to_uppercase())
}

/// The result of a sweep.
pub fn happened_sweep(test: &[(u32, Measured)], chosen: Option<u32>) -> String {
    let at = |alpha: u32| test.iter().find(|(other, _)| *other == alpha).map(|(_, one)| one);
    let none = Measured::default();
    let (before, after) = (at(0).unwrap_or(&none), at(100).unwrap_or(&none));
    let chosen = chosen.unwrap_or(0);
    let patched = at(chosen).unwrap_or(&none);
    let kept = match (before.composition, patched.composition, after.composition) {
        (Some(before), Some(patched), Some(after)) if after > before => {
            format!(
                ", {:.0} % of the gain of fine-tuning",
                100.0 * (patched - before) / (after - before)
            )
        }
        _ => String::new(),
    };
    format!(
        "Chosen alpha: {:.1}. On test pictures, composition is {} ({} against the pretrained model{kept}) and recognition {} ({}; fine-tuned: {}).",
        f64::from(chosen) / 100.0,
        percent(patched.composition),
        points(before.composition, patched.composition),
        percent(patched.unseen),
        points(before.unseen, patched.unseen),
        percent(after.unseen)
    )
}
