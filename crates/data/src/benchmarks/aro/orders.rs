//! ARO's order of words: a caption against its words in four other orders.
//!
//! The orders are those of dataset_zoo/perturbations.py of mertyg/vision-language-models-are-bows: nouns among the places of nouns and
//! adjectives among those of adjectives; all other tokens among their places; tokens within groups of three; groups of three. Each is
//! drawn once, punctuation is a token like any other, tokens are joined with spaces, and captions and orders are then cleaned as in
//! dataset_zoo/retrieval.py. spaCy's and NLTK's tokens are those of `clove_negatives::words`, adapted; the tags are those of its tagger.
//!
//! An order that equals its caption isn't compared, as in CLoVe's evaluation (Netflix/clove: src/training/zero_shot.py), where it can't
//! be chosen; ARO's takes the first of equals, which is the caption. Both rules give the same, except for other ties: CLoVe's draws one
//! of them at random (here they are wrong), ARO's takes the caption.

use std::collections::HashMap;
use std::path::Path;

use clove::evaluate::{Metric, Trial, TrialSet};
use clove_negatives::Generator;
use clove_negatives::lexicon::Lexicon;
use clove_negatives::words::{Token, tokens};
use clove_random::Random;
use serde_json::{Value, json};

use super::super::{Benchmark, Place, some};
use crate::DataError;
use crate::json;
use crate::sets::ImageTextSet;

/// The field of a caption and its other orders.
const OPTIONS: &str = "caption_options";

/// Words of a caption that count.
const MOST_WORDS: usize = 30;

/// What ARO distinguishes of a part of speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// NN, NNS, NNP, NNPS.
    Noun,
    /// JJ, JJR, JJS.
    Adjective,
    /// All else, with punctuation and white space.
    Other,
}

/// A caption's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// spaCy's tokens, among them white space beyond a single space.
    pub tagged: Vec<(String, Class)>,
    /// NLTK's tokens.
    pub words: Vec<String>,
}

impl Cut {
    /// Cuts a caption, nearly as spaCy's English tokenizer and NLTK's `word_tokenize` do.
    pub fn new(lexicon: &Lexicon, caption: &str) -> Self {
        let cut = tokens(caption);
        let mut words: Vec<String> = Vec::with_capacity(cut.len());
        let mut split = Vec::with_capacity(cut.len());
        let (mut end, mut is_slash) = (0, false);
        for token in &cut {
            let (text, before) = (token.of(caption), caption[..token.start].chars().next_back());
            // NLTK keeps both sides of a slash together, and marks where a quotation begins and ends.
            let opens = before.is_none_or(|before| " ([{<".contains(before));
            match words.last_mut() {
                Some(last) if token.start == end && (text == "/" || is_slash) => {
                    last.push_str(text);
                }
                _ if text == "\"" => words.push(if opens { "``" } else { "''" }.to_owned()),
                _ => words.push(text.to_owned()),
            }
            (end, is_slash) = (token.end, text == "/");
            split_joints(caption, token, &mut split);
        }
        let tags = lexicon.tag(&split);
        let (mut tagged, mut end) = (Vec::with_capacity(split.len()), 0);
        let space = |tagged: &mut Vec<(String, Class)>, from: usize, to: usize| {
            let gap = &caption[from..to];
            // A space after a token belongs to it.
            let gap = if from > 0 { gap.strip_prefix(' ').unwrap_or(gap) } else { gap };
            if !gap.is_empty() {
                tagged.push((gap.to_owned(), Class::Other));
            }
        };
        for (token, tag) in split.iter().zip(tags) {
            space(&mut tagged, end, token.start);
            let class = match tag {
                tag if tag.is_noun() => Class::Noun,
                tag if tag.is_adjective() => Class::Adjective,
                _ => Class::Other,
            };
            tagged.push((token.of(caption).to_owned(), class));
            end = token.end;
        }
        space(&mut tagged, end, caption.len());
        Self { tagged, words }
    }

