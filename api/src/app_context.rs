//! The clients of every store, opened from the settings; no connection is made before it is needed.

mod absent_model;
mod active_read_models;
mod background_rebuilds;
mod backing_service;
mod event_feed;
mod kafka_client;
mod pipeline_status;
mod registry_client;
mod service_findings;
mod store_counts;

use std::sync::Arc;

use collaboration::{PeerChannelConfig, ProposalSync, RoomManager, SharedTextStore, TextError};
use commands::{dispatcher::CommandDispatcher, opportunity::OpportunityService};
use domain::{clock::SystemClock, opportunity::Opportunity};
use eventstore::{error::LogError, log::PgLogReader, store::PgEventStore};
use projections::{
    QueryError,
    change_feed::ChangeFeed,
    opportunity_analytics::OpportunityAnalytics,
    opportunity_search::{Embedder, EmbeddingConfig, EmbeddingError, OpportunitySearch, StaticModel},
    opportunity_views::OpportunityViews,
    read_models::ReadModels,
    response_cache::ResponseCache,
    runtime::{AnyProjection, ControlError, ControlStore, ProjectionRuntime},
    tenant_views::TenantViews,
};
use schemas::registry_client::SchemaRegistryClient;
use sqlx::PgPool;

use self::{absent_model::AbsentModel, kafka_client::KafkaClient};
pub use self::{
    active_read_models::{ActiveReadModels, UnknownProjection, UnknownReadModel},
    background_rebuilds::BackgroundRebuilds,
    backing_service::{BackingService, PingError, is_migrated, ping_postgres},
    event_feed::{EventFeed, FeedFollower},
    pipeline_status::{PipelineError, PipelineStatus, ProjectionRow, RelayRow},
    registry_client::{ReadOnlyRegistryClient, RegisteredSchema, RegistryLookupError},
    service_findings::ServiceFinding,
    store_counts::{CountError, StoreCounts},
};
use crate::{
    config::{HttpConfig, MedhubConfig},
    graphql::GraphQl,
    object_store::ObjectStore,
};

/// Commands on opportunities, decided over the log in Postgres.
pub type PgOpportunities = Arc<OpportunityService<PgEventStore<Opportunity>>>;

/// The clients of every store.
#[derive(Clone)]
pub struct AppContext {
    /// The log of events.
    pub pool: PgPool,
    /// Commands on opportunities.
    pub opportunities: PgOpportunities,
    /// Commands on what tenants own.
    pub dispatcher: Arc<CommandDispatcher<PgEventStore<()>>>,
    /// The rooms where proposals are written together.
    pub rooms: Arc<RoomManager<PgEventStore<()>>>,
    /// The read models, in the generations that readers see.
    pub read_models: ActiveReadModels,
    /// What keeps them up to date, rebuilds and compares them.
    pub runtime: Arc<ProjectionRuntime>,
    /// The events of the log as they come.
    pub event_feed: EventFeed,
    /// Rebuilds that are asked for over the API.
    pub rebuilds: BackgroundRebuilds,
    /// The shapes of events.
    pub registry_client: ReadOnlyRegistryClient,
    /// The log, as commands see it.
    pub event_store: PgEventStore<()>,
    /// Files of documents.
    pub objects: ObjectStore,
    /// How long a query waits for a read model that is behind its consistency token.
    pub consistency_wait: std::time::Duration,
    kafka: Arc<KafkaClient>,
    kafka_config: eventstore::topic::KafkaConfig,
}

