//! What the gRPC services share: the catalog, and engine calls off the runtime's threads.

use std::sync::Arc;

use qdrant_client::qdrant::{
    HealthCheckReply, HealthCheckRequest, PointsOperationResponse, UpdateResult, UpdateStatus,
    points_update_operation::Operation, qdrant_server,
};
use qdrant_edge::EdgeShard;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{catalog::Catalog, refusal::internal};

/// The version of Qdrant's interface that is served, which clients compare with their own.
const INTERFACE_VERSION: &str = "1.20.0";

/// The gRPC services over one catalog.
#[derive(Clone)]
pub(super) struct Api {
    catalog: Arc<Catalog>,
}

impl Api {
    pub(super) fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog }
    }

    /// Works with the catalog on a thread that may block.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Catalog) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let catalog = Arc::clone(&self.catalog);
        // A panic of the engine fails the request, not the server.
        tokio::task::spawn_blocking(move || work(&catalog)).await.unwrap_or_else(|error| Err(internal(error)))
    }

    /// Reads from one collection.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        collection: String,
        reading: impl FnOnce(&EdgeShard) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        self.blocking(move |catalog| catalog.get(&collection)?.read(reading)).await
    }

    /// Changes points of one collection.
    pub(super) async fn change(
        &self,
        collection: String,
        wait: Option<bool>,
        operation: Operation,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let started = Instant::now();
        let number = self.blocking(move |catalog| catalog.get(&collection)?.change(operation)).await?;
        Ok(Response::new(PointsOperationResponse {
            result: Some(updated(number, wait)),
            time: started.elapsed().as_secs_f64(),
            usage: None,
        }))
    }
}

/// The answer to a change. Every change is applied before it is answered; a client that did not ask to wait is told so.
pub(super) fn updated(number: u64, wait: Option<bool>) -> UpdateResult {
    let status = if wait == Some(true) { UpdateStatus::Completed } else { UpdateStatus::Acknowledged };
    UpdateResult { operation_id: Some(number), status: status.into() }
}

#[tonic::async_trait]
impl qdrant_server::Qdrant for Api {
    async fn health_check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckReply>, Status> {
        Ok(Response::new(HealthCheckReply {
            title: "medhub local qdrant (qdrant-edge)".to_owned(),
            version: INTERFACE_VERSION.to_owned(),
            commit: None,
        }))
    }
}
