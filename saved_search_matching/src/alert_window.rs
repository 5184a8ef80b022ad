//! The instances of the process that announces the matches of a search.

use chrono::{DateTime, Utc};
use processes::InstanceKey;

use crate::SearchKey;

/// An hour, or a part of one, when an instance of the process announces the matches of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AlertWindow {
    /// As text in the order of time.
    hour: String,
    /// Position of the event since which the search notifies. A search that is removed and saved again within the hour,
    /// or whose user leaves and joins again, has another instance, which the end of the first one does not affect.
    active_since: u64,
    /// How many instances before this one were closed within the hour.
    number: u32,
}

impl AlertWindow {
    /// The first window of a search in the hour of a time.
    pub(crate) fn new(time: DateTime<Utc>, active_since: u64) -> Self {
        Self { hour: time.format("%Y-%m-%dT%H").to_string(), active_since, number: 0 }
    }

    /// The window after this one, within the same hour.
    pub(crate) fn advance(&mut self) {
        self.number += 1;
    }

    /// Its number within the hour, from 0.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Its name among the windows of the search.
    pub(crate) fn name(&self) -> String {
        let Self { hour, active_since, number } = self;
        if *number == 0 { format!("{hour}.{active_since}") } else { format!("{hour}.{active_since}.{number}") }
    }

    /// The instance of a search in this window.
    pub(crate) fn instance_key(&self, search: &SearchKey) -> InstanceKey {
        let SearchKey { tenant_id, user_id, search_id } = search;
        InstanceKey { tenant_id: tenant_id.to_string(), instance_id: format!("{user_id}/{search_id}/{}", self.name()) }
    }
}

/// The range of the ids of all instances of these searches, by bytes: all of the tenant, of a user, or one search.
pub(crate) fn instance_id_range(user_id: Option<&str>, search: Option<&SearchKey>) -> (String, String) {
    let prefix = match (user_id, search) {
        (_, Some(SearchKey { user_id, search_id, .. })) => format!("{user_id}/{search_id}"),
        (Some(user_id), None) => user_id.to_owned(),
        (None, None) => return (String::new(), char::MAX.to_string()),
    };
    // '0' is the character after '/'.
    (format!("{prefix}/"), format!("{prefix}0"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::watchlist::SearchId;
    use uuid::Uuid;

    use super::*;

    fn search(user: &str, number: u128) -> SearchKey {
        let search_id = SearchId::new(Uuid::from_u128(number));
        SearchKey { tenant_id: Arc::from("acme"), user_id: Arc::from(user), search_id }
    }

    #[test]
    fn windows_of_an_hour_have_different_instances() {
        let time: DateTime<Utc> = "2026-11-29T17:40:00Z".parse().unwrap();
        let mut window = AlertWindow::new(time, 40);
        let first = window.instance_key(&search("ann", 7));
        assert_eq!(first.instance_id, "ann/00000000-0000-0000-0000-000000000007/2026-11-29T17.40");
        window.advance();
        assert_eq!((window.number(), window.name().as_str()), (1, "2026-11-29T17.40.1"));
        assert_ne!(AlertWindow::new(time, 41).instance_key(&search("ann", 7)), first);
    }

    #[test]
    fn the_range_has_the_instances_of_these_searches_only() {
        let window = AlertWindow::new(DateTime::UNIX_EPOCH, 1);
        let instances = [("ann", 7), ("ann", 8), ("anna", 7), ("an", 7)];
        let within = |(from, to): (String, String)| {
            let ids = instances.map(|(user, number)| window.instance_key(&search(user, number)).instance_id);
            ids.map(|id| from <= id && id < to)
        };
        let ann = search("ann", 7);
        assert_eq!(within(instance_id_range(Some("ann"), Some(&ann))), [true, false, false, false]);
        assert_eq!(within(instance_id_range(Some("ann"), None)), [true, true, false, false]);
        assert_eq!(within(instance_id_range(None, None)), [true; 4]);
    }
}