    /// The four orders, cleaned. `permute` permutes numbers from 0: it's called for nouns, adjectives, other tokens, each group of
    /// three, and the groups, as ARO's code calls its generators.
    pub fn orders(&self, permute: &mut impl FnMut(&mut [usize])) -> [String; 4] {
        let tagged: Vec<&str> = self.tagged.iter().map(|(text, _)| text.as_str()).collect();
        // The places of a class, each with the place whose token it gets.
        let mut moves = |class: Class| -> Vec<(usize, usize)> {
            let of_class = |at: &usize| self.tagged[*at].1 == class;
            let places: Vec<usize> = (0..tagged.len()).filter(of_class).collect();
            let from = permuted(places.len(), permute).into_iter();
            places.iter().copied().zip(from.map(|from| places[from])).collect()
        };
        let (mut names, mut others) = (tagged.clone(), tagged.clone());
        for (place, from) in [moves(Class::Noun), moves(Class::Adjective)].concat() {
            names[place] = tagged[from];
        }
        for (place, from) in moves(Class::Other) {
            others[place] = tagged[from];
        }
        let groups: Vec<&[String]> = self.words.chunks(3).collect();
        let mut within: Vec<&str> = Vec::with_capacity(self.words.len());
        for group in &groups {
            within.extend(permuted(group.len(), permute).into_iter().map(|at| group[at].as_str()));
        }
        let of_groups = permuted(groups.len(), permute).into_iter();
        let of_groups: Vec<&str> =
            of_groups.flat_map(|at| groups[at].iter().map(String::as_str)).collect();
        [names, others, within, of_groups].map(|words| cleaned(&words.join(" ")))
    }
}

fn permuted(count: usize, permute: &mut impl FnMut(&mut [usize])) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    permute(&mut order);
    order
}

/// Adds a token, or the parts that spaCy splits at hyphens and slashes between letters, and between digits.
fn split_joints(caption: &str, token: &Token, split: &mut Vec<Token>) {
    let text = token.of(caption);
    let mut push = |from: usize, to: usize| {
        if from < to {
            let part = Token::whole(&text[from..to]);
            let (start, end) = (token.start + from, token.start + to);
            split.push(Token { start, end, opaque: token.opaque, ..part });
        }
    };
    let mut start = 0;
    let (mut before, mut chars) = (None, text.char_indices().peekable());
    while let Some((at, letter)) = chars.next() {
        let after = chars.peek().map(|(_, after)| *after);
        let are = |is: fn(char) -> bool| before.is_some_and(is) && after.is_some_and(is);
        let is_joint = matches!(letter, '-' | '–' | '/');
        // Addresses, names of files, and the abbreviations of "with" and "without".
        let is_whole = token.opaque || matches!(text, "w/" | "w/o" | "W/" | "W/O");
        if is_joint
            && !is_whole
            && (are(char::is_alphabetic) || are(|digit| digit.is_ascii_digit()))
        {
            push(start, at);
            push(at, at + letter.len_utf8());
            start = at + letter.len_utf8();
        }
        before = Some(letter);
    }
    push(start, text.len());
}

/// A caption as ARO compares them: in lower case, without most punctuation, cut at 30 words. Source: dataset_zoo/retrieval.py of its
/// repository (`pre_caption`).
pub fn cleaned(caption: &str) -> String {
    // Python's `\s` has four separators that aren't white space in Unicode.
    let is_space = |letter: char| letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter);
    let (mut plain, mut run) = (String::with_capacity(caption.len()), 0);
    for letter in caption.to_lowercase().chars() {
        let letter = if ".!\"()*#:;~".contains(letter) { ' ' } else { letter };
        run = if is_space(letter) { run + 1 } else { 0 };
        // A run of white space is one space; white space alone stays.
        match run {
            0 | 1 => plain.push(letter),
            2 => {
                plain.pop();
                plain.push(' ');
            }
            _ => {}
        }
    }
    let plain = plain.trim_end_matches('\n').trim_matches(' ');
    let words: Vec<&str> = plain.split(' ').take(MOST_WORDS).collect();
    words.join(" ")
}

