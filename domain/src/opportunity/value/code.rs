//! Identifiers and codes of the notice format.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// A text value with a name, a longest length and a form.
macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $what:literal, max $max:literal, $accepts:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Checks ", $expected, ".")]
            ///
            /// # Errors
            /// [`InvalidValue`] saying what is wrong with it.
            pub fn try_new(text: &str) -> Result<Self, InvalidValue> {
                let text = text.trim();
                if text.is_empty() {
                    return Err(InvalidValue::Empty { what: $what });
                }
                if text.chars().count() > $max {
                    return Err(InvalidValue::TooLong { what: $what, max: $max });
                }
                let accepts: fn(char) -> bool = $accepts;
                if !text.chars().all(accepts) {
                    return Err(InvalidValue::malformed($what, text, $expected));
                }
                Ok(Self(text.to_owned()))
            }

            /// The code as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

code!(
    /// SAM.gov's id of one notice.
    NoticeId, "notice id", max 64,
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'),
    "letters, digits, hyphens and underscores"
);

code!(
    /// The kind of a notice, e.g. `Sources Sought`.
    NoticeType, "notice type", max 100, |c| !c.is_control(), "printable text"
);

code!(
    /// SAM.gov's code of a set-aside, e.g. `SDVOSBC`.
    SetAside, "set-aside", max 40,
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' '),
    "letters and digits"
);

code!(
    /// A code of the North American Industry Classification System: six digits, or fewer for a whole sector.
    Naics, "NAICS code", max 6, |c| c.is_ascii_digit(), "two to six digits"
);
