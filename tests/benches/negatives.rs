//! How good hard negatives are and how fast they're made: a page in Markdown.
//!
//! `cargo xtask bench negatives [--data DIR] [--out FILE.md]`
//!
//! DIR holds `benchmarks/sugar-crepe` (SugarCrepe's files), `benchmarks/aro/valid_neg_clip.tsv` (NegCLIP's captions with its
//! own negatives), `photos/coco-val2017/captions.json` (COCO's format) and `photos/flickr8k-96` (shards of image-text pairs).

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clove::evaluate::{Baseline, BigramModel, Pair, Subset, TrainingCaption, TrialSet};
use clove_data::benchmarks::sugar_crepe;
use clove_negatives::{Generator, Negative, Request, Style};
use clove_random::Random;
use clove_tests::timing::{from_root, median, memory, options, time};
use clove_tests::{json_members, strings};

/// Examples of each style.
const EXAMPLES: usize = 40;

fn main() {
    let usage = "cargo xtask bench negatives [--data DIR] [--out FILE.md]";
    let [data, out] = options(usage, ["--data", "--out"]);
    let data = from_root(data.as_deref().unwrap_or("../shared/data"));
    let began = Instant::now();
    let generator = Generator::new(clove_negatives::ENGLISH).unwrap();
    let start_up = began.elapsed();

    let crepe = sugar_crepe::read(&data.join("benchmarks/sugar-crepe")).unwrap();
    let (negclip, their_pairs) = negclip(&data.join("benchmarks/aro/valid_neg_clip.tsv"));
    let coco = coco(&data.join("photos/coco-val2017/captions.json"));
    let flickr = flickr(&data.join("photos/flickr8k-96"));
    let crepe_captions =
        distinct(crepe.iter().flat_map(|subset| &subset.rows).map(|pair| pair.caption.clone()));

    let mut page = String::from(
        "# Hard negatives: how good, how fast\n\nWritten by `cargo xtask bench negatives`.\n\n",
    );
    let all = distinct(crepe_captions.iter().chain(&negclip).chain(&flickr).cloned());
    page += &speed(&generator, &all, start_up);
    page += &yields(&generator, &[("COCO val2017", &coco), ("SugarCrepe", &crepe_captions)]);
    page += &judged(&Path::new(env!("CARGO_MANIFEST_DIR")).join("judged/negatives.tsv"));
    page += &told(&generator, &crepe, &crepe_captions, &their_pairs, &flickr, &negclip);
    page += &examples(&generator, &coco);
    match out {
        Some(out) => fs::write(from_root(&out), page).unwrap(),
        None => println!("{page}"),
    }
}

fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    texts.filter(|text| seen.insert(text.clone())).collect()
}

fn make(generator: &Generator, caption: &str, style: Style, index: usize) -> Vec<Negative> {
    let index = index as u64;
    let request = Request { caption, others: &[], style, count: 1, seed: 0, epoch: 0, index };
    generator.negatives(&request).negatives
}

fn speed(generator: &Generator, captions: &[String], start_up: std::time::Duration) -> String {
    let mut text = format!(
        "## Speed\n\n{} distinct captions (SugarCrepe, NegCLIP's validation file, Flickr8k), each once; median of five.\n\n\
         | Style | One thread | Two threads |\n|---|---|---|\n",
        captions.len()
    );
    for style in Style::ALL {
        let rate = |threads: usize| {
            let mut run = || {
                std::thread::scope(|scope| {
                    for part in captions.chunks(captions.len().div_ceil(threads)) {
                        scope.spawn(move || {
                            for (index, caption) in part.iter().enumerate() {
                                std::hint::black_box(make(generator, caption, style, index));
                            }
                        });
                    }
                });
            };
            let time = median((0..5).map(|_| time(&mut run)).collect());
            captions.len() as f64 / time.as_secs_f64()
        };
        let (name, one, two) = (style.name(), rate(1), rate(2));
        let _ = writeln!(text, "| {name} | {one:.0} a second | {two:.0} a second |");
    }
    let _ = write!(text, "\nStart-up: {:.1} ms.", start_up.as_secs_f64() * 1e3);
    if let Some(peak) = memory("VmHWM:") {
        let _ = write!(text, " Peak memory with all captions loaded: {} MB.", peak >> 20);
    }
    text + "\n\n"
}

