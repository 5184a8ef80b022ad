//! Shared texts in Postgres: what is on record of each, and what came since.

use std::{collections::BTreeMap, time::Duration};

use domain::{
    proposal::{Content, Heading, SectionKey},
    value::{ProposalId, TenantId, UserId},
};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, Row, Transaction, types::Json};
use uuid::Uuid;

use crate::{
    error::{RefusedUpdate, TextError, postgres},
    text::SharedText,
    update_contents::{ContentPolicy, UpdateContents},
};

const APPEND: &str = include_str!("store/append.sql");
const BOOK: &str = include_str!("store/book.sql");
const DUE: &str = include_str!("store/due.sql");
const INTEND: &str = include_str!("store/intend.sql");
const GIVE_UP: &str = include_str!("store/give_up.sql");
const LOCK: &str = include_str!("store/lock.sql");
const LATER: &str = include_str!("store/later.sql");
const OPEN: &str = include_str!("store/open.sql");
const REBASE: &str = include_str!("store/rebase.sql");
const REST: &str = include_str!("store/rest.sql");
const TAKE_OVER: &str = include_str!("store/take_over.sql");
const UNSETTLED_BYTES: &str = include_str!("store/unsettled_bytes.sql");

/// The most texts that are settled in one go.
const DUE_AT_ONCE: i64 = 50;

/// Which proposal of whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The company.
    pub(crate) tenant: TenantId,
    /// The proposal.
    pub(crate) proposal: ProposalId,
}

impl Place {
    fn uuid(&self) -> Uuid {
        self.proposal.uuid()
    }
}

/// An update, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its number in the text.
    pub(crate) seq: i64,
    /// Who wrote it; nobody where it was taken over from the proposal's events.
    pub(crate) by: Option<String>,
    /// The update.
    pub(crate) body: Vec<u8>,
}

impl Kept {
    /// Takes it into a text that has everything before it. An update that cannot be read is left out, so that the others
    /// can: everything was looked through before it was kept, since there is such a check.
    ///
    /// # Errors
    /// [`TextError::Kept`] where it is the base, or where the text is of no more use after it.
    pub(crate) fn merge_into(&self, text: &SharedText, place: &Place) -> Result<(), TextError> {
        let unreadable = |error: RefusedUpdate| TextError::Kept { reason: error.to_string() };
        if self.by.is_some()
            && let Err(error) = UpdateContents::read(&self.body, ContentPolicy::AsStored)
        {
            let (tenant, proposal) = (&place.tenant, place.proposal);
            tracing::error!(%error, %tenant, %proposal, seq = self.seq, "an update of a shared text is left out");
            return Ok(());
        }
        text.merge(&self.body).map(|_| ()).map_err(unreadable)
    }
}

/// What each section says, by key.
pub(crate) type Texts = BTreeMap<SectionKey, String>;

/// What is about to be recorded: the base is taken over once the command is on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// The idempotency key of the command.
    pub(crate) key: String,
    /// The last update in it.
    pub(crate) seq: i64,
    /// What the sections say by then.
    pub(crate) texts: Texts,
    /// What the command says.
    pub(crate) edits: Vec<Written>,
    /// The document with that update.
    #[serde(skip)]
    pub(crate) base: Vec<u8>,
}

/// What a section is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Which section.
    pub(crate) section: SectionKey,
    /// What it is called.
    pub(crate) heading: Heading,
    /// What it says.
    pub(crate) content: Content,
    /// The revision that it was written from.
    pub(crate) based_on: u32,
    /// Who wrote in it last.
    pub(crate) by: UserId,
}

/// Where a text stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Book {
    /// The last update.
    pub(crate) seq: i64,
    /// The last update in `base`.
    pub(crate) base_seq: i64,
    /// The document as the proposal's events have it.
    pub(crate) base: Option<Vec<u8>>,
    /// What the sections said then.
    pub(crate) texts: Texts,
    /// What is under way.
    pub(crate) intent: Option<Intent>,
}

/// Shared texts in Postgres. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PgTexts {
    pool: PgPool,
}

impl PgTexts {
    /// In that database, whose migrations are applied.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Runs a statement that needs to know nothing but the place.
    async fn change(&self, statement: &'static str, place: &Place, doing: &'static str) -> Result<(), TextError> {
        let done = sqlx::query(statement).bind(place.tenant.as_str()).bind(place.uuid()).execute(&self.pool).await;
        done.map(|_| ()).map_err(postgres(doing))
    }

    /// Makes room for a text where there is none.
    pub(crate) async fn open(&self, place: &Place) -> Result<(), TextError> {
        self.change(OPEN, place, "opening a shared text").await
    }

    /// Puts an update on record, and tells its number.
    pub(crate) async fn append(&self, place: &Place, by: &UserId, body: &[u8]) -> Result<i64, TextError> {
        let seq = sqlx::query_scalar(APPEND).bind(place.tenant.as_str()).bind(place.uuid()).bind(by.as_str());
        seq.bind(body).fetch_one(&self.pool).await.map_err(postgres("keeping an update of a shared text"))
    }

