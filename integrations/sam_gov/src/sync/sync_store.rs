//! The state of the synchronisation, in Postgres: how far it has come, and what the sources list.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use futures::{Stream, StreamExt};
use sqlx::{PgPool, Row, postgres::PgRow};

use super::DateWindow;

const SAVE_NOTICES: &str = include_str!("sync_store/save_notices.sql");
const LISTED_OPPORTUNITIES: &str = include_str!("sync_store/listed_opportunities.sql");
const COUNT_REQUEST: &str = include_str!("sync_store/count_request.sql");
const DELAY_REQUESTS: &str = include_str!("sync_store/delay_requests.sql");

/// Days for which the number of requests is kept.
const USAGE_DAYS: i32 = 90;

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

/// A notice as its source has listed it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedNotice {
    pub(super) notice_id: String,
    pub(super) opportunity_id: String,
    pub(super) digest: String,
    pub(super) description_due: bool,
    pub(super) absences: u32,
    pub(super) removed: bool,
}

/// The tables of the synchronisation. In a preview nothing is written but the number of requests.
#[derive(Debug, Clone)]
pub(super) struct SyncStore {
    pool: PgPool,
    preview: bool,
}

type Stored<T> = Result<T, SyncStoreError>;

impl SyncStore {
    pub(super) fn new(pool: PgPool, preview: bool) -> Self {
        Self { pool, preview }
    }

    /// Whether nothing is to be written.
    pub(super) fn is_preview(&self) -> bool {
        self.preview
    }

    pub(super) async fn begin_run(&self, name: &str) -> Stored<()> {
        let statement = "insert into sam_gov_syncs (name, attempted_at) values ($1, now()) \
                         on conflict (name) do update set attempted_at = now()";
        self.write(sqlx::query(statement).bind(name), "recording the begin of a run").await
    }

    /// Records the end of a complete run. The row of a range of days has served its purpose.
    pub(super) async fn complete_run(&self, name: &str, is_range: bool) -> Stored<()> {
        let statement = if is_range {
            "delete from sam_gov_syncs where name = $1"
        } else {
            "update sam_gov_syncs set completed_at = now(), last_error = null where name = $1"
        };
        self.write(sqlx::query(statement).bind(name), "recording the end of a run").await
    }

    /// Records that a run did not read everything, and why.
    pub(super) async fn fail_run(&self, name: &str, error: Option<&str>) -> Stored<()> {
        let query = sqlx::query("update sam_gov_syncs set last_error = $2 where name = $1").bind(name).bind(error);
        self.write(query, "recording the end of a run").await
    }

