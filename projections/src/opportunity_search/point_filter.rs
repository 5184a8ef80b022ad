//! Filters of points: the criteria of a query, and what a tenant may see.

use chrono::{DateTime, Utc};
use domain::value::PUBLIC_TENANT;
use qdrant_client::qdrant::{self, Condition, DatetimeRange};

use crate::{OpportunityCriteria, TimeRange};

/// The filter of every query: points that the tenant may see (public ones and its own) and that meet the criteria.
pub(super) fn build_filter(criteria: &OpportunityCriteria, tenant: &str) -> qdrant::Filter {
    let one_of =
        |field: &str, values: &[String]| (!values.is_empty()).then(|| Condition::matches(field, values.to_vec()));
    let within = |field: &str, range: TimeRange| (!range.is_open()).then(|| time_range_condition(field, range));
    let conditions = [
        one_of("agency_code", &criteria.agencies),
        one_of("notice_type", &criteria.notice_types),
        one_of("naics_prefixes", &criteria.naics),
        one_of("set_aside", &criteria.set_asides),
        within("posted_at", criteria.posted),
        within("response_deadline", criteria.deadline),
    ];
    // `should` with one condition for each owner: in Qdrant a sixth faster than one condition that lists the owners.
    let mut owners = vec![PUBLIC_TENANT];
    owners.extend((tenant != PUBLIC_TENANT).then_some(tenant));
    qdrant::Filter {
        should: owners.into_iter().map(|owner| Condition::matches("tenant_id", owner.to_owned())).collect(),
        ..qdrant::Filter::must(conditions.into_iter().flatten())
    }
}

/// Whether a tenant may see what `owner` owns.
pub(super) fn is_visible_to(tenant: &str, owner: &str) -> bool {
    owner == PUBLIC_TENANT || owner == tenant
}

fn time_range_condition(field: &str, range: TimeRange) -> Condition {
    let to_timestamp = |time: Option<DateTime<Utc>>| {
        time.map(|time| qdrant::Timestamp {
            seconds: time.timestamp(),
            nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default(),
        })
    };
    Condition::datetime_range(
        field,
        DatetimeRange { gte: to_timestamp(range.from), lte: to_timestamp(range.to), ..DatetimeRange::default() },
    )
}
