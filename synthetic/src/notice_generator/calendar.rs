//! When generated notices are published and due, and the forms in which the extract writes that down.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc, Weekday};

use crate::generator_rng::GeneratorRng;

/// Mean time between two notices while there is room: about 1,500 a working day, as in real life.
const PACE_MS: u64 = 57_600;
/// However many notices there are, they fall into this many working days.
const WORKING_DAYS: u64 = 260;
const DAY_MS: u64 = 86_400_000;

/// The time of the notice that is being written; only goes forward, and over weekends in one step.
pub(super) struct PublicationCalendar {
    now: DateTime<Utc>,
    /// Mean time between two notices, in milliseconds.
    pace: u32,
}

impl PublicationCalendar {
    /// Starts on the first Monday of 2026.
    pub(super) fn new(rows: u64) -> Self {
        let pace = (WORKING_DAYS * DAY_MS / rows.max(1)).clamp(1, PACE_MS);
        let start = NaiveDate::from_ymd_opt(2026, 1, 5).unwrap_or_default().and_time(NaiveTime::MIN).and_utc();
        Self { now: start + TimeDelta::hours(11), pace: u32::try_from(pace).unwrap_or(u32::MAX) }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    pub(super) fn advance(&mut self, dice: &mut GeneratorRng) {
        self.now += TimeDelta::milliseconds(i64::from(dice.next_between(1, self.pace * 2)));
        let days = match self.now.weekday() {
            Weekday::Sat => 2,
            Weekday::Sun => 1,
            Weekday::Mon | Weekday::Tue | Weekday::Wed | Weekday::Thu | Weekday::Fri => 0,
        };
        self.now += TimeDelta::days(days);
    }
}

/// Hours that Washington is behind UTC.
fn utc_offset_hours(at: DateTime<Utc>) -> i64 {
    let summer = (308..1101).contains(&(at.month() * 100 + at.day()));
    if summer { 4 } else { 5 }
}

/// How a deadline is written.
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
    pub(super) fn pick(dice: &mut GeneratorRng) -> Self {
        dice.pick_weighted(&[(Self::Day, 72), (Self::Offset, 20), (Self::Abroad, 5), (Self::NoOffset, 3)])
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

/// When a notice was published: milliseconds without trailing zeros and an hour-only offset; now and then otherwise.
pub(super) fn format_posted(at: DateTime<Utc>, dice: &mut GeneratorRng) -> String {
    let hours = utc_offset_hours(at);
    let local = at - TimeDelta::hours(hours);
    let (day, time) = (local.date_naive(), format_seconds(local));
    let millis = format!(".{:03}", local.nanosecond() / 1_000_000);
    let fraction = millis.trim_end_matches('0').trim_end_matches('.');
    match dice.next_below(1_000) {
        0..5 => day.to_string(),
        5..25 => format!("{day}T{time}{fraction}-0{hours}:00"),
        25..30 => format!("{}T{}", at.date_naive(), format_seconds(at)),
        _ => format!("{day} {time}{fraction}-0{hours}"),
    }
}

fn format_seconds(at: DateTime<Utc>) -> String {
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// A deadline for responses: at the full or half hour, days ahead; in rare cases already over.
pub(super) fn pick_deadline(posted: DateTime<Utc>, dice: &mut GeneratorRng) -> DateTime<Utc> {
    let days = if dice.chance_per_mille(15) {
        -i64::from(dice.next_between(1, 20))
    } else {
        i64::from(dice.next_between(5, 45))
    };
    let minutes = i64::from(dice.next_between(26, 42)) * 30;
    (posted + TimeDelta::days(days)).date_naive().and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(minutes)
}
