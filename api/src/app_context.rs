//! The application context: clients of all engines, created from the settings. They connect on first use.

mod absent_model;
mod active_read_models;
mod background_rebuilds;
mod backing_service;
mod document_texts;
mod embedding_model;
mod event_feed;
mod experiment_reports;
mod kafka_client;
mod pipeline_status;
mod registry_client;
mod service_findings;

use std::sync::Arc;

use collaboration::{PeerChannelConfig, ProposalSync, RoomManager, SharedTextStore, TextError};
use commands::{dispatcher::CommandDispatcher, feature_flags::FeatureFlags};
use domain::{clock::SystemClock, feature_flag::ConfiguredVariants};
use eventstore::{error::LogError, log::PgLogReader, store::PgEventStore};
use mail::{MailProjection, MailQueue};
use objects::{ObjectStore, ObjectsConfigError};
use processes::{InstanceStore, PROCESS_NAMES, all_process_projections};
use projections::{
    QueryError,
    opportunity_search::{Embedder, EmbeddingError},
    read_models::{ReadModels, projection_names},
    runtime::{AnyProjection, ControlError, ControlStore, Projection as _, ProjectionRuntime},
};
use proposal_generation::{PromptLibrary, PromptLibraryError};
use saved_search_matching::{MatchStore, SavedSearchMatching, SearchRegistry, SearchRegistryConfig};
use schemas::registry_client::{RegistryClientSetupError, SchemaRegistryClient};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use task_workers::{TaskQueue, TaskQueueProjection};

use self::{absent_model::AbsentModel, document_texts::DocumentTexts, kafka_client::KafkaClient};
pub use self::{
    active_read_models::{ActiveReadModels, UnknownReadModel},
    background_rebuilds::BackgroundRebuilds,
    backing_service::{BackingService, PingError, is_migrated, ping_postgres},
    embedding_model::load_embedding_model,
    event_feed::{EventFeed, FeedFollower},
    experiment_reports::ExperimentReportError,
    kafka_client::KafkaPingError,
    pipeline_status::{PipelineError, PipelineStatus, ProjectionRow, RelayRow},
    registry_client::{ListedSchema, ReadOnlyRegistryClient, RegisteredSchema, RegistryLookupError},
    service_findings::{ServiceFinding, UnusableCluster, UnusablePooler, refuse_unusable_pooler},
};
use crate::{
    config::{EngineConfig, HttpConfig},
    consistency_wait::ConsistencyWait,
    opportunity_lists::OpportunityListReader,
};

/// The clients of all engines and services. Cheap to clone.
#[derive(Clone)]
pub struct AppContext {
    /// Connection pool of the event store.
    pub pool: PgPool,
    /// Dispatches commands to aggregates.
    pub dispatcher: Arc<CommandDispatcher<PgEventStore<()>>>,
    /// Rooms of shared editing.
    pub rooms: Arc<RoomManager<PgEventStore<()>>>,
    /// The read models in their active generations.
    pub read_models: ActiveReadModels,
    /// Reads lists of opportunities.
    pub(crate) opportunity_lists: OpportunityListReader,
    /// Runs, rebuilds and verifies projections.
    pub runtime: Arc<ProjectionRuntime>,
    /// The same over a reserved connection, which other work cannot use up, for reports on the process.
    pub(crate) status_runtime: ProjectionRuntime,
    /// The instances of processes.
    pub process_instances: InstanceStore,
    /// The queue of tasks that workers claim from.
    pub task_queue: TaskQueue,
    /// The queue of mails to send.
    pub mail_queue: MailQueue,
    /// The feature flags: which variant of a behaviour a company has.
    pub flags: FeatureFlags,
    /// All versions of the prompt for sections of proposals.
    pub prompts: Arc<PromptLibrary>,
    /// The variants of experiments that the settings of this program name.
    pub configured_variants: Arc<ConfiguredVariants>,
    /// Maximum number of generations of one company at the same time.
    pub max_running_generations: u32,
    /// Feed of the events of the log, for subscriptions.
    pub event_feed: EventFeed,
    /// Runs rebuilds that are started over the API.
    pub rebuilds: BackgroundRebuilds,
    /// Looks up event schemas in the schema registry.
    pub registry_client: ReadOnlyRegistryClient,
    /// The event store, which loads and appends streams.
    pub event_store: PgEventStore<()>,
    /// Stores the files of documents.
    pub objects: ObjectStore,
    /// How queries wait for a read model that has not reached their consistency token.
    pub(crate) consistency_wait: ConsistencyWait,
    pub(crate) kafka_config: eventstore::topic::KafkaConfig,
    kafka: Arc<KafkaClient>,
    /// The database of the lists if it is not the event store's; for checks of its server only.
    lists_database: Option<PgPool>,
}

