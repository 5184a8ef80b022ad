//! The synchronisation with SAM.gov, against a stand-in that serves generated pages and extracts with faults.

mod api;
mod api_faults;
mod extract;
mod extract_faults;
mod sync_command;

use std::collections::BTreeMap;

use eventstore::append::PgBatchStore;
use sam_gov::{
    NoticeRowError, SamGovConfig, SyncSource,
    notice_import::{ImportObserver, ImportSummary},
    sync::{SamGovSync, SyncError, SyncObserver, SyncOptions, SyncSummary},
};
use sqlx::PgPool;
use tests::sam_gov_server::{API_KEY, SamGovServer};
use tokio_util::sync::CancellationToken;

/// A log and a stand-in for SAM.gov.
struct SamGovFixture {
    pool: PgPool,
    server: SamGovServer,
    config: SamGovConfig,
}

/// Discards the progress of a run.
struct SilentObserver;

impl SamGovFixture {
    async fn start() -> Self {
        let (pool, server) = (tests::database().await, SamGovServer::start().await);
        let config = SamGovConfig {
            api_key: Some(API_KEY.into()),
            api_url: server.api_url(),
            extract_url: Some(server.extract_url()),
            page_size: 10,
            daily_quota: 1_000,
            retry_pause_ms: 1,
            request_timeout_ms: 60_000,
            ..SamGovConfig::default()
        };
        Self { pool, server, config }
    }

    fn sync(&self) -> SamGovSync<PgBatchStore> {
        SamGovSync::new(self.config.clone(), self.pool.clone(), PgBatchStore::new(self.pool.clone()))
    }

    async fn run(&self, source: SyncSource) -> Result<SyncSummary, SyncError> {
        self.run_with(source, &SyncOptions::default()).await
    }

    async fn run_with(&self, source: SyncSource, options: &SyncOptions) -> Result<SyncSummary, SyncError> {
        self.sync().run(source, options, &mut SilentObserver, &CancellationToken::new()).await
    }

    /// The types of the events in the log, with their number.
    async fn event_counts(&self) -> BTreeMap<String, i64> {
        let statement = "select event_type, count(*) from events group by event_type";
        sqlx::query_as(statement).fetch_all(&self.pool).await.unwrap().into_iter().collect()
    }

    /// The notices whose discovery is on record, in order.
    async fn discovered_notices(&self) -> Vec<String> {
        let statement = "select payload #>> '{filing,notice_id}' from events \
                         where event_type = 'opportunity.discovered' order by 1";
        sqlx::query_scalar(statement).fetch_all(&self.pool).await.unwrap()
    }

    /// The titles that the events of the notice state, in their order.
    async fn recorded_titles(&self, notice_id: &str) -> Vec<String> {
        let statement = "select payload #>> '{facts,title}' from events \
                         where payload #>> '{filing,notice_id}' = $1 order by sequence";
        sqlx::query_scalar(statement).bind(notice_id).fetch_all(&self.pool).await.unwrap()
    }
}

impl ImportObserver for SilentObserver {
    fn on_progress(&mut self, _so_far: &ImportSummary) {}

    fn on_rejected_row(&mut self, _line: u64, _reason: &NoticeRowError) -> std::io::Result<()> {
        Ok(())
    }

    fn on_omitted_value(&mut self, _line: u64, _value: &NoticeRowError) -> std::io::Result<()> {
        Ok(())
    }
}

impl SyncObserver for SilentObserver {
    fn on_download(&mut self, _received: u64, _total: Option<u64>) {}
}

/// The ids of generated notices.
fn notice_ids(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("notice{n:05}")).collect()
}
