//! The values of a feature flag.

use crate::value::text_value;

/// The variant of a flag that is not defined.
pub const CONTROL: &str = "control";

/// The variant of a plain flag that is switched off for a tenant.
const OFF: &str = "off";

/// The variant of a plain flag that is switched on for a tenant.
const ON: &str = "on";

/// Maximum number of tenants with an override of one flag.
pub const MAX_OVERRIDES: usize = 1_000;

text_value!(
    /// The key of a flag, e.g. `search.ranking`; also the id of its stream.
    FlagKey, "flag key", max 100,
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.',
    "lower-case letters, digits, hyphens and dots"
);

impl FlagKey {
    /// The key of a flag that this program asks for, by a name that is fixed in the code.
    pub(super) fn from_program(key: &'static str) -> Self {
        Self(key.to_owned())
    }
}

text_value!(
    /// The name of a variant, e.g. `control` or `on`.
    VariantName, "variant", max 60,
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.',
    "lower-case letters, digits, hyphens and dots"
);

impl VariantName {
    /// The variant of a flag that is not defined.
    pub fn control() -> Self {
        Self(CONTROL.to_owned())
    }

    /// The control of a plain flag.
    pub fn off() -> Self {
        Self(OFF.to_owned())
    }

    /// The other variant of a plain flag.
    pub fn on() -> Self {
        Self(ON.to_owned())
    }

    /// Whether it is the variant [`Self::on`] of a plain flag.
    pub fn is_on(&self) -> bool {
        self.0 == ON
    }
}

text_value!(
    /// What a flag is for.
    FlagDescription, "description", max 500, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// Why a flag is changed.
    FlagReason, "reason", max 500, |c| !c.is_control(), "text on one line"
);