fn yields(generator: &Generator, sets: &[(&str, &[String])]) -> String {
    let mut text = String::from(
        "## Yield\n\nCaptions that have a negative, and the kinds of the negatives (at most one for each caption).\n\n\
         | Style | Captions | With a negative | Kinds |\n|---|---|---|---|\n",
    );
    for style in Style::ALL {
        for (name, captions) in sets {
            let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
            let mut with = 0_usize;
            for (index, caption) in captions.iter().enumerate() {
                for negative in make(generator, caption, style, index) {
                    with += 1;
                    *kinds.entry(negative.kind.name()).or_default() += 1;
                }
            }
            let share = |count: usize, all: usize| 100.0 * count as f64 / all as f64;
            let kinds =
                kinds.iter().map(|(kind, count)| format!("{kind} {:.1} %", share(*count, with)));
            let kinds = kinds.collect::<Vec<_>>().join(", ");
            let (style, all) = (style.name(), captions.len());
            let share = share(with, all);
            let _ = writeln!(text, "| {style} | {name}, {all} | {share:.1} % | {kinds} |");
        }
    }
    text + "\n"
}

/// How many negatives are poor, by eye.
fn judged(list: &Path) -> String {
    let lines = fs::read_to_string(list).unwrap();
    let mut counts: BTreeMap<[&str; 3], [usize; 4]> = BTreeMap::new();
    for line in lines.lines().filter(|line| !line.starts_with('#')) {
        let [rules, sample, style, _, verdict, ..] = line.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("{line}");
        };
        let kind =
            ["good", "ungrammatical", "same", "true"].iter().position(|kind| *kind == verdict);
        counts.entry([style, rules, sample]).or_default()[kind.unwrap()] += 1;
    }
    let mut text = String::from(
        "## Judged by eye\n\nOne negative for each of 120 captions of COCO and SugarCrepe and odd ones (tests/judged/negatives.tsv has each). \
         Poor is ungrammatical, the same in meaning, or true of the same picture. The rules were tuned on the sample `tuning`; \
         `held-out` was looked at once.\n\n\
         | Style | Version of the rules | Sample | Negatives | Ungrammatical | Same | True | Poor |\n|---|---|---|---|---|---|---|---|\n",
    );
    for ([style, rules, sample], [good, ungrammatical, same, truth]) in counts {
        let poor = ungrammatical + same + truth;
        let all = good + poor;
        let share = 100.0 * poor as f64 / all as f64;
        let _ = writeln!(
            text,
            "| {style} | {rules} | {sample} | {all} | {ungrammatical} | {same} | {truth} | {share:.1} % |"
        );
    }
    text + "\n"
}

fn pair(id: usize, caption: &str, negative: String) -> Pair {
    let (id, image, caption) = (id.to_string(), String::new(), caption.to_owned());
    Pair { id, image, caption, negative }
}

/// How often a bigram model prefers the caption to its negative.
fn told(
    generator: &Generator,
    crepe: &[Subset],
    crepe_captions: &[String],
    their_pairs: &[Pair],
    flickr: &[String],
    negclip: &[String],
) -> String {
    let training = |captions: &[String]| -> Vec<TrainingCaption> {
        captions.iter().map(|text| TrainingCaption::from(text.as_str())).collect()
    };
    // The model isn't trained on captions that occur in the judged subsets.
    let ours: Vec<Subset> = Style::ALL
        .iter()
        .flat_map(|style| {
            let mut kinds: BTreeMap<&str, Vec<Pair>> = BTreeMap::new();
            for (index, caption) in crepe_captions.iter().enumerate() {
                for negative in make(generator, caption, *style, index) {
                    let pairs = kinds.entry(negative.kind.name()).or_default();
                    pairs.push(pair(index, caption, negative.text));
                }
            }
            let all = kinds.values().flatten().cloned().collect();
            let named = |name: String, rows| Subset { name, rows };
            std::iter::once(named(format!("**ours, {}**", style.name()), all)).chain(
                kinds.into_iter().map(move |(kind, rows)| {
                    named(format!("ours, {}: {kind}", style.name()), rows)
                }),
            )
        })
        .collect();
    let theirs = Subset { name: "NegCLIP's own".to_owned(), rows: their_pairs.to_vec() };
    let mut judged = crepe.to_vec();
    judged.extend(ours);
    let trials =
        |subsets: &[Subset]| -> Vec<TrialSet> { subsets.iter().map(TrialSet::from).collect() };
    let (model, summary) = BigramModel::train(&training(flickr), &trials(&judged)).unwrap();
    let (same, same_summary) = BigramModel::train(&training(negclip), &trials(&judged)).unwrap();
    // NegCLIP's negatives by a model that has seen the other half of its captions.
    let crossed = [0, 1].map(|odd| {
        let rows = their_pairs.iter().skip(odd).step_by(2).cloned().collect();
        let half = Subset { name: String::new(), rows };
        let (model, _) = BigramModel::train(&training(negclip), &[TrialSet::from(&half)]).unwrap();
        (model, half)
    });
    let share = |model: &BigramModel, subset: &Subset| {
        let sum: f64 = subset.rows.iter().map(|pair| Baseline::BigramSum(model).credit(pair)).sum();
        (sum, subset.rows.len())
    };
    let percent = |(sum, rows): (f64, usize)| 100.0 * sum / rows as f64;
    let mut text = format!(
        "## Accuracy of a text-only model\n\nHow often a bigram model (sum of log-probabilities, a tie counts half) prefers the \
         caption without seeing the picture; 50 % is best. The first model was trained on {} captions of Flickr8k, which are \
         used for nothing else here; the second on {} captions of NegCLIP's validation file. The lexicon contains counts of their \
         words and word pairs, so the second model favours ours. Neither has seen a caption of SugarCrepe. Ours are made from \
         SugarCrepe's captions.\n\n\
         | Negatives | Rows | Model of Flickr8k | Model of NegCLIP's captions |\n|---|---|---|---|\n",
        summary.captions, same_summary.captions
    );
    for subset in &judged {
        let theirs = ["replace_", "swap_", "add_"].iter().any(|kind| subset.name.starts_with(kind));
        let set = if theirs { "SugarCrepe, " } else { "" };
        let (name, rows) = (&subset.name, subset.rows.len());
        let [first, second] = [&model, &same].map(|model| percent(share(model, subset)));
        let _ = writeln!(text, "| {set}{name} | {rows} | {first:.1} % | {second:.1} % |");
    }
    let both = crossed.iter().fold((0.0, 0), |(sum, rows), (model, half)| {
        let (more, count) = share(model, half);
        (sum + more, rows + count)
    });
    let _ = writeln!(
        text,
        "| NegCLIP's own | {} | {:.1} % | {:.1} % (by the other half of its captions) |",
        theirs.rows.len(),
        percent(share(&model, &theirs)),
        percent(both)
    );
    text + "\n"
}

