//! The dashboard of a training run: curves, speed and remaining time.
//!
//! Ratatui draws it as text in place of the progress bar, below the printed lines. So no line is lost, and the terminal stays in its
//! normal mode.

use std::time::{Duration, Instant};

use anyhow::Result;
use clove_run::{Config, Line as Validated, Step, proc_bytes, read_lines};
use indicatif::{HumanBytes, HumanCount, HumanDuration};
use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::{Constraint, Layout, Rect};
use ratatui_core::style::{Color, Style};
use ratatui_core::symbols::Marker;
use ratatui_core::text::Line;
use ratatui_core::widgets::Widget;
use ratatui_widgets::block::Block;
use ratatui_widgets::chart::{Axis, Chart, Dataset, GraphType};
use ratatui_widgets::gauge::LineGauge;
use serde::Deserialize;

/// Interval between drawings: a terminal is slower than a small model.
const PAUSE: Duration = Duration::from_millis(250);

/// Minimum number of columns and rows.
const LEAST: (u16, u16) = (60, 18);

const HEAD: u16 = 3;

/// Minimum and maximum rows of the charts, with frame and axis.
const CHARTS: (u16, u16) = (9, 16);

/// Weight of a new loss in the running mean.
const NEW: f64 = 0.05;

#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub step: Step,
    pub times: (Duration, Duration),
}

#[derive(Debug, Default)]
pub struct Dashboard {
    steps: usize,
    epoch: f64,
    losses: Vec<(f64, f64)>,
    means: Vec<(f64, f64)>,
    /// Validation scores in %.
    validations: Vec<(f64, f64)>,
    drawn: Option<Instant>,
}

#[derive(Deserialize)]
struct Loss {
    step: usize,
    loss: f64,
}

impl Dashboard {
    /// Opens a run's history before `step`. An epoch has `epoch` samples.
    pub fn open(config: &Config, epoch: u64, step: usize) -> Result<Self> {
        let mut dashboard = Self {
            steps: config.train.steps,
            epoch: epoch as f64 / config.train.batch as f64,
            ..Self::default()
        };
        for line in read_lines::<Loss>(&config.out.join("metrics.jsonl"))? {
            if line.step < step {
                dashboard.add(line.step, line.loss);
            }
        }
        for line in read_lines::<Validated>(&config.out.join("validation.jsonl"))? {
            if line.step < step {
                dashboard.validated(line.step, line.worth());
            }
        }
        Ok(dashboard)
    }

    pub fn fits((columns, rows): (u16, u16)) -> bool {
        columns >= LEAST.0 && rows >= LEAST.1
    }

    pub fn validated(&mut self, step: usize, worth: f64) {
        self.validations.push((step as f64, 100.0 * worth));
    }

    /// Adds a step. Returns a drawing if it is due.
    pub fn step(&mut self, now: &Now, room: (u16, u16)) -> Option<String> {
        self.add(now.step.report.step, now.step.report.loss.into());
        let is_last = now.step.report.step + 1 == self.steps;
        if !is_last && self.drawn.is_some_and(|drawn| drawn.elapsed() < PAUSE) {
            return None;
        }
        self.drawn = Some(Instant::now());
        Some(coloured(&self.draw(now, room)))
    }

    fn add(&mut self, step: usize, loss: f64) {
        let before = self.means.last().map_or(loss, |(_, mean)| *mean);
        // A plain mean of the first few, so that the first doesn't dominate.
        let new = NEW.max(1.0 / (self.losses.len() + 1) as f64);
        let step = step as f64;
        self.losses.push((step, loss));
        self.means.push((step, before + new * (loss - before)));
    }

