//! Companies, searches and notices in a database of the test's own, with the matching and the runner of its process.

use std::{sync::Arc, time::Duration};

use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    precondition::CommandPreconditions,
};
use domain::{
    clock::SystemClock,
    company::{Company, CompanyCommand, CompanyName, Role},
    context::BoundedContext,
    envelope::RawEnvelope,
    log_reader::LogReader as _,
    opportunity::{
        Agency, NaicsCode, Notice, NoticeDetails, NoticeId, NoticeSource, NoticeType, Opportunity, OpportunityCommand,
    },
    value::{TenantId, UserId},
    watchlist::{
        NotificationFrequency, SavedSearch, SearchCriteria, SearchId, SearchName, SearchText, Watchlist,
        WatchlistCommand,
    },
};
use eventstore::{log::PgLogReader, postgres::PostgresConfig, store::PgEventStore};
use processes::{InstanceQuery, InstanceStore, ProcessRunner, ProcessRunnerConfig, all_processes};
use projections::{
    opportunity_search::OpportunitySearch,
    runtime::{ConsumerConfig, ControlStore, Projection as _, ProjectionRuntime},
};
use saved_search_matching::{MatchStore, SavedSearchMatching, SearchRegistry, SearchRegistryConfig};
use schemas::registry_client::SchemaRegistryClient;
use sqlx::PgPool;
use tests::database;
use uuid::Uuid;

/// The write side, the matching and the process, without Kafka: tests deliver the events of the log themselves.
pub(super) struct MatchingFixture {
    pub(super) pool: PgPool,
    pub(super) search: OpportunitySearch,
    dispatcher: Arc<CommandDispatcher<PgEventStore<()>>>,
    instances: InstanceStore,
    log: PgLogReader,
}

/// A notice about an opportunity of the same number.
pub(super) fn notice(number: &str, title: &str, naics: &str, day: u32) -> Notice {
    Notice {
        notice_id: NoticeId::try_new(&format!("{number}-{day}")).unwrap(),
        source: NoticeSource::SamCsv,
        posted_at: format!("2026-03-{day:02}T12:00:00Z").parse().unwrap(),
        details: NoticeDetails {
            solicitation_number: Some(number.to_owned()),
            naics: Some(NaicsCode::try_new(naics).unwrap()),
            active: Some(true),
            ..NoticeDetails::new(
                title.to_owned(),
                NoticeType::try_new("Solicitation").unwrap(),
                Agency::from_name("VETERANS AFFAIRS, DEPARTMENT OF").unwrap(),
            )
        },
        award: None,
    }
}

pub(super) fn naics_criteria(code: &str) -> SearchCriteria {
    SearchCriteria { naics: [NaicsCode::try_new(code).unwrap()].into(), ..SearchCriteria::default() }
}

pub(super) fn text_criteria(text: &str) -> SearchCriteria {
    SearchCriteria { text: Some(SearchText::try_new(text).unwrap()), ..SearchCriteria::default() }
}

fn program_sender(tenant: &TenantId) -> CommandSender {
    CommandSender {
        caller: Caller::new(UserId::from_program("test"), tenant.clone()),
        authority: CallerAuthority::System,
    }
}

fn tenant(name: &str) -> TenantId {
    TenantId::try_new(name).unwrap()
}

impl MatchingFixture {
    pub(super) async fn create() -> Self {
        let pool = database().await;
        let event_store = PgEventStore::new(pool.clone(), &PostgresConfig::default());
        Self {
            dispatcher: Arc::new(CommandDispatcher::new(event_store, Arc::new(SystemClock))),
            instances: InstanceStore::new(pool.clone()),
            search: tests::search().await,
            log: PgLogReader::new(pool.clone()),
            pool,
        }
    }

    /// A matching as a program starts it: with an empty registry.
    pub(super) fn start_matching(&self) -> SavedSearchMatching {
        SavedSearchMatching::new(self.create_registry(), self.match_store())
    }

    pub(super) fn match_store(&self) -> MatchStore {
        MatchStore::new(self.pool.clone(), self.instances.clone())
    }

    /// An empty registry, which builds its queries again however small the collection is.
    pub(super) fn create_registry(&self) -> SearchRegistry {
        let runtime = ProjectionRuntime::new(
            ControlStore::new(self.pool.clone()),
            Arc::new(PgLogReader::new(self.pool.clone())),
            SchemaRegistryClient::new(&schemas::registry_client::RegistryConfig::default()).unwrap(),
            ConsumerConfig::default(),
        );
        let config = SearchRegistryConfig { statistics_interval: Duration::ZERO, min_opportunities: 0 };
        SearchRegistry::new(self.pool.clone(), Arc::new(runtime), self.search.clone(), config)
    }

