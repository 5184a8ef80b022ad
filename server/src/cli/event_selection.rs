//! Options of `replay` and `tail` that select events.

use anyhow::Context as _;
use api::app_context;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::{Args, builder::PossibleValuesParser};
use domain::context::BoundedContext;
use eventstore::log::EventFilter;
use sqlx::PgPool;

use crate::config::MedhubConfig;

/// Selects the events that match every option given.
#[derive(Debug, Args)]
pub(super) struct EventSelection {
    /// Only events of this bounded context; may be repeated
    #[arg(long = "context", value_name = "CONTEXT", value_parser = PossibleValuesParser::new(BoundedContext::ALL.map(BoundedContext::name)))]
    contexts: Vec<String>,
    /// Only events of this type, such as opportunity.awarded; may be repeated
    #[arg(long = "type", value_name = "TYPE", value_parser = PossibleValuesParser::new(known_event_types()))]
    types: Vec<String>,
    /// Only events of this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Only events of the aggregate with this id
    #[arg(long, value_name = "ID")]
    aggregate: Option<String>,
    /// Only events recorded at this time or later: 2026-03-03T12:00:00Z, or 2026-03-03 for its midnight in UTC
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<DateTime<Utc>>,
    /// Only events recorded before this time, in the format of --since
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<DateTime<Utc>>,
}

impl EventSelection {
    /// Converts the options to a filter of the log reader.
    pub(super) fn into_filter(self) -> EventFilter {
        let is_selected = |context: &BoundedContext| self.contexts.iter().any(|name| name == context.name());
        EventFilter {
            contexts: BoundedContext::ALL.into_iter().filter(is_selected).collect(),
            event_types: self.types,
            tenant_id: self.tenant,
            aggregate_id: self.aggregate,
            recorded_from: self.since,
            recorded_until: self.until,
        }
    }
}

/// Connects to Postgres only, so that a command works while other engines are unavailable.
pub(super) async fn open_log(config: &MedhubConfig) -> anyhow::Result<PgPool> {
    let pool = eventstore::postgres::open_pool(&config.engines.postgres)?;
    app_context::ping_postgres(&pool).await.context("connecting to Postgres; DATABASE_URL is its address")?;
    if !app_context::is_migrated(&pool).await.context("reading the table of migrations in Postgres")? {
        anyhow::bail!("the database is not prepared; run `medhub migrate`");
    }
    Ok(pool)
}

fn known_event_types() -> Vec<&'static str> {
    let mut types: Vec<_> = schemas::catalog::all_schemas().iter().map(|schema| schema.event_type).collect();
    types.dedup();
    types
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .or_else(|_| day())
        .map_err(|_| "give a time as 2026-03-03T12:00:00Z or with an offset as in 2026-03-03T12:00:00-05:00, or a day as 2026-03-03".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_an_offset_or_is_a_day() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(parse_time("2026-03-03T12:00:00Z"), Ok(at("2026-03-03T12:00:00Z")));
        assert_eq!(parse_time("2026-03-03T12:00:00.5-05:00"), Ok(at("2026-03-03T17:00:00.5Z")));
        assert_eq!(parse_time("2026-03-03"), Ok(at("2026-03-03T00:00:00Z")));
    }

    #[test]
    fn the_error_of_an_invalid_time_shows_the_format() {
        for text in ["yesterday", "2026-13-01", "2026-03-03T12:00:00", "12:00", ""] {
            assert!(parse_time(text).unwrap_err().contains("2026-03-03T12:00:00Z"), "{text}");
        }
    }
}
