//! A client of the task service over gRPC, with as much of its messages as tests need.

use prost::Message;
use tonic::{
    Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

/// `TASK_KIND_EXTRACT_TEXT`, and `SUBJECT_KIND_DOCUMENT`.
const TEXT_OF_A_DOCUMENT: (i32, i32) = (1, 1);

/// `SERVING`, in the health protocol.
const SERVING: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct ListTasksRequest {}

#[derive(Clone, PartialEq, Message)]
struct ListTasksResponse {
    #[prost(uint64, tag = "3")]
    total_size: u64,
}

#[derive(Clone, PartialEq, Message)]
struct ProcessTaskRequest {
    #[prost(message, optional, tag = "2")]
    request: Option<RequestTask>,
}

#[derive(Clone, PartialEq, Message)]
struct RequestTask {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(int32, tag = "2")]
    subject_kind: i32,
    #[prost(string, tag = "3")]
    subject_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct ProcessTaskResponse {
    #[prost(uint64, tag = "2")]
    version: u64,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// A client with one connection, which it opens again when the server has closed it.
#[derive(Debug, Clone)]
pub struct GrpcTaskClient {
    channel: Channel,
    authorization: MetadataValue<Ascii>,
}

impl GrpcTaskClient {
    /// Creates a client of the server at this host and port, which connects with its first call.
    ///
    /// # Errors
    /// If the address or the token cannot be sent.
    pub fn new(address: &str, token: &str) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
        Ok(Self { channel, authorization: format!("Bearer {token}").parse()? })
    }

    /// Counts the tasks of the caller's company.
    ///
    /// # Errors
    /// The status of a call that was refused or not answered.
    pub async fn count_tasks(&self) -> Result<u64, Status> {
        let answer: ListTasksResponse =
            self.call("/medhub.tasks.v1.TaskService/ListTasks", ListTasksRequest {}).await?;
        Ok(answer.total_size)
    }

    /// Requests a new task on a document, and returns its version.
    ///
    /// # Errors
    /// As [`Self::count_tasks`].
    pub async fn request_task(&self, document: &str) -> Result<u64, Status> {
        let (kind, subject_kind) = TEXT_OF_A_DOCUMENT;
        let request =
            ProcessTaskRequest { request: Some(RequestTask { kind, subject_kind, subject_id: document.to_owned() }) };
        let answer: ProcessTaskResponse = self.call("/medhub.tasks.v1.TaskService/ProcessTask", request).await?;
        Ok(answer.version)
    }

    /// Whether the server reports that it serves.
    ///
    /// # Errors
    /// As [`Self::count_tasks`].
    pub async fn is_serving(&self) -> Result<bool, Status> {
        let answer: HealthCheckResponse = self.call("/grpc.health.v1.Health/Check", HealthCheckRequest {}).await?;
        Ok(answer.status == SERVING)
    }

    async fn call<Q, A>(&self, path: &'static str, message: Q) -> Result<A, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        let answer = client.unary(request, PathAndQuery::from_static(path), ProstCodec::<Q, A>::default()).await?;
        Ok(answer.into_inner())
    }
}
