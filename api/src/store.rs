//! The clients of every store, opened from the settings; no connection is made before it is needed.

mod absent_model;
mod count;
mod engine;
mod feed;
mod findings;
mod kafka;
mod live;
mod pipeline;
mod rebuilds;
mod registry;

use std::sync::Arc;

use collaboration::{PeersConfig, PgTexts, Rooms, Settling, TextError};
use commands::{bus::Bus, opportunity::Opportunities};
use domain::{clock::SystemClock, opportunity::Opportunity};
use eventstore::{error::LogError, reader::PgLog, store::PgStore};
use projections::{
    QueryError,
    analytics::Analytics,
    answers::Answers,
    catalog::ReadModels,
    live::Live,
    runtime::{AnyProjection, Control, ControlError, Runtime},
    search::{Embedder, EmbeddingConfig, EmbeddingError, Search, StaticModel},
    views::Views,
    workspace::Workspace,
};
use schemas::registry::Registry;
use sqlx::PgPool;

use self::{absent_model::AbsentModel, kafka::KafkaClient};
pub use self::{
    count::{CountError, Counts},
    engine::{Engine, PingError, is_migrated, reach_postgres},
    feed::{Feed, Follower},
    findings::Finding,
    live::{LiveModels, UnknownProjection, UnknownReadModel},
    pipeline::{Pipeline, PipelineError, ProjectionRow, RelayRow},
    rebuilds::Rebuilds,
    registry::{AskError, Known, RegistryClient},
};
use crate::{
    config::{Config, HttpConfig},
    graphql::GraphQl,
    objects::Objects,
};

/// Commands on opportunities, decided over the log in Postgres.
pub type PgOpportunities = Arc<Opportunities<PgStore<Opportunity>>>;

/// The clients of every store.
#[derive(Clone)]
pub struct Stores {
    /// The log of events.
    pub pool: PgPool,
    /// Commands on opportunities.
    pub opportunities: PgOpportunities,
    /// Commands on what tenants own.
    pub bus: Arc<Bus<PgStore<()>>>,
    /// The rooms where proposals are written together.
    pub rooms: Arc<Rooms<PgStore<()>>>,
    /// The read models, in the generations that readers see.
    pub live: LiveModels,
    /// What keeps them up to date, rebuilds and compares them.
    pub runtime: Arc<Runtime>,
    /// The events of the log as they come.
    pub feed: Feed,
    /// Rebuilds that are asked for over the API.
    pub rebuilds: Rebuilds,
    /// The shapes of events.
    pub registry: RegistryClient,
    /// The log, as commands see it.
    pub store: PgStore<()>,
    /// Files of documents.
    pub objects: Objects,
    /// How long a query waits for a read model that is behind its consistency token.
    pub consistency_wait: std::time::Duration,
    kafka: Arc<KafkaClient>,
    kafka_config: eventstore::topic::KafkaConfig,
}

/// Why the clients cannot be made; nothing was connected to yet.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
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
    Registry(#[source] AskError),
    /// The Kafka client refuses its settings.
    #[error("setting up the Kafka client")]
    Kafka(#[source] rdkafka::error::KafkaError),
}

impl Stores {
    /// Makes the clients and loads the embedding model.
    ///
    /// # Errors
    /// [`OpenError`] when a setting is unusable or the embedding model is not there.
    pub async fn open(config: &Config) -> Result<Self, OpenError> {
        Self::with_model(config, Arc::new(load_model(&config.embedding).await?))
    }

    /// Makes the clients for commands that embed nothing: they work where the model is not there.
    ///
    /// # Errors
    /// [`OpenError`] when a setting is unusable.
    pub fn open_without_model(config: &Config) -> Result<Self, OpenError> {
        Self::with_model(config, Arc::new(AbsentModel))
    }

    fn with_model(config: &Config, model: Arc<dyn Embedder>) -> Result<Self, OpenError> {
        let pool = eventstore::postgres::open(&config.postgres).map_err(OpenError::Log)?;
        let models = ReadModels {
            analytics: Analytics::new(&config.clickhouse).map_err(OpenError::ReadModel)?,
            search: Search::new(&config.qdrant, model).map_err(OpenError::ReadModel)?,
            views: Views::new(&config.redis).map_err(OpenError::ReadModel)?,
            workspace: Workspace::new(&config.redis).map_err(OpenError::ReadModel)?,
            live: Live::new(&config.redis).map_err(OpenError::ReadModel)?,
            answers: Answers::new(&config.redis).map_err(OpenError::ReadModel)?,
        };
        let (log, store) = (Arc::new(PgLog::new(pool.clone())), PgStore::<()>::new(pool.clone(), &config.postgres));
        let feed = Feed::new(log.clone(), models.live.clone());
        let runtime =
            Runtime::new(Control::new(pool.clone()), log, Registry::new(&config.registry), config.worker.clone());
        let bus = Arc::new(Bus::new(store.clone(), Arc::new(SystemClock)));
        let settling = Settling::new(PgTexts::new(pool.clone()), Arc::clone(&bus));
        let peers = PeersConfig { url: config.redis.url.clone(), prefix: config.redis.key_prefix.clone() };
        let rooms = Rooms::new(config.collaboration.clone(), settling, &peers).map_err(OpenError::Rooms)?;
        Ok(Self {
            opportunities: Arc::new(Opportunities::new(store.of(), Arc::new(SystemClock))),
            bus,
            rooms: Arc::new(rooms),
            store,
            objects: Objects::new(&config.objects),
            consistency_wait: config.http.consistency_wait(),
            live: LiveModels::new(models),
            feed,
            rebuilds: Rebuilds::new(runtime.clone()),
            runtime: Arc::new(runtime),
            registry: RegistryClient::new(&config.registry).map_err(OpenError::Registry)?,
            kafka: Arc::new(KafkaClient::new(&config.kafka).map_err(OpenError::Kafka)?),
            kafka_config: config.kafka.clone(),
            pool,
        })
    }

    /// The projections whose generation was switched last: those that can go back.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn switched_last(&self) -> Result<Vec<Arc<dyn AnyProjection>>, ControlError> {
        let pointer = self.runtime.control().pointer().await?;
        let mut projections = self.live.now().all();
        projections.retain(|projection| pointer.moved.iter().any(|moved| moved == projection.name()));
        Ok(projections)
    }

    /// How many opportunities a caller of GraphQL is told there are.
    async fn total_count(&self) -> Result<u64, CountError> {
        let graphql = GraphQl::new(self, &HttpConfig::default());
        graphql.total_count().await.map_err(CountError::GraphQl)
    }
}

/// Loads the model where it may block.
///
/// # Errors
/// [`OpenError::Model`] when it is not where the settings say.
pub async fn load_model(config: &EmbeddingConfig) -> Result<StaticModel, OpenError> {
    let folder = config.model_dir.clone();
    match tokio::task::spawn_blocking(move || StaticModel::load(&folder)).await {
        Ok(loaded) => loaded.map_err(OpenError::Model),
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}
