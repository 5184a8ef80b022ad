//! The instance of the process that announces the matches of a search in one hour.

use chrono::{DateTime, Utc};
use processes::InstanceKey;

use crate::SearchKey;

/// The hour of a time, as text in the order of time.
pub(crate) fn hour_name(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H").to_string()
}

/// The instance of a search in an hour.
pub(crate) fn alert_window_key(search: &SearchKey, hour: &str) -> InstanceKey {
    let SearchKey { tenant_id, user_id, search_id } = search;
    InstanceKey { tenant_id: tenant_id.to_string(), instance_id: format!("{search_id}/{user_id}/{hour}") }
}

/// What the ids of all instances of a search begin with.
pub(crate) fn alert_window_prefix(search: &SearchKey) -> String {
    format!("{}/{}/", search.search_id, search.user_id)
}
