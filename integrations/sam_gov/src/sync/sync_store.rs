//! The state of the synchronisation, in Postgres: its progress, and the notices that the sources list.

mod api_usage;
mod listed_notices;
mod window_progress;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgPool, Row, postgres::PgRow};

pub(super) use self::{listed_notices::ListedNotice, window_progress::WindowProgress};
use super::DateWindow;

const DELETE_STALE_RANGES: &str = include_str!("sync_store/delete_stale_ranges.sql");

/// After this number of days, a range of days whose reading was not continued is dropped.
const STALE_RANGE_DAYS: i32 = 30;

/// The state of the synchronisation cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{doing} in Postgres")]
pub struct SyncStoreError {
    doing: &'static str,
    #[source]
    source: sqlx::Error,
}

/// When a source was read last, and how that ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncStatus {
    /// When the first run began.
    pub first_attempted_at: Option<DateTime<Utc>>,
    /// When the last run began.
    pub attempted_at: Option<DateTime<Utc>>,
    /// When the last complete run ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Why the last run did not end well.
    pub last_error: Option<String>,
    /// API: the last day that was read completely.
    pub complete_through: Option<NaiveDate>,
}

/// The version of the extract that was read last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ExtractVersion {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    pub(super) content_sha256: Option<String>,
}

/// The tables of the synchronisation. In a preview nothing is written but the number of requests.
#[derive(Debug, Clone)]
pub(super) struct SyncStore {
    pool: PgPool,
    preview: bool,
}

type StoreResult<T> = Result<T, SyncStoreError>;

impl SyncStore {
    pub(super) fn new(pool: PgPool, preview: bool) -> Self {
        Self { pool, preview }
    }

    /// Whether nothing is to be written.
    pub(super) fn is_preview(&self) -> bool {
        self.preview
    }

    pub(super) async fn begin_run(&self, name: &str) -> StoreResult<()> {
        let statement = "insert into sam_gov_syncs (name, attempted_at, first_attempted_at) values ($1, now(), now()) \
                         on conflict (name) do update set attempted_at = now(), \
                             first_attempted_at = coalesce(sam_gov_syncs.first_attempted_at, now())";
        self.write(sqlx::query(statement).bind(name), "recording the begin of a run").await?;
        let query = sqlx::query(DELETE_STALE_RANGES).bind(name).bind(STALE_RANGE_DAYS);
        self.write(query, "deleting ranges of days that are no longer read").await
    }

    /// Records the end of a complete run. The row of a range of days has served its purpose.
    pub(super) async fn complete_run(&self, name: &str, is_range: bool) -> StoreResult<()> {
        let statement = if is_range {
            "delete from sam_gov_syncs where name = $1"
        } else {
            "update sam_gov_syncs set completed_at = now(), last_error = null where name = $1"
        };
        self.write(sqlx::query(statement).bind(name), "recording the end of a run").await
    }

    /// Records that a run did not read everything, and why.
    pub(super) async fn fail_run(&self, name: &str, error: Option<&str>) -> StoreResult<()> {
        let query = sqlx::query("update sam_gov_syncs set last_error = $2 where name = $1").bind(name).bind(error);
        self.write(query, "recording the end of a run").await
    }

    pub(super) async fn load_status(&self, name: &str) -> StoreResult<SyncStatus> {
        let statement = "select first_attempted_at, attempted_at, completed_at, last_error, complete_through \
             from sam_gov_syncs where name = $1";
        let row = sqlx::query(statement).bind(name).fetch_optional(&self.pool).await;
        let row = row.map_err(failed("reading the state of a source"))?;
        let status = |row: &PgRow| -> Result<SyncStatus, sqlx::Error> {
            Ok(SyncStatus {
                first_attempted_at: row.try_get("first_attempted_at")?,
                attempted_at: row.try_get("attempted_at")?,
                completed_at: row.try_get("completed_at")?,
                last_error: row.try_get("last_error")?,
                complete_through: row.try_get("complete_through")?,
            })
        };
        row.as_ref().map_or_else(|| Ok(SyncStatus::default()), status).map_err(failed("reading the state of a source"))
    }

    pub(super) async fn load_extract_version(&self, name: &str) -> StoreResult<ExtractVersion> {
        let statement = "select etag, last_modified, content_sha256 from sam_gov_syncs where name = $1";
        let row: Option<(Option<String>, Option<String>, Option<String>)> = sqlx::query_as(statement)
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("reading the version of the extract"))?;
        let (etag, last_modified, content_sha256) = row.unwrap_or_default();
        Ok(ExtractVersion { etag, last_modified, content_sha256 })
    }

    pub(super) async fn save_extract_version(&self, name: &str, version: &ExtractVersion) -> StoreResult<()> {
        let statement = "update sam_gov_syncs set etag = $2, last_modified = $3, content_sha256 = $4 where name = $1";
        let ExtractVersion { etag, last_modified, content_sha256 } = version;
        let query = sqlx::query(statement).bind(name).bind(etag).bind(last_modified).bind(content_sha256);
        self.write(query, "saving the version of the extract").await
    }

    async fn write(
        &self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
        doing: &'static str,
    ) -> StoreResult<()> {
        if self.preview {
            return Ok(());
        }
        query.execute(&self.pool).await.map(drop).map_err(failed(doing))
    }
}

fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> SyncStoreError {
    move |source| SyncStoreError { doing, source }
}
