//! The state of the synchronisation, in Postgres: how far it has come, and what the sources list.

mod api_usage;
mod listed_notices;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgPool, Row, postgres::PgRow};

pub(super) use self::listed_notices::ListedNotice;
use super::DateWindow;

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
    /// When the last run began.
    pub attempted_at: Option<DateTime<Utc>>,
    /// When the last complete run ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Why the last run did not end well.
    pub last_error: Option<String>,
    /// API: the last day that was read completely.
    pub complete_through: Option<NaiveDate>,
}

/// How far the reading of a window has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WindowProgress {
    pub(super) days: DateWindow,
    /// Offset of the next page.
    pub(super) next_offset: u64,
    /// How often the window was read to its end.
    pub(super) passes: u32,
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
        let statement = "insert into sam_gov_syncs (name, attempted_at) values ($1, now()) \
                         on conflict (name) do update set attempted_at = now()";
        self.write(sqlx::query(statement).bind(name), "recording the begin of a run").await
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
        let statement =
            "select attempted_at, completed_at, last_error, complete_through from sam_gov_syncs where name = $1";
        let row = sqlx::query(statement).bind(name).fetch_optional(&self.pool).await;
        let row = row.map_err(failed("reading the state of a source"))?;
        let status = |row: &PgRow| -> Result<SyncStatus, sqlx::Error> {
            Ok(SyncStatus {
                attempted_at: row.try_get("attempted_at")?,
                completed_at: row.try_get("completed_at")?,
                last_error: row.try_get("last_error")?,
                complete_through: row.try_get("complete_through")?,
            })
        };
        row.as_ref().map_or_else(|| Ok(SyncStatus::default()), status).map_err(failed("reading the state of a source"))
    }

    /// The window that a run has left unfinished.
    pub(super) async fn load_window(&self, name: &str) -> StoreResult<Option<WindowProgress>> {
        let statement = "select window_from, window_to, next_offset, passes from sam_gov_syncs where name = $1";
        let row: Option<(Option<NaiveDate>, Option<NaiveDate>, i64, i32)> = sqlx::query_as(statement)
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("reading the progress of a window"))?;
        Ok(row.and_then(|(from, to, offset, passes)| {
            let (next_offset, passes) = (offset.unsigned_abs(), passes.unsigned_abs());
            Some(WindowProgress { days: DateWindow::new(from?, to?)?, next_offset, passes })
        }))
    }

    /// Saves how far a window was read, with the notices of the page that was recorded last; returns the number of
    /// different notices so far, and how many of them are new.
    pub(super) async fn save_window(
        &self,
        name: &str,
        window: WindowProgress,
        notices: &[String],
    ) -> StoreResult<WindowCount> {
        if self.preview {
            return Ok(WindowCount::default());
        }
        let doing = "saving the progress of a window";
        let mut transaction = self.pool.begin().await.map_err(failed(doing))?;
        let new = sqlx::query(
            "insert into sam_gov_window_notices (sync_name, notice) select $1, unnest($2::text[]) on conflict do nothing",
        )
        .bind(name)
        .bind(notices)
        .execute(&mut *transaction)
        .await
        .map_err(failed(doing))?
        .rows_affected();
        sqlx::query(
            "update sam_gov_syncs set window_from = $2, window_to = $3, next_offset = $4, passes = $5 where name = $1",
        )
        .bind(name)
        .bind(window.days.from())
        .bind(window.days.to())
        .bind(to_bigint(window.next_offset))
        .bind(i32::try_from(window.passes).unwrap_or(i32::MAX))
        .execute(&mut *transaction)
        .await
        .map_err(failed(doing))?;
        let all: i64 = sqlx::query_scalar("select count(*) from sam_gov_window_notices where sync_name = $1")
            .bind(name)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed(doing))?;
        transaction.commit().await.map_err(failed(doing))?;
        Ok(WindowCount { new, all: all.unsigned_abs() })
    }

    /// Ends the reading of a window. With `complete_through` it was complete; else it is read again.
    pub(super) async fn finish_window(&self, name: &str, complete_through: Option<NaiveDate>) -> StoreResult<()> {
        if self.preview {
            return Ok(());
        }
        let doing = "saving the end of a window";
        let mut transaction = self.pool.begin().await.map_err(failed(doing))?;
        sqlx::query("delete from sam_gov_window_notices where sync_name = $1")
            .bind(name)
            .execute(&mut *transaction)
            .await
            .map_err(failed(doing))?;
        sqlx::query(
            "update sam_gov_syncs set window_from = null, window_to = null, next_offset = 0, passes = 0, \
             complete_through = greatest(complete_through, $2) where name = $1",
        )
        .bind(name)
        .bind(complete_through)
        .execute(&mut *transaction)
        .await
        .map_err(failed(doing))?;
        transaction.commit().await.map_err(failed(doing))
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

/// Different notices of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct WindowCount {
    /// On the page that was saved, and on none before.
    pub(super) new: u64,
    /// On all pages.
    pub(super) all: u64,
}

fn to_bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> SyncStoreError {
    move |source| SyncStoreError { doing, source }
}
