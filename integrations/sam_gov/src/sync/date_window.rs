//! A range of days of publication.

use chrono::{Days, NaiveDate};

/// The API refuses a range of more than a year.
const MAX_WINDOW_DAYS: u64 = 364;

/// Days of publication, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateWindow {
    from: NaiveDate,
    to: NaiveDate,
}

impl DateWindow {
    /// The days from `from` to `to`; `None` if `to` is before `from`.
    pub fn new(from: NaiveDate, to: NaiveDate) -> Option<Self> {
        (from <= to).then_some(Self { from, to })
    }

    /// One day.
    pub(super) fn single(day: NaiveDate) -> Self {
        Self { from: day, to: day }
    }

    /// The first day.
    pub fn from(self) -> NaiveDate {
        self.from
    }

    /// The last day.
    pub fn to(self) -> NaiveDate {
        self.to
    }

    /// The first days of this range, as many as one request may name.
    pub(super) fn first_request(self) -> Self {
        let last = self.from.checked_add_days(Days::new(MAX_WINDOW_DAYS)).unwrap_or(self.to);
        Self { from: self.from, to: self.to.min(last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_request_names_at_most_a_year() {
        let long = DateWindow::new(day("2024-01-01"), day("2026-03-01")).unwrap();
        let first = long.first_request();
        assert_eq!((first.from(), first.to()), (day("2024-01-01"), day("2024-12-30")));
        let short = DateWindow::new(day("2026-02-01"), day("2026-03-01")).unwrap();
        assert_eq!(short.first_request(), short);
    }

    #[test]
    fn the_end_of_a_window_is_not_before_its_beginning() {
        assert_eq!(DateWindow::new(day("2026-02-02"), day("2026-02-01")), None);
        assert!(DateWindow::new(day("2026-02-02"), day("2026-02-02")).is_some());
    }
}
