//! A search that a user saves, to be notified of new results.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    opportunity::{NaicsCode, SetAside},
    value::{InvalidValue, text_value, uuid_id, vocabulary},
};

/// Maximum number of agencies, industries and set-asides of one search, each.
pub const MAX_CRITERIA: usize = 50;

uuid_id!(
    /// The id of a saved search.
    SearchId, "search id"
);

text_value!(
    /// The name of a search.
    SearchName, "search name", max 100, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// The words of a full-text search.
    SearchText, "search text", max 500, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// The code of a department, e.g. `036`.
    AgencyCode, "agency code", max 20, |c| c.is_ascii_alphanumeric(), "letters and digits"
);

vocabulary!(
    /// When a user is notified of new results of a search.
    NotificationFrequency, "notify" {
        /// With each new result.
        AtOnce = "at_once",
        /// Once a day.
        Daily = "daily",
        /// Not at all.
        Never = "never",
    }
);

/// The criteria of a search; an empty field does not restrict it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchCriteria {
    /// Words in the opportunity's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<SearchText>,
    /// Departments; if there are any, one of them has to match.
    pub agencies: BTreeSet<AgencyCode>,
    /// Industries; if there are any, one of them has to match.
    pub naics: BTreeSet<NaicsCode>,
    /// Set-asides; if there are any, one of them has to match.
    pub set_asides: BTreeSet<SetAside>,
}

impl SearchCriteria {
    /// Returns the criteria if at least one is set and no list is too long.
    ///
    /// # Errors
    /// [`InvalidValue`] when no criterion is set, and for a list of more than [`MAX_CRITERIA`].
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

/// A saved search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSearch {
    /// The name.
    pub name: SearchName,
    /// The criteria.
    pub criteria: SearchCriteria,
    /// When the user is notified of new results.
    pub notify: NotificationFrequency,
}
