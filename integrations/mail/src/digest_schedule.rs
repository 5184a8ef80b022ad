//! When the daily digest of a user is due, in the user's time zone.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

/// A local time that does not exist is replaced by the first quarter of an hour after it that does, on the same day.
const QUARTERS_OF_A_DAY: i64 = 96;

/// Whether a time zone of this name exists.
pub fn is_known_time_zone(name: &str) -> bool {
    name.parse::<Tz>().is_ok()
}

/// The zone of this name; UTC if it does not exist in this release's database.
fn find_zone(name: &str) -> Tz {
    name.parse().unwrap_or(Tz::UTC)
}

/// The date in a time zone.
pub(crate) fn local_date(zone: &str, time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&find_zone(zone)).date_naive()
}

/// The first time after `after` when a local day reaches `hour`: once on each local day, also on days of 23 or 25
/// hours. `None` if the calendar ends.
pub(crate) fn next_digest_at(zone: &str, hour: u8, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let zone = find_zone(zone);
    let today = after.with_timezone(&zone).date_naive();
    // A day may be skipped as a whole, as on Samoa in 2011.
    (0..=2).filter_map(|days| today.checked_add_days(Days::new(days))).find_map(|day| {
        let begin = day.and_hms_opt(u32::from(hour), 0, 0)?;
        let mut candidates = (0..QUARTERS_OF_A_DAY).filter_map(|quarter| {
            let local =
                begin.checked_add_signed(TimeDelta::minutes(15 * quarter)).filter(|local| local.date() == day)?;
            zone.from_local_datetime(&local).earliest()
        });
        candidates.next().map(|time| time.with_timezone(&Utc)).filter(|time| *time > after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn digests_after(zone: &str, hour: u8, start: &str, count: usize) -> Vec<String> {
        let mut now = time(start);
        (0..count)
            .map(|_| {
                now = next_digest_at(zone, hour, now).unwrap();
                format!("{} {}", now.format("%m-%dT%H:%MZ"), local_date(zone, now).format("%d"))
            })
            .collect()
    }

    #[test]
    fn a_digest_is_due_at_the_hour_of_its_zone() {
        assert_eq!(
            digests_after("America/New_York", 7, "2026-01-10T12:00:00Z", 2),
            ["01-11T12:00Z 11", "01-12T12:00Z 12"]
        );
        assert_eq!(digests_after("America/New_York", 7, "2026-01-10T11:59:00Z", 1), ["01-10T12:00Z 10"]);
        assert_eq!(digests_after("Asia/Kathmandu", 7, "2026-01-10T00:00:00Z", 1), ["01-10T01:15Z 10"]);
        assert_eq!(digests_after("Pacific/Auckland", 7, "2026-01-10T12:00:00Z", 1), ["01-10T18:00Z 11"]);
    }

    #[test]
    fn an_hour_that_the_clocks_skip_is_replaced_by_the_next() {
        // In New York 2:00 does not exist on 2026-03-08.
        assert_eq!(
            digests_after("America/New_York", 2, "2026-03-07T00:00:00Z", 3),
            ["03-07T07:00Z 07", "03-08T07:00Z 08", "03-09T06:00Z 09"]
        );
    }

    #[test]
    fn an_hour_that_the_clocks_repeat_counts_once() {
        // In New York 1:00 exists twice on 2026-11-01, at 5:00 and 6:00 UTC.
        assert_eq!(
            digests_after("America/New_York", 1, "2026-10-31T00:00:00Z", 3),
            ["10-31T05:00Z 31", "11-01T05:00Z 01", "11-02T06:00Z 02"]
        );
    }

    #[test]
    fn a_day_that_a_zone_skips_has_no_digest() {
        // Samoa went from 2011-12-29 to 2011-12-31.
        let days: Vec<_> = digests_after("Pacific/Apia", 9, "2011-12-28T00:00:00Z", 4)
            .iter()
            .map(|digest| digest.split_once(' ').unwrap().1.to_owned())
            .collect();
        assert_eq!(days, ["28", "29", "31", "01"]);
    }

    #[test]
    fn an_unknown_zone_counts_as_utc() {
        assert!(is_known_time_zone("Europe/Berlin") && !is_known_time_zone("Mars/Olympus"));
        assert_eq!(digests_after("Mars/Olympus", 7, "2026-01-10T00:00:00Z", 1), ["01-10T07:00Z 10"]);
    }
}
