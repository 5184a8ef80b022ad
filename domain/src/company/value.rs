//! The values of a company's profile.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    opportunity::{NaicsCode, SetAside},
    value::{InvalidValue, is_prose, text_value},
};

/// Maximum number of NAICS codes of one company.
pub const MAX_NAICS_CODES: usize = 100;

/// Maximum number of set-asides of one company.
pub const MAX_SET_ASIDES: usize = 30;

text_value!(
    /// A company's name.
    CompanyName, "company name", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// A company's description of its capabilities.
    CapabilityText, "capabilities", max 20_000, is_prose, "text"
);

text_value!(
    /// Why a company was closed.
    ClosingReason, "reason", max 2_000, is_prose, "text"
);

/// Declares a code of a fixed length.
macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $what:literal, $length:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Parses the code; letters become upper case.
            ///
            /// # Errors
            /// [`InvalidValue`] when the text has another length or other characters.
            pub fn try_new(code: &str) -> Result<Self, InvalidValue> {
                let code = code.trim().to_ascii_uppercase();
                if code.len() == $length && code.bytes().all(|letter| letter.is_ascii_alphanumeric()) {
                    Ok(Self(code))
                } else {
                    Err(InvalidValue::malformed($what, &code, $expected))
                }
            }

            /// The code as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

code!(
    /// The Unique Entity ID that SAM.gov assigns to a company.
    Uei, "UEI", 12, "12 letters and digits"
);

code!(
    /// The Commercial and Government Entity code of a company.
    CageCode, "CAGE code", 5, "5 letters and digits"
);

/// A company's profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanyProfile {
    /// The company's name.
    pub name: CompanyName,
    /// The company's description of its capabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<CapabilityText>,
    /// The industries that it works in.
    pub naics: BTreeSet<NaicsCode>,
    /// The set-asides that it is eligible for.
    pub set_asides: BTreeSet<SetAside>,
    /// Its Unique Entity ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uei: Option<Uei>,
    /// Its CAGE code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cage: Option<CageCode>,
}

impl CompanyProfile {
    /// A profile with a name and no further details.
    pub fn with_name(name: CompanyName) -> Self {
        Self { name, capabilities: None, naics: BTreeSet::new(), set_asides: BTreeSet::new(), uei: None, cage: None }
    }

    /// Returns the profile if its lists are within their limits.
    ///
    /// # Errors
    /// [`InvalidValue`] for more than [`MAX_NAICS_CODES`] industries or [`MAX_SET_ASIDES`] set-asides.
    pub fn validate(self) -> Result<Self, InvalidValue> {
        if self.naics.len() > MAX_NAICS_CODES {
            return Err(InvalidValue::TooMany { what: "NAICS codes", max: MAX_NAICS_CODES });
        }
        if self.set_asides.len() > MAX_SET_ASIDES {
            return Err(InvalidValue::TooMany { what: "set-asides", max: MAX_SET_ASIDES });
        }
        Ok(self)
    }
}