    pub(super) async fn load_status(&self, name: &str) -> Stored<SyncStatus> {
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
    pub(super) async fn load_window(&self, name: &str) -> Stored<Option<WindowProgress>> {
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
    ) -> Stored<WindowCount> {
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
    pub(super) async fn finish_window(&self, name: &str, complete_through: Option<NaiveDate>) -> Stored<()> {
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

    pub(super) async fn load_extract_version(&self, name: &str) -> Stored<ExtractVersion> {
        let statement = "select etag, last_modified, content_sha256 from sam_gov_syncs where name = $1";
        let row: Option<(Option<String>, Option<String>, Option<String>)> = sqlx::query_as(statement)
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("reading the version of the extract"))?;
        let (etag, last_modified, content_sha256) = row.unwrap_or_default();
        Ok(ExtractVersion { etag, last_modified, content_sha256 })
    }

    pub(super) async fn save_extract_version(&self, name: &str, version: &ExtractVersion) -> Stored<()> {
        let statement = "update sam_gov_syncs set etag = $2, last_modified = $3, content_sha256 = $4 where name = $1";
        let ExtractVersion { etag, last_modified, content_sha256 } = version;
        let query = sqlx::query(statement).bind(name).bind(etag).bind(last_modified).bind(content_sha256);
        self.write(query, "saving the version of the extract").await
    }

    /// The listed notices among `ids`, by id.
    pub(super) async fn load_notices(&self, source: &str, ids: &[String]) -> Stored<HashMap<String, ListedNotice>> {
        let statement = "select notice_id, opportunity_id, digest, description_due, absences, removed \
                         from sam_gov_notices where source = $1 and notice_id = any($2)";
        let doing = "reading what a source has listed";
        let rows = sqlx::query(statement).bind(source).bind(ids).fetch_all(&self.pool).await.map_err(failed(doing))?;
        let notices = rows.iter().map(listed_notice_from_row).collect::<Result<Vec<_>, _>>().map_err(failed(doing))?;
        Ok(notices.into_iter().map(|notice| (notice.notice_id.clone(), notice)).collect())
    }

    /// Saves notices as their source lists them now. An id occurs once.
    pub(super) async fn save_notices(&self, source: &str, notices: &[&ListedNotice]) -> Stored<()> {
        if notices.is_empty() {
            return Ok(());
        }
        let texts = |field: fn(&ListedNotice) -> &str| notices.iter().map(|notice| field(notice)).collect::<Vec<_>>();
        let query = sqlx::query(SAVE_NOTICES)
            .bind(source)
            .bind(texts(|notice| &notice.notice_id))
            .bind(texts(|notice| &notice.opportunity_id))
            .bind(texts(|notice| &notice.digest))
            .bind(notices.iter().map(|notice| notice.description_due).collect::<Vec<_>>());
        self.write(query, "saving what a source lists").await
    }

    /// Streams the notices that the extract has listed and that do not count as removed.
    pub(super) fn stream_present_notices(&self, source: &str) -> impl Stream<Item = Stored<ListedNotice>> + Send {
        let statement = "select notice_id, opportunity_id, digest, description_due, absences, removed \
                         from sam_gov_notices where source = $1 and not removed";
        let rows = sqlx::query(statement).bind(source.to_owned()).fetch(&self.pool);
        rows.map(|row| {
            row.and_then(|row| listed_notice_from_row(&row)).map_err(failed("reading what a source has listed"))
        })
    }

    /// Counts one more extract without these notices.
    pub(super) async fn count_absences(&self, source: &str, ids: &[String]) -> Stored<()> {
        let statement = "update sam_gov_notices set absences = absences + 1 where source = $1 and notice_id = any($2)";
        self.write(sqlx::query(statement).bind(source).bind(ids), "counting absent notices").await
    }

    /// Records that these notices have left the extract.
    pub(super) async fn mark_removed(&self, source: &str, ids: &[String]) -> Stored<()> {
        let statement = "update sam_gov_notices set removed = true where source = $1 and notice_id = any($2)";
        self.write(sqlx::query(statement).bind(source).bind(ids), "recording removed notices").await
    }

    /// Which of these opportunities have a notice that the extract still lists, other than `removed`.
    pub(super) async fn listed_opportunities(
        &self,
        source: &str,
        opportunities: &[String],
        removed: &[String],
    ) -> Stored<Vec<String>> {
        sqlx::query_scalar(LISTED_OPPORTUNITIES)
            .bind(source)
            .bind(opportunities)
            .bind(removed)
            .fetch_all(&self.pool)
            .await
            .map_err(failed("reading what a source has listed"))
    }

    /// Counts a request against the day's quota; `false` if it is used up. Requests of a preview count too.
    pub(super) async fn count_request(&self, day: NaiveDate, quota: u32) -> Stored<bool> {
        let counted: Option<i32> = sqlx::query_scalar(COUNT_REQUEST)
            .bind(day)
            .bind(i32::try_from(quota).unwrap_or(i32::MAX))
            .bind(USAGE_DAYS)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("counting a request"))?;
        Ok(counted.is_some())
    }

    /// Records that the API refuses requests until then.
    pub(super) async fn delay_requests(&self, day: NaiveDate, until: DateTime<Utc>) -> Stored<()> {
        let query = sqlx::query(DELAY_REQUESTS).bind(day).bind(until);
        query.execute(&self.pool).await.map(drop).map_err(failed("recording that the API refuses requests"))
    }

    /// Until when the API refuses requests, if it does.
    pub(super) async fn delayed_until(&self, now: DateTime<Utc>) -> Stored<Option<DateTime<Utc>>> {
        sqlx::query_scalar("select max(throttled_until) from sam_gov_api_usage where throttled_until > $1")
            .bind(now)
            .fetch_one(&self.pool)
            .await
            .map_err(failed("reading until when the API refuses requests"))
    }

    async fn write(
        &self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
        doing: &'static str,
    ) -> Stored<()> {
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

fn listed_notice_from_row(row: &PgRow) -> Result<ListedNotice, sqlx::Error> {
    Ok(ListedNotice {
        notice_id: row.try_get("notice_id")?,
        opportunity_id: row.try_get("opportunity_id")?,
        digest: row.try_get("digest")?,
        description_due: row.try_get("description_due")?,
        absences: row.try_get::<i32, _>("absences")?.unsigned_abs(),
        removed: row.try_get("removed")?,
    })
}

fn to_bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> SyncStoreError {
    move |source| SyncStoreError { doing, source }
}
