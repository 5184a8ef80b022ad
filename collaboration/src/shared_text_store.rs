//! Stores shared texts in Postgres: the synced state, whose content the proposal's events contain, and the updates
//! since. The columns `base`, `base_seq`, `intent` and `intent_base` are older than these names.

use std::{collections::BTreeMap, time::Duration};

use domain::{
    proposal::{SectionContent, SectionHeading, SectionKey},
    value::{ProposalId, TenantId, UserId},
};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, Row, Transaction, types::Json};
use uuid::Uuid;

use crate::{
    error::{RefusedUpdate, TextError, postgres_error},
    shared_text::SharedText,
    update_contents::{ContentPolicy, UpdateContents},
};

const APPEND_UPDATES: &str = include_str!("store/append_updates.sql");
const LOAD_ROW: &str = include_str!("store/load_row.sql");
const LIST_DUE: &str = include_str!("store/list_due.sql");
const SAVE_PENDING_COMMAND: &str = include_str!("store/save_pending_command.sql");
const CLEAR_PENDING_COMMAND: &str = include_str!("store/clear_pending_command.sql");
const TRY_LOCK: &str = include_str!("store/try_lock.sql");
const LOAD_UPDATES_AFTER: &str = include_str!("store/load_updates_after.sql");
const CREATE_IF_MISSING: &str = include_str!("store/create_if_missing.sql");
const SAVE_SYNCED_STATE: &str = include_str!("store/save_synced_state.sql");
const POSTPONE_SYNC: &str = include_str!("store/postpone_sync.sql");
const SAVE_RECORDED_CHANGES: &str = include_str!("store/save_recorded_changes.sql");
const LOAD_UNRECORDED_BYTES: &str = include_str!("store/load_unrecorded_bytes.sql");

/// Maximum number of texts that one query lists for a sync.
const MAX_DUE_TEXTS: i64 = 50;

/// Identifies a proposal of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ProposalRef {
    pub(crate) tenant: TenantId,
    pub(crate) proposal: ProposalId,
}

impl ProposalRef {
    fn uuid(&self) -> Uuid {
        self.proposal.uuid()
    }
}

/// A stored update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredUpdate {
    /// Number of the update within its text.
    pub(crate) seq: i64,
    /// Author; `None` for the synced state and for changes that come from the proposal's events.
    pub(crate) by: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl StoredUpdate {
    /// Merges the update into a text that contains all updates before it. An editor's update that cannot be read is
    /// skipped, so that the others can be merged. Updates are checked before they are stored; earlier releases stored
    /// some without the check.
    ///
    /// # Errors
    /// [`TextError::CorruptText`] when the synced state cannot be read, or when merging fails; the text must not be used
    /// then.
    pub(crate) fn merge_into(&self, text: &SharedText, proposal_ref: &ProposalRef) -> Result<(), TextError> {
        let corrupt_text = |error: RefusedUpdate| TextError::CorruptText { reason: error.to_string() };
        if self.by.is_some()
            && let Err(error) = UpdateContents::read(&self.body, ContentPolicy::AsStored)
        {
            let (tenant, proposal) = (&proposal_ref.tenant, proposal_ref.proposal);
            tracing::error!(%error, %tenant, %proposal, seq = self.seq, "unreadable update of a shared text skipped");
            return Ok(());
        }
        text.merge_stored_update(&self.body).map(|_| ()).map_err(corrupt_text)
    }
}

/// The text of each section, by key.
pub(crate) type SectionTexts = BTreeMap<SectionKey, String>;

/// A command that is saved before it is dispatched. Once it is recorded, its synced state becomes the text's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingSyncCommand {
    /// Idempotency key of the command.
    pub(crate) key: String,
    /// Number of the last update that the command contains.
    pub(crate) seq: i64,
    /// The texts of the sections after the command.
    pub(crate) texts: SectionTexts,
    /// The edits of the command.
    pub(crate) edits: Vec<AttributedEdit>,
    /// The document with all updates up to `seq`.
    #[serde(skip)]
    pub(crate) synced_state: Vec<u8>,
}

/// The new content of a section and its author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttributedEdit {
    /// Key of the section.
    pub(crate) section: SectionKey,
    pub(crate) heading: SectionHeading,
    pub(crate) content: SectionContent,
    /// Revision of the section that the edit is based on.
    pub(crate) based_on: u32,
    /// Author of the last edit of the section.
    pub(crate) by: UserId,
}