    fn draw(&self, now: &Now, (columns, rows): (u16, u16)) -> Buffer {
        let charts = (rows / 2).clamp(CHARTS.0, CHARTS.1);
        // Leave the last column free: some terminals wrap after it.
        let area = Rect::new(0, 0, columns - 1, HEAD + charts);
        let mut buffer = Buffer::empty(area);
        let [first, second, gauge, below] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Fill(1),
        ])
        .areas(area);
        let done = now.step.report.step + 1;
        Line::from(self.speed(now)).render(first, &mut buffer);
        Line::from(self.figures(now)).render(second, &mut buffer);
        let (gone, left) = now.times;
        LineGauge::default()
            .filled_style(Style::new().fg(Color::Green))
            .unfilled_style(Style::new().fg(Color::DarkGray))
            .ratio((done as f64 / self.steps as f64).clamp(0.0, 1.0))
            .label(format!(
                "{} % after {}, {} left",
                100 * done / self.steps.max(1),
                HumanDuration(gone),
                HumanDuration(left)
            ))
            .render(gauge, &mut buffer);
        if self.validations.is_empty() {
            self.losses(below, &mut buffer);
        } else {
            let [left, right] =
                Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(below);
            self.losses(left, &mut buffer);
            let best = self.validations.iter().map(|point| point.1).fold(0.0, f64::max);
            let curve = [(&self.validations[..], Color::Yellow)];
            let title = format!("held-out pairs, in %: best {best:.1}");
            chart(&title, &curve, right, &mut buffer);
        }
        buffer
    }

    fn losses(&self, area: Rect, buffer: &mut Buffer) {
        let points = usize::from(area.width) * 2;
        let (losses, means) = (thinned(&self.losses, points), thinned(&self.means, points));
        let curves = [(&losses[..], Color::DarkGray), (&means[..], Color::Cyan)];
        chart("loss, and its running mean", &curves, area, buffer);
    }

    fn speed(&self, now: &Now) -> String {
        let done = now.step.report.step + 1;
        // Memory of this process, by proc_pid_status(5).
        let memory = proc_bytes("/proc/self/status", "VmRSS:");
        let memory = memory.map_or_else(String::new, |bytes| format!(", {}", HumanBytes(bytes)));
        format!(
            "step {} of {}, epoch {:.2}, {:.1} pairs/s, data wait {:.0} %{memory}",
            HumanCount(done as u64),
            HumanCount(self.steps as u64),
            done as f64 / self.epoch,
            now.step.pairs_per_second,
            100.0 * now.step.waiting,
        )
    }

    fn figures(&self, now: &Now) -> String {
        let mean = self.means.last().map_or(f64::NAN, |(_, mean)| *mean);
        format!(
            "loss {:.4} (mean {mean:.4}), rate {:.2e}, scale {:.1}, gradient {:.2}",
            now.step.report.loss,
            now.step.report.learning_rate,
            now.step.report.logit_scale.exp(),
            now.step.report.grad_norm
        )
    }
}

/// Draws curves over steps, in a frame.
fn chart(title: &str, curves: &[(&[(f64, f64)], Color)], area: Rect, buffer: &mut Buffer) {
    let values = curves.iter().flat_map(|(points, _)| points.iter().map(|point| point.1));
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    // Widen the bounds of equal values.
    let room = ((high - low) * 0.05).max(1e-3 * high.abs()).max(1e-9);
    let bounds = if low <= high { [low - room, high + room] } else { [0.0, 1.0] };
    let last = curves.iter().filter_map(|(points, _)| points.last());
    let last = last.map(|point| point.0).fold(1.0, f64::max);
    let datasets = curves.iter().map(|(points, colour)| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Style::new().fg(*colour))
            .data(points)
    });
    let dim = Style::new().fg(Color::DarkGray);
    Chart::new(datasets.collect())
        .block(Block::bordered().title(title).border_style(dim))
        .x_axis(
            Axis::default()
                .style(dim)
                .bounds([0.0, last])
                .labels(["0".to_owned(), HumanCount(last as u64).to_string()]),
        )
        .y_axis(
            Axis::default()
                .style(dim)
                .bounds(bounds)
                .labels([figure(bounds[0]), figure(bounds[1])]),
        )
        .render(area, buffer);
}

/// Reduces points to at most `most` means of neighbours.
fn thinned(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let each = points.len().div_ceil(most.max(1)).max(1);
    let mean = |part: &[(f64, f64)]| {
        let count = part.len() as f64;
        let sum = part.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / count, sum.1 / count)
    };
    points.chunks(each).map(mean).collect()
}

