//! The handle to the read model, and reads of points by opportunity.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use qdrant_client::qdrant::{
    CollectionStatus, CountPointsBuilder, GetPointsBuilder, PayloadIncludeSelector, PointId, RetrievedPoint,
    VectorsSelector, with_payload_selector, with_vectors_selector,
};

use super::{
    DocumentTextSource, Embedder, OpportunityDocument, SearchRanking,
    opportunity_document::point_id,
    point::{DENSE, StoredPoint, dense_vector},
    query_vector_cache::QueryVectorCache,
    title_words_cache::TitleWordsCache,
};
use crate::{
    QueryError,
    runtime::ReadModelGeneration,
    storage::qdrant::{POINTS_PER_CALL, QdrantClient, QdrantConfig, QdrantConnection, point_uuid, to_point_id},
};

/// A handle to one generation of the search over opportunities and tenants' texts.
#[derive(Clone)]
pub struct OpportunitySearch {
    qdrant: QdrantClient,
    collection_prefix: Arc<str>,
    collection: Arc<str>,
    tenant_collection: Arc<str>,
    /// The generation from which vectors may be copied.
    vector_source: Option<ReadModelGeneration>,
    embedder: Arc<dyn Embedder>,
    /// Only needed for applying events.
    text_source: Option<Arc<dyn DocumentTextSource>>,
    ranking: SearchRanking,
    title_words: Arc<TitleWordsCache>,
    query_vectors: Arc<QueryVectorCache>,
    max_titles: u64,
    embedded: Arc<AtomicU64>,
}

