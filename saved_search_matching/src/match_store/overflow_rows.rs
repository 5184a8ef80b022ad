//! Matches that are only counted.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::{MatchingError, SearchMatches, error::postgres_error};

/// Numbers of matches that are only counted, by search.
#[derive(Default)]
pub(super) struct OverflowRows<'a>(Vec<(&'a SearchMatches, u64)>);

impl<'a> OverflowRows<'a> {
    pub(super) fn add(&mut self, found: &'a SearchMatches, count: u64) {
        self.0.push((found, count));
    }

    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    pub(super) async fn upsert(&self, connection: &mut PgConnection, now: DateTime<Utc>) -> Result<(), MatchingError> {
        if self.0.is_empty() {
            return Ok(());
        }
        sqlx::query(include_str!("add_overflows.sql"))
            .bind(self.0.iter().map(|(found, _)| &*found.key.tenant_id).collect::<Vec<_>>())
            .bind(self.0.iter().map(|(found, _)| &*found.key.user_id).collect::<Vec<_>>())
            .bind(self.0.iter().map(|(found, _)| found.key.search_id.uuid()).collect::<Vec<_>>())
            .bind(self.0.iter().map(|(found, _)| &*found.name).collect::<Vec<_>>())
            .bind(self.0.iter().map(|(found, _)| found.notify.name()).collect::<Vec<_>>())
            .bind(self.0.iter().map(|(_, count)| i64::try_from(*count).unwrap_or(i64::MAX)).collect::<Vec<_>>())
            .bind(now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now))
            .execute(connection)
            .await
            .map(drop)
            .map_err(postgres_error("counting matches of saved searches"))
    }
}
