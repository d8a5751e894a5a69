//! The builder writes WordNet's senses, irregular forms, a tagger and a model of captions into one file. The same sources give
//! the same file.

mod captions;
mod fluency;
mod irregular;
mod treebank;
mod wordnet;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clove_negatives::lexicon::{Data, Lexicon, to_bytes};

use crate::files;
use crate::shell::say;

const USAGE: &str = "usage: cargo xtask lexicon --wordnet DIR --treebank DIR --test FILE.conllu... --captions FILE.tsv \
                     --tagged FILE --exclude DIR";

/// Size limit of the file, which a web page fetches.
const LARGEST: usize = 4 << 20;

#[derive(Default)]
struct Options {
    /// WordNet 3.0's dictionary files.
    wordnet: PathBuf,
    /// A folder of CoNLL-U files that the tagger learns from.
    treebank: PathBuf,
    /// CoNLL-U files that the tagger is tested on.
    tests: Vec<PathBuf>,
    /// Captions, with a column `title`.
    captions: PathBuf,
    /// The same captions with their tags.
    tagged: PathBuf,
    /// SugarCrepe's files, whose images and texts are excluded from training.
    exclude: PathBuf,
}

/// Builds the lexicon into `out`.
pub fn run(args: &[String], out: &Path) -> Result<()> {
    let options = parse(args)?;
    let wordnet = wordnet::read(&options.wordnet)?;
    let captions = captions::read(&options.captions, &options.exclude)?;
    say(format_args!(
        "captions: {} of {}, the others have an image or a text of SugarCrepe",
        captions.kept.len(),
        captions.all
    ));

    // Words: WordNet's, their irregular forms, and those of captions.
    let irregular = irregular::find(&wordnet);
    let mut words: BTreeSet<String> = wordnet.words();
    words.extend(irregular.iter().map(|(_, _, form)| form.clone()));
    words.extend(captions.words());
    let words: Vec<String> = words.into_iter().collect();
    let mut data = Data { words: words.join("\n") + "\n", ..Data::default() };
    wordnet.fill(&words, &mut data, &wordnet::Counts::new());
    data.irregular = irregular::entries(&irregular, &words);
    say(format_args!("words: {}; irregular forms: {}", words.len(), data.irregular.len()));

    // The tagger's features need the words, and counting the words of captions needs the tagger.
    let lexicon = Lexicon::new(data.clone())?;
    let gold = treebank::read(&lexicon, &options.treebank, &options.tests)?;
    let silver = captions.tagged(&lexicon, &options.tagged)?;
    data.tagger = treebank::train(&gold, &silver);
    let lexicon = Lexicon::new(data.clone())?;
    for file in &options.tests {
        let sentences = treebank::sentences(&lexicon, file)?;
        say(format_args!("{}: {}", file.display(), treebank::accuracy(&lexicon, &sentences)));
    }

    let counts = captions.count(&lexicon);
    wordnet.fill(&words, &mut data, &counts);
    data.fluency = fluency::train(&captions.kept, &words);

    let bytes = to_bytes(&data);
    Lexicon::from_bytes(&bytes).context("the file just made can't be read")?;
    if bytes.len() > LARGEST {
        bail!("the lexicon has {} bytes, more than {LARGEST}", bytes.len());
    }
    files::write(out, &bytes)?;
    say(format_args!("{}: {} bytes", out.display(), bytes.len()));
    Ok(())
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options::default();
    for pair in args.chunks(2) {
        let [flag, path] = pair else { bail!("{} needs a value\n{USAGE}", pair[0]) };
        let path = PathBuf::from(path);
        match flag.as_str() {
            "--wordnet" => options.wordnet = path,
            "--treebank" => options.treebank = path,
            "--test" => options.tests.push(path),
            "--captions" => options.captions = path,
            "--tagged" => options.tagged = path,
            "--exclude" => options.exclude = path,
            _ => bail!("unknown argument {flag:?}\n{USAGE}"),
        }
    }
    let needed = [
        ("--wordnet", &options.wordnet),
        ("--treebank", &options.treebank),
        ("--captions", &options.captions),
        ("--tagged", &options.tagged),
        ("--exclude", &options.exclude),
    ];
    if let Some((flag, _)) = needed.iter().find(|(_, path)| path.as_os_str().is_empty()) {
        bail!("{flag} is missing\n{USAGE}");
    }
    Ok(options)
}