    pub(super) async fn register_company(&self, name: &str, members: &[&'static str]) {
        let (sender, none) = (program_sender(&tenant(name)), CommandPreconditions::default());
        let stamp = self.dispatcher.stamp(&sender);
        let register = CompanyCommand::Register {
            name: CompanyName::try_new(name).unwrap(),
            founder: UserId::from_program("founder"),
            stamp,
        };
        self.dispatcher.dispatch::<Company>(&sender, "", &none, register).await.unwrap();
        for user in members {
            self.add_member(name, user).await;
        }
    }

    pub(super) async fn add_member(&self, name: &str, user: &'static str) {
        let (sender, none) = (program_sender(&tenant(name)), CommandPreconditions::default());
        let (user, stamp) = (UserId::from_program(user), self.dispatcher.stamp(&sender));
        let add = CompanyCommand::AddMember { user, role: Role::Viewer, stamp };
        self.dispatcher.dispatch::<Company>(&sender, "", &none, add).await.unwrap();
    }

    pub(super) async fn remove_member(&self, name: &str, user: &'static str) {
        let (sender, none) = (program_sender(&tenant(name)), CommandPreconditions::default());
        let remove =
            CompanyCommand::RemoveMember { user: UserId::from_program(user), stamp: self.dispatcher.stamp(&sender) };
        self.dispatcher.dispatch::<Company>(&sender, "", &none, remove).await.unwrap();
    }

    /// Saves a search under this number, or replaces it.
    pub(super) async fn save_search(
        &self,
        (name, user): (&str, &str),
        number: u128,
        criteria: SearchCriteria,
        notify: NotificationFrequency,
    ) {
        let search = SavedSearch { name: SearchName::try_new(&format!("Search {number}")).unwrap(), criteria, notify };
        let search_id = SearchId::new(Uuid::from_u128(number));
        let command = WatchlistCommand::SaveSearch { search_id, search, at: self.dispatcher.now() };
        self.change_watchlist(name, user, command).await;
    }

    pub(super) async fn remove_search(&self, (name, user): (&str, &str), number: u128) {
        let search_id = SearchId::new(Uuid::from_u128(number));
        self.change_watchlist(name, user, WatchlistCommand::RemoveSearch { search_id, at: self.dispatcher.now() })
            .await;
    }

    async fn change_watchlist(&self, name: &str, user: &str, command: WatchlistCommand) {
        let (sender, none) = (program_sender(&tenant(name)), CommandPreconditions::default());
        self.dispatcher.dispatch::<Watchlist>(&sender, user, &none, command).await.unwrap();
    }

    pub(super) async fn record_notice(&self, notice: Notice) {
        let (sender, none) = (program_sender(&TenantId::public()), CommandPreconditions::default());
        let id = notice.opportunity_id();
        let command = OpportunityCommand::RecordNotice(Box::new(notice));
        self.dispatcher.dispatch::<Opportunity>(&sender, id.as_str(), &none, command).await.unwrap();
    }

    /// All events of the log, in order.
    pub(super) async fn events(&self) -> Vec<RawEnvelope> {
        let fence = self.log.load_fence().await.unwrap();
        let (mut events, mut position) = (vec![], 0);
        loop {
            let page = self.log.load_after(position, fence, 1_000).await.unwrap();
            let Some(last) = page.last() else { return events };
            position = last.position;
            events.extend(page);
        }
    }

    /// Delivers the events of the contexts that the matching consumes, as one batch, and sends what follows.
    pub(super) async fn deliver(&self, matching: &SavedSearchMatching, events: &[RawEnvelope]) {
        self.apply(matching, events).await;
        self.send_commands().await;
    }

    /// Delivers the events of the contexts that the matching consumes, as one batch.
    pub(super) async fn apply(&self, matching: &SavedSearchMatching, events: &[RawEnvelope]) {
        let is_subscribed = |event: &&RawEnvelope| {
            let context = BoundedContext::from_aggregate_type(&event.aggregate_type).unwrap();
            SavedSearchMatching::subscribed_contexts().contains(&context)
        };
        let changes: Vec<_> = events
            .iter()
            .filter(is_subscribed)
            .flat_map(|event| SavedSearchMatching::project(event).unwrap())
            .collect();
        matching.apply(&changes).await.unwrap();
    }

    /// Delivers all events of the log.
    pub(super) async fn deliver_all(&self, matching: &SavedSearchMatching) {
        self.deliver(matching, &self.events().await).await;
    }

    /// Sends pending commands and fires due timers until nothing is due.
    pub(super) async fn send_commands(&self) {
        let config = ProcessRunnerConfig::default();
        let runner = ProcessRunner::new(self.instances.clone(), Arc::clone(&self.dispatcher), all_processes(), config);
        tests::eventually(async || {
            while runner.run_once().await.unwrap() > 0 {}
            let pending = sqlx::query_scalar::<_, i64>("select count(*) from process_commands");
            match pending.fetch_one(&self.pool).await.unwrap() {
                0 => Ok(()),
                count => Err(format!("{count} commands are pending")),
            }
        })
        .await;
    }

    /// Ends the hour of all open alerts.
    pub(super) async fn end_hour(&self) {
        self.execute("update process_timers set due_at = now()").await;
        self.send_commands().await;
    }

    /// Cancels all open instances, as an operator does.
    pub(super) async fn cancel_open_alerts(&self) {
        let query = InstanceQuery { limit: 100, ..InstanceQuery::default() };
        for row in self.instances.list_instances(&query).await.unwrap() {
            let process = all_processes().into_iter().find(|process| process.name() == row.process).unwrap();
            self.instances.cancel_instance(process.as_ref(), &row.key, "test").await.unwrap();
        }
    }

    /// Inbox and title of each notification, in the order of the log.
    pub(super) async fn notifications(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select aggregate_id || ' ' || (payload -> 'notification' ->> 'title')
             from events where event_type = 'inbox.notified' order by position",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// A number that a statement selects.
    pub(super) async fn count(&self, statement: &str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.pool).await.unwrap()
    }

    pub(super) async fn execute(&self, statement: &str) {
        sqlx::query(statement).execute(&self.pool).await.unwrap();
    }
}