/// The captions of a set, each with ARO's four orders. The same seed gives the same orders.
///
/// # Errors
/// [`DataError::Format`] where no caption has another order.
pub fn orders_of(
    set: &ImageTextSet,
    generator: &Generator,
    seed: u64,
) -> Result<Benchmark, DataError> {
    let (mut places, mut rows) = (HashMap::new(), Rows::default());
    let captions = set.samples.iter().flat_map(|sample| {
        let captions = sample.captions.iter();
        captions.map(move |caption| (&sample.image, caption))
    });
    for (index, (image, caption)) in (0_u64..).zip(captions) {
        let mut random = Random::new(&[seed, index]);
        let cut = Cut::new(generator.lexicon(), caption);
        let orders = cut.orders(&mut |order: &mut [usize]| random.shuffle(order));
        let name = image.to_string();
        rows.add(index.to_string(), name.clone(), cleaned(caption), orders.into());
        places.insert(name, Place::At(image.clone()));
    }
    if rows.most == 0 {
        let place = set.samples.first().map_or("", |sample| sample.place.as_str());
        return Err(DataError::format(place, "no caption has its words in another order"));
    }
    let mut benchmark = rows.into_benchmark();
    benchmark.notes.insert(0, format!("orders drawn with seed {seed}"));
    Ok(Benchmark { places, ..benchmark })
}

/// Rows of captions with their orders.
#[derive(Default)]
struct Rows {
    trials: Vec<Trial>,
    /// Most orders of a caption.
    most: usize,
    /// Rows with orders that equal their caption, and those without any other.
    equal: usize,
    alone: usize,
}

impl Rows {
    fn add(&mut self, id: String, image: String, caption: String, mut orders: Vec<String>) {
        let all = orders.len();
        orders.retain(|order| *order != caption);
        self.equal += usize::from(orders.len() < all);
        self.alone += usize::from(orders.is_empty());
        self.most = self.most.max(orders.len());
        let texts = [vec![caption], orders].concat();
        self.trials.push(Trial { id, images: vec![image], texts });
    }

    fn into_benchmark(self) -> Benchmark {
        let mut notes = Vec::new();
        if self.equal > 0 {
            let equal = self.equal;
            let alone = match self.alone {
                0 => String::new(),
                alone => format!("; {alone} of them have no other and are right by both rules"),
            };
            notes.push(format!(
                "{equal} rows have options that equal their caption; those aren't compared{alone}"
            ));
        }
        let clove = Metric::first_of("", self.most);
        let aro = Metric { name: "ARO".to_owned(), ties_win: true, ..clove.clone() };
        let rule = "order: CLoVe's rule, ties wrong; order ARO: ARO's rule, which takes the caption in a tie";
        notes.push(rule.to_owned());
        let benchmark = Benchmark::of("order", vec![clove, aro], self.trials);
        Benchmark { notes, ..benchmark }
    }
}

/// Whether a file has the options that [`order`] reads.
pub fn has_options(path: &Path) -> bool {
    let rows = json::rows(path);
    rows.is_ok_and(|rows| rows.first().is_some_and(|row| row.fields.get(OPTIONS).is_some()))
}

/// Options as [`order`] reads them.
pub fn options(sets: &[TrialSet]) -> Value {
    let trials = sets.iter().flat_map(|set| &set.trials);
    trials.map(|trial| json!({"image": trial.images.first(), OPTIONS: trial.texts})).collect()
}

/// Reads a file of captions and their words in other orders: a list of objects with `image`, or `image_path` as in the `instances.json`
/// that CLoVe's code keeps (Netflix/clove: src/training/aro_datasets.py), and `caption_options`, of which the first is the caption. The
/// orders are random; the file keeps those that were drawn once.
///
/// # Errors
/// Errors name the file, the row and the field; [`DataError::Format`] where it has no rows.
pub fn order(path: &Path) -> Result<Benchmark, DataError> {
    let mut rows = Rows::default();
    for row in some(path, json::rows(path)?)? {
        let options = row.strings(OPTIONS)?;
        let Some((caption, orders)) = options.split_first() else {
            return Err(row.wrong(OPTIONS, "must be a list with the caption first"));
        };
        let field = if row.fields.get("image_path").is_some() { "image_path" } else { "image" };
        let image = row.string(field)?;
        rows.add(row.name, image, caption.clone(), orders.to_vec());
    }
    Ok(rows.into_benchmark())
}
