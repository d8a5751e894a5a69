//! From a request to negatives: which styles are asked, and what is true of the image all the same.

use clove_random::Random;

use crate::lexicon::Lexicon;
use crate::phrases::Analysis;
use crate::splice::key;
use crate::words::tokens;
use crate::{Kind, LONGEST_CAPTION, LexiconError, Made, Negative, Style, WhyNone};
use crate::{negclip, replace, shuffle, swap};

/// Makes hard negatives. Made once, it serves any number of threads.
#[derive(Debug)]
pub struct Generator {
    lexicon: Lexicon,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The caption.
    pub caption: &'a str,
    /// Other captions of the same image: none of them comes out as a negative.
    pub others: &'a [&'a str],
    /// How negatives are made.
    pub style: Style,
    /// Most negatives to make.
    pub count: usize,
    /// With [`Request::epoch`] and [`Request::index`] the key of the random numbers.
    pub seed: u64,
    /// How often the caption was seen before.
    pub epoch: u64,
    /// The caption's place in its set.
    pub index: u64,
}

/// Ways to make a negative, among which `mixed` takes turns.
const MIXED: [Style; 4] = [Style::Replace, Style::Negclip, Style::Shuffle, Style::Swap];

impl Generator {
    /// From a lexicon's file.
    ///
    /// # Errors
    /// When the bytes are none, or damaged.
    pub fn new(lexicon: &[u8]) -> Result<Self, LexiconError> {
        Ok(Self { lexicon: Lexicon::from_bytes(lexicon)? })
    }

    /// From a lexicon.
    #[must_use]
    pub fn with(lexicon: Lexicon) -> Self {
        Self { lexicon }
    }

    /// The lexicon.
    #[must_use]
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// Negatives of a caption.
    #[must_use]
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
        let analysis = Analysis::new(&self.lexicon, caption, tokens);
        let mut random =
            Random::new(&[request.seed, request.epoch, request.index, request.style as u64]);
        let mut chosen = Chosen::new(request);
        match request.style {
            Style::Mixed => self.mixed(&analysis, &mut random, &mut chosen),
            style => chosen.take(self.offers(style, &analysis, &mut random, request.count)),
        }
        let why_none = chosen.negatives.is_empty().then_some(if chosen.refused {
            WhyNone::OnlyTrueOnes
        } else {
            WhyNone::NothingToChange
        });
        Made { negatives: chosen.negatives, why_none }
    }

    /// Negatives of one style, the wanted first; some more than asked for, since not all may be used.
    fn offers(
        &self,
        style: Style,
        analysis: &Analysis<'_>,
        random: &mut Random,
        count: usize,
    ) -> Vec<Negative> {
        match style {
            Style::Replace => replace::offers(&self.lexicon, analysis, random, count),
            Style::Negclip => negclip::offers(&self.lexicon, analysis, random, count),
            Style::Swap => swap::offers(&self.lexicon, analysis, random, count),
            Style::Shuffle => shuffle::offers(analysis, random, &shuffle::ALL),
            Style::Mixed => Vec::new(),
        }
    }

    /// One of each style in turn, no kind twice while there are others.
    fn mixed(&self, analysis: &Analysis<'_>, random: &mut Random, chosen: &mut Chosen<'_>) {
        // Which comes first is drawn too: of fewer negatives than styles every style gets its share.
        let mut styles = MIXED;
        random.shuffle(&mut styles);
        let mut offers: Vec<Vec<Negative>> = styles
            .iter()
            .map(|style| match style {
                // FSC-CLIP's own.
                Style::Shuffle => shuffle::offers(analysis, random, &[Kind::ShuffleBigrams]),
                style => self.offers(*style, analysis, random, 4),
            })
            .collect();
        // First of new kinds, then of any.
        for anew in [true, false] {
            loop {
                let before = chosen.negatives.len();
                for list in &mut offers {
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
}

/// What was taken so far.
struct Chosen<'a> {
    request: &'a Request<'a>,
    /// Keys of what is true of the image, and of what was taken.
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

    /// Takes an offer, unless it says what another text says.
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
