//! The matches of saved searches with daily notification, as the content of daily digests.

use chrono::{DateTime, Utc};
use domain::{
    inbox::{DigestItem, NotificationLink, NotificationTitle},
    value::{InvalidValue, TenantId, UserId},
};
use futures::future::BoxFuture;
use sqlx::{PgPool, Row, postgres::PgRow};

use crate::{DigestResults, DigestSource, DigestSourceError};

/// Longest title in characters, as that of a notification.
const MAX_TITLE: usize = 200;

/// Reads the tables that the matching of saved searches writes.
#[derive(Debug, Clone)]
pub struct SearchMatchSource {
    pool: PgPool,
}

impl SearchMatchSource {
    /// Uses the tables behind this pool, which `medhub migrate` creates.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    async fn load_results(
        &self,
        tenant: &TenantId,
        user: &UserId,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<DigestResults, DigestSourceError> {
        let rows = sqlx::query(include_str!("search_match_source/find.sql"))
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(since)
            .bind(until)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        let total: i64 = sqlx::query_scalar(include_str!("search_match_source/count.sql"))
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(since)
            .bind(until)
            .fetch_one(&self.pool)
            .await?;
        let items = rows.iter().map(item_from_row).collect::<Result<Vec<_>, _>>()?;
        let more = u64::try_from(total).unwrap_or(0).saturating_sub(items.len() as u64);
        Ok(DigestResults { items, more })
    }
}

impl DigestSource for SearchMatchSource {
    fn find_results<'a>(
        &'a self,
        tenant: &'a TenantId,
        user: &'a UserId,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> BoxFuture<'a, Result<DigestResults, DigestSourceError>> {
        Box::pin(self.load_results(tenant, user, since, until, limit))
    }

    fn mark_announced<'a>(
        &'a self,
        tenant: &'a TenantId,
        user: &'a UserId,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<(), DigestSourceError>> {
        Box::pin(async move {
            sqlx::query(include_str!("search_match_source/mark_announced.sql"))
                .bind(tenant.as_str())
                .bind(user.as_str())
                .bind(since)
                .bind(until)
                .execute(&self.pool)
                .await?;
            Ok(())
        })
    }
}

fn item_from_row(row: &PgRow) -> Result<DigestItem, DigestSourceError> {
    let opportunity: &str = row.try_get("opportunity_id")?;
    let invalid = |error: InvalidValue| -> DigestSourceError { error.into() };
    Ok(DigestItem {
        title: title(row.try_get("title")?).map_err(invalid)?,
        search: title(row.try_get("search_name")?).map_err(invalid)?,
        link: NotificationLink::try_new(&format!("/opportunities/{opportunity}")).map_err(invalid)?,
    })
}

/// The text as a title: one line of limited length.
fn title(text: &str) -> Result<NotificationTitle, InvalidValue> {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TITLE).collect();
    NotificationTitle::try_new(if line.trim().is_empty() { "(no title)" } else { &line })
}
