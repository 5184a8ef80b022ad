//! An award and its amount.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// An amount in cents of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UsdCents(pub i64);

impl UsdCents {
    /// Reads a decimal number of dollars, e.g. `819300.00`, `374959.2`, `$1,608,937`.
    ///
    /// # Errors
    /// [`InvalidValue`] when it is no such number, has more than two decimals that count, or is beyond what fits.
    pub fn from_dollars(text: &str) -> Result<Self, InvalidValue> {
        let wrong = || InvalidValue::malformed("amount", text, "a number of dollars with two decimals");
        let plain: String = text.trim().trim_start_matches('$').chars().filter(|c| *c != ',').collect();
        let (sign, digits) = plain.strip_prefix('-').map_or((1, plain.as_str()), |rest| (-1, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let fraction = fraction.trim_end_matches('0');
        let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || fraction.len() > 2 || !numeric(whole) || !numeric(fraction) {
            return Err(wrong());
        }
        let dollars: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
        let cents: i64 = format!("{fraction:0<2}").parse().map_err(|_| wrong())?;
        dollars
            .checked_mul(100)
            .and_then(|whole| whole.checked_add(cents))
            .map(|amount| Self(sign * amount))
            .ok_or_else(wrong)
    }
}

/// A contract that somebody won. The awardee is a company.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Award {
    /// The contract's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The day it was awarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<NaiveDate>,
    /// What it is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<UsdCents>,
    /// Who won it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awardee: Option<String>,
}

impl Award {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This award with what another telling of it adds. What is known stays: sources spell the same awardee
    /// differently, and a later telling is not a better one.
    pub(crate) fn with_missing_from(&self, other: Self) -> Self {
        Self {
            number: self.number.clone().or(other.number),
            date: self.date.or(other.date),
            amount: self.amount.or(other.amount),
            awardee: self.awardee.clone().or(other.awardee),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_as_notices_write_them() {
        for (text, cents) in [
            ("819300.00", 81_930_000),
            ("374959.2", 37_495_920),
            ("1608937", 160_893_700),
            ("$1,608,937.05", 160_893_705),
            ("20000000000", 2_000_000_000_000),
            (".5", 50),
            ("-12.34", -1_234),
            ("7.1000", 710),
        ] {
            assert_eq!(UsdCents::from_dollars(text), Ok(UsdCents(cents)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "  ", "12.345", "1e9", "abc", "1.2.3", "--1", "99999999999999999999", "."] {
            assert!(UsdCents::from_dollars(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_is_read_back_exactly(cents in -9_000_000_000_000_i64..9_000_000_000_000) {
            let sign = if cents < 0 { "-" } else { "" };
            let text = format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100);
            prop_assert_eq!(UsdCents::from_dollars(&text), Ok(UsdCents(cents)));
        }
    }
}
