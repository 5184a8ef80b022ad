//! A process that ends between the steps of proposal sync: no edit is lost or recorded twice.

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
    event_store::{AggregateStores, CommandBatchStore, DecidedCommand, IdempotencyStore, ProcessedCommand, StoreError},
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

/// Values of the failure mode: when an append fails.
const FAIL_NEVER: u8 = 0;
const FAIL_BEFORE: u8 = 1;
const FAIL_AFTER: u8 = 2;

/// A store whose appends of commands fail before or after they are done, as if the process ended there.
#[derive(Clone)]
pub(super) struct FailingStore<S> {
    inner: S,
    failure_mode: Arc<AtomicU8>,
}

fn append_failure<E: std::error::Error>() -> AggregateError<E> {
    AggregateError::DatabaseConnectionError("the process ended here".into())
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
        self.inner.commit(events, context, metadata).await
    }
}

impl<A: Aggregate + Fingerprint> CommandBatchStore<A> for FailingStore<PgEventStore<A>> {
    async fn append_commands(
        &self,
        id: &str,
        current_sequence: usize,
        commands: Vec<DecidedCommand<A::Event>>,
    ) -> Result<(), AggregateError<A::Error>> {
        let failure_mode = self.failure_mode.load(Ordering::SeqCst);
        if failure_mode == FAIL_BEFORE {
            return Err(append_failure());
        }
        self.inner.append_commands(id, current_sequence, commands).await?;
        if failure_mode == FAIL_AFTER { Err(append_failure()) } else { Ok(()) }
    }
}

impl<A: Aggregate + Fingerprint> IdempotencyStore for FailingStore<PgEventStore<A>> {
    async fn find_processed(
        &self,
        tenant_id: &str,
        keys: &[&str],
    ) -> Result<HashMap<String, ProcessedCommand>, StoreError> {
        self.inner.find_processed(tenant_id, keys).await
    }
}

pub(super) struct SyncFixture {
    pub(super) pool: PgPool,
    dispatcher: Arc<CommandDispatcher<FailingStore<PgEventStore<()>>>>,
    failure_mode: Arc<AtomicU8>,
    pub(super) tenant: TenantId,
    pub(super) proposal: ProposalId,
    pub(super) ann: UserId,
}

impl SyncFixture {
    pub(super) async fn new() -> Self {
        let pool = database().await;
        let failure_mode = Arc::new(AtomicU8::new(FAIL_NEVER));
        let store = FailingStore {
            inner: PgEventStore::new(pool.clone(), &PostgresConfig::default()),
            failure_mode: Arc::clone(&failure_mode),
        };
        let dispatcher = Arc::new(CommandDispatcher::new(store, Arc::new(SystemClock)));
        let tenant = TenantId::try_new("acme").unwrap();
        let (proposal, ann) = (ProposalId::new(Uuid::new_v4()), UserId::try_new("ann").unwrap());
        let fixture = Self { pool, dispatcher, failure_mode, tenant, proposal, ann };
        fixture.draft_proposal(proposal).await;
        fixture
    }

    /// Drafts another proposal of the same company.
    pub(super) async fn draft_another_proposal(&self) -> ProposalId {
        let proposal = ProposalId::new(Uuid::new_v4());
        self.draft_proposal(proposal).await;
        proposal
    }

    async fn draft_proposal(&self, proposal: ProposalId) {
        let sender = self.sender();
        let draft = ProposalCommand::Draft {
            opportunity_id: OpportunityId::parse("036:36C10G26R0005").unwrap(),
            title: ProposalTitle::try_new("Lifts").unwrap(),
            outline: ProposalOutline::default(),
            stamp: self.dispatcher.stamp(&sender),
        };
        let id = proposal.to_string();
        self.dispatcher.dispatch::<Proposal>(&sender, &id, &CommandPreconditions::default(), draft).await.unwrap();
    }

    fn sender(&self) -> CommandSender {
        CommandSender { caller: Caller::new(self.ann.clone(), self.tenant.clone()), authority: CallerAuthority::System }
    }

    pub(super) fn proposal_sync(&self) -> ProposalSync<FailingStore<PgEventStore<()>>> {
        ProposalSync::new(SharedTextStore::new(self.pool.clone()), Arc::clone(&self.dispatcher))
    }

