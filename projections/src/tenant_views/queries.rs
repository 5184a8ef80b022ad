//! The handle to the read model, and the queries of a tenant's aggregates.

use domain::value::TenantId;

use super::{
    READ_MODEL,
    stored_aggregate::{AggregateFold, StoredAggregate, parse_stored},
    tenant_aggregate::{ListGroup, TenantAggregate},
};
use crate::{
    QueryError,
    runtime::ReadModelGeneration,
    storage::{
        count_query,
        redis::{RedisClient, RedisConfig, StateKey, StateStoreOptions, VersionedStateStore, unreadable_error},
    },
};

/// The aggregates of tenants in one generation.
#[derive(Clone)]
pub struct TenantViews {
    pub(super) store: VersionedStateStore<Box<dyn AggregateFold>>,
}

impl TenantViews {
    /// Creates a client of the first generation; it connects at the first command and reconnects when the connection
    /// breaks. Requires a Tokio runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        let options = StateStoreOptions {
            read_model: READ_MODEL,
            prefix: format!("{}{READ_MODEL}:", config.key_prefix),
            // A tenant's tag is added before its first write.
            fixed_tags: vec![],
            cache_mb: 0,
        };
        Ok(Self { store: VersionedStateStore::new(RedisClient::new(config)?, options) })
    }

    /// The same read model in another generation.
    #[must_use]
    pub fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        Self { store: self.store.with_generation(generation) }
    }

    /// Returns an aggregate of a tenant; `None` if the tenant has no aggregate with this id, even if another tenant
    /// has. A deleted aggregate is returned in its deleted state.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or the stored state is unreadable.
    pub async fn get<A: TenantAggregate>(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<StoredAggregate<A>>, QueryError> {
        let mut aggregates = self.get_many(tenant, &[id]).await?;
        Ok(aggregates.pop().flatten())
    }

    /// Returns several aggregates of a tenant in one round trip, in the order of the ids; see [`Self::get`].
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or a stored state is unreadable.
    pub async fn get_many<A: TenantAggregate>(
        &self,
        tenant: &TenantId,
        ids: &[impl AsRef<str>],
    ) -> Result<Vec<Option<StoredAggregate<A>>>, QueryError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        count_query(READ_MODEL);
        let key = |id: &str| self.stream_key(tenant.as_str(), A::TYPE, &A::stream_name(tenant, id));
        let keys: Vec<_> = ids.iter().map(|id| key(id.as_ref())).collect();
        let parse = |(version, text): (u64, String)| parse_stored(version, &text).map_err(unreadable_error);
        self.store.load_many(&keys).await?.into_iter().map(|stored| stored.map(parse).transpose()).collect()
    }

    /// The key of a tenant's stream.
    pub(super) fn stream_key(&self, tenant: &str, kind: &str, stream: &str) -> StateKey {
        self.store.state_key(tenant, &format!("{kind}:{stream}"))
    }

    /// The key of a tenant's list.
    pub(super) fn list_key(&self, kind: &str, tenant: &str, group: &ListGroup) -> String {
        self.store.key(tenant, &format!("list:{kind}:{group}"))
    }
}
