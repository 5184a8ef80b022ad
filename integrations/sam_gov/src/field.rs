//! One value of a record, named, and what it can be read as. Blank is the same as absent everywhere, and so is the text
//! `null`, which the API's own examples have where there is nothing. What spreadsheets make of values is undone.

use chrono::{DateTime, NaiveDate, Utc};
use domain::opportunity::{Agency, Award, InvalidValue, NaicsCode, PlaceOfPerformance, SetAside, UsdCents};

use super::{
    error::{InvalidFieldReason, NoticeRowError},
    spreadsheet, time,
};

/// Longest title, name or code in characters.
const MAX_SHORT: usize = 1_000;
/// Longest description in bytes.
const MAX_DESCRIPTION: usize = 256 << 10;
/// Longest link in characters.
const MAX_LINK: usize = 2_000;

/// A value under its column's name or its JSON key.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoticeField<'a> {
    column: &'static str,
    text: &'a str,
}

impl<'a> NoticeField<'a> {
    pub(super) fn new(column: &'static str, text: &'a str) -> Self {
        let text = text.trim();
        Self { column, text: if text.eq_ignore_ascii_case("null") { "" } else { text } }
    }

    /// A number that stands for itself, such as a code or a postal code, without the `.0` of a spreadsheet.
    pub(super) fn as_numeral(self) -> Self {
        Self { text: spreadsheet::without_zero_decimals(self.text), ..self }
    }

    /// Text of at most a thousand characters.
    pub(super) fn parse_text(self) -> Result<Option<String>, NoticeRowError> {
        self.parse_bounded(self.text.len() > MAX_SHORT && self.text.chars().count() > MAX_SHORT, MAX_SHORT)
    }

    /// The text of a notice: HTML and character references stay as they are.
    pub(super) fn parse_description(self) -> Result<Option<String>, NoticeRowError> {
        self.parse_bounded(self.text.len() > MAX_DESCRIPTION, MAX_DESCRIPTION)
    }

    /// A web address; anything else is no link and counts as absent.
    pub(super) fn parse_link(self) -> Result<Option<String>, NoticeRowError> {
        let is_address = self.text.starts_with("https://") || self.text.starts_with("http://");
        if is_address { self.parse_bounded(self.text.len() > MAX_LINK, MAX_LINK) } else { Ok(None) }
    }

    /// A company's name. SAM.gov writes `null` where it has none, sometimes with an address behind it.
    pub(super) fn parse_company(self) -> Result<Option<String>, NoticeRowError> {
        if self.text.split_whitespace().next() == Some("null") { Ok(None) } else { self.parse_text() }
    }

    /// A code that the domain knows how to check.
    pub(super) fn parse_code<T>(self, check: fn(&str) -> Result<T, InvalidValue>) -> Result<Option<T>, NoticeRowError> {
        if self.text.is_empty() {
            return Ok(None);
        }
        check(self.text).map(Some).map_err(|invalid| self.value_error(invalid.into()))
    }

    pub(super) fn parse_agency(self) -> Result<Agency, NoticeRowError> {
        self.parse_code(Agency::from_name)?.ok_or_else(|| self.value_error(InvalidFieldReason::Empty))
    }

    /// An industry of two (a sector) to six digits.
    pub(super) fn parse_naics(self) -> Result<Option<NaicsCode>, NoticeRowError> {
        let numeral = self.as_numeral();
        if numeral.text.len() == 1 {
            return Err(self.malformed_error("two to six digits"));
        }
        numeral.parse_code(NaicsCode::try_new)
    }

    /// `NONE` is how SAM.gov says that nothing is set aside.
    pub(super) fn parse_set_aside(self) -> Result<Option<SetAside>, NoticeRowError> {
        if self.text.eq_ignore_ascii_case("none") { Ok(None) } else { self.parse_code(SetAside::try_new) }
    }

    pub(super) fn parse_instant(self) -> Result<Option<DateTime<Utc>>, NoticeRowError> {
        self.parse_with(time::parse_instant, "a date between 1900 and 2299")
    }

    pub(super) fn parse_day(self) -> Result<Option<NaiveDate>, NoticeRowError> {
        self.parse_with(time::parse_day, "a date between 1900 and 2299")
    }

    pub(super) fn parse_amount(self) -> Result<Option<UsdCents>, NoticeRowError> {
        let dollars = spreadsheet::parse_amount(self.text);
        NoticeField { text: dollars.as_deref().unwrap_or(self.text), ..self }.parse_code(UsdCents::from_dollars)
    }

    pub(super) fn parse_bool(self) -> Result<Option<bool>, NoticeRowError> {
        let meaning = |text: &str| match text.to_ascii_lowercase().as_str() {
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            _ => None,
        };
        self.parse_with(meaning, "Yes or No")
    }

    /// Insists that there is a value.
    pub(super) fn parse_required<T>(
        self,
        read: fn(Self) -> Result<Option<T>, NoticeRowError>,
    ) -> Result<T, NoticeRowError> {
        read(self)?.ok_or_else(|| self.value_error(InvalidFieldReason::Empty))
    }

    /// Insists that there is a code.
    pub(super) fn parse_required_code<T>(
        self,
        check: fn(&str) -> Result<T, InvalidValue>,
    ) -> Result<T, NoticeRowError> {
        self.parse_code(check)?.ok_or_else(|| self.value_error(InvalidFieldReason::Empty))
    }

    pub(super) fn malformed_error(self, expected: &'static str) -> NoticeRowError {
        self.value_error(InvalidFieldReason::Malformed { expected })
    }

    fn parse_with<T>(
        self,
        read: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<Option<T>, NoticeRowError> {
        if self.text.is_empty() {
            return Ok(None);
        }
        read(self.text).map(Some).ok_or_else(|| self.malformed_error(expected))
    }

    fn parse_bounded(self, too_long: bool, max: usize) -> Result<Option<String>, NoticeRowError> {
        if too_long {
            return Err(self.value_error(InvalidFieldReason::TooLong { max }));
        }
        // Postgres cannot store this character in JSON.
        if self.text.contains('\0') {
            return Err(self.malformed_error("text without NUL characters"));
        }
        Ok((!self.text.is_empty()).then(|| self.text.to_owned()))
    }

    fn value_error(self, reason: InvalidFieldReason) -> NoticeRowError {
        NoticeRowError::Value { column: self.column, reason }
    }
}

/// The values of a record that were left out because they cannot be understood, as the record is one without them.
#[derive(Debug, Default)]
pub(super) struct OmittedValues(Vec<NoticeRowError>);

impl OmittedValues {
    /// A value that a notice may lack: absent where it cannot be read, and noted down.
    pub(super) fn take_optional<T>(&mut self, read: Result<Option<T>, NoticeRowError>) -> Option<T> {
        read.unwrap_or_else(|why| {
            self.0.push(why);
            None
        })
    }

    /// What was left out, in the order of reading.
    pub(super) fn into_errors(self) -> Vec<NoticeRowError> {
        self.0
    }
}

/// A place that says something.
pub(super) fn non_empty_place(place: PlaceOfPerformance) -> Option<PlaceOfPerformance> {
    (place != PlaceOfPerformance::default()).then_some(place)
}

/// An award that says something.
pub(super) fn non_empty_award(award: Award) -> Option<Award> {
    (!award.is_empty()).then_some(award)
}
