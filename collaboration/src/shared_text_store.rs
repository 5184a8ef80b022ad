//! Shared texts in Postgres: what is on record of each, and what came since.

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

const APPEND_UPDATE: &str = include_str!("store/append.sql");
const LOAD_ROW: &str = include_str!("store/book.sql");
const LIST_DUE: &str = include_str!("store/due.sql");
const SAVE_INTENT: &str = include_str!("store/intend.sql");
const CLEAR_INTENT: &str = include_str!("store/give_up.sql");
const TRY_LOCK: &str = include_str!("store/lock.sql");
const LOAD_UPDATES_AFTER: &str = include_str!("store/later.sql");
const CREATE_IF_MISSING: &str = include_str!("store/open.sql");
const SAVE_BASE: &str = include_str!("store/rebase.sql");
const POSTPONE_SYNC: &str = include_str!("store/rest.sql");
const SAVE_RECORDED_CHANGES: &str = include_str!("store/take_over.sql");
const LOAD_UNRECORDED_BYTES: &str = include_str!("store/unsettled_bytes.sql");

/// The most texts that are settled in one go.
const MAX_DUE_TEXTS: i64 = 50;

/// Which proposal of whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ProposalRef {
    /// The company.
    pub(crate) tenant: TenantId,
    /// The proposal.
    pub(crate) proposal: ProposalId,
}

impl ProposalRef {
    fn uuid(&self) -> Uuid {
        self.proposal.uuid()
    }
}

/// An update, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredUpdate {
    /// Its number in the text.
    pub(crate) seq: i64,
    /// Who wrote it; nobody where it was taken over from the proposal's events.
    pub(crate) by: Option<String>,
    /// The update.
    pub(crate) body: Vec<u8>,
}

impl StoredUpdate {
    /// Takes it into a text that has everything before it. An update that cannot be read is left out, so that the others
    /// can: everything was looked through before it was kept, since there is such a check.
    ///
    /// # Errors
    /// [`TextError::CorruptText`] where it is the base, or where the text is of no more use after it.
    pub(crate) fn merge_into(&self, text: &SharedText, place: &ProposalRef) -> Result<(), TextError> {
        let unreadable = |error: RefusedUpdate| TextError::CorruptText { reason: error.to_string() };
        if self.by.is_some()
            && let Err(error) = UpdateContents::read(&self.body, ContentPolicy::AsStored)
        {
            let (tenant, proposal) = (&place.tenant, place.proposal);
            tracing::error!(%error, %tenant, %proposal, seq = self.seq, "an update of a shared text is left out");
            return Ok(());
        }
        text.merge_stored_update(&self.body).map(|_| ()).map_err(unreadable)
    }
}

/// What each section says, by key.
pub(crate) type SectionTexts = BTreeMap<SectionKey, String>;

/// What is about to be recorded: the base is taken over once the command is on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SyncIntent {
    /// The idempotency key of the command.
    pub(crate) key: String,
    /// The last update in it.
    pub(crate) seq: i64,
    /// What the sections say by then.
    pub(crate) texts: SectionTexts,
    /// What the command says.
    pub(crate) edits: Vec<AttributedEdit>,
    /// The document with that update.
    #[serde(skip)]
    pub(crate) base: Vec<u8>,
}

/// What a section is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttributedEdit {
    /// Which section.
    pub(crate) section: SectionKey,
    /// What it is called.
    pub(crate) heading: SectionHeading,
    /// What it says.
    pub(crate) content: SectionContent,
    /// The revision that it was written from.
    pub(crate) based_on: u32,
    /// Who wrote in it last.
    pub(crate) by: UserId,
}

/// Where a text stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SharedTextRow {
    /// The last update.
    pub(crate) seq: i64,
    /// The last update in `base`.
    pub(crate) base_seq: i64,
    /// The document as the proposal's events have it.
    pub(crate) base: Option<Vec<u8>>,
    /// What the sections said then.
    pub(crate) texts: SectionTexts,
    /// What is under way.
    pub(crate) intent: Option<SyncIntent>,
}