    /// Puts on record what the proposal's events changed, with the base and the texts after it: all of it, or nothing.
    pub(crate) async fn take_over(
        &self,
        place: &Place,
        change: &[u8],
        base: &[u8],
        texts: &Texts,
    ) -> Result<(), TextError> {
        let taken = sqlx::query(TAKE_OVER)
            .bind(place.tenant.as_str())
            .bind(place.uuid())
            .bind(change)
            .bind(base)
            .bind(Json(texts))
            .execute(&self.pool)
            .await;
        taken.map(|_| ()).map_err(postgres("taking a change over into a shared text"))
    }

    /// The updates behind that one, and the base before them where it holds some of them.
    pub(crate) async fn later(&self, place: &Place, after: i64) -> Result<Vec<Kept>, TextError> {
        let rows = sqlx::query(LATER).bind(place.tenant.as_str()).bind(place.uuid()).bind(after);
        let rows = rows.fetch_all(&self.pool).await.map_err(postgres("reading a shared text"))?;
        rows.iter().map(kept).collect::<Result<_, _>>().map_err(postgres("reading a shared text"))
    }

    /// How many bytes the updates have that are not in the base.
    pub(crate) async fn unsettled_bytes(&self, place: &Place) -> Result<usize, TextError> {
        let bytes = sqlx::query_scalar(UNSETTLED_BYTES).bind(place.tenant.as_str()).bind(place.uuid());
        let bytes: i64 = bytes.fetch_one(&self.pool).await.map_err(postgres("reading a shared text"))?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Where a text stands.
    pub(crate) async fn book(&self, place: &Place) -> Result<Book, TextError> {
        let row = sqlx::query(BOOK).bind(place.tenant.as_str()).bind(place.uuid());
        let Some(row) = row.fetch_optional(&self.pool).await.map_err(postgres("reading a shared text"))? else {
            return Ok(Book::default());
        };
        book(&row).map_err(postgres("reading a shared text"))
    }

    /// Notes what is about to be recorded.
    pub(crate) async fn intend(&self, place: &Place, intent: &Intent) -> Result<(), TextError> {
        let noted = sqlx::query(INTEND)
            .bind(place.tenant.as_str())
            .bind(place.uuid())
            .bind(Json(intent))
            .bind(&intent.base)
            .execute(&self.pool)
            .await;
        noted.map(|_| ()).map_err(postgres("settling a shared text"))
    }

    /// Notes that all up to `seq` is in `base`, and drops the updates that are.
    pub(crate) async fn rebase(&self, place: &Place, seq: i64, base: &[u8], texts: &Texts) -> Result<(), TextError> {
        let noted = sqlx::query(REBASE)
            .bind(place.tenant.as_str())
            .bind(place.uuid())
            .bind(seq)
            .bind(base)
            .bind(Json(texts))
            .execute(&self.pool)
            .await;
        noted.map(|_| ()).map_err(postgres("settling a shared text"))
    }

    /// Notes that the log has refused what was about to be recorded.
    pub(crate) async fn give_up(&self, place: &Place) -> Result<(), TextError> {
        self.change(GIVE_UP, place, "settling a shared text").await
    }

    /// Notes that what there is cannot be recorded for now, and is not to be tried again before there is more.
    pub(crate) async fn rest(&self, place: &Place) -> Result<(), TextError> {
        self.change(REST, place, "settling a shared text").await
    }

    /// Texts that nobody has changed for the time of `quiet`, or that have waited for that of `most`.
    pub(crate) async fn due(&self, quiet: Duration, most: Duration) -> Result<Vec<Place>, TextError> {
        let rows = sqlx::query(DUE).bind(quiet.as_secs_f64()).bind(most.as_secs_f64()).bind(DUE_AT_ONCE);
        let rows = rows.fetch_all(&self.pool).await.map_err(postgres("looking for texts to settle"))?;
        let place = |row: &sqlx::postgres::PgRow| {
            let tenant: String = row.try_get("tenant_id").ok()?;
            let proposal = ProposalId::new(row.try_get("proposal_id").ok()?);
            Some(Place { tenant: TenantId::try_new(&tenant).ok()?, proposal })
        };
        Ok(rows.iter().filter_map(place).collect())
    }

    /// Keeps others from settling a text until the answer is dropped; `None` where somebody is at it.
    pub(crate) async fn lock(&self, place: &Place) -> Result<Option<Transaction<'static, Postgres>>, TextError> {
        let doing = "settling a shared text";
        let mut transaction = self.pool.begin().await.map_err(postgres(doing))?;
        let name = format!("shared text\n{}\n{}", place.tenant, place.uuid());
        let is_ours: bool =
            sqlx::query_scalar(LOCK).bind(name).fetch_one(&mut *transaction).await.map_err(postgres(doing))?;
        Ok(is_ours.then_some(transaction))
    }
}

fn kept(row: &sqlx::postgres::PgRow) -> Result<Kept, sqlx::Error> {
    Ok(Kept { seq: row.try_get("seq")?, by: row.try_get("user_id")?, body: row.try_get("body")? })
}

fn book(row: &sqlx::postgres::PgRow) -> Result<Book, sqlx::Error> {
    let intent: Option<Json<Intent>> = row.try_get("intent")?;
    let intent_base: Option<Vec<u8>> = row.try_get("intent_base")?;
    let intent = intent.zip(intent_base).map(|(Json(intent), base)| Intent { base, ..intent });
    Ok(Book {
        seq: row.try_get("seq")?,
        base_seq: row.try_get("base_seq")?,
        base: row.try_get("base")?,
        texts: row.try_get::<Json<Texts>, _>("texts")?.0,
        intent,
    })
}
