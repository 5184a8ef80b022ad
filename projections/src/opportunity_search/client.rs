//! The `Qdrant` client, and reads of points by opportunity.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use qdrant_client::{
    Qdrant, QdrantError,
    qdrant::{
        CountPointsBuilder, GetPointsBuilder, PayloadIncludeSelector, PointId, RetrievedPoint, VectorsSelector,
        point_id::PointIdOptions, with_payload_selector, with_vectors_selector,
    },
};
use tonic::Code;

use super::{
    Embedder, OpportunityDocument, SearchConfig,
    opportunity_document::point_id,
    point::{DENSE, StoredPoint, dense_vector, to_point_id},
    vocabulary::TitleWordsCache,
};
use crate::{QueryError, error::BoxedError, runtime::Generation};

pub(super) const STORE: &str = "Qdrant";

/// Most points of one call: about two megabytes with vectors.
pub(super) const POINTS_PER_CALL: usize = 500;

/// Search over opportunities and tenants' texts; a handle to one generation.
#[derive(Clone)]
pub struct OpportunitySearch {
    client: Qdrant,
    /// Prefix of all collections.
    name: Arc<str>,
    collection: Arc<str>,
    tenant_collection: Arc<str>,
    /// The generation from which vectors may be copied.
    vector_source: Option<Generation>,
    embedder: Arc<dyn Embedder>,
    title_words: Arc<TitleWordsCache>,
    max_titles: u64,
    embedded: Arc<AtomicU64>,
}

/// A collection of the generation does not exist.
#[derive(Debug, thiserror::Error)]
#[error("collection {collection} or {owned} is not there, or not whole; `medhub rebuild search` makes it anew")]
struct MissingCollection {
    collection: Arc<str>,
    owned: Arc<str>,
    #[source]
    source: QdrantError,
}

