//! Writers, each of which appends in random ways and records the outcomes in its ledger.

mod append_method;
mod append_sql;
mod commit_outcome;
mod event_generator;
mod transaction_methods;
pub(in crate::faults) mod writer_session;

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use domain::event_store::NewEvent;
use eventstore::append::PgBatchStore;
use sqlx::{Executor as _, PgPool};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use self::append_method::AppendMethod;
use self::{
    commit_outcome::{classify_commit, classify_error},
    writer_session::WriterSession,
};
use super::{
    append_ledger::{AppendOutcome, LedgerEntry},
    seeded_choices::SeededChoices,
};

/// Streams that one writer has for itself.
const OWN_STREAMS: usize = 6;
/// Streams that all writers compete for.
const SHARED_STREAMS: usize = 4;
/// The longest time that a transaction is left open, in milliseconds.
const MAX_OPEN_MS: u64 = 2_000;

/// One writer.
#[derive(Debug)]
pub struct AppendWriter {
    name: String,
    database: String,
    choices: SeededChoices,
    session: WriterSession,
    store: PgBatchStore,
    streams: Vec<String>,
    /// Percentage of chosen streams that are its own.
    own_share: u64,
    ledger: Vec<LedgerEntry>,
    appends: u64,
}

/// Stream -> the sequence of its last event.
type StreamHeads = BTreeMap<String, u64>;

impl AppendWriter {
    /// The `number`th writer on the database behind `url`; `pool` is for the product's batch append.
    pub fn new(seed: u64, number: usize, url: &str, pool: PgPool) -> Self {
        let name = format!("w{number}");
        let own = (0..OWN_STREAMS).map(|stream| format!("097:FAULTS{number}S{stream}"));
        let shared = (0..SHARED_STREAMS).map(|stream| format!("097:SHAREDS{stream}"));
        Self {
            choices: SeededChoices::new(seed, u64::try_from(number).unwrap_or_default() + 1),
            session: WriterSession::new(url, &format!("faults-{name}")),
            database: url.rsplit('/').next().unwrap_or_default().to_owned(),
            store: PgBatchStore::new(pool),
            streams: own.chain(shared).collect(),
            own_share: 85,
            ledger: Vec::new(),
            appends: 0,
            name,
        }
    }

    /// A writer that uses only streams of its own, so that it never waits for others.
    #[must_use]
    pub fn with_own_streams(self) -> Self {
        Self { own_share: 100, ..self }
    }

