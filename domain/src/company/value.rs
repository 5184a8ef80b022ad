//! What a company is like.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    opportunity::{Naics, SetAside},
    value::{InvalidValue, is_prose, text_value},
};

/// How many industries one company names, at most.
pub const MAX_NAICS: usize = 100;

/// How many set-asides one company is eligible for, at most.
pub const MAX_SET_ASIDES: usize = 30;

text_value!(
    /// What a company is called.
    CompanyName, "company name", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// What a company can do, in its own words.
    Capabilities, "capabilities", max 20_000, is_prose, "text"
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
    Cage, "CAGE code", 5, "5 letters and digits"
);

/// What a company is like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What it is called.
    pub name: CompanyName,
    /// What it can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// The industries it is in.
    pub naics: BTreeSet<Naics>,
    /// The set-asides it is eligible for.
    pub set_asides: BTreeSet<SetAside>,
    /// How SAM.gov knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uei: Option<Uei>,
    /// Its CAGE code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cage: Option<Cage>,
}

impl Profile {
    /// Of a company of which no more than the name is known.
    pub fn named(name: CompanyName) -> Self {
        Self { name, capabilities: None, naics: BTreeSet::new(), set_asides: BTreeSet::new(), uei: None, cage: None }
    }

    /// Whether its lists are short enough.
    ///
    /// # Errors
    /// [`InvalidValue`] for more than [`MAX_NAICS`] industries or [`MAX_SET_ASIDES`] set-asides.
    pub fn checked(self) -> Result<Self, InvalidValue> {
        if self.naics.len() > MAX_NAICS {
            return Err(InvalidValue::TooMany { what: "NAICS codes", max: MAX_NAICS });
        }
        if self.set_asides.len() > MAX_SET_ASIDES {
            return Err(InvalidValue::TooMany { what: "set-asides", max: MAX_SET_ASIDES });
        }
        Ok(self)
    }
}