impl OpportunitySearch {
    /// Creates a client of the first generation; it connects at the first request.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &SearchConfig, embedder: Arc<dyn Embedder>) -> Result<Self, QueryError> {
        let client = Qdrant::from_url(&config.url)
            .timeout(config.timeout())
            .connect_timeout(config.timeout())
            .skip_compatibility_check()
            .build()
            .map_err(unavailable_error)?;
        let name: Arc<str> = config.collection_prefix.as_str().into();
        let (collection, owned) = collection_names(&name, Generation::FIRST);
        Ok(Self {
            client,
            name,
            collection,
            tenant_collection: owned,
            vector_source: None,
            embedder,
            title_words: Arc::default(),
            max_titles: config.vocabulary_titles,
            embedded: Arc::default(),
        })
    }

    /// The same read model in another generation.
    #[must_use]
    pub fn with_generation(&self, generation: Generation) -> Self {
        let (collection, owned) = collection_names(&self.name, generation);
        Self { collection, tenant_collection: owned, vector_source: None, ..self.clone() }
    }

    /// The same generation, copying the vectors of texts that `live` has embedded with the same model.
    #[must_use]
    pub fn with_copy_source(&self, live: Generation) -> Self {
        let is_another = collection_names(&self.name, live).0 != self.collection;
        Self { vector_source: is_another.then_some(live), ..self.clone() }
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// [`QueryError`] when it does not.
    pub async fn ping(&self) -> Result<(), QueryError> {
        self.run_request(self.client.health_check()).await.map(drop)
    }

    /// Counts the opportunities in the collection.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the request.
    pub async fn count_opportunities(&self) -> Result<u64, QueryError> {
        let count = CountPointsBuilder::new(self.collection()).exact(true);
        let answer = self.run_request(self.client.count(count)).await?;
        Ok(answer.result.map_or(0, |result| result.count))
    }

    /// Number of notices embedded by this handle, its clones and its other generations.
    pub fn embedded_count(&self) -> u64 {
        self.embedded.load(Ordering::Relaxed)
    }

    pub(super) fn record_embedded(&self, notices: usize) {
        self.embedded.fetch_add(notices as u64, Ordering::Relaxed);
        metrics::counter!("medhub_search_embedded_total").increment(notices as u64);
    }

    pub(super) fn client(&self) -> &Qdrant {
        &self.client
    }

    pub(super) fn collection(&self) -> &str {
        &self.collection
    }

    /// The collection of what tenants own.
    pub(super) fn tenant_collection(&self) -> &str {
        &self.tenant_collection
    }

    /// The collections that vectors may be copied from.
    pub(super) fn source_collections(&self) -> Option<(Arc<str>, Arc<str>)> {
        self.vector_source.map(|live| collection_names(&self.name, live))
    }

    pub(super) fn embedder(&self) -> &dyn Embedder {
        self.embedder.as_ref()
    }

    pub(super) fn title_words_cache(&self) -> &TitleWordsCache {
        &self.title_words
    }

    /// Most titles from which the spelling vocabulary is built.
    pub(super) fn max_titles(&self) -> u64 {
        self.max_titles
    }

    /// Loads the fields of these opportunities' points that a write depends on, by opportunity.
    pub(super) async fn load_stored_points<'a>(
        &self,
        ids: &[&'a str],
    ) -> Result<HashMap<&'a str, StoredPoint>, QueryError> {
        let points = self.load_points(self.collection(), ids, false).await?;
        Ok(points.into_iter().map(|(id, point)| (id, StoredPoint::from_payload(point.payload))).collect())
    }

    /// Loads the vectors of those documents whose current text the collection has embedded with the same model.
    pub(super) async fn load_document_vectors(
        &self,
        collection: &str,
        documents: &[&OpportunityDocument],
    ) -> Result<HashMap<String, Vec<f32>>, QueryError> {
        let (model, dimension) = (self.embedder().model(), self.embedder().dimension());
        let ids: Vec<&str> = documents.iter().map(|document| document.payload.id.as_str()).collect();
        let mut points = self.load_points(collection, &ids, true).await?;
        let mut vectors = HashMap::new();
        for document in documents {
            let Some(point) = points.remove(document.payload.id.as_str()) else { continue };
            let dense = dense_vector(&point);
            // Payload and vector of one response belong together, even if the point changed just before.
            if dense.len() == dimension && StoredPoint::from_payload(point.payload).has_vector_of(document, &model) {
                vectors.insert(document.payload.id.clone(), dense);
            }
        }
        Ok(vectors)
    }

    async fn load_points<'a>(
        &self,
        collection: &str,
        ids: &[&'a str],
        with_vectors: bool,
    ) -> Result<HashMap<&'a str, RetrievedPoint>, QueryError> {
        let fields = PayloadIncludeSelector { fields: StoredPoint::FIELDS.map(str::to_owned).to_vec() };
        let mut found = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(POINTS_PER_CALL) {
            let mut asked: HashMap<String, &str> = ids.iter().map(|id| (point_id(id).to_string(), *id)).collect();
            let wanted: Vec<PointId> = ids.iter().map(|id| to_point_id(point_id(id))).collect();
            let mut get = GetPointsBuilder::new(collection, wanted)
                .with_payload(with_payload_selector::SelectorOptions::Include(fields.clone()));
            if with_vectors {
                let dense = VectorsSelector { names: vec![DENSE.to_owned()] };
                get = get.with_vectors(with_vectors_selector::SelectorOptions::Include(dense));
            }
            for point in self.run_request(self.client.get_points(get)).await?.result {
                if let Some(id) = point_uuid(&point).and_then(|uuid| asked.remove(uuid)) {
                    found.insert(id, point);
                }
            }
        }
        Ok(found)
    }

    pub(super) async fn run_request<T>(
        &self,
        request: impl Future<Output = Result<T, QdrantError>>,
    ) -> Result<T, QueryError> {
        // Boxed, because the client's futures take tens of kilobytes, too much to move on the stack.
        Box::pin(request).await.map_err(|error| unavailable_error(self.explain_error(error)))
    }

    /// Names the collections in the error of a missing one, which an operator can rebuild.
    pub(super) fn explain_error(&self, error: QdrantError) -> BoxedError {
        let missing = matches!(&error, QdrantError::ResponseError { status } if status.code() == Code::NotFound);
        if missing {
            MissingCollection {
                collection: Arc::clone(&self.collection),
                owned: Arc::clone(&self.tenant_collection),
                source: error,
            }
            .into()
        } else {
            error.into()
        }
    }
}

/// The id of a point, as text.
pub(super) fn point_uuid(point: &RetrievedPoint) -> Option<&str> {
    point.id.as_ref().and_then(uuid_text)
}

/// An id as text.
pub(super) fn uuid_text(id: &PointId) -> Option<&str> {
    match id.point_id_options.as_ref()? {
        PointIdOptions::Uuid(uuid) => Some(uuid),
        // This program never assigns numeric ids.
        PointIdOptions::Num(_) => None,
    }
}

pub(super) fn unreadable_error(source: impl Into<BoxedError>) -> QueryError {
    QueryError::Unreadable { store: STORE, source: source.into() }
}

pub(super) fn unavailable_error(source: impl Into<BoxedError>) -> QueryError {
    QueryError::Unavailable { store: STORE, source: source.into() }
}

/// The collections of opportunities and of what tenants own.
fn collection_names(prefix: &str, generation: Generation) -> (Arc<str>, Arc<str>) {
    (format!("{prefix}opportunities_{generation}").into(), format!("{prefix}owned_{generation}").into())
}