/// Shared texts in Postgres. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SharedTextStore {
    pool: PgPool,
}

impl SharedTextStore {
    /// In that database, whose migrations are applied.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Runs a statement that needs to know nothing but the place.
    async fn execute_statement(
        &self,
        statement: &'static str,
        place: &ProposalRef,
        doing: &'static str,
    ) -> Result<(), TextError> {
        let done = sqlx::query(statement).bind(place.tenant.as_str()).bind(place.uuid()).execute(&self.pool).await;
        done.map(|_| ()).map_err(postgres_error(doing))
    }

    /// Makes room for a text where there is none.
    pub(crate) async fn create_if_missing(&self, place: &ProposalRef) -> Result<(), TextError> {
        self.execute_statement(CREATE_IF_MISSING, place, "opening a shared text").await
    }

    /// Puts an update on record, and tells its number.
    pub(crate) async fn append_update(&self, place: &ProposalRef, by: &UserId, body: &[u8]) -> Result<i64, TextError> {
        let seq = sqlx::query_scalar(APPEND_UPDATE).bind(place.tenant.as_str()).bind(place.uuid()).bind(by.as_str());
        seq.bind(body).fetch_one(&self.pool).await.map_err(postgres_error("keeping an update of a shared text"))
    }

    /// Puts on record what the proposal's events changed, with the base and the texts after it: all of it, or nothing.
    pub(crate) async fn save_recorded_changes(
        &self,
        place: &ProposalRef,
        change: &[u8],
        base: &[u8],
        texts: &SectionTexts,
    ) -> Result<(), TextError> {
        let taken = sqlx::query(SAVE_RECORDED_CHANGES)
            .bind(place.tenant.as_str())
            .bind(place.uuid())
            .bind(change)
            .bind(base)
            .bind(Json(texts))
            .execute(&self.pool)
            .await;
        taken.map(|_| ()).map_err(postgres_error("taking a change over into a shared text"))
    }

    /// The updates behind that one, and the base before them where it holds some of them.
    pub(crate) async fn load_updates_after(
        &self,
        place: &ProposalRef,
        after: i64,
    ) -> Result<Vec<StoredUpdate>, TextError> {
        let rows = sqlx::query(LOAD_UPDATES_AFTER).bind(place.tenant.as_str()).bind(place.uuid()).bind(after);
        let rows = rows.fetch_all(&self.pool).await.map_err(postgres_error("reading a shared text"))?;
        rows.iter()
            .map(stored_update_from_row)
            .collect::<Result<_, _>>()
            .map_err(postgres_error("reading a shared text"))
    }

