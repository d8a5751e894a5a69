//! Progress: a bar with the remaining time on a terminal, a line every 20 s elsewhere.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// Progress of several threads.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Without a terminal: the time of the last line.
    plain: Option<Mutex<Instant>>,
    /// Text shown instead of the bar.
    board: Mutex<Option<String>>,
}

impl Progress {
    /// Interval between lines without a terminal.
    const PAUSE: Duration = Duration::from_secs(20);

    pub fn new() -> Self {
        let bar = output::bar("{msg:<40} [{bar:30}] {percent}% {elapsed} elapsed, {eta} left");
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            bar,
            plain: (!std::io::stderr().is_terminal()).then(|| Mutex::new(Instant::now())),
            board: Mutex::new(None),
        }
    }

    /// Sets the total, in units of about equal time.
    pub fn plan(&self, units: u64) {
        self.bar.set_length(units);
    }

    pub fn set(&self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.advance(done.saturating_sub(self.bar.position()));
    }

    pub fn say(&self, what: &str) {
        let message = match self.board.lock() {
            Ok(board) if board.is_some() => format!("{}\n{what}", board.as_deref().unwrap_or("")),
            _ => what.to_owned(),
        };
        self.bar.set_message(message);
    }

    /// Columns and rows of the terminal; `None` without one.
    pub fn room(&self) -> Option<(u16, u16)> {
        if self.plain.is_some() {
            return None;
        }
        let (rows, columns) = console::Term::stderr().size();
        Some((columns, rows))
    }

    /// Shows text instead of the bar.
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

    pub fn times(&self) -> (Duration, Duration) {
        (self.bar.elapsed(), self.bar.eta())
    }

    pub fn advance(&self, units: u64) {
        self.bar.inc(units);
        if let Some(Ok(mut last)) = self.plain.as_ref().map(Mutex::lock)
            && last.elapsed() > Self::PAUSE
        {
            *last = Instant::now();
            let all = self.bar.length().unwrap_or(0).max(1);
            output::note(&format!(
                "{}: {} %, {} s elapsed, {} s left",
                self.bar.message(),
                100 * self.bar.position() / all,
                self.bar.elapsed().as_secs(),
                self.bar.eta().as_secs(),
            ));
        }
    }

    /// Adds units done by an earlier process.
    pub fn skip(&self, units: u64) {
        self.bar.inc(units);
        self.bar.reset_eta();
    }

    /// Prints a line above the bar.
    pub fn note(&self, text: &str) {
        self.bar.suspend(|| output::note(text));
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