fn examples(generator: &Generator, captions: &[String]) -> String {
    let mut text = String::from("## Examples\n\nRandom captions of COCO val2017.\n\n");
    for style in Style::ALL {
        let mut order: Vec<usize> = (0..captions.len()).collect();
        Random::new(&[style as u64]).shuffle(&mut order);
        let _ =
            write!(text, "### {}\n\n| Caption | Negative | Kind |\n|---|---|---|\n", style.name());
        let cell = |text: &str| text.trim().replace('|', "\\|").replace('\n', " ");
        for &index in order.iter().take(EXAMPLES) {
            let negatives = make(generator, &captions[index], style, index);
            let (negative, kind) = negatives
                .first()
                .map_or(("none", ""), |negative| (&negative.text, negative.kind.name()));
            let _ = writeln!(text, "| {} | {} | {kind} |", cell(&captions[index]), cell(negative));
        }
        text.push('\n');
    }
    text
}

/// NegCLIP's captions, and the pairs with its own negatives.
fn negclip(path: &Path) -> (Vec<String>, Vec<Pair>) {
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let (title, negatives) = (column("title"), column("neg_caption"));
    let (mut captions, mut pairs) = (Vec::new(), Vec::new());
    for (row, record) in reader.records().enumerate() {
        let record = record.unwrap();
        captions.push(record[title].to_owned());
        // A list as Python writes it.
        for negative in python_strings(&record[negatives]) {
            pairs.push(pair(row, &record[title], negative));
        }
    }
    (captions, pairs)
}

/// The strings of a list as Python prints it: `['a', "b's"]`.
fn python_strings(list: &str) -> Vec<String> {
    let mut strings = Vec::new();
    let mut chars = list.chars();
    while let Some(quote) = chars.find(|c| matches!(c, '\'' | '"')) {
        let mut string = String::new();
        while let Some(c) = chars.next() {
            match c {
                '\\' => string.extend(chars.next()),
                c if c == quote => break,
                c => string.push(c),
            }
        }
        strings.push(string);
    }
    strings
}

fn coco(path: &Path) -> Vec<String> {
    let captions = clove_data::captions::read_training_captions(path).unwrap();
    captions.into_iter().map(|caption| caption.text).collect()
}

/// The captions of image-text shards.
fn flickr(dir: &Path) -> Vec<String> {
    let mut shards: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    shards.retain(|path| path.extension().is_some_and(|end| end == "tar"));
    shards.sort();
    let members = shards.iter().flat_map(|shard| json_members(shard));
    members.flat_map(|json| strings(&json["captions"])).collect()
}
