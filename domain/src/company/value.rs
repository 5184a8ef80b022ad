//! What a company is like.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    opportunity::{NaicsCode, SetAside},
    value::{InvalidValue, is_prose, text_value},
};

/// How many industries one company names, at most.
pub const MAX_NAICS_CODES: usize = 100;

/// How many set-asides one company is eligible for, at most.
pub const MAX_SET_ASIDES: usize = 30;

text_value!(
    /// What a company is called.
    CompanyName, "company name", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// What a company can do, in its own words.
    CapabilityText, "capabilities", max 20_000, is_prose, "text"
);

text_value!(
    /// Why a company no longer uses the platform.
    ClosingReason, "reason", max 2_000, is_prose, "text"
);

/// A code of a fixed length.
macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $what:literal, $length:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Reads the code; letters become upper case.
            ///
            /// # Errors
            /// [`InvalidValue`] when it is none.
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
    /// The Unique Entity ID by which SAM.gov knows a company.
    Uei, "UEI", 12, "12 letters and digits"
);

code!(
    /// The Commercial and Government Entity code of a company.
    CageCode, "CAGE code", 5, "5 letters and digits"
);

/// What a company is like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanyProfile {
    /// What it is called.
    pub name: CompanyName,
    /// What it can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<CapabilityText>,
    /// The industries it is in.
    pub naics: BTreeSet<NaicsCode>,
    /// The set-asides it is eligible for.
    pub set_asides: BTreeSet<SetAside>,
    /// How SAM.gov knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uei: Option<Uei>,
    /// Its CAGE code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cage: Option<CageCode>,
}

impl CompanyProfile {
    /// Of a company of which no more than the name is known.
    pub fn with_name(name: CompanyName) -> Self {
        Self { name, capabilities: None, naics: BTreeSet::new(), set_asides: BTreeSet::new(), uei: None, cage: None }
    }

    /// Whether its lists are short enough.
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
