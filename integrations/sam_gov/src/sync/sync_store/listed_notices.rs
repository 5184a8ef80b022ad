//! What the sources list: `sam_gov_notices`.

use std::collections::HashMap;

use futures::{Stream, StreamExt};
use sqlx::{Row, postgres::PgRow};

use super::{StoreResult, SyncStore, failed};

const SAVE_NOTICES: &str = include_str!("save_notices.sql");

/// A notice as its source has listed it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sync) struct ListedNotice {
    pub(in crate::sync) notice_id: String,
    pub(in crate::sync) opportunity_id: String,
    pub(in crate::sync) digest: String,
    pub(in crate::sync) description_due: bool,
    /// Number of consecutive versions of the extract without it.
    pub(in crate::sync) absences: u32,
    /// SHA-256 of the last one of them.
    pub(in crate::sync) absent_from: Option<String>,
    pub(in crate::sync) removed: bool,
}

impl ListedNotice {
    /// Number of consecutive versions without it before this one.
    pub(in crate::sync) fn absences_before(&self, version: &str) -> u32 {
        let is_counted = self.absent_from.as_deref() == Some(version);
        self.absences.saturating_sub(is_counted.into())
    }
}

impl SyncStore {
    /// The listed notices among `ids`, by id.
    pub(in crate::sync) async fn load_notices(
        &self,
        source: &str,
        ids: &[String],
    ) -> StoreResult<HashMap<String, ListedNotice>> {
        let statement = "select notice_id, opportunity_id, digest, description_due, absences, absent_from, removed \
                         from sam_gov_notices where source = $1 and notice_id = any($2)";
        let doing = "reading what a source has listed";
        let rows = sqlx::query(statement).bind(source).bind(ids).fetch_all(&self.pool).await.map_err(failed(doing))?;
        let notices = rows.iter().map(listed_notice_from_row).collect::<Result<Vec<_>, _>>().map_err(failed(doing))?;
        Ok(notices.into_iter().map(|notice| (notice.notice_id.clone(), notice)).collect())
    }

    /// Saves notices as their source lists them now. An id occurs once.
    pub(in crate::sync) async fn save_notices(&self, source: &str, notices: &[&ListedNotice]) -> StoreResult<()> {
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
    pub(in crate::sync) fn stream_present_notices(
        &self,
        source: &str,
    ) -> impl Stream<Item = StoreResult<ListedNotice>> + Send {
        let statement = "select notice_id, opportunity_id, digest, description_due, absences, absent_from, removed \
                         from sam_gov_notices where source = $1 and not removed";
        let rows = sqlx::query(statement).bind(source.to_owned()).fetch(&self.pool);
        rows.map(|row| {
            row.and_then(|row| listed_notice_from_row(&row)).map_err(failed("reading what a source has listed"))
        })
    }

    /// Counts this version of the extract as one without these notices, once.
    pub(in crate::sync) async fn count_absences(&self, source: &str, ids: &[String], version: &str) -> StoreResult<()> {
        let statement = "update sam_gov_notices set absences = absences + 1, absent_from = $3 \
                         where source = $1 and notice_id = any($2) and absent_from is distinct from $3";
        self.write(sqlx::query(statement).bind(source).bind(ids).bind(version), "counting absent notices").await
    }

    /// Records that these notices have left the extract.
    pub(in crate::sync) async fn mark_removed(&self, source: &str, ids: &[String]) -> StoreResult<()> {
        let statement = "update sam_gov_notices set removed = true where source = $1 and notice_id = any($2)";
        self.write(sqlx::query(statement).bind(source).bind(ids), "recording removed notices").await
    }

    /// All notices of these opportunities that the source has listed, also the removed ones.
    pub(in crate::sync) async fn load_opportunity_notices(
        &self,
        source: &str,
        opportunities: &[String],
    ) -> StoreResult<Vec<ListedNotice>> {
        let statement = "select notice_id, opportunity_id, digest, description_due, absences, absent_from, removed \
                         from sam_gov_notices where source = $1 and opportunity_id = any($2)";
        let doing = "reading what a source has listed";
        let query = sqlx::query(statement).bind(source).bind(opportunities);
        let rows = query.fetch_all(&self.pool).await.map_err(failed(doing))?;
        rows.iter().map(listed_notice_from_row).collect::<Result<_, _>>().map_err(failed(doing))
    }
}

fn listed_notice_from_row(row: &PgRow) -> Result<ListedNotice, sqlx::Error> {
    Ok(ListedNotice {
        notice_id: row.try_get("notice_id")?,
        opportunity_id: row.try_get("opportunity_id")?,
        digest: row.try_get("digest")?,
        description_due: row.try_get("description_due")?,
        absences: row.try_get::<i32, _>("absences")?.unsigned_abs(),
        absent_from: row.try_get("absent_from")?,
        removed: row.try_get("removed")?,
    })
}
