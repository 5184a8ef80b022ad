//! The `Qdrant` client of the collections of one generation.

use std::future::Future;

use qdrant_client::{
    QdrantError,
    qdrant::{
        CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, FieldType, PointsOperationResponse,
        UpdateBatchResponse, UpdateResult, UpdateStatus,
    },
};
use tracing::Instrument;

use super::{
    QdrantConfig,
    errors::{IncompleteWrite, MissingCollection, is_missing, is_refusal, unavailable_error},
    server_connection::QdrantConnection,
};
use crate::{QueryError, error::BoxedError, runtime::ProjectionError};

/// Most points of one request: about two megabytes with vectors.
pub(crate) const POINTS_PER_CALL: usize = 500;

/// A client of one server.
#[derive(Clone)]
pub(crate) struct QdrantClient {
    client: QdrantConnection,
    config: QdrantConfig,
    /// Name of the read model in errors, as `medhub rebuild` takes it.
    read_model: &'static str,
    /// Names of the collections in errors.
    collections: String,
}

impl QdrantClient {
    /// Creates a client; it connects at the first request.
    pub(crate) fn new(config: &QdrantConfig, read_model: &'static str) -> Result<Self, QueryError> {
        let client = QdrantConnection::new(config).map_err(unavailable_error)?;
        Ok(Self { client, config: config.clone(), read_model, collections: String::new() })
    }

    /// The same client, for other collections.
    pub(crate) fn with_collections(&self, collections: &[&str]) -> Self {
        Self { collections: collections.join(" or "), ..self.clone() }
    }

    pub(crate) fn client(&self) -> &QdrantConnection {
        &self.client
    }

    pub(crate) fn config(&self) -> &QdrantConfig {
        &self.config
    }

    /// Runs a request; every failure is `Unavailable`.
    pub(crate) async fn run_request<T>(
        &self,
        request: impl Future<Output = Result<T, QdrantError>>,
    ) -> Result<T, QueryError> {
        // Boxed, because the client's futures take tens of kilobytes, too much to move on the stack.
        let request = Box::pin(request).instrument(telemetry::store_span("qdrant", "send request"));
        request.await.map_err(|error| unavailable_error(self.explain_error(error)))
    }

    /// Runs a write, and fails unless the server has completed it.
    pub(crate) async fn await_completion(
        &self,
        request: impl Future<Output = Result<PointsOperationResponse, QdrantError>>,
    ) -> Result<(), ProjectionError> {
        let response = Box::pin(request).await.map_err(|error| self.classify_error(error))?;
        check_completion(response.result.as_ref())
    }

    /// Runs this number of writes, and fails unless the server has completed all of them.
    pub(crate) async fn await_all_completed(
        &self,
        request: impl Future<Output = Result<UpdateBatchResponse, QdrantError>>,
        writes: usize,
    ) -> Result<(), ProjectionError> {
        let response = Box::pin(request).await.map_err(|error| self.classify_error(error))?;
        (0..writes).try_for_each(|index| check_completion(response.result.get(index)))
    }

    fn classify_error(&self, error: QdrantError) -> ProjectionError {
        let is_refusal = is_refusal(&error);
        let source = self.explain_error(error);
        if is_refusal { ProjectionError::rejected(source) } else { ProjectionError::unavailable(source) }
    }

    /// Names the collections and the rebuild command in the error of a missing collection.
    fn explain_error(&self, error: QdrantError) -> BoxedError {
        if is_missing(&error) {
            let (collections, read_model) = (self.collections.clone(), self.read_model);
            MissingCollection { collections, read_model, source: error }.into()
        } else {
            error.into()
        }
    }

    /// Creates a collection that does not exist, and its indexes.
    pub(crate) async fn ensure_collection(
        &self,
        collection: &str,
        create: CreateCollectionBuilder,
        indexes: &[(&str, FieldType)],
    ) -> Result<(), QueryError> {
        if !self.run_request(self.client.collection_exists(collection)).await? {
            let create = self.config.distribute(create);
            if let Err(error) = self.run_request(self.client.create_collection(create)).await {
                // Another process may have created it in the meantime.
                if !self.run_request(self.client.collection_exists(collection)).await? {
                    return Err(error);
                }
            }
            tracing::info!(collection.name = collection, "search collection created");
        }
        for (field, kind) in indexes {
            let index = CreateFieldIndexCollectionBuilder::new(collection, *field, *kind).wait(true);
            self.run_request(self.client.create_field_index(index)).await?;
        }
        Ok(())
    }
}

fn check_completion(result: Option<&UpdateResult>) -> Result<(), ProjectionError> {
    match result.map(UpdateResult::status) {
        Some(UpdateStatus::Completed) => Ok(()),
        other => {
            let status = other.map_or("none", |status| status.as_str_name()).to_owned();
            Err(ProjectionError::unavailable(IncompleteWrite(status)))
        }
    }
}
