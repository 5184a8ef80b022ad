//! Progress of a rebuild: a bar for each projection on a terminal, otherwise a line every few seconds.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use projections::runtime::{RebuildPartProgress, RebuildPhase, RebuildProgress};
use tokio::{
    sync::watch::{Receiver, Sender},
    task::JoinHandle,
};

use crate::cli::output;

const LINE_INTERVAL: Duration = Duration::from_secs(5);
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);

const BAR_TEMPLATE: &str = "{prefix:<10} {bar:24} {percent:>3} %  {msg}";

/// The task that shows the progress.
pub(super) struct RebuildDisplay {
    task: JoinHandle<()>,
}

/// Starts to show progress on standard error.
pub(super) fn spawn_display(progress: Receiver<RebuildProgress>) -> RebuildDisplay {
    RebuildDisplay { task: tokio::spawn(run_display(progress)) }
}

impl RebuildDisplay {
    /// Shows the last state and ends the task.
    pub(super) async fn finish(self, progress: &Sender<RebuildProgress>) {
        // A negative id, which no rebuild has, makes the task end.
        progress.send_modify(|progress| progress.id = -1);
        if let Err(error) = self.task.await {
            tracing::error!(error = %error, "the progress display panicked");
        }
    }
}

async fn run_display(mut progress: Receiver<RebuildProgress>) {
    let mut view = RebuildProgressView::new(std::io::stderr().is_terminal());
    while progress.changed().await.is_ok() {
        let now = progress.borrow_and_update().clone();
        view.draw(&now);
        if now.id < 0 {
            break;
        }
        tokio::time::sleep(REDRAW_INTERVAL).await;
    }
    view.bars.clear().unwrap_or_default();
}

struct RebuildProgressView {
    bars: MultiProgress,
    projection_bars: BTreeMap<String, ProjectionProgressBar>,
    drawn: bool,
    next_line_at: Instant,
    is_announced: bool,
}

/// The bar of one projection, and when its current phase started.
struct ProjectionProgressBar {
    bar: ProgressBar,
    phase_started_at: Instant,
    initial_events: u64,
    phase: RebuildPhase,
}

impl RebuildProgressView {
    fn new(drawn: bool) -> Self {
        let (bars, projection_bars) = (MultiProgress::new(), BTreeMap::new());
        Self { bars, projection_bars, drawn, next_line_at: Instant::now(), is_announced: false }
    }

    fn draw(&mut self, progress: &RebuildProgress) {
        if !self.is_announced && progress.id > 0 {
            self.is_announced = true;
            let action = if progress.continued { "resumed" } else { "started" };
            output::print_message(&format!("rebuild {} {action}", progress.id));
        }
        let mut lines = vec![];
        for part in &progress.parts {
            let (bars, drawn) = (&self.bars, self.drawn);
            let bar = self
                .projection_bars
                .entry(part.projection.clone())
                .or_insert_with(|| ProjectionProgressBar::new(part, bars, drawn));
            lines.push(bar.update_bar(part));
        }
        if !self.drawn && Instant::now() >= self.next_line_at && !lines.is_empty() {
            self.next_line_at = Instant::now() + LINE_INTERVAL;
            output::print_message(&lines.join(" | "));
        }
    }
}

impl ProjectionProgressBar {
    fn new(part: &RebuildPartProgress, bars: &MultiProgress, drawn: bool) -> Self {
        let bar = if drawn { bars.add(ProgressBar::new(0)) } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template(BAR_TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(format!("{} {}", part.projection, part.generation));
        Self { bar, phase_started_at: Instant::now(), initial_events: part.events, phase: part.phase }
    }

    /// Updates the bar and returns its text.
    fn update_bar(&mut self, part: &RebuildPartProgress) -> String {
        if self.phase != part.phase {
            (self.phase, self.phase_started_at) = (part.phase, Instant::now());
        }
        self.bar.set_length(part.target);
        self.bar.set_position(part.position.min(part.target));
        let text = match part.phase {
            RebuildPhase::Filling => self.format_filling(part),
            RebuildPhase::CatchingUp => "catching up with Kafka".to_owned(),
            RebuildPhase::Verifying => format!("verifying {}", format_percent(part)),
            RebuildPhase::Verified => "verified".to_owned(),
            RebuildPhase::Switched => "switched".to_owned(),
        };
        self.bar.set_message(text.clone());
        format!("{} {}: {text}", part.projection, part.generation)
    }

    fn format_filling(&self, part: &RebuildPartProgress) -> String {
        let elapsed = self.phase_started_at.elapsed().as_secs().max(1);
        let rate = (part.events - self.initial_events.min(part.events)) / elapsed;
        let left = part.target.saturating_sub(part.position);
        let eta = match rate {
            0 => "?".to_owned(),
            rate => format!("{} s", left / rate),
        };
        format!("filling {}, {} events, {rate}/s, {eta} left", format_percent(part), part.events)
    }
}

fn format_percent(part: &RebuildPartProgress) -> String {
    let share = part.position.saturating_mul(100).checked_div(part.target).unwrap_or_default();
    format!("{} %", share.min(100))
}
