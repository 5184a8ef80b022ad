//! Publication times and deadlines of generated notices, in the formats of the extract.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc, Weekday};

use crate::generator_rng::GeneratorRng;

/// Maximum mean time between two notices: about 1,500 notices per working day, as on SAM.gov.
const MAX_INTERVAL_MS: u64 = 57_600;
/// Maximum number of working days over which all notices are distributed.
const WORKING_DAYS: u64 = 260;
const DAY_MS: u64 = 86_400_000;

/// The publication time of the current notice. It only increases, and skips weekends.
pub(super) struct PublicationCalendar {
    now: DateTime<Utc>,
    /// Mean time between two notices.
    interval_ms: u32,
}

impl PublicationCalendar {
    /// Starts on the first Monday of 2026.
    pub(super) fn new(rows: u64) -> Self {
        let interval_ms = (WORKING_DAYS * DAY_MS / rows.max(1)).clamp(1, MAX_INTERVAL_MS);
        let start = NaiveDate::from_ymd_opt(2026, 1, 5).unwrap_or_default().and_time(NaiveTime::MIN).and_utc();
        Self { now: start + TimeDelta::hours(11), interval_ms: u32::try_from(interval_ms).unwrap_or(u32::MAX) }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    pub(super) fn advance(&mut self, rng: &mut GeneratorRng) {
        self.now += TimeDelta::milliseconds(i64::from(rng.next_between(1, self.interval_ms * 2)));
        let days = match self.now.weekday() {
            Weekday::Sat => 2,
            Weekday::Sun => 1,
            Weekday::Mon | Weekday::Tue | Weekday::Wed | Weekday::Thu | Weekday::Fri => 0,
        };
        self.now += TimeDelta::days(days);
    }
}

/// Offset of Washington from UTC, in hours behind it.
fn utc_offset_hours(at: DateTime<Utc>) -> i64 {
    let summer = (308..1101).contains(&(at.month() * 100 + at.day()));
    if summer { 4 } else { 5 }
}

/// The format of a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimestampForm {
    /// `2026-03-16`
    Day,
    /// `2026-03-04T11:12:13-05:00`
    Offset,
    /// `2026-03-25T16:00:00+03:00`, for offices abroad
    Abroad,
    /// `2026-03-27T03:00:00`
    NoOffset,
}

impl TimestampForm {
    pub(super) fn pick(rng: &mut GeneratorRng) -> Self {
        rng.pick_weighted(&[(Self::Day, 72), (Self::Offset, 20), (Self::Abroad, 5), (Self::NoOffset, 3)])
    }

    pub(super) fn format(self, at: DateTime<Utc>) -> String {
        let hours = match self {
            Self::Day | Self::Offset => -utc_offset_hours(at),
            Self::Abroad => 3,
            Self::NoOffset => 0,
        };
        let local = at + TimeDelta::hours(hours);
        let (day, time) = (local.date_naive(), format_seconds(local));
        match self {
            Self::Day => day.to_string(),
            Self::Offset | Self::Abroad => format!("{day}T{time}{hours:+03}:00"),
            Self::NoOffset => format!("{day}T{time}"),
        }
    }
}

/// Formats a publication time, mostly with milliseconds without trailing zeros and an offset in hours.
pub(super) fn format_posted(at: DateTime<Utc>, rng: &mut GeneratorRng) -> String {
    let hours = utc_offset_hours(at);
    let local = at - TimeDelta::hours(hours);
    let (day, time) = (local.date_naive(), format_seconds(local));
    let millis = format!(".{:03}", local.nanosecond() / 1_000_000);
    let fraction = millis.trim_end_matches('0').trim_end_matches('.');
    match rng.next_below(1_000) {
        0..5 => day.to_string(),
        5..25 => format!("{day}T{time}{fraction}-0{hours}:00"),
        25..30 => format!("{}T{}", at.date_naive(), format_seconds(at)),
        _ => format!("{day} {time}{fraction}-0{hours}"),
    }
}

fn format_seconds(at: DateTime<Utc>) -> String {
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// Picks a deadline for responses at a full or half hour, days after the publication or, rarely, before it.
pub(super) fn pick_deadline(posted: DateTime<Utc>, rng: &mut GeneratorRng) -> DateTime<Utc> {
    let days =
        if rng.chance_per_mille(15) { -i64::from(rng.next_between(1, 20)) } else { i64::from(rng.next_between(5, 45)) };
    let minutes = i64::from(rng.next_between(26, 42)) * 30;
    (posted + TimeDelta::days(days)).date_naive().and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(minutes)
}
