//! From a request to negatives: the choice of styles, and the removal of true negatives.

use clove_random::Random;

use crate::english::is_english;
use crate::lexicon::Lexicon;
use crate::phrases::Analysis;
use crate::splice::key;
use crate::words::tokens;
use crate::{Kind, LONGEST_CAPTION, LexiconError, Made, Negative, Style, WhyNone};
use crate::{negclip, replace, shuffle, swap};

/// Makes hard negatives, for any number of threads.
#[derive(Debug)]
pub struct Generator {
    lexicon: Lexicon,
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The caption.
    pub caption: &'a str,
    /// Other captions of the same image, which are never negatives.
    pub others: &'a [&'a str],
    /// The style of the negatives.
    pub style: Style,
    /// Most negatives.
    pub count: usize,
    /// The seed of the random numbers, together with [`Request::epoch`] and [`Request::index`].
    pub seed: u64,
    /// The number of earlier uses of the caption.
    pub epoch: u64,
    /// The caption's index in its set.
    pub index: u64,
}

/// The styles that `mixed` alternates.
const MIXED: [Style; 4] = [Style::Replace, Style::Negclip, Style::Shuffle, Style::Swap];

impl Generator {
    /// From a lexicon's file.
    ///
    /// # Errors
    /// When the bytes are no lexicon, or damaged.
    pub fn new(lexicon: &[u8]) -> Result<Self, LexiconError> {
        Ok(Self { lexicon: Lexicon::from_bytes(lexicon)? })
    }

    /// The lexicon.
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// Negatives of a caption.
    pub fn negatives(&self, request: &Request<'_>) -> Made {
        let caption = request.caption;
        let none = |why| Made { negatives: Vec::new(), why_none: Some(why) };
        if caption.len() > LONGEST_CAPTION {
            return none(WhyNone::TooLong);
        }
        let tokens = tokens(caption);
        if tokens.is_empty() {
            return none(WhyNone::Blank);
        }
        if request.count == 0 {
            return Made { negatives: Vec::new(), why_none: None };
        }
        if !is_english(&self.lexicon, &tokens) {
            return none(WhyNone::NotEnglish);
        }
        let analysis = Analysis::new(&self.lexicon, caption, tokens);
        let mut random =
            Random::new(&[request.seed, request.epoch, request.index, request.style as u64]);
        let mut chosen = Chosen::new(request);
        match request.style {
            Style::Mixed => mixed(&analysis, &mut random, &mut chosen),
            style => chosen.take(offers(style, &analysis, &mut random, request.count)),
        }
        let why_none = chosen.negatives.is_empty().then_some(if chosen.refused {
            WhyNone::OnlyTrueOnes
        } else {
            WhyNone::NothingToChange
        });
        Made { negatives: chosen.negatives, why_none }
    }
}

/// Negatives of one style, the preferred ones first; some more than `count`, since not all may be used.
fn offers(
    style: Style,
    analysis: &Analysis<'_>,
    random: &mut Random,
    count: usize,
) -> Vec<Negative> {
    match style {
        Style::Replace => replace::offers(analysis, random, count),
        Style::Negclip => negclip::offers(analysis, random, count),
        Style::Swap => swap::offers(analysis, random, count),
        Style::Shuffle => shuffle::offers(analysis, random, &shuffle::ALL),
        Style::Mixed => Vec::new(),
    }
}

/// One of each style in turn, and each kind once while there are others.
fn mixed(analysis: &Analysis<'_>, random: &mut Random, chosen: &mut Chosen<'_>) {
    // The order is random, so that every style gets its share of fewer negatives than styles.
    let mut styles = MIXED;
    random.shuffle(&mut styles);
    let mut lists: Vec<Vec<Negative>> = styles
        .iter()
        .map(|style| match style {
            // FSC-CLIP's own.
            Style::Shuffle => shuffle::offers(analysis, random, &[Kind::ShuffleBigrams]),
            style => offers(*style, analysis, random, 4),
        })
        .collect();
    // New kinds first, then any.
    for anew in [true, false] {
        loop {
            let before = chosen.negatives.len();
            for list in &mut lists {
                while chosen.wants() {
                    let at = list.iter().position(|offer| !anew || !chosen.has(offer.kind));
                    let Some(at) = at else { break };
                    if chosen.accept(list.remove(at)) {
                        break;
                    }
                }
            }
            if chosen.negatives.len() == before {
                break;
            }
        }
    }
}

/// The accepted negatives.
struct Chosen<'a> {
    request: &'a Request<'a>,
    /// Keys of the true captions and of the accepted negatives.
    taken: Vec<String>,
    negatives: Vec<Negative>,
    refused: bool,
}

impl<'a> Chosen<'a> {
    fn new(request: &'a Request<'a>) -> Self {
        let taken =
            std::iter::once(&request.caption).chain(request.others).map(|text| key(text)).collect();
        Self { request, taken, negatives: Vec::with_capacity(request.count.min(8)), refused: false }
    }

    fn wants(&self) -> bool {
        self.negatives.len() < self.request.count
    }

    fn has(&self, kind: Kind) -> bool {
        self.negatives.iter().any(|negative| negative.kind == kind)
    }

    /// Accepts an offer, unless another text means the same.
    fn accept(&mut self, offer: Negative) -> bool {
        let key = key(&offer.text);
        if self.taken.contains(&key) {
            self.refused = true;
            return false;
        }
        self.taken.push(key);
        self.negatives.push(offer);
        true
    }

    fn take(&mut self, offers: Vec<Negative>) {
        for offer in offers {
            if !self.wants() {
                return;
            }
            self.accept(offer);
        }
    }
}
