//! An award and its amount.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// An amount in cents of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UsdCents(pub i64);

impl UsdCents {
    /// Parses a decimal number of dollars, e.g. `819300.00`, `374959.2`, `$1,608,937`.
    ///
    /// # Errors
    /// [`InvalidValue`] when the text is not such a number, has more than two decimals without trailing zeros, or is
    /// out of range.
    pub fn from_dollars(text: &str) -> Result<Self, InvalidValue> {
        let invalid = || InvalidValue::malformed("amount", text, "a number of dollars with two decimals");
        let plain: String = text.trim().trim_start_matches('$').chars().filter(|c| *c != ',').collect();
        let (sign, digits) = plain.strip_prefix('-').map_or((1, plain.as_str()), |rest| (-1, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let fraction = fraction.trim_end_matches('0');
        let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || fraction.len() > 2 || !numeric(whole) || !numeric(fraction) {
            return Err(invalid());
        }
        let dollars: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        let cents: i64 = format!("{fraction:0<2}").parse().map_err(|_| invalid())?;
        dollars
            .checked_mul(100)
            .and_then(|whole| whole.checked_add(cents))
            .map(|amount| Self(sign * amount))
            .ok_or_else(invalid)
    }
}

/// An awarded contract. The awardee is a company.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Award {
    /// The contract's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The day it was awarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<NaiveDate>,
    /// The contract's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<UsdCents>,
    /// The company that won the contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awardee: Option<String>,
}

impl Award {
    /// Whether no field is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Fills fields that are not set from another version of the same award. Fields that are set stay: sources spell
    /// the same awardee differently, and a later version is not a better one.
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
    fn amounts_are_parsed_in_the_forms_that_notices_use() {
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
    fn invalid_amounts_are_refused() {
        for text in ["", "  ", "12.345", "1e9", "abc", "1.2.3", "--1", "99999999999999999999", "."] {
            assert!(UsdCents::from_dollars(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_is_parsed_exactly(cents in -9_000_000_000_000_i64..9_000_000_000_000) {
            let sign = if cents < 0 { "-" } else { "" };
            let text = format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100);
            prop_assert_eq!(UsdCents::from_dollars(&text), Ok(UsdCents(cents)));
        }
    }
}