fn figure(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The drawing as lines of text, with colours if the terminal supports them.
fn coloured(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let lines = buffer.content.chunks(width).map(|row| {
        let mut line = String::new();
        for cells in row.chunk_by(|one, other| one.fg == other.fg) {
            let text: String = cells.iter().map(Cell::symbol).collect();
            let style = console::Style::new().for_stderr();
            let style = match cells[0].fg {
                Color::Cyan => style.cyan(),
                Color::Yellow => style.yellow(),
                Color::Green => style.green(),
                Color::DarkGray => style.black().bright(),
                _ => style,
            };
            line.push_str(&style.apply_to(text).to_string());
        }
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use clove::train::StepReport;

    use super::*;

    fn dashboard(steps: usize) -> Dashboard {
        Dashboard { steps, epoch: 12.5, ..Dashboard::default() }
    }

    fn now(step: usize, loss: f32) -> Now {
        Now {
            step: Step {
                report: StepReport {
                    step,
                    loss,
                    grad_norm: 1.5,
                    logit_scale: 4.605_170_2,
                    learning_rate: 1e-6,
                    wrong: 56,
                    masked: 0,
                },
                step_pairs_per_second: 12.0,
                pairs_per_second: 12.34,
                data_wait: 0.1,
                waiting: 0.25,
            },
            times: (Duration::from_mins(1), Duration::from_hours(2)),
        }
    }

    fn text(buffer: &Buffer) -> Vec<String> {
        let width = usize::from(buffer.area.width);
        let rows = buffer.content.chunks(width);
        rows.map(|row| row.iter().map(Cell::symbol).collect()).collect()
    }

    fn dots(lines: &[String]) -> usize {
        let all = lines.iter().flat_map(|line| line.chars());
        all.filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count()
    }

    #[test]
    fn a_run_is_told_in_figures_and_curves() {
        let mut board = dashboard(1_000);
        for step in 0..100 {
            board.add(step, 4.0 / f64::from(step as u32 + 1));
        }
        let lines = text(&board.draw(&now(99, 0.04), (100, 24)));
        assert!(
            lines[0].starts_with("step 100 of 1,000, epoch 8.00, 12.3 pairs/s, data wait 25 %")
        );
        assert!(lines[1].contains("rate 1.00e-6, scale 100.0, gradient 1.50"), "{}", lines[1]);
        assert!(lines[2].starts_with("10 % after 60 seconds, 2 hours left"), "{}", lines[2]);
        let all = lines.join("\n");
        assert!(all.contains("loss, and its running mean") && !all.contains("held-out"));
        assert!(dots(&lines) > 40, "{all}");

        board.validated(50, 0.125);
        board.validated(100, 0.25);
        let all = text(&board.draw(&now(99, 0.04), (100, 24))).join("\n");
        assert!(all.contains("held-out pairs, in %: best 25.0"), "{all}");
    }

    #[test]
    fn it_fits_any_terminal_that_is_large_enough_and_any_losses() {
        assert!(!Dashboard::fits((59, 40)) && !Dashboard::fits((80, 17)));
        let losses: [&[f32]; 4] = [&[1.0], &[0.0, 0.0], &[f32::NAN, 1.0], &[1e30, -1e30, 1e-30]];
        for room in [(60, 18), (80, 24), (250, 70), (1_000, 18)] {
            for losses in losses {
                let mut board = dashboard(3);
                assert!(Dashboard::fits(room));
                for (step, loss) in losses.iter().enumerate() {
                    board.add(step, (*loss).into());
                    board.validated(step, 0.5);
                }
                let lines = text(&board.draw(&now(losses.len() - 1, losses[0]), room));
                assert!(lines.len() < usize::from(room.1), "{room:?}");
                let too_wide = |line: &String| line.chars().count() >= usize::from(room.0);
                assert!(!lines.iter().any(too_wide), "{room:?}");
            }
        }
    }

    #[test]
    fn it_is_drawn_now_and_then_and_at_the_end() {
        let mut board = dashboard(100);
        let drawn: Vec<bool> =
            (0..100).map(|step| board.step(&now(step, 1.0), (80, 24)).is_some()).collect();
        assert!(drawn[0] && drawn[99]);
        assert!(drawn.iter().filter(|drawn| **drawn).count() < 50);
        assert_eq!(board.losses.len(), 100);
    }

    #[test]
    fn thinning_keeps_means() {
        let points: Vec<(f64, f64)> = (0..10).map(|n| (f64::from(n), f64::from(n * n))).collect();
        assert_eq!(
            thinned(&points, 5),
            [(0.5, 0.5), (2.5, 6.5), (4.5, 20.5), (6.5, 42.5), (8.5, 72.5)]
        );
        assert_eq!(thinned(&points, 100), points);
        assert!(thinned(&[], 5).is_empty());
    }
}
