//! The connection to `Qdrant`, and reading of points by their opportunities.

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
    Document, Embedder, SearchConfig,
    document::point_id,
    point::{DENSE, Known, dense_of, wire_id},
    vocabulary::TitleWordsCache,
};
use crate::{QueryError, error::Source, runtime::Generation};

pub(super) const STORE: &str = "Qdrant";

/// Points of one call, at most: about two megabytes where vectors are with them.
pub(super) const POINTS_PER_CALL: usize = 500;

/// Search over opportunities; a value is a handle to one generation.
#[derive(Clone)]
pub struct Search {
    client: Qdrant,
    /// What all collections begin with.
    name: Arc<str>,
    collection: Arc<str>,
    /// What tenants own.
    owned: Arc<str>,
    /// Where vectors may be copied from.
    beside: Option<Generation>,
    embedder: Arc<dyn Embedder>,
    title_words: Arc<TitleWordsCache>,
    most_titles: u64,
    embedded: Arc<AtomicU64>,
}

/// A collection that should be there.
#[derive(Debug, thiserror::Error)]
#[error("collection {collection} or {owned} is not there, or not whole; `medhub rebuild search` makes it anew")]
struct Missing {
    collection: Arc<str>,
    owned: Arc<str>,
    #[source]
    source: QdrantError,
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
        let name: Arc<str> = config.collection_prefix.as_str().into();
        let (collection, owned) = collections_of(&name, Generation::FIRST);
        Ok(Self {
            client,
            name,
            collection,
            owned,
            beside: None,
            embedder,
            title_words: Arc::default(),
            most_titles: config.vocabulary_titles,
            embedded: Arc::default(),
        })
    }

    /// The same read model in another generation.
    #[must_use]
    pub fn at(&self, generation: Generation) -> Self {
        let (collection, owned) = collections_of(&self.name, generation);
        Self { collection, owned, beside: None, ..self.clone() }
    }

    /// The same generation, which copies the vectors of texts that `live` has embedded with the same model.
    #[must_use]
    pub fn beside(&self, live: Generation) -> Self {
        let is_another = collections_of(&self.name, live).0 != self.collection;
        Self { beside: is_another.then_some(live), ..self.clone() }
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

    /// How many notices this value, its clones and its other generations have embedded.
    pub fn embedded(&self) -> u64 {
        self.embedded.load(Ordering::Relaxed)
    }

    pub(super) fn note_embedded(&self, notices: usize) {
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
    pub(super) fn owned(&self) -> &str {
        &self.owned
    }

    /// The collections that vectors may be copied from.
    pub(super) fn copied_from(&self) -> Option<(Arc<str>, Arc<str>)> {
        self.beside.map(|live| collections_of(&self.name, live))
    }

    pub(super) fn embedder(&self) -> &dyn Embedder {
        self.embedder.as_ref()
    }

    pub(super) fn title_words_cache(&self) -> &TitleWordsCache {
        &self.title_words
    }

    /// How many titles spelling is learnt from, at most.
    pub(super) fn most_titles(&self) -> u64 {
        self.most_titles
    }

    /// What a write has to know of these opportunities' points, by opportunity.
    pub(super) async fn known<'a>(&self, ids: &[&'a str]) -> Result<HashMap<&'a str, Known>, QueryError> {
        let points = self.points(self.collection(), ids, false).await?;
        Ok(points.into_iter().map(|(id, point)| (id, Known::of(point.payload))).collect())
    }

    /// The vectors of those texts that the collection holds the vector of.
    pub(super) async fn vectors(
        &self,
        collection: &str,
        documents: &[&Document],
    ) -> Result<HashMap<String, Vec<f32>>, QueryError> {
        let (model, dimension) = (self.embedder().model(), self.embedder().dimension());
        let ids: Vec<&str> = documents.iter().map(|document| document.payload.id.as_str()).collect();
        let mut points = self.points(collection, &ids, true).await?;
        let mut vectors = HashMap::new();
        for document in documents {
            let Some(point) = points.remove(document.payload.id.as_str()) else { continue };
            let dense = dense_of(&point);
            // Payload and vector of one answer belong together, whatever the point was a moment before.
            if dense.len() == dimension && Known::of(point.payload).has_vector_of(document, &model) {
                vectors.insert(document.payload.id.clone(), dense);
            }
        }
        Ok(vectors)
    }

    async fn points<'a>(
        &self,
        collection: &str,
        ids: &[&'a str],
        with_vectors: bool,
    ) -> Result<HashMap<&'a str, RetrievedPoint>, QueryError> {
        let fields = PayloadIncludeSelector { fields: Known::FIELDS.map(str::to_owned).to_vec() };
        let mut found = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(POINTS_PER_CALL) {
            let mut asked: HashMap<String, &str> = ids.iter().map(|id| (point_id(id).to_string(), *id)).collect();
            let wanted: Vec<PointId> = ids.iter().map(|id| wire_id(point_id(id))).collect();
            let mut get = GetPointsBuilder::new(collection, wanted)
                .with_payload(with_payload_selector::SelectorOptions::Include(fields.clone()));
            if with_vectors {
                let dense = VectorsSelector { names: vec![DENSE.to_owned()] };
                get = get.with_vectors(with_vectors_selector::SelectorOptions::Include(dense));
            }
            for point in self.run(self.client.get_points(get)).await?.result {
                if let Some(id) = uuid_of(&point).and_then(|uuid| asked.remove(uuid)) {
                    found.insert(id, point);
                }
            }
        }
        Ok(found)
    }

    pub(super) async fn run<T>(&self, request: impl Future<Output = Result<T, QdrantError>>) -> Result<T, QueryError> {
        // The client's futures are tens of kilobytes: too big for a stack that they are moved about on.
        Box::pin(request).await.map_err(|error| unavailable(self.explained(error)))
    }

    /// What to say about a failure: a person can do something about a collection that is gone.
    pub(super) fn explained(&self, error: QdrantError) -> Source {
        let missing = matches!(&error, QdrantError::ResponseError { status } if status.code() == Code::NotFound);
        if missing {
            Missing { collection: Arc::clone(&self.collection), owned: Arc::clone(&self.owned), source: error }.into()
        } else {
            error.into()
        }
    }
}

/// The id of a point, as text.
pub(super) fn uuid_of(point: &RetrievedPoint) -> Option<&str> {
    point.id.as_ref().and_then(uuid_in)
}

/// An id as text.
pub(super) fn uuid_in(id: &PointId) -> Option<&str> {
    match id.point_id_options.as_ref()? {
        PointIdOptions::Uuid(uuid) => Some(uuid),
        // Never given by this program.
        PointIdOptions::Num(_) => None,
    }
}

pub(super) fn unreadable(source: impl Into<Source>) -> QueryError {
    QueryError::Unreadable { store: STORE, source: source.into() }
}

pub(super) fn unavailable(source: impl Into<Source>) -> QueryError {
    QueryError::Unavailable { store: STORE, source: source.into() }
}

/// The collections of opportunities and of what tenants own.
fn collections_of(prefix: &str, generation: Generation) -> (Arc<str>, Arc<str>) {
    (format!("{prefix}opportunities_{generation}").into(), format!("{prefix}owned_{generation}").into())
}
