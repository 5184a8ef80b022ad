//! One value of a record, named, and what it can be read as. Blank is the same as absent everywhere, and so is the text
//! `null`, which the API's own examples have where there is nothing. What spreadsheets make of values is undone.

use chrono::{DateTime, NaiveDate, Utc};
use domain::opportunity::{Agency, Award, Cents, InvalidValue, Naics, Place, SetAside};

use super::{
    error::{Reason, RowError},
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
pub(super) struct Field<'a> {
    column: &'static str,
    text: &'a str,
}

impl<'a> Field<'a> {
    pub(super) fn new(column: &'static str, text: &'a str) -> Self {
        let text = text.trim();
        Self { column, text: if text.eq_ignore_ascii_case("null") { "" } else { text } }
    }

    /// A number that stands for itself, such as a code or a postal code, without the `.0` of a spreadsheet.
    pub(super) fn numeral(self) -> Self {
        Self { text: spreadsheet::without_zero_decimals(self.text), ..self }
    }

    /// Text of at most a thousand characters.
    pub(super) fn text(self) -> Result<Option<String>, RowError> {
        self.bounded(self.text.len() > MAX_SHORT && self.text.chars().count() > MAX_SHORT, MAX_SHORT)
    }

    /// The text of a notice: HTML and character references stay as they are.
    pub(super) fn description(self) -> Result<Option<String>, RowError> {
        self.bounded(self.text.len() > MAX_DESCRIPTION, MAX_DESCRIPTION)
    }

    /// A web address; anything else is no link and counts as absent.
    pub(super) fn link(self) -> Result<Option<String>, RowError> {
        let is_address = self.text.starts_with("https://") || self.text.starts_with("http://");
        if is_address { self.bounded(self.text.len() > MAX_LINK, MAX_LINK) } else { Ok(None) }
    }

    /// A company's name. SAM.gov writes `null` where it has none, sometimes with an address behind it.
    pub(super) fn company(self) -> Result<Option<String>, RowError> {
        if self.text.split_whitespace().next() == Some("null") { Ok(None) } else { self.text() }
    }

    /// A code that the domain knows how to check.
    pub(super) fn code<T>(self, check: fn(&str) -> Result<T, InvalidValue>) -> Result<Option<T>, RowError> {
        if self.text.is_empty() {
            return Ok(None);
        }
        check(self.text).map(Some).map_err(|invalid| self.error(invalid.into()))
    }

    pub(super) fn agency(self) -> Result<Agency, RowError> {
        self.code(Agency::from_name)?.ok_or_else(|| self.error(Reason::Empty))
    }

    /// An industry of two (a sector) to six digits.
    pub(super) fn naics(self) -> Result<Option<Naics>, RowError> {
        let numeral = self.numeral();
        if numeral.text.len() == 1 {
            return Err(self.malformed("two to six digits"));
        }
        numeral.code(Naics::try_new)
    }

    /// `NONE` is how SAM.gov says that nothing is set aside.
    pub(super) fn set_aside(self) -> Result<Option<SetAside>, RowError> {
        if self.text.eq_ignore_ascii_case("none") { Ok(None) } else { self.code(SetAside::try_new) }
    }

    pub(super) fn instant(self) -> Result<Option<DateTime<Utc>>, RowError> {
        self.read(time::instant, "a date between 1900 and 2299")
    }

    pub(super) fn day(self) -> Result<Option<NaiveDate>, RowError> {
        self.read(time::day, "a date between 1900 and 2299")
    }

    pub(super) fn amount(self) -> Result<Option<Cents>, RowError> {
        let dollars = spreadsheet::plain_amount(self.text);
        Field { text: dollars.as_deref().unwrap_or(self.text), ..self }.code(Cents::from_dollars)
    }

    pub(super) fn yes_or_no(self) -> Result<Option<bool>, RowError> {
        let meaning = |text: &str| match text.to_ascii_lowercase().as_str() {
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            _ => None,
        };
        self.read(meaning, "Yes or No")
    }

    /// Insists that there is a value.
    pub(super) fn required<T>(self, read: fn(Self) -> Result<Option<T>, RowError>) -> Result<T, RowError> {
        read(self)?.ok_or_else(|| self.error(Reason::Empty))
    }

    /// Insists that there is a code.
    pub(super) fn required_code<T>(self, check: fn(&str) -> Result<T, InvalidValue>) -> Result<T, RowError> {
        self.code(check)?.ok_or_else(|| self.error(Reason::Empty))
    }

    pub(super) fn malformed(self, expected: &'static str) -> RowError {
        self.error(Reason::Malformed { expected })
    }

    fn read<T>(self, read: impl Fn(&str) -> Option<T>, expected: &'static str) -> Result<Option<T>, RowError> {
        if self.text.is_empty() {
            return Ok(None);
        }
        read(self.text).map(Some).ok_or_else(|| self.malformed(expected))
    }

    fn bounded(self, too_long: bool, max: usize) -> Result<Option<String>, RowError> {
        if too_long {
            return Err(self.error(Reason::TooLong { max }));
        }
        // Postgres cannot store this character in JSON.
        if self.text.contains('\0') {
            return Err(self.malformed("text without NUL characters"));
        }
        Ok((!self.text.is_empty()).then(|| self.text.to_owned()))
    }

    fn error(self, reason: Reason) -> RowError {
        RowError::Value { column: self.column, reason }
    }
}

/// The values of a record that were left out because they cannot be understood, as the record is one without them.
#[derive(Debug, Default)]
pub(super) struct LeftOut(Vec<RowError>);

impl LeftOut {
    /// A value that a notice may lack: absent where it cannot be read, and noted down.
    pub(super) fn optional<T>(&mut self, read: Result<Option<T>, RowError>) -> Option<T> {
        read.unwrap_or_else(|why| {
            self.0.push(why);
            None
        })
    }

    /// What was left out, in the order of reading.
    pub(super) fn into_values(self) -> Vec<RowError> {
        self.0
    }
}

/// A place that says something.
pub(super) fn place(place: Place) -> Option<Place> {
    (place != Place::default()).then_some(place)
}

/// An award that says something.
pub(super) fn award(award: Award) -> Option<Award> {
    (!award.is_empty()).then_some(award)
}
