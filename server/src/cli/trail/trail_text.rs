//! A trail as text, for people.

use chrono::{DateTime, SecondsFormat, Utc};
use console::Term;
use processes::PendingCommandRow;
use task_workers::TaskQueueRow;

use super::{
    CorrelationTrail,
    event_summary::clean_text,
    event_tree::{EventCause, EventTree, TreeRow},
};
use crate::cli::processes::format_instance;

/// Levels of the tree that are drawn; of deeper events, the last ones are.
const MAX_LEVELS: usize = 10;
/// Longest text of an error or a note, in characters.
const MAX_NOTE_CHARS: usize = 300;
/// Narrower terminals get lines of this length, which they wrap.
const MIN_WIDTH: usize = 60;
/// Columns before the tree: time, offset, and the spaces behind them.
const TIME_COLUMNS: usize = 27;

/// How a trail is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TextStyle {
    /// Columns of the terminal; `None` for lines of any length.
    width: Option<usize>,
    colored: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextColor {
    Bold,
    Dim,
    Yellow,
}

impl TextStyle {
    /// Colours and the terminal's width if standard output is a terminal. `NO_COLOR` turns colours off.
    pub(super) fn detect_stdout() -> Self {
        let terminal = Term::stdout();
        let is_terminal = terminal.is_term();
        let width = terminal.size_checked().map(|(_, columns)| usize::from(columns).max(MIN_WIDTH));
        let has_no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { width: width.filter(|_| is_terminal), colored: is_terminal && !has_no_color }
    }

