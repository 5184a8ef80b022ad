//! How far the reading of a window has come: `sam_gov_syncs` and `sam_gov_window_notices`.

use chrono::NaiveDate;
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{DateWindow, StoreResult, SyncStore, failed};

const SAVE_WINDOW: &str = include_str!("save_window.sql");
const LOAD_WINDOW: &str = "select window_from, window_to, next_offset, passes, pass_pages, pass_new, pass_repeated \
                           from sam_gov_syncs where name = $1 and window_from is not null";

/// How far the reading of a window has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sync) struct WindowProgress {
    pub(in crate::sync) days: DateWindow,
    /// Offset of the next page.
    pub(in crate::sync) next_offset: u64,
    /// How often the window was read to its end.
    pub(in crate::sync) passes: u32,
    /// What the current pass has found.
    pub(in crate::sync) pass: WindowPass,
}

/// What one pass over a window has found so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::sync) struct WindowPass {
    pub(in crate::sync) pages: u64,
    /// Notices that no pass had found before.
    pub(in crate::sync) new_notices: u64,
    /// Pages without such a notice since the last one that had one.
    pub(in crate::sync) repeated_pages: u32,
}

impl WindowProgress {
    /// The begin of a window.
    pub(in crate::sync) fn start(days: DateWindow) -> Self {
        Self { days, next_offset: 0, passes: 0, pass: WindowPass::default() }
    }

    /// The begin of the next pass.
    pub(in crate::sync) fn next_pass(self) -> Self {
        Self { passes: self.passes + 1, ..Self::start(self.days) }
    }
}

impl WindowPass {
    /// Counts a page with this number of new notices.
    pub(in crate::sync) fn add_page(&mut self, new_notices: u64) {
        self.pages += 1;
        self.new_notices += new_notices;
        self.repeated_pages = if new_notices == 0 { self.repeated_pages.saturating_add(1) } else { 0 };
    }
}

impl SyncStore {
    /// The window that a run has left unfinished.
    pub(in crate::sync) async fn load_window(&self, name: &str) -> StoreResult<Option<WindowProgress>> {
        let doing = "reading the progress of a window";
        let row = sqlx::query(LOAD_WINDOW).bind(name).fetch_optional(&self.pool).await.map_err(failed(doing))?;
        Ok(row.as_ref().map(window_from_row).transpose().map_err(failed(doing))?.flatten())
    }

    /// Saves that a page was recorded: adds it to the pass, with the notices that no page had before. Returns the
    /// number of different notices so far.
    pub(in crate::sync) async fn save_page(
        &self,
        name: &str,
        window: &mut WindowProgress,
        notices: &[String],
    ) -> StoreResult<u64> {
        let doing = "saving the progress of a window";
        let mut transaction = self.pool.begin().await.map_err(failed(doing))?;
        let added = sqlx::query(
            "insert into sam_gov_window_notices (sync_name, notice) select $1, unnest($2::text[]) on conflict do nothing",
        );
        let added = added.bind(name).bind(notices).execute(&mut *transaction).await.map_err(failed(doing))?;
        window.pass.add_page(added.rows_affected());
        update_window(&mut transaction, name, window).await.map_err(failed(doing))?;
        let count: i64 = sqlx::query_scalar("select count(*) from sam_gov_window_notices where sync_name = $1")
            .bind(name)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed(doing))?;
        transaction.commit().await.map_err(failed(doing))?;
        Ok(count.unsigned_abs())
    }

    /// Saves the begin of a pass.
    pub(in crate::sync) async fn save_window(&self, name: &str, window: &WindowProgress) -> StoreResult<()> {
        let doing = "saving the progress of a window";
        let mut connection = self.pool.acquire().await.map_err(failed(doing))?;
        update_window(&mut connection, name, window).await.map_err(failed(doing))
    }

    /// Ends the reading of a window. With `complete_through` it was complete; else it is read again.
    pub(in crate::sync) async fn finish_window(
        &self,
        name: &str,
        complete_through: Option<NaiveDate>,
    ) -> StoreResult<()> {
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
             pass_pages = 0, pass_new = 0, pass_repeated = 0, complete_through = greatest(complete_through, $2) \
             where name = $1",
        )
        .bind(name)
        .bind(complete_through)
        .execute(&mut *transaction)
        .await
        .map_err(failed(doing))?;
        transaction.commit().await.map_err(failed(doing))
    }
}

fn window_from_row(row: &PgRow) -> Result<Option<WindowProgress>, sqlx::Error> {
    let number = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let small_number = |column: &str| row.try_get::<i32, _>(column).map(i32::unsigned_abs);
    let Some(days) = DateWindow::new(row.try_get("window_from")?, row.try_get("window_to")?) else { return Ok(None) };
    let pass = WindowPass {
        pages: number("pass_pages")?,
        new_notices: number("pass_new")?,
        repeated_pages: small_number("pass_repeated")?,
    };
    Ok(Some(WindowProgress { days, next_offset: number("next_offset")?, passes: small_number("passes")?, pass }))
}

async fn update_window(connection: &mut PgConnection, name: &str, window: &WindowProgress) -> Result<(), sqlx::Error> {
    let query = sqlx::query(SAVE_WINDOW)
        .bind(name)
        .bind(window.days.from())
        .bind(window.days.to())
        .bind(to_bigint(window.next_offset))
        .bind(to_integer(window.passes))
        .bind(to_bigint(window.pass.pages))
        .bind(to_bigint(window.pass.new_notices))
        .bind(to_integer(window.pass.repeated_pages));
    query.execute(connection).await.map(drop)
}

fn to_bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn to_integer(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
