//! A search that a user keeps, to be told of what it finds.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    opportunity::{NaicsCode, SetAside},
    value::{InvalidValue, text_value, uuid_id, vocabulary},
};

/// How many agencies, industries or set-asides one search names, at most.
pub const MAX_CRITERIA: usize = 50;

uuid_id!(
    /// A saved search.
    SearchId, "search id"
);

text_value!(
    /// What a user calls a search.
    SearchName, "search name", max 100, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// What is searched for, in words.
    SearchText, "search text", max 500, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// A department, by its code, e.g. `036`.
    AgencyCode, "agency code", max 20, |c| c.is_ascii_alphanumeric(), "letters and digits"
);

vocabulary!(
    /// When a user is told of what a search finds.
    NotificationFrequency, "notify" {
        /// As it is found.
        AtOnce = "at_once",
        /// Once a day.
        Daily = "daily",
        /// Only when they look.
        Never = "never",
    }
);

/// What an opportunity has to be like; what is empty asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchCriteria {
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<SearchText>,
    /// Of one of these departments.
    pub agencies: BTreeSet<AgencyCode>,
    /// In one of these industries.
    pub naics: BTreeSet<NaicsCode>,
    /// Set aside for one of these.
    pub set_asides: BTreeSet<SetAside>,
}

impl SearchCriteria {
    /// Whether they ask for something, and not for too much.
    ///
    /// # Errors
    /// [`InvalidValue`] when nothing is asked for, and for a list of more than [`MAX_CRITERIA`].
    pub fn validate(self) -> Result<Self, InvalidValue> {
        if self == Self::default() {
            return Err(InvalidValue::Empty { what: "search" });
        }
        if [self.agencies.len(), self.naics.len(), self.set_asides.len()].iter().any(|count| *count > MAX_CRITERIA) {
            return Err(InvalidValue::TooMany { what: "criteria", max: MAX_CRITERIA });
        }
        Ok(self)
    }
}

/// A search that a user keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSearch {
    /// What the user calls it.
    pub name: SearchName,
    /// What it searches for.
    pub criteria: SearchCriteria,
    /// When the user is told of what it finds.
    pub notify: NotificationFrequency,
}
