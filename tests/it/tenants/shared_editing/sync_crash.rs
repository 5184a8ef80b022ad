//! A process that ends between the steps of recording what was written together: nothing is lost, and nothing doubled.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use collaboration::{CollaborationConfig, PeerChannelConfig, ProposalSync, RoomManager, SharedText, SharedTextStore};
use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    precondition::CommandPreconditions,
};
use cqrs_es::{Aggregate, AggregateError, EventEnvelope, EventStore, persist::EventStoreAggregateContext};
use domain::{
    clock::SystemClock,
    event_store::{AggregateStores, IdempotencyStore, ProcessedCommand, StoreError},
    fingerprint::Fingerprint,
    opportunity::OpportunityId,
    proposal::{Proposal, ProposalCommand, ProposalOutline, ProposalTitle, SectionKey},
    value::{ProposalId, TenantId, UserId},
};
use eventstore::{postgres::PostgresConfig, store::PgEventStore};
use sqlx::PgPool;
use tests::{database, eventually};
use uuid::Uuid;
use yrs::{
    sync::{Message, SyncMessage},
    updates::encoder::Encode as _,
};

/// When a commit fails.
const FAIL_NEVER: u8 = 0;
const FAIL_BEFORE: u8 = 1;
const FAIL_AFTER: u8 = 2;

/// The log, whose commits fail before or after they are done: as if the process ended there.
#[derive(Clone)]
pub(super) struct FailingStore<S> {
    inner: S,
    failure_mode: Arc<AtomicU8>,
}

fn ended<E: std::error::Error>() -> AggregateError<E> {
    AggregateError::DatabaseConnectionError("the process ends here".into())
}

impl AggregateStores for FailingStore<PgEventStore<()>> {
    type Store<A: Aggregate + Fingerprint> = FailingStore<PgEventStore<A>>;

    fn store_for<A: Aggregate + Fingerprint>(&self) -> Self::Store<A> {
        FailingStore { inner: self.inner.store_for(), failure_mode: Arc::clone(&self.failure_mode) }
    }
}

impl<A: Aggregate + Fingerprint> EventStore<A> for FailingStore<PgEventStore<A>> {
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
        let when = self.failure_mode.load(Ordering::SeqCst);
        if when == FAIL_BEFORE {
            return Err(ended());
        }
        let done = self.inner.commit(events, context, metadata).await?;
        if when == FAIL_AFTER { Err(ended()) } else { Ok(done) }
    }
}

impl<A: Aggregate + Fingerprint> IdempotencyStore for FailingStore<PgEventStore<A>> {
    async fn find_processed(&self, tenant_id: &str, key: &str) -> Result<Option<ProcessedCommand>, StoreError> {
        self.inner.find_processed(tenant_id, key).await
    }
}

pub(super) struct SyncFixture {
    pub(super) pool: PgPool,
    bus: Arc<CommandDispatcher<FailingStore<PgEventStore<()>>>>,
    failure_mode: Arc<AtomicU8>,
    pub(super) tenant: TenantId,
    pub(super) proposal: ProposalId,
    pub(super) ann: UserId,
}

