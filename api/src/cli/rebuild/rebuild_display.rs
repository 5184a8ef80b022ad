//! Shows how far a rebuild is: a bar for each part on a terminal, a line now and then for everybody else.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use projections::runtime::{PartPhase, PartProgress, RebuildProgress};
use tokio::{
    sync::watch::{Receiver, Sender},
    task::JoinHandle,
};

use crate::cli::output;

const LINE_INTERVAL: Duration = Duration::from_secs(5);
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);

const BAR_TEMPLATE: &str = "{prefix:<10} {bar:24} {percent:>3} %  {msg}";

/// What shows the progress.
pub(super) struct RebuildDisplay {
    task: JoinHandle<()>,
}

/// Starts to show.
pub(super) fn spawn_display(progress: Receiver<RebuildProgress>) -> RebuildDisplay {
    RebuildDisplay { task: tokio::spawn(run_display(progress)) }
}

impl RebuildDisplay {
    /// Ends the show once the last state was shown.
    pub(super) async fn finish(self, progress: &Sender<RebuildProgress>) {
        // A rebuild that ended is told by the number that none has.
        progress.send_modify(|progress| progress.id = -1);
        if let Err(error) = self.task.await {
            tracing::error!(error = %error, "the progress broke off");
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
    has_begun: bool,
}

/// One part, and since when it is filled.
struct ProjectionProgressBar {
    bar: ProgressBar,
    phase_started_at: Instant,
    initial_events: u64,
    phase: PartPhase,
}

impl RebuildProgressView {
    fn new(drawn: bool) -> Self {
        let (bars, by_part) = (MultiProgress::new(), BTreeMap::new());
        Self { bars, projection_bars: by_part, drawn, next_line_at: Instant::now(), has_begun: false }
    }

    fn draw(&mut self, progress: &RebuildProgress) {
        if !self.has_begun && progress.id > 0 {
            self.has_begun = true;
            let how = if progress.continued { "goes on" } else { "begins" };
            output::print_message(&format!("rebuild {} {how}", progress.id));
        }
        let mut lines = vec![];
        for told in &progress.parts {
            let (bars, drawn) = (&self.bars, self.drawn);
            let part = self
                .projection_bars
                .entry(told.projection.clone())
                .or_insert_with(|| ProjectionProgressBar::new(told, bars, drawn));
            lines.push(part.update_bar(told));
        }
        if !self.drawn && Instant::now() >= self.next_line_at && !lines.is_empty() {
            self.next_line_at = Instant::now() + LINE_INTERVAL;
            output::print_message(&lines.join(" | "));
        }
    }
}

impl ProjectionProgressBar {
    fn new(told: &PartProgress, bars: &MultiProgress, drawn: bool) -> Self {
        let bar = if drawn { bars.add(ProgressBar::new(0)) } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template(BAR_TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(format!("{} {}", told.projection, told.generation));
        Self { bar, phase_started_at: Instant::now(), initial_events: told.events, phase: told.phase }
    }

    /// Draws the part; answers with it as text.
    fn update_bar(&mut self, told: &PartProgress) -> String {
        if self.phase != told.phase {
            (self.phase, self.phase_started_at) = (told.phase, Instant::now());
        }
        self.bar.set_length(told.target);
        self.bar.set_position(told.position.min(told.target));
        let text = match told.phase {
            PartPhase::Filling => self.format_filling(told),
            PartPhase::CatchingUp => "catching up with Kafka".to_owned(),
            PartPhase::Verifying => format!("comparing with the log {}", format_percent(told)),
            PartPhase::Verified => "is what the log says".to_owned(),
            PartPhase::Switched => "readers see it".to_owned(),
        };
        self.bar.set_message(text.clone());
        format!("{} {}: {text}", told.projection, told.generation)
    }

    fn format_filling(&self, told: &PartProgress) -> String {
        let elapsed = self.phase_started_at.elapsed().as_secs().max(1);
        let rate = (told.events - self.initial_events.min(told.events)) / elapsed;
        let left = told.target.saturating_sub(told.position);
        let eta = match rate {
            0 => "?".to_owned(),
            rate => format!("{} s", left / rate),
        };
        format!("filling {}, {} events, {rate}/s, {eta} left", format_percent(told), told.events)
    }
}

fn format_percent(told: &PartProgress) -> String {
    let share = told.position.saturating_mul(100).checked_div(told.target).unwrap_or_default();
    format!("{} %", share.min(100))
}
