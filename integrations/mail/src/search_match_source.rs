//! The matches of saved searches with daily notification, as the content of daily digests.

use domain::{
    inbox::{DigestItem, NotificationLink, NotificationTitle},
    value::InvalidValue,
};
use futures::future::BoxFuture;
use sqlx::{
    PgPool, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use crate::{DigestPeriod, DigestResults, DigestSource, DigestSourceError};

/// Longest title in characters, as in a notification.
const MAX_TITLE: usize = 200;

type PgQuery<'q> = Query<'q, Postgres, PgArguments>;

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

    async fn load_results(&self, period: DigestPeriod<'_>, limit: usize) -> Result<DigestResults, DigestSourceError> {
        let rows = bind_period(sqlx::query(include_str!("search_match_source/find.sql")), period)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        let counted = bind_period(sqlx::query(include_str!("search_match_source/count.sql")), period);
        let total: i64 = counted.fetch_one(&self.pool).await?.try_get(0)?;
        let items = rows.iter().map(item_from_row).collect::<Result<Vec<_>, _>>()?;
        let more = u64::try_from(total).unwrap_or(0).saturating_sub(items.len() as u64);
        Ok(DigestResults { items, more })
    }
}

impl DigestSource for SearchMatchSource {
    fn find_results<'a>(
        &'a self,
        period: DigestPeriod<'a>,
        limit: usize,
    ) -> BoxFuture<'a, Result<DigestResults, DigestSourceError>> {
        Box::pin(self.load_results(period, limit))
    }

    fn mark_announced<'a>(&'a self, period: DigestPeriod<'a>) -> BoxFuture<'a, Result<(), DigestSourceError>> {
        Box::pin(async move {
            let marked = bind_period(sqlx::query(include_str!("search_match_source/mark_announced.sql")), period);
            marked.execute(&self.pool).await?;
            Ok(())
        })
    }
}

/// Binds the first four parameters of each statement.
fn bind_period<'q>(statement: PgQuery<'q>, period: DigestPeriod<'q>) -> PgQuery<'q> {
    statement.bind(period.tenant.as_str()).bind(period.user.as_str()).bind(period.since).bind(period.until)
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
