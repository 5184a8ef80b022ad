//! GraphQL types of saved searches.

use async_graphql::{Enum, InputObject, Result, SimpleObject};
use domain::{
    opportunity::{NaicsCode, SetAside},
    watchlist::{self as record, AgencyCode, SearchCriteria, SearchName, SearchText},
};

use crate::graphql::{
    error,
    input_validation::{parse_optional, parse_value},
};

/// When a user is notified of new results of a saved search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "SearchNotify", remote = "record::NotificationFrequency")]
pub(super) enum SearchNotifyEnum {
    /// Immediately.
    AtOnce,
    /// Once a day.
    Daily,
    /// Never.
    Never,
}

/// A saved search.
#[derive(SimpleObject)]
#[graphql(name = "SavedSearch")]
pub(super) struct SavedSearchNode {
    /// Id.
    id: String,
    /// Name.
    name: String,
    /// Search text.
    text: Option<String>,
    /// Codes of departments; if there are any, one of them has to match.
    agencies: Vec<String>,
    /// NAICS codes; if there are any, one of them has to match.
    naics: Vec<String>,
    /// Set-aside codes; if there are any, one of them has to match.
    set_asides: Vec<String>,
    /// When the user is notified of new results.
    notify: SearchNotifyEnum,
}

/// A search to save; at least one criterion is required.
#[derive(InputObject)]
pub(super) struct SavedSearchInput {
    /// Name, at most 100 characters, unique among your saved searches.
    name: String,
    /// Search text, at most 500 characters.
    text: Option<String>,
    /// Codes of departments, at most 50; if there are any, one of them has to match.
    #[graphql(default)]
    agencies: Vec<String>,
    /// NAICS codes, at most 50; if there are any, one of them has to match.
    #[graphql(default)]
    naics: Vec<String>,
    /// Set-aside codes, at most 50; if there are any, one of them has to match.
    #[graphql(default)]
    set_asides: Vec<String>,
    /// When to notify you of new results.
    notify: SearchNotifyEnum,
}

impl SavedSearchInput {
    pub(super) fn into_search(self) -> Result<record::SavedSearch> {
        let agency = |code: &String| parse_value("search.agencies", code, AgencyCode::try_new);
        let naics = |code: &String| parse_value("search.naics", code, NaicsCode::try_new);
        let set_aside = |code: &String| parse_value("search.setAsides", code, SetAside::try_new);
        let criteria = SearchCriteria {
            text: parse_optional("search.text", self.text, SearchText::try_new)?,
            agencies: self.agencies.iter().map(agency).collect::<Result<_>>()?,
            naics: self.naics.iter().map(naics).collect::<Result<_>>()?,
            set_asides: self.set_asides.iter().map(set_aside).collect::<Result<_>>()?,
        };
        Ok(record::SavedSearch {
            name: parse_value("search.name", &self.name, SearchName::try_new)?,
            criteria: criteria.validate().map_err(|reason| error::invalid_value("search", &reason))?,
            notify: self.notify.into(),
        })
    }
}

impl SavedSearchNode {
    pub(super) fn from_saved_search(id: record::SearchId, search: &record::SavedSearch) -> Self {
        Self {
            id: id.to_string(),
            name: search.name.to_string(),
            text: search.criteria.text.as_ref().map(ToString::to_string),
            agencies: search.criteria.agencies.iter().map(ToString::to_string).collect(),
            naics: search.criteria.naics.iter().map(ToString::to_string).collect(),
            set_asides: search.criteria.set_asides.iter().map(ToString::to_string).collect(),
            notify: search.notify.into(),
        }
    }
}