impl OpportunitySearch {
    /// Creates a client of the first generation; it connects at the first request.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &QdrantConfig, embedder: Arc<dyn Embedder>) -> Result<Self, QueryError> {
        let collection_prefix: Arc<str> = config.collection_prefix.as_str().into();
        let (collection, tenant_collection) = collection_names(&collection_prefix, ReadModelGeneration::FIRST);
        Ok(Self {
            qdrant: QdrantClient::new(config, "search")?.with_collections(&[&collection, &tenant_collection]),
            collection_prefix,
            collection,
            tenant_collection,
            vector_source: None,
            embedder,
            text_source: None,
            ranking: SearchRanking::default(),
            title_words: Arc::default(),
            query_vectors: Arc::default(),
            max_titles: config.vocabulary_titles,
            embedded: Arc::default(),
        })
    }

    /// The same read model; it reads the texts of documents from `source` when it applies their events. Without a source
    /// such events cannot be applied.
    #[must_use]
    pub fn with_text_source(self, source: Arc<dyn DocumentTextSource>) -> Self {
        Self { text_source: Some(source), ..self }
    }

    /// The same read model in another generation.
    #[must_use]
    pub fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        let (collection, tenant_collection) = collection_names(&self.collection_prefix, generation);
        let qdrant = self.qdrant.with_collections(&[&collection, &tenant_collection]);
        Self { qdrant, collection, tenant_collection, vector_source: None, ..self.clone() }
    }

    /// The same generation; it copies the vectors of texts that `source` has embedded with the same model.
    #[must_use]
    pub fn with_copy_source(&self, source: ReadModelGeneration) -> Self {
        let is_another = collection_names(&self.collection_prefix, source).0 != self.collection;
        Self { vector_source: is_another.then_some(source), ..self.clone() }
    }

    /// The same read model; it orders the hits of [`Self::search_opportunities`] by another ranking.
    #[must_use]
    pub fn with_ranking(&self, ranking: SearchRanking) -> Self {
        Self { ranking, ..self.clone() }
    }

    /// Checks that the server responds.
    ///
    /// # Errors
    /// [`QueryError`] when it does not respond.
    pub async fn ping(&self) -> Result<(), QueryError> {
        self.qdrant.run_request(self.client().health_check()).await.map(drop)
    }

    /// Counts the opportunities in the collection.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the request.
    pub async fn count_opportunities(&self) -> Result<u64, QueryError> {
        let count = CountPointsBuilder::new(self.collection()).exact(true);
        let response = self.qdrant.run_request(self.client().count(count)).await?;
        Ok(response.result.map_or(0, |result| result.count))
    }

    /// Whether the server has built the index of all opportunities in the collection. Until then a search compares the
    /// query with each of those that are not in it.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or has no such collection.
    pub async fn is_indexed(&self) -> Result<bool, QueryError> {
        let info = self.qdrant.run_request(self.client().collection_info(self.collection())).await?;
        Ok(info.is_some_and(|info| info.status() == CollectionStatus::Green))
    }

    /// Number of notices embedded by this handle, its clones and its other generations.
    pub fn embedded_count(&self) -> u64 {
        self.embedded.load(Ordering::Relaxed)
    }

    pub(super) fn record_embedded(&self, notices: usize) {
        self.embedded.fetch_add(notices as u64, Ordering::Relaxed);
        metrics::counter!("medhub_search_embedded_total").increment(notices as u64);
    }

    pub(super) fn qdrant(&self) -> &QdrantClient {
        &self.qdrant
    }

    pub(super) fn client(&self) -> &QdrantConnection {
        self.qdrant.client()
    }

    pub(super) fn collection(&self) -> &str {
        &self.collection
    }

    /// The collection of tenants' texts.
    pub(super) fn tenant_collection(&self) -> &str {
        &self.tenant_collection
    }

    /// The collections that vectors may be copied from: of opportunities, and of tenants' texts.
    pub(super) fn source_collections(&self) -> Option<(Arc<str>, Arc<str>)> {
        self.vector_source.map(|source| collection_names(&self.collection_prefix, source))
    }

    pub(super) fn embedder(&self) -> &dyn Embedder {
        self.embedder.as_ref()
    }

    pub(super) fn text_source(&self) -> Option<&dyn DocumentTextSource> {
        self.text_source.as_deref()
    }

    pub(super) fn ranking(&self) -> SearchRanking {
        self.ranking
    }

    pub(super) fn title_words_cache(&self) -> &TitleWordsCache {
        &self.title_words
    }

    pub(super) fn query_vectors(&self) -> &QueryVectorCache {
        &self.query_vectors
    }

    /// Most titles from which the spelling vocabulary is built.
    pub(super) fn max_titles(&self) -> u64 {
        self.max_titles
    }

    /// Loads the fields that a write depends on, by opportunity.
    pub(super) async fn load_stored_points<'a>(
        &self,
        ids: &[&'a str],
    ) -> Result<HashMap<&'a str, StoredPoint>, QueryError> {
        let points = self.load_points(self.collection(), ids, false).await?;
        Ok(points.into_iter().map(|(id, point)| (id, StoredPoint::from_payload(point.payload))).collect())
    }

    /// Loads the vectors of those documents whose text the collection has already embedded with the same model.
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
            // Payload and vector are from one response, so they belong to the same version of the point.
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
        let mut points = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(POINTS_PER_CALL) {
            let mut ids_by_uuid: HashMap<String, &str> = ids.iter().map(|id| (point_id(id).to_string(), *id)).collect();
            let point_ids: Vec<PointId> = ids.iter().map(|id| to_point_id(point_id(id))).collect();
            let mut get = GetPointsBuilder::new(collection, point_ids)
                .with_payload(with_payload_selector::SelectorOptions::Include(fields.clone()));
            if with_vectors {
                let dense = VectorsSelector { names: vec![DENSE.to_owned()] };
                get = get.with_vectors(with_vectors_selector::SelectorOptions::Include(dense));
            }
            for point in self.qdrant.run_request(self.client().get_points(get)).await?.result {
                if let Some(id) = point_uuid(&point).and_then(|uuid| ids_by_uuid.remove(uuid)) {
                    points.insert(id, point);
                }
            }
        }
        Ok(points)
    }
}

/// The collections of opportunities and of tenants' texts.
fn collection_names(prefix: &str, generation: ReadModelGeneration) -> (Arc<str>, Arc<str>) {
    (format!("{prefix}opportunities_{generation}").into(), format!("{prefix}owned_{generation}").into())
}