    fn colorize(self, text: &str, color: TextColor) -> String {
        let code = match color {
            TextColor::Bold => "1",
            TextColor::Dim => "2",
            TextColor::Yellow => "33",
        };
        if self.colored && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Shortens a text to the columns that are left behind `used` others.
    fn shorten_text(self, text: &str, used: usize) -> String {
        match self.width {
            Some(width) => clean_text(text, width.saturating_sub(used)),
            None => text.to_owned(),
        }
    }

    fn fits_width(self, columns: usize) -> bool {
        self.width.is_none_or(|width| columns <= width)
    }
}

/// The trail as lines without a line break at the end.
pub(super) fn format_trail(trail: &CorrelationTrail, style: TextStyle) -> String {
    let mut lines = vec![style.colorize(&format_header(trail), TextColor::Bold)];
    lines.extend(format_tree(&trail.events, style));
    let hidden = trail.total_events.saturating_sub(trail.events.len() as u64);
    if hidden > 0 {
        lines.push(format!("… and {hidden} more events; --limit prints up to 10000"));
    }
    let mut section = |title: &str, rows: Vec<String>| {
        if !rows.is_empty() {
            lines.push(String::new());
            lines.push(style.colorize(title, TextColor::Bold));
            lines.extend(rows.into_iter().map(|row| format!("  {row}")));
        }
    };
    let instances = trail.instances.iter().map(|row| clean_text(&format_instance(row), 3 * MAX_NOTE_CHARS));
    section("process instances", instances.collect());
    section("pending commands", trail.pending_commands.iter().map(format_command).collect());
    section("tasks in the queue", trail.tasks.iter().map(format_task).collect());
    lines.join("\n")
}

fn format_header(trail: &CorrelationTrail) -> String {
    let events = &trail.events;
    let (shown, streams) = (count(trail.total_events, "event"), count(events.count_streams() as u64, "stream"));
    let times = match (events.first(), events.last()) {
        (Some(first), Some(last)) => format!(
            ", {} UTC, within {}",
            first.recorded_at.format("%Y-%m-%d %H:%M:%S"),
            format_duration(seconds_between(first.recorded_at, last.recorded_at))
        ),
        _ => String::new(),
    };
    format!("correlation {}: {shown} in {streams}{times}", clean_text(&trail.correlation_id, MAX_NOTE_CHARS))
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn format_tree(tree: &EventTree, style: TextStyle) -> Vec<String> {
    let Some(start) = tree.first().map(|event| event.recorded_at) else { return vec![] };
    let mut lines = vec![];
    // For each level from the second on, whether the event there is the last one with its cause.
    let mut levels: Vec<bool> = vec![];
    for row in tree.rows() {
        levels.truncate(row.depth.saturating_sub(1));
        if row.depth > 0 {
            levels.push(row.is_last);
        }
        lines.extend(format_event(&row, &levels, start, style));
    }
    lines
}

fn format_event(row: &TreeRow<'_>, levels: &[bool], start: DateTime<Utc>, style: TextStyle) -> Vec<String> {
    let event = row.event;
    let offset = format!("+{}", format_duration(seconds_between(start, event.recorded_at)));
    let time = format!("{} {offset:>13} ", event.recorded_at.format("%H:%M:%S%.3f"));
    let (branch, trunk) = draw_guides(levels, row.has_effects);
    let what = format!("{} {}", event.event_type, event.event_version);
    let elsewhere = match row.cause {
        EventCause::Elsewhere => format!("  [its cause {} is not in this trail]", event.causation_id),
        EventCause::Request | EventCause::Event(_) => String::new(),
    };
    let about = if event.summary.is_empty() { String::new() } else { format!("  {}", event.summary) };
    let by = if event.user_id.is_empty() { String::new() } else { format!(" by {}", event.user_id) };
    let stream = format!("{} {} #{} of {}{by}", event.aggregate_type, event.local_id, event.sequence, event.tenant_id);

    let columns = |texts: &[&str]| TIME_COLUMNS + texts.iter().map(|text| text.chars().count()).sum::<usize>();
    let head = format!("{}{}{}", style.colorize(&time, TextColor::Dim), style.colorize(&branch, TextColor::Dim), {
        style.colorize(&what, TextColor::Bold)
    });
    if style.fits_width(columns(&[&branch, &what, &about, &elsewhere, "  ", &stream])) {
        let (stream, elsewhere) =
            (style.colorize(&stream, TextColor::Dim), style.colorize(&elsewhere, TextColor::Yellow));
        return vec![format!("{head}{about}{elsewhere}  {stream}")];
    }
    // The continuation is below the event's type.
    let continued = format!("{}{}", " ".repeat(TIME_COLUMNS), style.colorize(&trunk, TextColor::Dim));
    let used = columns(&[&trunk]);
    let mut lines = vec![format!("{head}{}", fit_after(&about, columns(&[&branch, &what]), style))];
    if !elsewhere.is_empty() {
        lines.push(format!("{continued}{}", style.colorize(&style.shorten_text(&elsewhere, used), TextColor::Yellow)));
    }
    lines.push(format!("{continued}{}", style.colorize(&style.shorten_text(&stream, used), TextColor::Dim)));
    lines
}

/// A text with its leading spaces, shortened to what is left of the line.
fn fit_after(text: &str, used: usize, style: TextStyle) -> String {
    let shortened = style.shorten_text(text, used + 2);
    if shortened.is_empty() { shortened } else { format!("  {shortened}") }
}

/// The lines of the tree before an event, and before the lines that continue it.
fn draw_guides(levels: &[bool], has_effects: bool) -> (String, String) {
    let skipped = levels.len().saturating_sub(MAX_LEVELS);
    let drawn = levels.get(skipped..).unwrap_or_default();
    let mut above = if skipped > 0 { format!("({skipped} more levels) ") } else { String::new() };
    let Some((is_last, ancestors)) = drawn.split_last() else {
        return (String::new(), if has_effects { "│  ".to_owned() } else { "   ".to_owned() });
    };
    above.extend(ancestors.iter().map(|is_last| if *is_last { "   " } else { "│  " }));
    let below = if skipped > 0 { " ".repeat(above.chars().count()) } else { above.clone() };
    let (branch, trunk) = if *is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
    (format!("{above}{branch}"), format!("{below}{trunk}{}", if has_effects { "│  " } else { "   " }))
}

/// The time between two events, in seconds.
pub(super) fn seconds_between(start: DateTime<Utc>, end: DateTime<Utc>) -> f64 {
    (end - start).as_seconds_f64()
}

fn format_duration(seconds: f64) -> String {
    let (minutes, hours) = ((seconds / 60.0).floor(), (seconds / 3_600.0).floor());
    if hours >= 1.0 {
        format!("{hours} h {:02} min", (minutes - hours * 60.0).floor())
    } else if minutes >= 1.0 {
        format!("{minutes} min {:02} s", (seconds - minutes * 60.0).floor())
    } else {
        format!("{seconds:.3} s")
    }
}

fn format_command(row: &PendingCommandRow) -> String {
    let due = match row.due_at {
        Some(due) => format!("due at {}", format_time(due)),
        None => "waits for an operator".to_owned(),
    };
    let error = match row.last_error.as_str() {
        "" => String::new(),
        error => format!(", last error: {error}"),
    };
    let text = format!(
        "{} of {} {} {}: {due}, {}, caused by event {}{error}",
        row.command,
        row.process,
        row.key.tenant_id,
        row.key.instance_id,
        count(u64::from(row.attempts.unsigned_abs()), "attempt"),
        row.causation_id
    );
    clean_text(&text, 3 * MAX_NOTE_CHARS)
}

fn format_task(row: &TaskQueueRow) -> String {
    let worker = row.worker.as_ref().map(|worker| format!(" by {worker}")).unwrap_or_default();
    let next = match (row.status.as_str(), &row.worker, row.claimable_at) {
        ("ended", _, _) => String::new(),
        (_, Some(_), Some(until)) => format!(", until {} unless renewed", format_time(until)),
        (_, None, Some(from)) => format!(", may be claimed from {}", format_time(from)),
        (_, _, None) => ", started without a claim".to_owned(),
    };
    let failures = match row.failures {
        0 => String::new(),
        failures => format!(", {} failed", count(u64::from(failures.unsigned_abs()), "attempt")),
    };
    let text = format!("{} {} {}: {}{worker}{next}{failures}", row.kind, row.tenant_id, row.task_id, row.status);
    clean_text(&text, 3 * MAX_NOTE_CHARS)
}

fn format_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::{super::event_tree::tests::event, *};

    fn trail(events: EventTree, total_events: u64) -> CorrelationTrail {
        CorrelationTrail {
            correlation_id: "c".into(),
            events,
            total_events,
            instances: vec![],
            pending_commands: vec![],
            tasks: vec![],
        }
    }

    const PLAIN: TextStyle = TextStyle { width: None, colored: false };

    #[test]
    fn lines_show_time_offset_cause_and_origin() {
        let tree = EventTree::new(vec![event(1, 0), event(2, 1), event(3, 2), event(4, 1), event(5, 9)]);
        let text = format_trail(&trail(tree, 7), PLAIN);
        let expected = "\
correlation c: 7 events in 5 streams, 2026-03-03 12:17:50 UTC, within 2.000 s
12:17:50.500      +0.000 s task.requested 1.0  task t1 #1 of acme by ann
12:17:51.000      +0.500 s ├─ task.requested 1.0  task t2 #1 of acme by ann
12:17:51.500      +1.000 s │  └─ task.requested 1.0  task t3 #1 of acme by ann
12:17:52.000      +1.500 s └─ task.requested 1.0  task t4 #1 of acme by ann
12:17:52.500      +2.000 s task.requested 1.0  [its cause 00000000-0000-0000-0000-000000000009 is not in this trail]  \
task t5 #1 of acme by ann
… and 2 more events; --limit prints up to 10000";
        assert_eq!(text, expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut long = event(2, 1);
        long.summary = "x".repeat(80);
        long.local_id = "y".repeat(200);
        let tree = EventTree::new(vec![event(1, 0), long, event(3, 2), event(4, 9)]);
        let text = format_trail(&trail(tree, 4), TextStyle { width: Some(70), colored: false });
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 70), "{text}");
        let continued = format!("{}   │  task yyy", " ".repeat(TIME_COLUMNS));
        assert!(lines.iter().any(|line| line.starts_with(&continued) && line.ends_with('…')), "{text}");
    }

    #[test]
    fn colours_are_for_terminals() {
        let tree = || EventTree::new(vec![event(1, 0)]);
        assert!(!format_trail(&trail(tree(), 1), PLAIN).contains('\x1b'));
        assert!(
            format_trail(&trail(tree(), 1), TextStyle { colored: true, ..PLAIN }).contains("\x1b[1mtask.requested")
        );
    }

    #[test]
    fn deep_levels_are_counted_instead_of_drawn() {
        let (branch, trunk) = draw_guides(&[true; 14], false);
        assert!(branch.starts_with("(4 more levels) ") && branch.ends_with("└─ "), "{branch}");
        assert_eq!(trunk.chars().count(), branch.chars().count() + 3);
    }

    #[test]
    fn long_times_are_in_minutes_and_hours() {
        let shown = [0.25, 59.999, 60.0, 3_599.0, 3_600.0, 90_061.0].map(format_duration);
        assert_eq!(shown, ["0.250 s", "59.999 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "25 h 01 min"]);
    }
}
