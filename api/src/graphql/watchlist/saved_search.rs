//! A saved search on the wire.

use async_graphql::{Enum, InputObject, Result, SimpleObject};
use domain::{
    opportunity::{NaicsCode, SetAside},
    watchlist::{self as record, AgencyCode, SearchCriteria, SearchName, SearchText},
};

use crate::graphql::{
    error,
    input_validation::{parse_optional, parse_value},
};

/// When a user is told of what a search finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "SearchNotify", remote = "record::NotificationFrequency")]
pub(super) enum SearchNotifyEnum {
    /// As it is found.
    AtOnce,
    /// Once a day.
    Daily,
    /// Only when they look.
    Never,
}

/// A search that a user keeps.
#[derive(SimpleObject)]
#[graphql(name = "SavedSearch")]
pub(super) struct SavedSearchNode {
    /// Its id.
    id: String,
    /// What the user calls it.
    name: String,
    /// What is searched for, in words.
    text: Option<String>,
    /// Of one of these departments, by their codes.
    agencies: Vec<String>,
    /// In one of these industries, by NAICS codes.
    naics: Vec<String>,
    /// Set aside for one of these, by their codes.
    set_asides: Vec<String>,
    /// When the user is told of what it finds.
    notify: SearchNotifyEnum,
}

/// A search to keep; it has to ask for something.
#[derive(InputObject)]
pub(super) struct SavedSearchInput {
    /// What you call it, at most 100 characters; no other search of yours is called so.
    name: String,
    /// What to search for, in words, at most 500 characters.
    text: Option<String>,
    /// Of one of these departments, by their codes, at most 50.
    #[graphql(default)]
    agencies: Vec<String>,
    /// In one of these industries, by NAICS codes, at most 50.
    #[graphql(default)]
    naics: Vec<String>,
    /// Set aside for one of these, by their codes, at most 50.
    #[graphql(default)]
    set_asides: Vec<String>,
    /// When to tell you of what it finds.
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