/// The state of a shared text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SharedTextRow {
    /// Number of the last update.
    pub(crate) seq: i64,
    /// Number of the last update in `synced_state`.
    pub(crate) synced_seq: i64,
    /// The document with the content that the proposal's events have.
    pub(crate) synced_state: Option<Vec<u8>>,
    /// The texts of the sections in the synced state.
    pub(crate) texts: SectionTexts,
    /// A command that may or may not be recorded yet.
    pub(crate) pending_command: Option<PendingSyncCommand>,
}

/// Shared texts in Postgres. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SharedTextStore {
    pool: PgPool,
}

impl SharedTextStore {
    /// Creates a store in the database of `pool`, whose migrations must be applied.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Executes a statement whose only parameters identify the proposal.
    async fn execute_statement(
        &self,
        statement: &'static str,
        proposal_ref: &ProposalRef,
        doing: &'static str,
    ) -> Result<(), TextError> {
        let executed = sqlx::query(statement)
            .bind(proposal_ref.tenant.as_str())
            .bind(proposal_ref.uuid())
            .execute(&self.pool)
            .await;
        executed.map(|_| ()).map_err(postgres_error(doing))
    }

    /// Creates the row of a text if it is missing.
    pub(crate) async fn create_if_missing(&self, proposal_ref: &ProposalRef) -> Result<(), TextError> {
        self.execute_statement(CREATE_IF_MISSING, proposal_ref, "creating a shared text").await
    }

    /// Stores updates in this order, all or none, each with its author. Returns the number of the last one.
    pub(crate) async fn append_updates(
        &self,
        proposal_ref: &ProposalRef,
        updates: &[(&UserId, &[u8])],
    ) -> Result<i64, TextError> {
        let (authors, bodies): (Vec<_>, Vec<_>) = updates.iter().map(|(by, body)| (by.as_str(), *body)).unzip();
        let query = sqlx::query_scalar(APPEND_UPDATES)
            .bind(proposal_ref.tenant.as_str())
            .bind(proposal_ref.uuid())
            .bind(authors)
            .bind(bodies);
        query.fetch_one(&self.pool).await.map_err(postgres_error("storing updates of a shared text"))
    }

    /// Stores a change that comes from the proposal's events, with the synced state and the texts after it, atomically.
    pub(crate) async fn save_recorded_changes(
        &self,
        proposal_ref: &ProposalRef,
        change: &[u8],
        synced_state: &[u8],
        texts: &SectionTexts,
    ) -> Result<(), TextError> {
        let saved = sqlx::query(SAVE_RECORDED_CHANGES)
            .bind(proposal_ref.tenant.as_str())
            .bind(proposal_ref.uuid())
            .bind(change)
            .bind(synced_state)
            .bind(Json(texts))
            .execute(&self.pool)
            .await;
        saved.map(|_| ()).map_err(postgres_error("storing a recorded change of a shared text"))
    }

    /// Loads the updates after the number `after`, preceded by the synced state if that contains some of them.
    pub(crate) async fn load_updates_after(
        &self,
        proposal_ref: &ProposalRef,
        after: i64,
    ) -> Result<Vec<StoredUpdate>, TextError> {
        let query =
            sqlx::query(LOAD_UPDATES_AFTER).bind(proposal_ref.tenant.as_str()).bind(proposal_ref.uuid()).bind(after);
        let rows = query.fetch_all(&self.pool).await.map_err(postgres_error("reading a shared text"))?;
        rows.iter()
            .map(stored_update_from_row)
            .collect::<Result<_, _>>()
            .map_err(postgres_error("reading a shared text"))
    }

