//! Parses single values of a record. A blank value counts as absent, and so does the text `null`, which the API's own
//! examples have for absent values. Changes that spreadsheets make to values are reverted.

use chrono::{DateTime, NaiveDate, Utc};
use domain::opportunity::{Agency, Award, InvalidValue, NaicsCode, PlaceOfPerformance, SetAside, UsdCents};

use super::{
    error::{InvalidFieldReason, NoticeRowError},
    spreadsheet, time,
};

/// Maximum length of a title, name or code, in characters.
const MAX_TEXT_CHARS: usize = 1_000;
/// Maximum length of a description, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 256 << 10;
/// Maximum length of a link, in bytes.
const MAX_LINK_BYTES: usize = 2_000;

/// A value with its column's name or its JSON key.
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

    /// Removes the `.0` that spreadsheets append to codes of digits, such as postal codes.
    pub(super) fn as_numeral(self) -> Self {
        Self { text: spreadsheet::strip_zero_decimals(self.text), ..self }
    }

    /// Text of at most a thousand characters.
    pub(super) fn parse_text(self) -> Result<Option<String>, NoticeRowError> {
        self.parse_bounded(
            self.text.len() > MAX_TEXT_CHARS && self.text.chars().count() > MAX_TEXT_CHARS,
            MAX_TEXT_CHARS,
        )
    }

    /// The text of a notice; HTML and character references stay as they are.
    pub(super) fn parse_description(self) -> Result<Option<String>, NoticeRowError> {
        self.parse_bounded(self.text.len() > MAX_DESCRIPTION_BYTES, MAX_DESCRIPTION_BYTES)
    }

    /// A web address; any other text counts as absent.
    pub(super) fn parse_link(self) -> Result<Option<String>, NoticeRowError> {
        let is_address = self.text.starts_with("https://") || self.text.starts_with("http://");
        if is_address { self.parse_bounded(self.text.len() > MAX_LINK_BYTES, MAX_LINK_BYTES) } else { Ok(None) }
    }

    /// A company's name. SAM.gov writes `null` for an absent name, sometimes followed by an address.
    pub(super) fn parse_company(self) -> Result<Option<String>, NoticeRowError> {
        if self.text.split_whitespace().next() == Some("null") { Ok(None) } else { self.parse_text() }
    }

    /// A code that the domain validates with `check`.
    pub(super) fn parse_code<T>(self, check: fn(&str) -> Result<T, InvalidValue>) -> Result<Option<T>, NoticeRowError> {
        if self.text.is_empty() {
            return Ok(None);
        }
        check(self.text).map(Some).map_err(|invalid| self.value_error(invalid.into()))
    }

    pub(super) fn parse_agency(self) -> Result<Agency, NoticeRowError> {
        self.parse_code(Agency::from_name)?.ok_or_else(|| self.value_error(InvalidFieldReason::Empty))
    }

    /// A NAICS code of two (a sector) to six digits.
    pub(super) fn parse_naics(self) -> Result<Option<NaicsCode>, NoticeRowError> {
        let numeral = self.as_numeral();
        if numeral.text.len() == 1 {
            return Err(self.malformed_error("two to six digits"));
        }
        numeral.parse_code(NaicsCode::try_new)
    }

    /// A set-aside code. SAM.gov writes `NONE` for no set-aside.
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
        let to_bool = |text: &str| match text.to_ascii_lowercase().as_str() {
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            _ => None,
        };
        self.parse_with(to_bool, "Yes or No")
    }

    /// A value that must be present.
    pub(super) fn parse_required<T>(
        self,
        parse: fn(Self) -> Result<Option<T>, NoticeRowError>,
    ) -> Result<T, NoticeRowError> {
        parse(self)?.ok_or_else(|| self.value_error(InvalidFieldReason::Empty))
    }

    /// A code that must be present.
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
        parse: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<Option<T>, NoticeRowError> {
        if self.text.is_empty() {
            return Ok(None);
        }
        parse(self.text).map(Some).ok_or_else(|| self.malformed_error(expected))
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

/// The optional values of a record that were omitted because they cannot be parsed.
#[derive(Debug, Default)]
pub(super) struct OmittedValues(Vec<NoticeRowError>);

impl OmittedValues {
    /// Returns an optional value. One that cannot be parsed is recorded as omitted and counts as absent.
    pub(super) fn omit_unparsable<T>(&mut self, parsed: Result<Option<T>, NoticeRowError>) -> Option<T> {
        parsed.unwrap_or_else(|error| {
            self.0.push(error);
            None
        })
    }

    /// The omitted values with their reasons, in the order of parsing.
    pub(super) fn into_errors(self) -> Vec<NoticeRowError> {
        self.0
    }
}

/// The place, unless all its fields are absent.
pub(super) fn non_empty_place(place: PlaceOfPerformance) -> Option<PlaceOfPerformance> {
    (place != PlaceOfPerformance::default()).then_some(place)
}

/// The award, unless all its fields are absent.
pub(super) fn non_empty_award(award: Award) -> Option<Award> {
    (!award.is_empty()).then_some(award)
}
