//! A filter over the events of the log, and its form in SQL.

use chrono::{DateTime, Utc};
use domain::context::BoundedContext;

use super::sql_literal;
use crate::error::LiteralError;

/// Selects the events that meet every condition. An empty list and `None` are no condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Events of one of these contexts.
    pub contexts: Vec<BoundedContext>,
    /// Events of one of these types, e.g. `opportunity.discovered`.
    pub event_types: Vec<String>,
    /// Events of this tenant.
    pub tenant_id: Option<String>,
    /// Events of this stream.
    pub aggregate_id: Option<String>,
    /// Events recorded at this time or later.
    pub recorded_from: Option<DateTime<Utc>>,
    /// Events recorded before this time.
    pub recorded_until: Option<DateTime<Utc>>,
}

impl EventFilter {
    /// The conditions in SQL, each preceded by `and`.
    pub(super) fn to_sql(&self) -> Result<String, LiteralError> {
        let mut conditions = Vec::new();
        // Every event has an aggregate type of some context, since the relay stops at any other event. So a condition
        // on all these types excludes nothing, and together with the aggregate id it lets Postgres use the primary key.
        let contexts = match &self.aggregate_id {
            Some(_) if self.contexts.is_empty() => &BoundedContext::ALL[..],
            _ => &self.contexts,
        };
        if !contexts.is_empty() {
            let types: Vec<_> = contexts.iter().flat_map(|context| context.aggregate_types()).collect();
            conditions.push(format_in_condition("aggregate_type", &types)?);
        }
        if !self.event_types.is_empty() {
            conditions.push(format_in_condition("event_type", &self.event_types)?);
        }
        for (column, value) in [("tenant_id", &self.tenant_id), ("aggregate_id", &self.aggregate_id)] {
            if let Some(value) = value {
                conditions.push(format!("{column} = {}", sql_literal::quote_text(value)?));
            }
        }
        for (comparison, time) in [(">=", self.recorded_from), ("<", self.recorded_until)] {
            if let Some(time) = time {
                conditions.push(format!("recorded_at {comparison} {}", sql_literal::quote_time(time)?));
            }
        }
        // An empty first element makes the join put `and` before each condition.
        conditions.insert(0, String::new());
        Ok(conditions.join(" and "))
    }
}

fn format_in_condition<T: AsRef<str>>(column: &str, values: &[T]) -> Result<String, LiteralError> {
    let literals: Vec<_> =
        values.iter().map(|value| sql_literal::quote_text(value.as_ref())).collect::<Result<_, _>>()?;
    // A context may have no aggregates, and SQL has no empty list.
    Ok(if literals.is_empty() { "false".to_owned() } else { format!("{column} in ({})", literals.join(", ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_without_conditions_adds_no_sql() {
        assert_eq!(EventFilter::default().to_sql().unwrap(), "");
    }

    #[test]
    fn an_event_has_to_meet_every_condition() {
        let filter = EventFilter {
            contexts: vec![BoundedContext::Opportunities],
            event_types: vec!["opportunity.discovered".to_owned(), "it's".to_owned()],
            tenant_id: Some("public".to_owned()),
            aggregate_id: Some(r"a\b".to_owned()),
            recorded_from: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            recorded_until: Some("2026-02-01T00:00:00Z".parse().unwrap()),
        };
        assert_eq!(
            filter.to_sql().unwrap(),
            r" and aggregate_type in ('opportunity', 'watchlist') and event_type in ('opportunity.discovered', 'it''s') and tenant_id = 'public' and aggregate_id =  E'a\\b' and recorded_at >= timestamptz '2026-01-01T00:00:00.000000Z' and recorded_at < timestamptz '2026-02-01T00:00:00.000000Z'"
        );
    }

    #[test]
    fn an_empty_list_matches_nothing() {
        assert_eq!(format_in_condition::<&str>("aggregate_type", &[]).unwrap(), "false");
    }

    #[test]
    fn a_filter_by_aggregate_id_alone_can_use_the_primary_key() {
        let filter = EventFilter { aggregate_id: Some("a".to_owned()), ..EventFilter::default() };
        let sql = filter.to_sql().unwrap();
        let types =
            sql.strip_prefix(" and aggregate_type in (").unwrap().strip_suffix(") and aggregate_id = 'a'").unwrap();
        let types: Vec<_> = types.split(", ").map(|name| name.trim_matches('\'')).collect();
        let all = BoundedContext::ALL.into_iter().flat_map(BoundedContext::aggregate_types);
        assert_eq!(types, all.copied().collect::<Vec<_>>());
    }

    #[test]
    fn a_value_without_a_literal_is_refused() {
        let filter = EventFilter { tenant_id: Some("a\0".to_owned()), ..EventFilter::default() };
        assert_eq!(filter.to_sql(), Err(LiteralError::Nul("a\0".to_owned())));
    }
}