    /// Total bytes of the updates that are not in the synced state.
    pub(crate) async fn load_unrecorded_bytes(&self, proposal_ref: &ProposalRef) -> Result<usize, TextError> {
        let query =
            sqlx::query_scalar(LOAD_UNRECORDED_BYTES).bind(proposal_ref.tenant.as_str()).bind(proposal_ref.uuid());
        let bytes: i64 = query.fetch_one(&self.pool).await.map_err(postgres_error("reading a shared text"))?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Loads the state of a text; the default if there is no such text.
    pub(crate) async fn load_row(&self, proposal_ref: &ProposalRef) -> Result<SharedTextRow, TextError> {
        let query = sqlx::query(LOAD_ROW).bind(proposal_ref.tenant.as_str()).bind(proposal_ref.uuid());
        let Some(row) = query.fetch_optional(&self.pool).await.map_err(postgres_error("reading a shared text"))? else {
            return Ok(SharedTextRow::default());
        };
        shared_text_from_row(&row).map_err(postgres_error("reading a shared text"))
    }

    /// Saves a command before it is dispatched.
    pub(crate) async fn save_pending_command(
        &self,
        proposal_ref: &ProposalRef,
        pending_command: &PendingSyncCommand,
    ) -> Result<(), TextError> {
        let saved = sqlx::query(SAVE_PENDING_COMMAND)
            .bind(proposal_ref.tenant.as_str())
            .bind(proposal_ref.uuid())
            .bind(Json(pending_command))
            .bind(&pending_command.synced_state)
            .execute(&self.pool)
            .await;
        saved.map(|_| ()).map_err(postgres_error("syncing a shared text"))
    }

    /// Saves a synced state that contains all updates up to `seq`, deletes these updates, and clears the pending
    /// command.
    pub(crate) async fn save_synced_state(
        &self,
        proposal_ref: &ProposalRef,
        seq: i64,
        synced_state: &[u8],
        texts: &SectionTexts,
    ) -> Result<(), TextError> {
        let saved = sqlx::query(SAVE_SYNCED_STATE)
            .bind(proposal_ref.tenant.as_str())
            .bind(proposal_ref.uuid())
            .bind(seq)
            .bind(synced_state)
            .bind(Json(texts))
            .execute(&self.pool)
            .await;
        saved.map(|_| ()).map_err(postgres_error("syncing a shared text"))
    }

    /// Clears the pending command, after its command was refused.
    pub(crate) async fn clear_pending_command(&self, proposal_ref: &ProposalRef) -> Result<(), TextError> {
        self.execute_statement(CLEAR_PENDING_COMMAND, proposal_ref, "syncing a shared text").await
    }

    /// Excludes a text from the periodic sync until the next update, since its content cannot be recorded.
    pub(crate) async fn postpone_sync(&self, proposal_ref: &ProposalRef) -> Result<(), TextError> {
        self.execute_statement(POSTPONE_SYNC, proposal_ref, "syncing a shared text").await
    }

    /// Lists texts to sync: those without an update for `quiet`, or that have waited for `at_latest`.
    pub(crate) async fn list_due(&self, quiet: Duration, at_latest: Duration) -> Result<Vec<ProposalRef>, TextError> {
        let query = sqlx::query(LIST_DUE).bind(quiet.as_secs_f64()).bind(at_latest.as_secs_f64()).bind(MAX_DUE_TEXTS);
        let rows = query.fetch_all(&self.pool).await.map_err(postgres_error("listing shared texts to sync"))?;
        let proposal_ref = |row: &sqlx::postgres::PgRow| {
            let tenant: String = row.try_get("tenant_id").ok()?;
            let proposal = ProposalId::new(row.try_get("proposal_id").ok()?);
            Some(ProposalRef { tenant: TenantId::try_new(&tenant).ok()?, proposal })
        };
        Ok(rows.iter().filter_map(proposal_ref).collect())
    }

    /// Locks the sync of a text until the returned transaction is dropped; `None` if another process holds the lock.
    pub(crate) async fn try_lock(
        &self,
        proposal_ref: &ProposalRef,
    ) -> Result<Option<Transaction<'static, Postgres>>, TextError> {
        let doing = "syncing a shared text";
        let mut transaction = self.pool.begin().await.map_err(postgres_error(doing))?;
        let name = format!("shared text\n{}\n{}", proposal_ref.tenant, proposal_ref.uuid());
        let is_locked: bool = sqlx::query_scalar(TRY_LOCK)
            .bind(name)
            .fetch_one(&mut *transaction)
            .await
            .map_err(postgres_error(doing))?;
        Ok(is_locked.then_some(transaction))
    }
}

fn stored_update_from_row(row: &sqlx::postgres::PgRow) -> Result<StoredUpdate, sqlx::Error> {
    Ok(StoredUpdate { seq: row.try_get("seq")?, by: row.try_get("user_id")?, body: row.try_get("body")? })
}

fn shared_text_from_row(row: &sqlx::postgres::PgRow) -> Result<SharedTextRow, sqlx::Error> {
    let pending_command: Option<Json<PendingSyncCommand>> = row.try_get("intent")?;
    let state_after: Option<Vec<u8>> = row.try_get("intent_base")?;
    let pending_command = pending_command
        .zip(state_after)
        .map(|(Json(pending_command), synced_state)| PendingSyncCommand { synced_state, ..pending_command });
    Ok(SharedTextRow {
        seq: row.try_get("seq")?,
        synced_seq: row.try_get("base_seq")?,
        synced_state: row.try_get("base")?,
        texts: row.try_get::<Json<SectionTexts>, _>("texts")?.0,
        pending_command,
    })
}
