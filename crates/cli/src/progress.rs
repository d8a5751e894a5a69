//! How far the lab or a training run is: a bar with the time left on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// Progress of several threads.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Where there's no terminal: when the last line was printed.
    plain: Option<Mutex<Instant>>,
    /// What stands in the bar's place, where something does.
    board: Mutex<Option<String>>,
}

impl Progress {
    /// Between lines where there's no terminal.
    const PAUSE: Duration = Duration::from_secs(20);

    pub fn new() -> Self {
        let style = ProgressStyle::with_template(
            "{msg:<40} [{bar:30}] {percent}% {elapsed} gone, {eta} left",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
        let bar = ProgressBar::new(0).with_style(style);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            bar,
            plain: (!std::io::stderr().is_terminal()).then(|| Mutex::new(Instant::now())),
            board: Mutex::new(None),
        }
    }

    /// Sets the work that there is, in units that take about the same time.
    pub fn plan(&self, units: u64) {
        self.bar.set_length(units);
    }

    /// Adds to it.
    pub fn plan_more(&self, units: u64) {
        self.bar.inc_length(units);
    }

    /// Sets how much of the work there is, and how much is done.
    pub fn set(&self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.advance(done.saturating_sub(self.bar.position()));
    }

    /// Says what is being done.
    pub fn say(&self, what: &str) {
        let message = match self.board.lock() {
            Ok(board) if board.is_some() => format!("{}\n{what}", board.as_deref().unwrap_or("")),
            _ => what.to_owned(),
        };
        self.bar.set_message(message);
    }

    /// The terminal's columns and rows; `None` where there's no terminal.
    pub fn room(&self) -> Option<(u16, u16)> {
        if self.plain.is_some() {
            return None;
        }
        let (rows, columns) = console::Term::stderr().size();
        Some((columns, rows))
    }

    /// Shows lines of text in the bar's place, until the next.
    pub fn draw(&self, board: &str) {
        if let Ok(mut last) = self.board.lock() {
            if last.is_none()
                && let Ok(style) = ProgressStyle::with_template("{msg}")
            {
                self.bar.set_style(style);
            }
            *last = Some(board.to_owned());
        }
        self.bar.set_message(board.to_owned());
    }

    /// How long it has taken so far, and how long it will still take.
    pub fn times(&self) -> (Duration, Duration) {
        (self.bar.elapsed(), self.bar.eta())
    }

    /// Some of the work is done.
    pub fn advance(&self, units: u64) {
        self.bar.inc(units);
        if let Some(Ok(mut last)) = self.plain.as_ref().map(Mutex::lock)
            && last.elapsed() > Self::PAUSE
        {
            *last = Instant::now();
            let all = self.bar.length().unwrap_or(0).max(1);
            output::note(&format!(
                "{}: {} %, {} s gone, {} s left",
                self.bar.message(),
                100 * self.bar.position() / all,
                self.bar.elapsed().as_secs(),
                self.bar.eta().as_secs(),
            ));
        }
    }

    /// Some of the work was done in an earlier sitting.
    pub fn skip(&self, units: u64) {
        self.bar.inc(units);
        self.bar.reset_eta();
    }

    /// Says something that stays to be read, above the bar.
    pub fn note(&self, text: &str) {
        self.bar.suspend(|| output::note(text));
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
