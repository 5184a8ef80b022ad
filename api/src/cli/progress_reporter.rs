//! How far a long command has come: a bar for a person at a terminal, a line now and then for everybody else.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output;

/// Pause between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgressUnit {
    /// Bytes of a file.
    Bytes,
    /// Rows of a file.
    Rows,
    /// Positions of the log.
    Positions,
    /// Visits of a website.
    Visits,
}

/// Shows how far a command has come, on standard error.
pub(super) struct ProgressReporter {
    bar: ProgressBar,
    unit: ProgressUnit,
    total: Option<u64>,
    /// When to write the next line; `None` where a bar is drawn.
    next_line_at: Option<Instant>,
}

impl ProgressReporter {
    /// Starts at nothing done of `total`; `None` where the end is not known.
    pub(super) fn start(unit: ProgressUnit, total: Option<u64>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self::new(unit, total, terminal, (!terminal).then(|| Instant::now() + LINE_INTERVAL))
    }

    /// Starts for a command whose results stream to standard output. Says nothing where nobody watches, nor where the
    /// results run over the same terminal.
    pub(super) fn start_beside_results(unit: ProgressUnit, total: u64) -> Self {
        let alone = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
        Self::new(unit, Some(total), alone, None)
    }

    fn new(unit: ProgressUnit, total: Option<u64>, drawn: bool, next_line: Option<Instant>) -> Self {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        bar.set_style(progress_style(unit, total));
        Self { bar, unit, total, next_line_at: next_line }
    }

    /// `done` of the total are done; `note` says what came of it.
    pub(super) fn update(&mut self, done: u64, note: impl FnOnce() -> String) {
        self.bar.set_position(done);
        let Some(due) = self.next_line_at else {
            self.bar.set_message(note());
            return;
        };
        let now = Instant::now();
        if now >= due {
            self.next_line_at = Some(now + LINE_INTERVAL);
            output::print_message(&format!("{} {}", self.format_share(done), note()));
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }

    fn format_share(&self, done: u64) -> String {
        match (self.total, self.unit) {
            (Some(total), _) if total > 0 => format!("{:>3} %", done.saturating_mul(100) / total),
            (_, ProgressUnit::Bytes) => format!("{} MB", done / 1_000_000),
            (_, ProgressUnit::Positions) => format!("{done} positions"),
            (_, ProgressUnit::Rows) => format!("{done} rows"),
            (_, ProgressUnit::Visits) => format!("{done} visits"),
        }
    }
}

fn progress_style(unit: ProgressUnit, total: Option<u64>) -> ProgressStyle {
    let template = match (unit, total) {
        (ProgressUnit::Bytes, Some(_)) => "{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {eta} left  {msg}",
        (ProgressUnit::Bytes, None) => "{spinner} {bytes}  {elapsed}  {msg}",
        (ProgressUnit::Positions, _) => "{bar:30} {percent:>3} %  {msg}  {per_sec}  {eta} left",
        (ProgressUnit::Rows, Some(_)) => "{bar:30} {percent:>3} %  {human_pos}/{human_len} rows  {eta} left  {msg}",
        (ProgressUnit::Rows, None) => "{spinner} {human_pos} rows  {elapsed}  {msg}",
        (ProgressUnit::Visits, Some(_)) => "{bar:30} {percent:>3} %  {human_pos}/{human_len} visits  {eta} left  {msg}",
        (ProgressUnit::Visits, None) => "{spinner} {human_pos} visits  {elapsed}  {msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