/// Why the clients cannot be made; nothing was connected to yet.
#[derive(Debug, thiserror::Error)]
pub enum AppContextError {
    /// The settings of the log or of Kafka are unusable.
    #[error("setting up the event log")]
    Log(#[source] LogError),
    /// The settings of a read model are unusable.
    #[error("setting up a read model")]
    ReadModel(#[source] QueryError),
    /// The model that tells meanings is not where the settings say.
    #[error("loading the embedding model; embedding.model_dir names its folder")]
    Model(#[source] EmbeddingError),
    /// The settings of writing together are unusable.
    #[error("setting up the rooms where proposals are written together")]
    Rooms(#[source] TextError),
    /// The address of the schema registry is none.
    #[error("setting up the client of the schema registry")]
    Registry(#[source] RegistryLookupError),
    /// The Kafka client refuses its settings.
    #[error("setting up the Kafka client")]
    Kafka(#[source] rdkafka::error::KafkaError),
}

impl AppContext {
    /// Makes the clients and loads the embedding model.
    ///
    /// # Errors
    /// [`AppContextError`] when a setting is unusable or the embedding model is not there.
    pub async fn open_with_model(config: &MedhubConfig) -> Result<Self, AppContextError> {
        Self::with_model(config, Arc::new(load_embedding_model(&config.embedding).await?))
    }

    /// Makes the clients for commands that embed nothing: they work where the model is not there.
    ///
    /// # Errors
    /// [`AppContextError`] when a setting is unusable.
    pub fn open_without_model(config: &MedhubConfig) -> Result<Self, AppContextError> {
        Self::with_model(config, Arc::new(AbsentModel))
    }

    fn with_model(config: &MedhubConfig, model: Arc<dyn Embedder>) -> Result<Self, AppContextError> {
        let pool = eventstore::postgres::open_pool(&config.postgres).map_err(AppContextError::Log)?;
        let models = ReadModels {
            analytics: OpportunityAnalytics::new(&config.clickhouse).map_err(AppContextError::ReadModel)?,
            search: OpportunitySearch::new(&config.qdrant, model).map_err(AppContextError::ReadModel)?,
            opportunity_views: OpportunityViews::new(&config.redis).map_err(AppContextError::ReadModel)?,
            tenant_views: TenantViews::new(&config.redis).map_err(AppContextError::ReadModel)?,
            change_feed: ChangeFeed::new(&config.redis).map_err(AppContextError::ReadModel)?,
            response_cache: ResponseCache::new(&config.redis).map_err(AppContextError::ReadModel)?,
        };
        let (log, store) =
            (Arc::new(PgLogReader::new(pool.clone())), PgEventStore::<()>::new(pool.clone(), &config.postgres));
        let feed = EventFeed::new(log.clone(), models.change_feed.clone());
        let runtime = ProjectionRuntime::new(
            ControlStore::new(pool.clone()),
            log,
            SchemaRegistryClient::new(&config.registry),
            config.worker.clone(),
        );
        let bus = Arc::new(CommandDispatcher::new(store.clone(), Arc::new(SystemClock)));
        let settling = ProposalSync::new(SharedTextStore::new(pool.clone()), Arc::clone(&bus));
        let peers = PeerChannelConfig { url: config.redis.url.clone(), prefix: config.redis.key_prefix.clone() };
        let rooms = RoomManager::new(config.collaboration.clone(), settling, &peers).map_err(AppContextError::Rooms)?;
        Ok(Self {
            opportunities: Arc::new(OpportunityService::new(store.store_for(), Arc::new(SystemClock))),
            dispatcher: bus,
            rooms: Arc::new(rooms),
            event_store: store,
            objects: ObjectStore::new(&config.objects),
            consistency_wait: config.http.consistency_wait(),
            read_models: ActiveReadModels::new(models),
            event_feed: feed,
            rebuilds: BackgroundRebuilds::new(runtime.clone()),
            runtime: Arc::new(runtime),
            registry_client: ReadOnlyRegistryClient::new(&config.registry).map_err(AppContextError::Registry)?,
            kafka: Arc::new(KafkaClient::new(&config.kafka).map_err(AppContextError::Kafka)?),
            kafka_config: config.kafka.clone(),
            pool,
        })
    }

    /// The projections whose generation was switched last: those that can go back.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn last_switched_projections(&self) -> Result<Vec<Arc<dyn AnyProjection>>, ControlError> {
        let pointer = self.runtime.control().load_pointer().await?;
        let mut projections = self.read_models.current().all_projections();
        projections.retain(|projection| pointer.moved.iter().any(|moved| moved == projection.name()));
        Ok(projections)
    }

    /// How many opportunities a caller of GraphQL is told there are.
    async fn count_graphql_opportunities(&self) -> Result<u64, CountError> {
        let graphql = GraphQl::new(self, &HttpConfig::default());
        graphql.query_total_count().await.map_err(CountError::GraphQl)
    }
}

/// Loads the model where it may block.
///
/// # Errors
/// [`AppContextError::Model`] when it is not where the settings say.
pub async fn load_embedding_model(config: &EmbeddingConfig) -> Result<StaticModel, AppContextError> {
    let folder = config.model_dir.clone();
    match tokio::task::spawn_blocking(move || StaticModel::load(&folder)).await {
        Ok(loaded) => loaded.map_err(AppContextError::Model),
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}