    /// Writes an edit in a room, and waits until it is stored as an update.
    pub(super) async fn write_edit(&self, editor: &SharedText, text: &str) {
        let config =
            CollaborationConfig { quiet_ms: 3_600_000, at_latest_ms: 3_600_000, ..CollaborationConfig::default() };
        // No Redis listens there: the channel to other processes is not needed for writing.
        let peers = PeerChannelConfig { endpoint: tests::redis_away().endpoint().unwrap(), prefix: String::new() };
        let rooms = RoomManager::new(config, self.proposal_sync(), &peers).unwrap();
        let connection = rooms.join(&self.tenant, self.proposal, &self.ann).await.unwrap();
        let update = editor.rewrite_section(&SectionKey::try_new("approach").unwrap(), text).unwrap();
        let before = self.count_updates().await;
        connection.send_message(Message::Sync(SyncMessage::Update(update)).encode_v1(), true).await.unwrap();
        eventually(async || {
            anyhow::ensure!(self.count_updates().await > before);
            anyhow::Ok(())
        })
        .await;
    }

    async fn count_updates(&self) -> i64 {
        sqlx::query_scalar("select coalesce(max(seq), 0) from shared_texts").fetch_one(&self.pool).await.unwrap()
    }

    async fn sync_with_failure(&self, failure_mode: u8) -> Result<(), collaboration::TextError> {
        self.failure_mode.store(failure_mode, Ordering::SeqCst);
        self.proposal_sync().sync_now(&self.tenant, self.proposal).await
    }

    /// The section's content after each recorded event.
    pub(super) async fn read_recorded_contents(&self) -> Vec<String> {
        let contents =
            "select payload ->> 'content' from events where event_type = 'proposal.section_edited' order by position";
        sqlx::query_scalar(contents).fetch_all(&self.pool).await.unwrap()
    }
}

#[tokio::test]
async fn a_process_that_ends_before_the_command_is_recorded_loses_no_edit() {
    let (fixture, editor) = (SyncFixture::new().await, SharedText::default());
    fixture.write_edit(&editor, "We deliver.").await;
    fixture.sync_with_failure(FAIL_BEFORE).await.unwrap_err();
    assert_eq!(fixture.read_recorded_contents().await, Vec::<String>::new());
    fixture.sync_with_failure(FAIL_NEVER).await.unwrap();
    assert_eq!(fixture.read_recorded_contents().await, ["We deliver."]);
    fixture.sync_with_failure(FAIL_NEVER).await.unwrap();
    assert_eq!(fixture.read_recorded_contents().await, ["We deliver."]);
}

#[tokio::test]
async fn a_process_that_ends_after_the_command_is_recorded_records_no_edit_twice() {
    let (fixture, editor) = (SyncFixture::new().await, SharedText::default());
    fixture.write_edit(&editor, "We deliver.").await;
    fixture.sync_with_failure(FAIL_AFTER).await.unwrap_err();
    fixture.failure_mode.store(FAIL_NEVER, Ordering::SeqCst);
    // Others write before the interrupted sync is continued.
    fixture.write_edit(&editor, "We deliver. Soon.").await;
    fixture.sync_with_failure(FAIL_NEVER).await.unwrap();
    assert_eq!(fixture.read_recorded_contents().await, ["We deliver.", "We deliver. Soon."]);
}

#[tokio::test]
async fn a_sync_waits_for_another_session_that_holds_the_lock_of_the_text() {
    let (fixture, editor) = (SyncFixture::new().await, SharedText::default());
    fixture.write_edit(&editor, "We deliver.").await;
    let mut other = fixture.pool.begin().await.unwrap();
    let name = format!("shared text\n{}\n{}", fixture.tenant, fixture.proposal);
    let take_lock = "select pg_try_advisory_xact_lock(hashtextextended($1, 0))";
    let is_held: bool = sqlx::query_scalar(take_lock).bind(name).fetch_one(&mut *other).await.unwrap();
    assert!(is_held);
    let release_lock = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.rollback().await.unwrap();
    };
    let (synced, ()) = tokio::join!(fixture.sync_with_failure(FAIL_NEVER), release_lock);
    synced.unwrap();
    assert_eq!(fixture.read_recorded_contents().await, ["We deliver."]);
}

#[tokio::test]
async fn a_room_of_another_companys_proposal_is_not_found() {
    let fixture = SyncFixture::new().await;
    let peers = PeerChannelConfig { endpoint: tests::redis_away().endpoint().unwrap(), prefix: String::new() };
    let rooms = RoomManager::new(CollaborationConfig::default(), fixture.proposal_sync(), &peers).unwrap();
    let other = TenantId::try_new("evil").unwrap();
    let refused = rooms.join(&other, fixture.proposal, &fixture.ann).await.err();
    assert!(matches!(refused, Some(collaboration::TextError::NotFound)), "{refused:?}");
    let texts: i64 = sqlx::query_scalar("select count(*) from shared_texts").fetch_one(&fixture.pool).await.unwrap();
    assert_eq!(texts, 0, "no shared text is created for a missing proposal");
}