    /// Appends until `stop` is cancelled; an append in progress is completed first.
    ///
    /// # Errors
    /// If the database stays unavailable for long, or an event cannot be created.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<Vec<LedgerEntry>> {
        while !stop.is_cancelled() {
            let method = AppendMethod::random(&mut self.choices);
            self.append(method).await?;
            sleep(self.choices.millis_between(0, 20)).await;
        }
        Ok(self.ledger)
    }

    /// Appends once and records the outcome.
    ///
    /// # Errors
    /// If the database stays unavailable for long, or an event cannot be created.
    pub async fn append(&mut self, method: AppendMethod) -> anyhow::Result<AppendOutcome> {
        let mut draft = self.begin_entry(method.name());
        let outcome = match self.execute_method(method, &mut draft).await {
            Ok(outcome) => outcome,
            // A method returns a database error only if its commit was not sent.
            Err(error) if error.downcast_ref::<sqlx::Error>().is_some() => AppendOutcome::RolledBack,
            Err(error) => return Err(error.context(format!("{} ({})", draft.id, draft.method))),
        };
        if outcome != AppendOutcome::Committed {
            self.session.drop_connection();
        }
        draft.outcome = outcome;
        self.ledger.push(draft);
        Ok(outcome)
    }

    /// Appends one event by one statement, retried until it is acknowledged, and returns its position.
    ///
    /// # Errors
    /// If the database stays unavailable for long, or refuses.
    pub async fn append_probe(&mut self) -> anyhow::Result<u64> {
        loop {
            let mut draft = self.begin_entry("probe");
            let found = self.append_returning_position(&mut draft).await;
            draft.outcome = match &found {
                Ok(_) => AppendOutcome::Committed,
                Err(error) => classify_error(error.downcast_ref().context("probing the log")?),
            };
            self.ledger.push(draft);
            match found {
                Ok(position) => return Ok(position),
                Err(_) => self.session.drop_connection(),
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Opens a transaction that has appended and does not commit.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn begin_append(&mut self) -> anyhow::Result<LedgerEntry> {
        let mut draft = self.begin_entry("slow");
        self.execute("begin").await?;
        self.insert_event(&mut draft).await?;
        Ok(draft)
    }

    /// Commits what [`Self::begin_append`] opened and records the outcome.
    ///
    /// # Errors
    /// If there is no connection.
    pub async fn commit_append(&mut self, mut draft: LedgerEntry) -> anyhow::Result<AppendOutcome> {
        draft.outcome = self.commit().await?;
        let outcome = draft.outcome;
        self.ledger.push(draft);
        Ok(outcome)
    }

    /// Rolls back what [`Self::begin_append`] opened and records that.
    ///
    /// # Errors
    /// If there is no connection.
    pub async fn roll_back_append(&mut self, draft: LedgerEntry) -> anyhow::Result<()> {
        self.execute("rollback").await?;
        self.ledger.push(draft);
        Ok(())
    }

    /// The outcomes of its appends.
    pub fn into_ledger(self) -> Vec<LedgerEntry> {
        self.ledger
    }

    fn begin_entry(&mut self, method: &'static str) -> LedgerEntry {
        self.appends += 1;
        let id = format!("{}-{}", self.name, self.appends);
        LedgerEntry {
            id,
            method,
            outcome: AppendOutcome::RolledBack,
            event_marks: Vec::new(),
            rolled_back_marks: Vec::new(),
        }
    }

    async fn execute_method(&mut self, method: AppendMethod, draft: &mut LedgerEntry) -> anyhow::Result<AppendOutcome> {
        match method {
            AppendMethod::Autocommit => self.append_autocommit(draft).await,
            AppendMethod::Batch => self.append_batch(5, draft).await,
            AppendMethod::Import => self.append_batch(200, draft).await,
            AppendMethod::Copy => self.append_copy(draft).await,
            AppendMethod::EarlyXid => {
                self.execute("begin").await?;
                self.execute("select pg_current_xact_id()").await?;
                self.sleep_randomly().await;
                self.insert_event(draft).await?;
                self.commit().await
            }
            AppendMethod::LateCommit => {
                self.execute("begin").await?;
                self.insert_event(draft).await?;
                self.sleep_randomly().await;
                self.commit().await
            }
            AppendMethod::Statements => {
                self.execute("begin").await?;
                for _ in 0..self.choices.number_between(2, 4) {
                    self.insert_event(draft).await?;
                    sleep(self.choices.millis_between(0, 100)).await;
                }
                self.commit().await
            }
            AppendMethod::Rollback => {
                self.execute("begin").await?;
                self.insert_event(draft).await?;
                self.sleep_randomly().await;
                self.execute("rollback").await?;
                Ok(AppendOutcome::RolledBack)
            }
            AppendMethod::Savepoints => self.append_with_savepoints(draft).await,
            AppendMethod::PreparedCommit => self.append_prepared(draft, "commit").await,
            AppendMethod::PreparedRollback => self.append_prepared(draft, "rollback").await,
            AppendMethod::Terminated => self.append_abandoned(draft, true).await,
            AppendMethod::Vanished => self.append_abandoned(draft, false).await,
        }
    }

    async fn append_returning_position(&mut self, draft: &mut LedgerEntry) -> anyhow::Result<u64> {
        let events = self.create_events(1, draft).await?;
        // A single event, so that there is a single position.
        draft.event_marks.truncate(1);
        let statement = format!("{} returning position", append_sql::insert_statement(&events[..1])?);
        let position: i64 =
            sqlx::query_scalar(&statement).persistent(false).fetch_one(self.session.connection().await?).await?;
        Ok(position.unsigned_abs())
    }

    async fn insert_event(&mut self, draft: &mut LedgerEntry) -> anyhow::Result<()> {
        let events = self.create_events(1, draft).await?;
        self.execute(&append_sql::insert_statement(&events)?).await
    }

    async fn execute(&mut self, statement: &str) -> anyhow::Result<()> {
        self.session.connection().await?.execute(statement).await?;
        Ok(())
    }

    async fn commit(&mut self) -> anyhow::Result<AppendOutcome> {
        Ok(classify_commit(self.session.connection().await?.execute("commit").await))
    }

    async fn sleep_randomly(&mut self) {
        sleep(self.choices.millis_between(0, MAX_OPEN_MS)).await;
    }

    async fn create_events(&mut self, most_each: u64, draft: &mut LedgerEntry) -> anyhow::Result<Vec<NewEvent>> {
        let mut heads = self.choose_streams().await?;
        self.create_next_events(&mut heads, most_each, &draft.id, &mut draft.event_marks)
    }

    /// Chooses one to three streams and reads the sequences of their last events.
    async fn choose_streams(&mut self) -> anyhow::Result<StreamHeads> {
        let mut heads = StreamHeads::new();
        for _ in 0..self.choices.number_between(1, 3) {
            let own = self.choices.random_bool(self.own_share);
            let choice = if own { &self.streams[..OWN_STREAMS] } else { &self.streams[OWN_STREAMS..] };
            let number = self.choices.number_below(u64::try_from(choice.len())?);
            let stream = choice[usize::try_from(number)?].clone();
            let last: i64 = sqlx::query_scalar(
                "select coalesce(max(sequence), 0) from events where aggregate_type = 'opportunity' and aggregate_id = $1",
            )
            .bind(&stream)
            .fetch_one(self.session.connection().await?)
            .await?;
            heads.insert(stream, last.unsigned_abs());
        }
        Ok(heads)
    }

    /// Creates the next events of some streams; advances their heads and adds the events' marks.
    fn create_next_events(
        &mut self,
        heads: &mut StreamHeads,
        most_each: u64,
        append: &str,
        marks: &mut Vec<String>,
    ) -> anyhow::Result<Vec<NewEvent>> {
        let mut events = Vec::new();
        for (stream, head) in heads {
            for _ in 0..self.choices.number_between(1, most_each) {
                *head += 1;
                let mark = format!("{append}-{}", marks.len());
                events.push(event_generator::create_event(&mut self.choices, stream, *head, append, &mark)?);
                marks.push(mark);
            }
        }
        Ok(events)
    }
}
