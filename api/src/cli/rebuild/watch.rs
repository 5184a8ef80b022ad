//! Shows how far a rebuild is: a bar for each part on a terminal, a line now and then for everybody else.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use projections::runtime::{PartProgress, Phase, RebuildProgress};
use tokio::{
    sync::watch::{Receiver, Sender},
    task::JoinHandle,
};

use crate::cli::output;

const LINE_EVERY: Duration = Duration::from_secs(5);
const REDRAW_EVERY: Duration = Duration::from_millis(200);

const TEMPLATE: &str = "{prefix:<10} {bar:24} {percent:>3} %  {msg}";

/// What shows the progress.
pub(super) struct Shown {
    task: JoinHandle<()>,
}

/// Starts to show.
pub(super) fn start(progress: Receiver<RebuildProgress>) -> Shown {
    Shown { task: tokio::spawn(show(progress)) }
}

impl Shown {
    /// Ends the show once the last state was shown.
    pub(super) async fn finish(self, progress: &Sender<RebuildProgress>) {
        // A rebuild that ended is told by the number that none has.
        progress.send_modify(|progress| progress.id = -1);
        if let Err(error) = self.task.await {
            tracing::error!(error = %error, "the progress broke off");
        }
    }
}

async fn show(mut progress: Receiver<RebuildProgress>) {
    let mut view = View::new(std::io::stderr().is_terminal());
    while progress.changed().await.is_ok() {
        let now = progress.borrow_and_update().clone();
        view.draw(&now);
        if now.id < 0 {
            break;
        }
        tokio::time::sleep(REDRAW_EVERY).await;
    }
    view.bars.clear().unwrap_or_default();
}

struct View {
    bars: MultiProgress,
    by_part: BTreeMap<String, Part>,
    drawn: bool,
    next_line: Instant,
    begun: bool,
}

/// One part, and since when it is filled.
struct Part {
    bar: ProgressBar,
    since: Instant,
    events_before: u64,
    phase: Phase,
}

impl View {
    fn new(drawn: bool) -> Self {
        let (bars, by_part) = (MultiProgress::new(), BTreeMap::new());
        Self { bars, by_part, drawn, next_line: Instant::now(), begun: false }
    }

    fn draw(&mut self, progress: &RebuildProgress) {
        if !self.begun && progress.id > 0 {
            self.begun = true;
            let how = if progress.continued { "goes on" } else { "begins" };
            output::say(&format!("rebuild {} {how}", progress.id));
        }
        let mut lines = vec![];
        for told in &progress.parts {
            let (bars, drawn) = (&self.bars, self.drawn);
            let part = self.by_part.entry(told.projection.clone()).or_insert_with(|| Part::new(told, bars, drawn));
            lines.push(part.show(told));
        }
        if !self.drawn && Instant::now() >= self.next_line && !lines.is_empty() {
            self.next_line = Instant::now() + LINE_EVERY;
            output::say(&lines.join(" | "));
        }
    }
}

impl Part {
    fn new(told: &PartProgress, bars: &MultiProgress, drawn: bool) -> Self {
        let bar = if drawn { bars.add(ProgressBar::new(0)) } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(format!("{} {}", told.projection, told.generation));
        Self { bar, since: Instant::now(), events_before: told.events, phase: told.phase }
    }

    /// Draws the part; answers with it as text.
    fn show(&mut self, told: &PartProgress) -> String {
        if self.phase != told.phase {
            (self.phase, self.since) = (told.phase, Instant::now());
        }
        self.bar.set_length(told.target);
        self.bar.set_position(told.position.min(told.target));
        let text = match told.phase {
            Phase::Filling => self.filling(told),
            Phase::CatchingUp => "catching up with Kafka".to_owned(),
            Phase::Verifying => format!("comparing with the log {}", share(told)),
            Phase::Verified => "is what the log says".to_owned(),
            Phase::Switched => "readers see it".to_owned(),
        };
        self.bar.set_message(text.clone());
        format!("{} {}: {text}", told.projection, told.generation)
    }

    fn filling(&self, told: &PartProgress) -> String {
        let elapsed = self.since.elapsed().as_secs().max(1);
        let rate = (told.events - self.events_before.min(told.events)) / elapsed;
        let left = told.target.saturating_sub(told.position);
        let eta = match rate {
            0 => "?".to_owned(),
            rate => format!("{} s", left / rate),
        };
        format!("filling {}, {} events, {rate}/s, {eta} left", share(told), told.events)
    }
}

fn share(told: &PartProgress) -> String {
    let share = told.position.saturating_mul(100).checked_div(told.target).unwrap_or_default();
    format!("{} %", share.min(100))
}
