//! `clove negatives`: captions in, hard negatives out, a JSON object a line. One thread reads, all cores make negatives of a block
//! of captions at a time, and lines are written in the captions' order.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clove::weights::AtomicFile;
use clove_data::DataError;
use clove_data::caption_stream::{self, Format, Row, shown};
use clove_negatives::{Generator, Negative, Request};
use indicatif::{HumanCount, ProgressBar};
use rayon::prelude::*;
use serde::Serialize;

use crate::args::{CaptionFormat, Negatives};
use crate::interrupt::Interrupt;
use crate::{output, tensors};
use clove_run::negatives::{self, Yield};
use clove_run::words::counted;

/// Blocks that are read ahead.
const STOCK: usize = 2;
/// Captions of a block.
const BLOCK: usize = 4_096;
/// Bytes of captions, with which a block of long ones is full.
const BLOCK_BYTES: usize = 1 << 20;
/// Rows that a thread takes at a time.
const PIECE: usize = 32;
/// Between looks at whether the user wants to stop, where the input keeps silent.
const PATIENCE: Duration = Duration::from_millis(100);
/// Unreadable rows that the report names.
const NAMED: usize = 3;

/// Rows, each with the place of its first caption among all that are written.
type Block = Vec<(u64, Row)>;

pub fn run(args: &Negatives) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let input = Input::open(args)?;
    let generator = negatives::generator()?;
    let mut out = Out::open(args)?;
    let (name, bar) = (input.name.clone(), input.bar.clone());
    let (sender, blocks) = sync_channel(STOCK);
    // Not waited for when the user wants to stop: it may wait for input itself.
    let reader = thread::Builder::new()
        .name("read".to_owned())
        .spawn(move || input.read(&sender))
        .context("can't start a thread")?;
    let mut report = Report::default();
    loop {
        if interrupt.asked() {
            bar.finish_and_clear();
            bail!("stopped after {}; {}", report.lines(), out.abandoned());
        }
        let block: Block = match blocks.recv_timeout(PATIENCE) {
            Ok(block) => block,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let pieces: Vec<Result<(Vec<u8>, Report)>> =
            block.par_chunks(PIECE).map(|rows| lines(rows, &generator, args)).collect();
        for piece in pieces {
            let (lines, part) = piece?;
            out.write(&lines)?;
            report.absorb(part);
        }
    }
    bar.finish_and_clear();
    reader.join().map_err(|_| anyhow!("the thread that reads captions failed"))??;
    ensure!(
        report.unreadable == 0 || report.made.captions > 0,
        "{}: nothing in it can be read: {}",
        name.display(),
        report.named.join("; ")
    );
    out.commit()?;
    output::note(&report.text());
    Ok(())
}

/// Where captions come from.
struct Input {
    /// As messages name it.
    name: PathBuf,
    source: Box<dyn Read + Send>,
    format: Format,
    field: Option<String>,
    bar: ProgressBar,
}

impl Input {
    fn open(args: &Negatives) -> Result<Self> {
        let path = args.input.as_deref().filter(|path| *path != Path::new("-"));
        let format = format(args.format, path)?;
        ensure!(
            format != Format::Text || args.field.is_none(),
            "--field: lines of text have no fields; give --format csv, tsv, json-lines or webdataset"
        );
        let mut bar = ProgressBar::hidden();
        let source: Box<dyn Read + Send> = match path {
            None => Box::new(io::stdin()),
            Some(path) => {
                let named = || path.display().to_string();
                let file = File::open(path).with_context(named)?;
                let found = file.metadata().with_context(named)?;
                // On one terminal a bar and the lines would be mixed up.
                if found.is_file() && (args.out.is_some() || !io::stdout().is_terminal()) {
                    bar = output::byte_progress("negatives");
                    bar.set_length(found.len());
                }
                Box::new(bar.wrap_read(file))
            }
        };
        Ok(Self {
            name: path.map_or_else(|| "standard input".into(), Path::to_owned),
            source,
            format,
            field: args.field.clone(),
            bar,
        })
    }