    /// How many bytes the updates have that are not in the base.
    pub(crate) async fn load_unrecorded_bytes(&self, place: &ProposalRef) -> Result<usize, TextError> {
        let bytes = sqlx::query_scalar(LOAD_UNRECORDED_BYTES).bind(place.tenant.as_str()).bind(place.uuid());
        let bytes: i64 = bytes.fetch_one(&self.pool).await.map_err(postgres_error("reading a shared text"))?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Where a text stands.
    pub(crate) async fn load_row(&self, place: &ProposalRef) -> Result<SharedTextRow, TextError> {
        let row = sqlx::query(LOAD_ROW).bind(place.tenant.as_str()).bind(place.uuid());
        let Some(row) = row.fetch_optional(&self.pool).await.map_err(postgres_error("reading a shared text"))? else {
            return Ok(SharedTextRow::default());
        };
        shared_text_from_row(&row).map_err(postgres_error("reading a shared text"))
    }

    /// Notes what is about to be recorded.
    pub(crate) async fn save_intent(&self, place: &ProposalRef, intent: &SyncIntent) -> Result<(), TextError> {
        let noted = sqlx::query(SAVE_INTENT)
            .bind(place.tenant.as_str())
            .bind(place.uuid())
            .bind(Json(intent))
            .bind(&intent.base)
            .execute(&self.pool)
            .await;
        noted.map(|_| ()).map_err(postgres_error("settling a shared text"))
    }

    /// Notes that all up to `seq` is in `base`, and drops the updates that are.
    pub(crate) async fn save_base(
        &self,
        place: &ProposalRef,
        seq: i64,
        base: &[u8],
        texts: &SectionTexts,
    ) -> Result<(), TextError> {
        let noted = sqlx::query(SAVE_BASE)
            .bind(place.tenant.as_str())
            .bind(place.uuid())
            .bind(seq)
            .bind(base)
            .bind(Json(texts))
            .execute(&self.pool)
            .await;
        noted.map(|_| ()).map_err(postgres_error("settling a shared text"))
    }

    /// Notes that the log has refused what was about to be recorded.
    pub(crate) async fn clear_intent(&self, place: &ProposalRef) -> Result<(), TextError> {
        self.execute_statement(CLEAR_INTENT, place, "settling a shared text").await
    }

    /// Notes that what there is cannot be recorded for now, and is not to be tried again before there is more.
    pub(crate) async fn postpone_sync(&self, place: &ProposalRef) -> Result<(), TextError> {
        self.execute_statement(POSTPONE_SYNC, place, "settling a shared text").await
    }

    /// Texts that nobody has changed for the time of `quiet`, or that have waited for that of `most`.
    pub(crate) async fn list_due(&self, quiet: Duration, most: Duration) -> Result<Vec<ProposalRef>, TextError> {
        let rows = sqlx::query(LIST_DUE).bind(quiet.as_secs_f64()).bind(most.as_secs_f64()).bind(MAX_DUE_TEXTS);
        let rows = rows.fetch_all(&self.pool).await.map_err(postgres_error("looking for texts to settle"))?;
        let place = |row: &sqlx::postgres::PgRow| {
            let tenant: String = row.try_get("tenant_id").ok()?;
            let proposal = ProposalId::new(row.try_get("proposal_id").ok()?);
            Some(ProposalRef { tenant: TenantId::try_new(&tenant).ok()?, proposal })
        };
        Ok(rows.iter().filter_map(place).collect())
    }

    /// Keeps others from settling a text until the answer is dropped; `None` where somebody is at it.
    pub(crate) async fn try_lock(
        &self,
        place: &ProposalRef,
    ) -> Result<Option<Transaction<'static, Postgres>>, TextError> {
        let doing = "settling a shared text";
        let mut transaction = self.pool.begin().await.map_err(postgres_error(doing))?;
        let name = format!("shared text\n{}\n{}", place.tenant, place.uuid());
        let is_ours: bool = sqlx::query_scalar(TRY_LOCK)
            .bind(name)
            .fetch_one(&mut *transaction)
            .await
            .map_err(postgres_error(doing))?;
        Ok(is_ours.then_some(transaction))
    }
}

fn stored_update_from_row(row: &sqlx::postgres::PgRow) -> Result<StoredUpdate, sqlx::Error> {
    Ok(StoredUpdate { seq: row.try_get("seq")?, by: row.try_get("user_id")?, body: row.try_get("body")? })
}

fn shared_text_from_row(row: &sqlx::postgres::PgRow) -> Result<SharedTextRow, sqlx::Error> {
    let intent: Option<Json<SyncIntent>> = row.try_get("intent")?;
    let intent_base: Option<Vec<u8>> = row.try_get("intent_base")?;
    let intent = intent.zip(intent_base).map(|(Json(intent), base)| SyncIntent { base, ..intent });
    Ok(SharedTextRow {
        seq: row.try_get("seq")?,
        base_seq: row.try_get("base_seq")?,
        base: row.try_get("base")?,
        texts: row.try_get::<Json<SectionTexts>, _>("texts")?.0,
        intent,
    })
}
