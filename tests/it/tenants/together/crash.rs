//! A process that ends between the steps of recording what was written together: nothing is lost, and nothing doubled.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use collaboration::{CollaborationConfig, PeersConfig, PgTexts, Rooms, Settling, SharedText};
use commands::{
    authority::Authority,
    bus::{Bus, Sender},
    caller::Caller,
    condition::Conditions,
};
use cqrs_es::{Aggregate, AggregateError, EventEnvelope, EventStore, persist::EventStoreAggregateContext};
use domain::{
    clock::SystemClock,
    fingerprint::Fingerprint,
    opportunity::OpportunityId,
    proposal::{Outline, Proposal, ProposalCommand, ProposalTitle, SectionKey},
    store::{AggregateStores, CommandLog, DoneCommand, StoreError},
    value::{ProposalId, TenantId, UserId},
};
use eventstore::{postgres::PostgresConfig, store::PgStore};
use sqlx::PgPool;
use tests::{database, eventually};
use uuid::Uuid;
use yrs::{
    sync::{Message, SyncMessage},
    updates::encoder::Encode as _,
};

/// When a commit fails.
const NEVER: u8 = 0;
const BEFORE: u8 = 1;
const AFTER: u8 = 2;

/// The log, whose commits fail before or after they are done: as if the process ended there.
#[derive(Clone)]
pub(super) struct Ending<S> {
    inner: S,
    when: Arc<AtomicU8>,
}

fn ended<E: std::error::Error>() -> AggregateError<E> {
    AggregateError::DatabaseConnectionError("the process ends here".into())
}

impl AggregateStores for Ending<PgStore<()>> {
    type Store<A: Aggregate + Fingerprint> = Ending<PgStore<A>>;

    fn of<A: Aggregate + Fingerprint>(&self) -> Self::Store<A> {
        Ending { inner: self.inner.of(), when: Arc::clone(&self.when) }
    }
}

impl<A: Aggregate + Fingerprint> EventStore<A> for Ending<PgStore<A>> {
    type AC = EventStoreAggregateContext<A>;

    async fn load_events(&self, id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        self.inner.load_events(id).await
    }

    async fn load_aggregate(&self, id: &str) -> Result<Self::AC, AggregateError<A::Error>> {
        self.inner.load_aggregate(id).await
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Self::AC,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let when = self.when.load(Ordering::SeqCst);
        if when == BEFORE {
            return Err(ended());
        }
        let done = self.inner.commit(events, context, metadata).await?;
        if when == AFTER { Err(ended()) } else { Ok(done) }
    }
}

impl<A: Aggregate + Fingerprint> CommandLog for Ending<PgStore<A>> {
    async fn done(&self, tenant_id: &str, key: &str) -> Result<Option<DoneCommand>, StoreError> {
        self.inner.done(tenant_id, key).await
    }
}

pub(super) struct Field {
    pub(super) pool: PgPool,
    bus: Arc<Bus<Ending<PgStore<()>>>>,
    when: Arc<AtomicU8>,
    pub(super) tenant: TenantId,
    pub(super) proposal: ProposalId,
    pub(super) ann: UserId,
}

impl Field {
    pub(super) async fn new() -> Self {
        let pool = database().await;
        let when = Arc::new(AtomicU8::new(NEVER));
        let store = Ending { inner: PgStore::new(pool.clone(), &PostgresConfig::default()), when: Arc::clone(&when) };
        let bus = Arc::new(Bus::new(store, Arc::new(SystemClock)));
        let tenant = TenantId::try_new("acme").unwrap();
        let (proposal, ann) = (ProposalId::new(Uuid::new_v4()), UserId::try_new("ann").unwrap());
        let field = Self { pool, bus, when, tenant, proposal, ann };
        field.draft(proposal).await;
        field
    }

    /// Drafts another proposal of the same company.
    pub(super) async fn draft_another(&self) -> ProposalId {
        let proposal = ProposalId::new(Uuid::new_v4());
        self.draft(proposal).await;
        proposal
    }

    async fn draft(&self, proposal: ProposalId) {
        let sender = self.sender();
        let draft = ProposalCommand::Draft {
            opportunity_id: OpportunityId::parse("036:36C10G26R0005").unwrap(),
            title: ProposalTitle::try_new("Lifts").unwrap(),
            outline: Outline::default(),
            stamp: self.bus.stamp(&sender),
        };
        let id = proposal.to_string();
        self.bus.give::<Proposal>(&sender, &id, &Conditions::default(), draft).await.unwrap();
    }

    fn sender(&self) -> Sender {
        Sender { caller: Caller::new(self.ann.clone(), self.tenant.clone()), authority: Authority::System }
    }