/// The error of a name that is neither a projection nor a process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no projection or process named {name}; there are {}", consumer_names().join(", "))]
pub struct UnknownProjection {
    /// The name.
    pub name: String,
}

/// Returns the names of everything that consumes events: projections, processes, the queues of tasks and mails.
pub fn consumer_names() -> Vec<&'static str> {
    projection_names()
        .into_iter()
        .chain(PROCESS_NAMES.iter().copied())
        .chain([TaskQueueProjection::NAME, MailProjection::NAME])
        .collect()
}

/// Why the application context could not be created. No connection has been attempted.
#[derive(Debug, thiserror::Error)]
pub enum AppContextError {
    /// The settings of the event log are invalid.
    #[error("setting up the event log")]
    Log(#[source] LogError),
    /// The settings of a read model are invalid.
    #[error("setting up a read model")]
    ReadModel(#[source] QueryError),
    /// The embedding model could not be loaded from `embedding.model_dir`.
    #[error("loading the embedding model; embedding.model_dir is its folder")]
    Model(#[source] EmbeddingError),
    /// The settings of shared editing are invalid.
    #[error("setting up shared editing")]
    Rooms(#[source] TextError),
    /// The settings of the object store are invalid.
    #[error("setting up the object store")]
    Objects(#[source] ObjectsConfigError),
    /// The prompts cannot be used.
    #[error("reading the prompts for proposals")]
    Prompts(#[source] PromptLibraryError),
    /// The URL of the schema registry is invalid.
    #[error("setting up the client of the schema registry")]
    Registry(#[source] RegistryLookupError),
    /// A file of `registry.tls` cannot be used.
    #[error("setting up the client that decodes events")]
    EventDecoding(#[source] RegistryClientSetupError),
    /// The URL of Redis is invalid, or a file of `redis.tls` cannot be used.
    #[error("setting up the Redis client")]
    Redis(#[source] redis::RedisError),
    /// The Kafka client rejects its settings.
    #[error("setting up the Kafka client")]
    Kafka(#[source] rdkafka::error::KafkaError),
}

/// A pool whose connections are only used to check their server. The client of the lists has refused an invalid URL.
fn open_checked_database(url: &str) -> Option<PgPool> {
    let options: PgConnectOptions = url.parse().ok()?;
    Some(PgPoolOptions::new().connect_lazy_with(options.extra_float_digits(None)))
}

impl AppContext {
    /// Creates the clients and loads the embedding model. `http` limits how queries wait until a read model has reached their
    /// consistency token.
    ///
    /// # Errors
    /// [`AppContextError`] when a setting is invalid or the embedding model cannot be loaded.
    pub async fn open_with_model(config: &EngineConfig, http: &HttpConfig) -> Result<Self, AppContextError> {
        let model = load_embedding_model(&config.embedding).await.map_err(AppContextError::Model)?;
        Self::with_model(config, http, Arc::new(model))
    }

    /// Creates the clients without an embedding model, for commands that embed nothing. Embedding fails.
    ///
    /// # Errors
    /// [`AppContextError`] when a setting is invalid.
    pub fn open_without_model(config: &EngineConfig, http: &HttpConfig) -> Result<Self, AppContextError> {
        Self::with_model(config, http, Arc::new(AbsentModel))
    }

    fn with_model(config: &EngineConfig, http: &HttpConfig, model: Arc<dyn Embedder>) -> Result<Self, AppContextError> {
        let (for_work, for_status) = config.postgres.split_off_status();
        let pool = eventstore::postgres::open_pool(&for_work).map_err(AppContextError::Log)?;
        let status_pool = eventstore::postgres::open_pool(&for_status).map_err(AppContextError::Log)?;
        let objects = ObjectStore::new(&config.objects).map_err(AppContextError::Objects)?;
        let mut models = ReadModels::new(config.storages(), model).map_err(AppContextError::ReadModel)?;
        models.search = models.search.with_text_source(Arc::new(DocumentTexts::new(objects.clone())));
        let (log, store) =
            (Arc::new(PgLogReader::new(pool.clone())), PgEventStore::<()>::new(pool.clone(), &config.postgres));
        let event_feed = EventFeed::new(log.clone(), models.change_feed.clone());
        let flags = FeatureFlags::new(log.clone(), config.flags.clone());
        let prompts = config.proposal_generation.load_prompts().map_err(AppContextError::Prompts)?;
        let runtime = ProjectionRuntime::new(
            ControlStore::new(pool.clone()),
            log,
            SchemaRegistryClient::new(&config.registry).map_err(AppContextError::EventDecoding)?,
            config.worker.clone(),
        );
        let status_log = Arc::new(PgLogReader::new(status_pool.clone()));
        let status_runtime = runtime.with_connections(ControlStore::new(status_pool), status_log);
        let runtime = Arc::new(runtime);
        let dispatcher = Arc::new(CommandDispatcher::new(store.clone(), Arc::new(SystemClock)));
        let proposal_sync = ProposalSync::new(SharedTextStore::new(pool.clone()), Arc::clone(&dispatcher));
        let peers = PeerChannelConfig {
            endpoint: config.redis.endpoint().map_err(AppContextError::Redis)?,
            prefix: config.redis.key_prefix.clone(),
        };
        let rooms =
            RoomManager::new(config.collaboration.clone(), proposal_sync, &peers).map_err(AppContextError::Rooms)?;
        Ok(Self {
            dispatcher,
            rooms: Arc::new(rooms),
            event_store: store,
            objects,
            consistency_wait: ConsistencyWait::new(http),
            read_models: ActiveReadModels::new(models),
            flags,
            configured_variants: Arc::new(ConfiguredVariants {
                prompt_versions: prompts.versions(),
                providers: vec![],
            }),
            prompts: Arc::new(prompts),
            max_running_generations: config.proposal_generation.max_running,
            event_feed,
            opportunity_lists: OpportunityListReader::new(Arc::clone(&runtime), config.lists.max_connections),
            rebuilds: BackgroundRebuilds::new(ProjectionRuntime::clone(&runtime)),
            process_instances: InstanceStore::new(pool.clone()),
            task_queue: TaskQueue::new(pool.clone()),
            mail_queue: MailQueue::new(pool.clone()),
            runtime,
            status_runtime,
            registry_client: ReadOnlyRegistryClient::new(&config.registry).map_err(AppContextError::Registry)?,
            kafka: Arc::new(KafkaClient::new(&config.kafka).map_err(AppContextError::Kafka)?),
            kafka_config: config.kafka.clone(),
            lists_database: config.lists.database_url.as_deref().and_then(open_checked_database),
            pool,
        })
    }

    /// Returns the projections of all read models, and [`Self::process_projections`].
    pub fn all_projections(&self) -> Vec<Arc<dyn AnyProjection>> {
        let mut projections = self.read_models.current().all_projections();
        projections.extend(self.process_projections());
        projections.push(self.matching_projection());
        projections
    }

    /// Returns the projections that feed events to processes, the task queue and the mail queue.
    pub fn process_projections(&self) -> Vec<Arc<dyn AnyProjection>> {
        let mut projections = all_process_projections(&self.process_instances);
        projections.push(Arc::new(TaskQueueProjection::new(self.task_queue.clone())));
        projections.push(Arc::new(MailProjection::new(self.mail_queue.clone())));
        projections
    }

    /// Returns the projection that matches opportunities against saved searches. It is separate from the read models'
    /// projections, because it needs the embedding model and Qdrant.
    pub fn matching_projection(&self) -> Arc<dyn AnyProjection> {
        let search = self.read_models.current().search.clone();
        let registry =
            SearchRegistry::new(self.pool.clone(), Arc::clone(&self.runtime), search, SearchRegistryConfig::default());
        let store = MatchStore::new(self.pool.clone(), self.process_instances.clone());
        Arc::new(SavedSearchMatching::new(registry, store))
    }

    /// Returns the projection or process named `name`.
    ///
    /// # Errors
    /// [`UnknownProjection`] if there is none.
    pub fn find_projection(&self, name: &str) -> Result<Arc<dyn AnyProjection>, UnknownProjection> {
        let found = self.all_projections().into_iter().find(|projection| projection.name() == name);
        found.ok_or_else(|| UnknownProjection { name: name.to_owned() })
    }

    /// Returns the projections that were switched last, which are those that a rollback without names switches back.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn last_switched_projections(&self) -> Result<Vec<Arc<dyn AnyProjection>>, ControlError> {
        let pointer = self.runtime.control().load_pointer().await?;
        let mut projections = self.read_models.current().all_projections();
        projections.retain(|projection| pointer.moved.iter().any(|moved| moved == projection.name()));
        Ok(projections)
    }
}
