//! Progress of a long command: a bar on a terminal, otherwise a line every few seconds.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output;

/// Interval of lines where standard error is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The unit that progress is counted in.
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

/// Shows the progress of a command on standard error.
pub(super) struct ProgressDisplay {
    bar: ProgressBar,
    unit: ProgressUnit,
    total: Option<u64>,
    /// When to write the next line; `None` if no lines are written.
    next_line_at: Option<Instant>,
}

impl ProgressDisplay {
    /// Starts at 0 of `total`; `None` if the total is not known.
    pub(super) fn start(unit: ProgressUnit, total: Option<u64>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self::new(unit, total, terminal, (!terminal).then(|| Instant::now() + LINE_INTERVAL))
    }

    /// Starts for a command that streams results to standard output. Shows nothing if standard error is no terminal,
    /// nor if the results go to the same terminal.
    pub(super) fn start_beside_results(unit: ProgressUnit, total: u64) -> Self {
        let visible = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
        Self::new(unit, Some(total), visible, None)
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

    /// Sets the progress to `done`; `note` is shown beside it.
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

    /// Removes the bar.
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