impl SyncFixture {
    pub(super) async fn new() -> Self {
        let pool = database().await;
        let when = Arc::new(AtomicU8::new(FAIL_NEVER));
        let store = FailingStore {
            inner: PgEventStore::new(pool.clone(), &PostgresConfig::default()),
            failure_mode: Arc::clone(&when),
        };
        let bus = Arc::new(CommandDispatcher::new(store, Arc::new(SystemClock)));
        let tenant = TenantId::try_new("acme").unwrap();
        let (proposal, ann) = (ProposalId::new(Uuid::new_v4()), UserId::try_new("ann").unwrap());
        let field = Self { pool, bus, failure_mode: when, tenant, proposal, ann };
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
            outline: ProposalOutline::default(),
            stamp: self.bus.stamp(&sender),
        };
        let id = proposal.to_string();
        self.bus.dispatch::<Proposal>(&sender, &id, &CommandPreconditions::default(), draft).await.unwrap();
    }

    fn sender(&self) -> CommandSender {
        CommandSender { caller: Caller::new(self.ann.clone(), self.tenant.clone()), authority: CallerAuthority::System }
    }

    pub(super) fn settling(&self) -> ProposalSync<FailingStore<PgEventStore<()>>> {
        ProposalSync::new(SharedTextStore::new(self.pool.clone()), Arc::clone(&self.bus))
    }

    /// Lets an editor write in a room, until that is on record as an update.
    pub(super) async fn write(&self, editor: &SharedText, text: &str) {
        let config =
            CollaborationConfig { quiet_ms: 3_600_000, at_latest_ms: 3_600_000, ..CollaborationConfig::default() };
        // Nobody is there: other processes are not needed to write.
        let peers = PeerChannelConfig { url: "redis://127.0.0.1:1".to_owned(), prefix: String::new() };
        let rooms = RoomManager::new(config, self.settling(), &peers).unwrap();
        let seat = rooms.join(&self.tenant, self.proposal, &self.ann).await.unwrap();
        let update = editor.rewrite_section(&SectionKey::try_new("approach").unwrap(), text).unwrap();
        let before = self.updates().await;
        seat.send_message(Message::Sync(SyncMessage::Update(update)).encode_v1(), true).await.unwrap();
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
        self.failure_mode.store(when, Ordering::SeqCst);
        self.settling().sync_now(&self.tenant, self.proposal).await
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
    let (field, editor) = (SyncFixture::new().await, SharedText::default());
    field.write(&editor, "We deliver.").await;
    field.settle(FAIL_BEFORE).await.unwrap_err();
    assert_eq!(field.recorded().await, Vec::<String>::new());
    field.settle(FAIL_NEVER).await.unwrap();
    assert_eq!(field.recorded().await, ["We deliver."]);
    field.settle(FAIL_NEVER).await.unwrap();
    assert_eq!(field.recorded().await, ["We deliver."]);
}

#[tokio::test]
async fn a_process_that_ends_after_the_command_is_on_record_has_doubled_nothing() {
    let (field, editor) = (SyncFixture::new().await, SharedText::default());
    field.write(&editor, "We deliver.").await;
    field.settle(FAIL_AFTER).await.unwrap_err();
    field.failure_mode.store(FAIL_NEVER, Ordering::SeqCst);
    // Others write on before anybody comes to what was left.
    field.write(&editor, "We deliver. Soon.").await;
    field.settle(FAIL_NEVER).await.unwrap();
    assert_eq!(field.recorded().await, ["We deliver.", "We deliver. Soon."]);
}

#[tokio::test]
async fn who_asks_for_what_was_written_waits_for_one_who_is_at_it() {
    let (field, editor) = (SyncFixture::new().await, SharedText::default());
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
    let (settled, ()) = tokio::join!(field.settle(FAIL_NEVER), ends);
    settled.unwrap();
    assert_eq!(field.recorded().await, ["We deliver."]);
}

#[tokio::test]
async fn nobody_can_take_over_a_text_of_another_company() {
    let field = SyncFixture::new().await;
    let peers = PeerChannelConfig { url: "redis://127.0.0.1:1".to_owned(), prefix: String::new() };
    let rooms = RoomManager::new(CollaborationConfig::default(), field.settling(), &peers).unwrap();
    let other = TenantId::try_new("evil").unwrap();
    let refused = rooms.join(&other, field.proposal, &field.ann).await.err();
    assert!(matches!(refused, Some(collaboration::TextError::NotFound)), "{refused:?}");
    let texts: i64 = sqlx::query_scalar("select count(*) from shared_texts").fetch_one(&field.pool).await.unwrap();
    assert_eq!(texts, 0, "nothing is made for what is not there");
}
