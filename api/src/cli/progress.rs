//! How far a long command has come: a bar for a person at a terminal, a line now and then for everybody else.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output;

/// Pause between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
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
pub(super) struct Progress {
    bar: ProgressBar,
    unit: Unit,
    total: Option<u64>,
    /// When to write the next line; `None` where a bar is drawn.
    next_line: Option<Instant>,
}

impl Progress {
    /// Starts at nothing done of `total`; `None` where the end is not known.
    pub(super) fn start(unit: Unit, total: Option<u64>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self::new(unit, total, terminal, (!terminal).then(|| Instant::now() + LINE_EVERY))
    }

    /// Starts for a command whose results stream to standard output. Says nothing where nobody watches, nor where the
    /// results run over the same terminal.
    pub(super) fn beside_results(unit: Unit, total: u64) -> Self {
        let alone = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
        Self::new(unit, Some(total), alone, None)
    }

    fn new(unit: Unit, total: Option<u64>, drawn: bool, next_line: Option<Instant>) -> Self {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        bar.set_style(style(unit, total));
        Self { bar, unit, total, next_line }
    }

    /// `done` of the total are done; `note` says what came of it.
    pub(super) fn at(&mut self, done: u64, note: impl FnOnce() -> String) {
        self.bar.set_position(done);
        let Some(due) = self.next_line else {
            self.bar.set_message(note());
            return;
        };
        let now = Instant::now();
        if now >= due {
            self.next_line = Some(now + LINE_EVERY);
            output::say(&format!("{} {}", self.share(done), note()));
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }

    fn share(&self, done: u64) -> String {
        match (self.total, self.unit) {
            (Some(total), _) if total > 0 => format!("{:>3} %", done.saturating_mul(100) / total),
            (_, Unit::Bytes) => format!("{} MB", done / 1_000_000),
            (_, Unit::Positions) => format!("{done} positions"),
            (_, Unit::Rows) => format!("{done} rows"),
            (_, Unit::Visits) => format!("{done} visits"),
        }
    }
}

fn style(unit: Unit, total: Option<u64>) -> ProgressStyle {
    let template = match (unit, total) {
        (Unit::Bytes, Some(_)) => "{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {eta} left  {msg}",
        (Unit::Bytes, None) => "{spinner} {bytes}  {elapsed}  {msg}",
        (Unit::Positions, _) => "{bar:30} {percent:>3} %  {msg}  {per_sec}  {eta} left",
        (Unit::Rows, Some(_)) => "{bar:30} {percent:>3} %  {human_pos}/{human_len} rows  {eta} left  {msg}",
        (Unit::Rows, None) => "{spinner} {human_pos} rows  {elapsed}  {msg}",
        (Unit::Visits, Some(_)) => "{bar:30} {percent:>3} %  {human_pos}/{human_len} visits  {eta} left  {msg}",
        (Unit::Visits, None) => "{spinner} {human_pos} visits  {elapsed}  {msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