    /// Sends all rows, until they're no longer wanted.
    fn read(self, blocks: &SyncSender<Block>) -> Result<(), DataError> {
        let mut block = Block::new();
        let (mut captions, mut bytes, mut index) = (0, 0, 0);
        let field = self.field.as_deref();
        let name = self.name.as_path();
        caption_stream::read(self.source, name, self.format, field, &mut |row| {
            let count = match &row {
                Row::Captions(texts) => {
                    bytes += texts.iter().map(String::len).sum::<usize>();
                    texts.len()
                }
                Row::Unreadable(row) => usize::from(row.shown.is_some()),
            };
            block.push((index, row));
            index += count as u64;
            captions += count;
            if captions < BLOCK && bytes < BLOCK_BYTES {
                return ControlFlow::Continue(());
            }
            (captions, bytes) = (0, 0);
            match blocks.send(std::mem::take(&mut block)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })?;
        // Refused where nobody listens any more.
        let _ = blocks.send(block);
        Ok(())
    }
}

fn format(given: CaptionFormat, path: Option<&Path>) -> Result<Format> {
    Ok(match (given, path) {
        (CaptionFormat::Auto, Some(path)) => Format::of(path).with_context(|| {
            format!(
                "{}: the extension is none of .txt, .csv, .tsv, .jsonl and .tar; give --format",
                path.display()
            )
        })?,
        (CaptionFormat::Auto, None) | (CaptionFormat::Text, _) => Format::Text,
        (CaptionFormat::Csv, _) => Format::Csv,
        (CaptionFormat::Tsv, _) => Format::Tsv,
        (CaptionFormat::JsonLines, _) => Format::JsonLines,
        (CaptionFormat::Webdataset, _) => Format::Webdataset,
    })
}

/// Where lines go.
enum Out {
    Stdout,
    File(PathBuf, AtomicFile),
}

impl Out {
    fn open(args: &Negatives) -> Result<Self> {
        let Some(path) = &args.out else {
            return Ok(Self::Stdout);
        };
        let inputs: Vec<&Path> = args.input.iter().map(PathBuf::as_path).collect();
        tensors::refuse_same(path, &inputs)?;
        Ok(Self::File(path.clone(), AtomicFile::create(path)?))
    }

    /// Writes whole lines.
    fn write(&mut self, lines: &[u8]) -> Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().write_all(lines).context("writing to stdout"),
            Self::File(path, file) => {
                file.write_all(lines).map_err(|error| AtomicFile::failed(path, error).into())
            }
        }
    }

    fn commit(self) -> Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(_, file) => Ok(file.commit()?),
        }
    }

    /// What is left where the work is stopped.
    fn abandoned(&self) -> String {
        match self {
            Self::Stdout => "the lines written are whole".to_owned(),
            Self::File(path, _) => format!("{} isn't written", path.display()),
        }
    }
}

/// A line of the output.
#[derive(Serialize)]
struct Line<'a> {
    caption: &'a str,
    negatives: &'a [Negative],
}

/// The lines of some rows, and an account of them.
fn lines(
    rows: &[(u64, Row)],
    generator: &Generator,
    args: &Negatives,
) -> Result<(Vec<u8>, Report)> {
    let (mut lines, mut report) = (Vec::new(), Report::default());
    let mut write = |caption: &str, negatives: &[Negative]| -> Result<()> {
        let caption = shown(caption);
        serde_json::to_writer(&mut lines, &Line { caption, negatives })?;
        lines.push(b'\n');
        Ok(())
    };
    for (first, row) in rows {
        let captions = match row {
            Row::Captions(captions) => captions,
            Row::Unreadable(row) => {
                report.unreadable += 1;
                report.name(&format!("{}: {}", row.place, row.reason));
                if let Some(caption) = &row.shown {
                    write(caption, &[])?;
                }
                continue;
            }
        };
        for (place, caption) in captions.iter().enumerate() {
            let (before, after) = (&captions[..place], &captions[place + 1..]);
            let others: Vec<&str> = before.iter().chain(after).map(String::as_str).collect();
            let made = generator.negatives(&Request {
                caption,
                others: &others,
                style: args.style.into(),
                count: args.per_caption,
                seed: args.seed,
                epoch: args.epoch,
                index: first + place as u64,
            });
            write(caption, &made.negatives)?;
            report.made.add(&made);
        }
    }
    Ok((lines, report))
}

/// What became of the input.
#[derive(Debug, Default)]
struct Report {
    made: Yield,
    unreadable: u64,
    /// The first unreadable rows, with reasons.
    named: Vec<String>,
}

impl Report {
    fn absorb(&mut self, other: Self) {
        self.made.absorb(other.made);
        self.unreadable += other.unreadable;
        for row in other.named {
            self.name(&row);
        }
    }

    fn name(&mut self, row: &str) {
        if self.named.len() < NAMED {
            // Escape sequences in a reason are text, not orders to the terminal.
            self.named.push(row.replace(char::is_control, "\u{fffd}"));
        }
    }

    /// How many captions were written.
    fn lines(&self) -> String {
        counted(self.made.captions, "caption")
    }

    fn text(&self) -> String {
        let kinds = output::table(&self.made.kinds());
        let mut text = format!("{}\n{kinds}", self.made.summary());
        let unreadable = (self.unreadable > 0).then(|| {
            let more = self.unreadable - self.named.len() as u64;
            let more =
                if more == 0 { String::new() } else { format!("; and {} more", HumanCount(more)) };
            format!(
                "{}: {}{more}",
                counted(self.unreadable, "unreadable row"),
                self.named.join("; ")
            )
        });
        for line in [self.made.why_none(), unreadable].into_iter().flatten() {
            text.push_str(&line);
            text.push('\n');
        }
        text.trim_end().to_owned()
    }
}
