//! The connection to `Qdrant`, and reading and writing points.

use std::{collections::HashMap, future::Future, sync::Arc};

use qdrant_client::{
    Payload, Qdrant, QdrantError,
    qdrant::{
        CountPointsBuilder, GetPointsBuilder, PointId, PointStruct, PointsIdsList, RetrievedPoint,
        SetPayloadPointsBuilder, UpsertPointsBuilder, Value, VectorsOutput, vector_output::Vector,
    },
};
use uuid::Uuid;

use super::{
    Embedder, SearchConfig,
    document::{PointPayload, point_id},
    projection::NewPoint,
};
use crate::{QueryError, error::Source, runtime::Generation};

pub(super) const STORE: &str = "Qdrant";

/// Points of one call, at most: about a megabyte.
const POINTS_PER_CALL: usize = 500;

/// Semantic search over opportunities.
#[derive(Clone)]
pub struct Search {
    client: Qdrant,
    /// What the collections of all generations begin with.
    name: Arc<str>,
    collection: Arc<str>,
    embedder: Arc<dyn Embedder>,
}

/// A point as the collection holds it.
pub(super) struct StoredPoint {
    pub(super) payload: PointPayload,
    pub(super) vector: Vec<f32>,
}

impl Search {
    /// A client; connects only when it is used.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is none.
    pub fn new(config: &SearchConfig, embedder: Arc<dyn Embedder>) -> Result<Self, QueryError> {
        let client = Qdrant::from_url(&config.url)
            .timeout(config.timeout())
            .connect_timeout(config.timeout())
            .skip_compatibility_check()
            .build()
            .map_err(unavailable)?;
        Ok(Self::of(client, config.collection().into(), Generation::FIRST, embedder))
    }

    /// The same read model in another generation.
    #[must_use]
    pub fn at(&self, generation: Generation) -> Self {
        Self::of(self.client.clone(), Arc::clone(&self.name), generation, Arc::clone(&self.embedder))
    }

    fn of(client: Qdrant, name: Arc<str>, generation: Generation, embedder: Arc<dyn Embedder>) -> Self {
        let collection = format!("{name}_{generation}").into();
        Self { client, name, collection, embedder }
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// [`QueryError`] when it does not.
    pub async fn ping(&self) -> Result<(), QueryError> {
        self.run(self.client.health_check()).await.map(drop)
    }

    /// How many opportunities can be found.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away or refuses.
    pub async fn count(&self) -> Result<u64, QueryError> {
        let count = CountPointsBuilder::new(self.collection()).exact(true);
        let answer = self.run(self.client.count(count)).await?;
        Ok(answer.result.map_or(0, |result| result.count))
    }

    pub(super) fn client(&self) -> &Qdrant {
        &self.client
    }

    pub(super) fn collection(&self) -> &str {
        &self.collection
    }

    pub(super) fn embedder(&self) -> &dyn Embedder {
        self.embedder.as_ref()
    }

    /// What the collection holds of these opportunities, by their id.
    pub(super) async fn stored(&self, ids: &[&str]) -> Result<HashMap<String, StoredPoint>, QueryError> {
        let mut found = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(POINTS_PER_CALL) {
            let ids: Vec<PointId> = ids.iter().map(|id| wire_id(point_id(id))).collect();
            let get = GetPointsBuilder::new(self.collection(), ids).with_payload(true).with_vectors(true);
            for point in self.run(self.client.get_points(get)).await?.result {
                let point = stored_point(point)?;
                found.insert(point.payload.id.clone(), point);
            }
        }
        Ok(found)
    }

    pub(super) async fn upsert(&self, points: Vec<NewPoint>) -> Result<(), QueryError> {
        let mut points = points.into_iter().map(wire_point).collect::<Result<Vec<_>, _>>()?;
        while !points.is_empty() {
            let rest = points.split_off(points.len().min(POINTS_PER_CALL));
            let upsert = UpsertPointsBuilder::new(self.collection(), points).wait(true);
            self.run(self.client.upsert_points(upsert)).await?;
            points = rest;
        }
        Ok(())
    }

    /// Marks points as awarded. It stays true for ever, so that it needs no fence.
    pub(super) async fn set_awarded(&self, points: &[Uuid]) -> Result<(), QueryError> {
        for ids in points.chunks(POINTS_PER_CALL) {
            let ids = PointsIdsList { ids: ids.iter().copied().map(wire_id).collect() };
            let payload = Payload::from([("awarded", Value::from(true))]);
            let set = SetPayloadPointsBuilder::new(self.collection(), payload).points_selector(ids).wait(true);
            self.run(self.client.set_payload(set)).await?;
        }
        Ok(())
    }

    pub(super) async fn run<T>(&self, request: impl Future<Output = Result<T, QdrantError>>) -> Result<T, QueryError> {
        // The client's futures are tens of kilobytes: too big for a stack that they are moved about on.
        Box::pin(request).await.map_err(unavailable)
    }
}

pub(super) fn unreadable(source: impl Into<Source>) -> QueryError {
    QueryError::Unreadable { store: STORE, source: source.into() }
}

fn unavailable(source: impl Into<Source>) -> QueryError {
    QueryError::Unavailable { store: STORE, source: source.into() }
}

fn wire_id(id: Uuid) -> PointId {
    id.to_string().into()
}

fn wire_point(point: NewPoint) -> Result<PointStruct, QueryError> {
    let id = wire_id(point_id(&point.payload.id));
    let payload = serde_json::to_value(&point.payload).map_err(unreadable)?;
    let payload = Payload::try_from(payload).map_err(unreadable)?;
    Ok(PointStruct::new(id, point.vector, payload))
}

fn stored_point(point: RetrievedPoint) -> Result<StoredPoint, QueryError> {
    let payload = Payload::from(point.payload).deserialize().map_err(unreadable)?;
    let vector = match point.vectors.as_ref().and_then(VectorsOutput::get_vector) {
        Some(Vector::Dense(dense)) => dense.data,
        // Never written by this program: counts as no vector, so that the text is embedded again.
        Some(Vector::Sparse(_) | Vector::MultiDense(_)) | None => vec![],
    };
    Ok(StoredPoint { payload, vector })
}