    pub(super) fn settling(&self) -> Settling<Ending<PgStore<()>>> {
        Settling::new(PgTexts::new(self.pool.clone()), Arc::clone(&self.bus))
    }

    /// Lets an editor write in a room, until that is on record as an update.
    pub(super) async fn write(&self, editor: &SharedText, text: &str) {
        let config =
            CollaborationConfig { quiet_ms: 3_600_000, at_latest_ms: 3_600_000, ..CollaborationConfig::default() };
        // Nobody is there: other processes are not needed to write.
        let peers = PeersConfig { url: "redis://127.0.0.1:1".to_owned(), prefix: String::new() };
        let rooms = Rooms::new(config, self.settling(), &peers).unwrap();
        let seat = rooms.join(&self.tenant, self.proposal, &self.ann).await.unwrap();
        let update = editor.rewrite(&SectionKey::try_new("approach").unwrap(), text).unwrap();
        let before = self.updates().await;
        seat.say(Message::Sync(SyncMessage::Update(update)).encode_v1(), true).await.unwrap();
        eventually(async || {
            anyhow::ensure!(self.updates().await > before);
            anyhow::Ok(())
        })
        .await;
    }

    async fn updates(&self) -> i64 {
        sqlx::query_scalar("select coalesce(max(seq), 0) from shared_texts").fetch_one(&self.pool).await.unwrap()
    }

    async fn settle(&self, when: u8) -> Result<(), collaboration::TextError> {
        self.when.store(when, Ordering::SeqCst);
        self.settling().settle_now(&self.tenant, self.proposal).await
    }

    /// What each event made of the section.
    pub(super) async fn recorded(&self) -> Vec<String> {
        let contents =
            "select payload ->> 'content' from events where event_type = 'proposal.section_edited' order by position";
        sqlx::query_scalar(contents).fetch_all(&self.pool).await.unwrap()
    }
}

#[tokio::test]
async fn a_process_that_ends_before_the_command_is_on_record_has_lost_nothing() {
    let (field, editor) = (Field::new().await, SharedText::default());
    field.write(&editor, "We deliver.").await;
    field.settle(BEFORE).await.unwrap_err();
    assert_eq!(field.recorded().await, Vec::<String>::new());
    field.settle(NEVER).await.unwrap();
    assert_eq!(field.recorded().await, ["We deliver."]);
    field.settle(NEVER).await.unwrap();
    assert_eq!(field.recorded().await, ["We deliver."]);
}

#[tokio::test]
async fn a_process_that_ends_after_the_command_is_on_record_has_doubled_nothing() {
    let (field, editor) = (Field::new().await, SharedText::default());
    field.write(&editor, "We deliver.").await;
    field.settle(AFTER).await.unwrap_err();
    field.when.store(NEVER, Ordering::SeqCst);
    // Others write on before anybody comes to what was left.
    field.write(&editor, "We deliver. Soon.").await;
    field.settle(NEVER).await.unwrap();
    assert_eq!(field.recorded().await, ["We deliver.", "We deliver. Soon."]);
}

#[tokio::test]
async fn who_asks_for_what_was_written_waits_for_one_who_is_at_it() {
    let (field, editor) = (Field::new().await, SharedText::default());
    field.write(&editor, "We deliver.").await;
    let mut other = field.pool.begin().await.unwrap();
    let name = format!("shared text\n{}\n{}", field.tenant, field.proposal);
    let held = "select pg_try_advisory_xact_lock(hashtextextended($1, 0))";
    let is_held: bool = sqlx::query_scalar(held).bind(name).fetch_one(&mut *other).await.unwrap();
    assert!(is_held);
    let ends = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.rollback().await.unwrap();
    };
    let (settled, ()) = tokio::join!(field.settle(NEVER), ends);
    settled.unwrap();
    assert_eq!(field.recorded().await, ["We deliver."]);
}

#[tokio::test]
async fn nobody_can_take_over_a_text_of_another_company() {
    let field = Field::new().await;
    let peers = PeersConfig { url: "redis://127.0.0.1:1".to_owned(), prefix: String::new() };
    let rooms = Rooms::new(CollaborationConfig::default(), field.settling(), &peers).unwrap();
    let other = TenantId::try_new("evil").unwrap();
    let refused = rooms.join(&other, field.proposal, &field.ann).await.err();
    assert!(matches!(refused, Some(collaboration::TextError::NotFound)), "{refused:?}");
    let texts: i64 = sqlx::query_scalar("select count(*) from shared_texts").fetch_one(&field.pool).await.unwrap();
    assert_eq!(texts, 0, "nothing is made for what is not there");
}
