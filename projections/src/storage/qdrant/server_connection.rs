//! The connection to a `Qdrant` server: the generated client over a channel of our own. The client around it trusts the
//! authorities of the system only, and shows no certificate.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::error_chain::format_error_chain;
use engine_security::{EngineTlsConfig, TlsFileError, has_scheme};
use qdrant_client::{
    QdrantError,
    qdrant::{
        CollectionExistsRequest, CollectionInfo, CollectionOperationResponse, CountPoints, CountResponse,
        CreateCollection, CreateFieldIndexCollection, DeleteCollection, DeletePoints, GetCollectionInfoRequest,
        GetPoints, GetResponse, HealthCheckReply, HealthCheckRequest, PointsOperationResponse, QueryBatchPoints,
        QueryBatchResponse, QueryPoints, QueryResponse, ScrollPoints, ScrollResponse, UpdateBatchPoints,
        UpdateBatchResponse, UpsertPoints, collections_client::CollectionsClient, points_client::PointsClient,
        qdrant_client::QdrantClient as ServerClient,
    },
};
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Error as TransportError, Identity},
};

use super::QdrantConfig;

/// Name of the header with the key.
const API_KEY_HEADER: &str = "api-key";

/// Number of connections to a server, which are used in turn: behind the points of a write on the only one, queries would wait.
const CONNECTIONS: usize = 3;

/// How long a connection is silent before the system asks whether the other side is still there. Not by pings of HTTP/2, which
/// some servers take for an attack.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(10);

/// Connections that are opened with their first request, and again when they are lost. Clones share them.
#[derive(Clone)]
pub(crate) struct QdrantConnection {
    config: Arc<QdrantConfig>,
    slots: Arc<[ChannelSlot; CONNECTIONS]>,
    requests: Arc<AtomicUsize>,
}

/// The place of one connection.
#[derive(Default)]
struct ChannelSlot(Mutex<OpenedChannel>);

#[derive(Default)]
struct OpenedChannel {
    /// How many channels were opened here.
    number: u64,
    channel: Option<Channel>,
}

impl ChannelSlot {
    fn load(&self) -> Option<(u64, Channel)> {
        let opened = self.lock();
        opened.channel.clone().map(|channel| (opened.number, channel))
    }

    fn store(&self, channel: Channel) -> u64 {
        let mut opened = self.lock();
        opened.number += 1;
        opened.channel = Some(channel);
        opened.number
    }

    /// Forgets the channel with this number; another request may have opened a new one since.
    fn forget(&self, number: u64) {
        let mut opened = self.lock();
        if opened.number == number {
            opened.channel = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, OpenedChannel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel whose requests have the key.
type KeyedChannel = InterceptedService<Channel, KeyHeader>;

/// Adds the key to requests, if there is one.
#[derive(Clone)]
struct KeyHeader(Option<MetadataValue<Ascii>>);

impl Interceptor for KeyHeader {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert(API_KEY_HEADER, key.clone());
        }
        Ok(request)
    }
}

impl QdrantConnection {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When the URL is none.
    pub(super) fn new(config: &QdrantConfig) -> Result<Self, TransportError> {
        Endpoint::from_shared(config.url.clone())?;
        Ok(Self { config: Arc::new(config.clone()), slots: Arc::default(), requests: Arc::default() })
    }

    pub(crate) async fn health_check(&self) -> Result<HealthCheckReply, QdrantError> {
        self.send(|channel| async move { ServerClient::new(channel).health_check(HealthCheckRequest {}).await }).await
    }

    /// The settings and the state of a collection; `None` if the server says nothing of it.
    pub(crate) async fn collection_info(&self, collection: &str) -> Result<Option<CollectionInfo>, QdrantError> {
        let request = GetCollectionInfoRequest { collection_name: collection.to_owned() };
        self.send_to_collections(request, |mut collections, request: GetCollectionInfoRequest| async move {
            collections.get(request).await
        })
        .await
        .map(|response| response.result)
    }

    pub(crate) async fn collection_exists(&self, collection: &str) -> Result<bool, QdrantError> {
        let request = CollectionExistsRequest { collection_name: collection.to_owned() };
        let response = self
            .send_to_collections(request, |mut collections, request: CollectionExistsRequest| async move {
                collections.collection_exists(request).await
            })
            .await?;
        Ok(response.result.is_some_and(|result| result.exists))
    }

    pub(crate) async fn create_collection(
        &self,
        request: impl Into<CreateCollection>,
    ) -> Result<CollectionOperationResponse, QdrantError> {
        self.send_to_collections(request.into(), |mut collections, request: CreateCollection| async move {
            collections.create(request).await
        })
        .await
    }

    pub(crate) async fn delete_collection(&self, collection: &str) -> Result<CollectionOperationResponse, QdrantError> {
        let request = DeleteCollection { collection_name: collection.to_owned(), timeout: None };
        self.send_to_collections(request, |mut collections, request: DeleteCollection| async move {
            collections.delete(request).await
        })
        .await
    }

    pub(crate) async fn create_field_index(
        &self,
        request: impl Into<CreateFieldIndexCollection>,
    ) -> Result<PointsOperationResponse, QdrantError> {
        self.send_to_points(request.into(), |mut points, request: CreateFieldIndexCollection| async move {
            points.create_field_index(request).await
        })
        .await
    }

    pub(crate) async fn upsert_points(
        &self,
        request: impl Into<UpsertPoints>,
    ) -> Result<PointsOperationResponse, QdrantError> {
        self.send_to_points(
            request.into(),
            |mut points, request: UpsertPoints| async move { points.upsert(request).await },
        )
        .await
    }

    pub(crate) async fn update_points_batch(
        &self,
        request: impl Into<UpdateBatchPoints>,
    ) -> Result<UpdateBatchResponse, QdrantError> {
        self.send_to_points(request.into(), |mut points, request: UpdateBatchPoints| async move {
            points.update_batch(request).await
        })
        .await
    }

    pub(crate) async fn delete_points(
        &self,
        request: impl Into<DeletePoints>,
    ) -> Result<PointsOperationResponse, QdrantError> {
        self.send_to_points(
            request.into(),
            |mut points, request: DeletePoints| async move { points.delete(request).await },
        )
        .await
    }

    pub(crate) async fn get_points(&self, request: impl Into<GetPoints>) -> Result<GetResponse, QdrantError> {
        self.send_to_points(request.into(), |mut points, request: GetPoints| async move { points.get(request).await })
            .await
    }

    pub(crate) async fn scroll(&self, request: impl Into<ScrollPoints>) -> Result<ScrollResponse, QdrantError> {
        self.send_to_points(
            request.into(),
            |mut points, request: ScrollPoints| async move { points.scroll(request).await },
        )
        .await
    }

    pub(crate) async fn count(&self, request: impl Into<CountPoints>) -> Result<CountResponse, QdrantError> {
        self.send_to_points(
            request.into(),
            |mut points, request: CountPoints| async move { points.count(request).await },
        )
        .await
    }

    pub(crate) async fn query(&self, request: impl Into<QueryPoints>) -> Result<QueryResponse, QdrantError> {
        self.send_to_points(
            request.into(),
            |mut points, request: QueryPoints| async move { points.query(request).await },
        )
        .await
    }

    pub(crate) async fn query_batch(
        &self,
        request: impl Into<QueryBatchPoints>,
    ) -> Result<QueryBatchResponse, QdrantError> {
        self.send_to_points(request.into(), |mut points, request: QueryBatchPoints| async move {
            points.query_batch(request).await
        })
        .await
    }

    async fn send_to_collections<R: Clone, T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        request: R,
        send: impl Fn(CollectionsClient<KeyedChannel>, R) -> F,
    ) -> Result<T, QdrantError> {
        self.send(|channel| send(CollectionsClient::new(channel), request.clone())).await
    }

    async fn send_to_points<R: Clone, T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        request: R,
        send: impl Fn(PointsClient<KeyedChannel>, R) -> F,
    ) -> Result<T, QdrantError> {
        // The number of points in a request limits the answer.
        self.send(|channel| send(PointsClient::new(channel).max_decoding_message_size(usize::MAX), request.clone()))
            .await
    }

    /// Sends a request, and repeats it over a new connection if the first one is lost. All requests may be repeated: a
    /// collection that was created or deleted meanwhile is no failure for the caller.
    async fn send<T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        send: impl Fn(KeyedChannel) -> F,
    ) -> Result<T, QdrantError> {
        let slot = &self.slots[self.requests.fetch_add(1, Ordering::Relaxed) % CONNECTIONS];
        let (number, channel) = self.load_or_open(slot).await?;
        // Boxed, because these futures take kilobytes.
        let answered = match Box::pin(send(channel)).await {
            Err(status) if is_lost(&status) => {
                slot.forget(number);
                let (_, channel) = self.load_or_open(slot).await?;
                Box::pin(send(channel)).await
            }
            Err(status) if is_late(&status) => {
                // The other side may be gone without having closed the connection.
                slot.forget(number);
                Err(status)
            }
            answered => answered,
        };
        Ok(answered?.into_inner())
    }

    async fn load_or_open(&self, slot: &ChannelSlot) -> Result<(u64, KeyedChannel), Status> {
        let key = KeyHeader(read_api_key(&self.config)?);
        let (number, channel) = if let Some(opened) = slot.load() {
            opened
        } else {
            let channel = open_channel(&self.config).await?;
            (slot.store(channel.clone()), channel)
        };
        Ok((number, InterceptedService::new(channel, key)))
    }
}

/// Whether the connection is lost, or the server on its other side.
fn is_lost(status: &Status) -> bool {
    matches!(status.code(), Code::Internal | Code::Unavailable | Code::Unknown)
}

/// Whether the time of a request was up, which the client calls cancelled. It is not sent again: its caller has waited.
fn is_late(status: &Status) -> bool {
    matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded)
}

fn read_api_key(config: &QdrantConfig) -> Result<Option<MetadataValue<Ascii>>, Status> {
    if config.api_key.is_empty() {
        return Ok(None);
    }
    // Without the cause, which may contain the key.
    let mut key: MetadataValue<Ascii> =
        config.api_key.expose().parse().map_err(|_| Status::invalid_argument("the key is no header"))?;
    key.set_sensitive(true);
    Ok(Some(key))
}

async fn open_channel(config: &QdrantConfig) -> Result<Channel, Status> {
    let invalid = |error: TransportError| Status::invalid_argument(format_error_chain(&error));
    let mut endpoint = Endpoint::from_shared(config.url.clone())
        .map_err(invalid)?
        .timeout(config.timeout())
        .connect_timeout(config.timeout())
        .tcp_keepalive(Some(KEEPALIVE_AFTER))
        .tcp_keepalive_interval(Some(KEEPALIVE_AFTER));
    if has_scheme(&config.url, "https") {
        let tls = read_tls_settings(&config.tls);
        let tls = tls.map_err(|error| Status::failed_precondition(format_error_chain(&error)))?;
        endpoint = endpoint.tls_config(tls).map_err(invalid)?;
    }
    // With the causes, since only they say what is wrong with a certificate.
    endpoint.connect().await.map_err(|error| Status::unavailable(format!("connecting: {}", format_error_chain(&error))))
}

fn read_tls_settings(tls: &EngineTlsConfig) -> Result<ClientTlsConfig, TlsFileError> {
    let settings = match tls.read_authorities()? {
        Some(authorities) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    Ok(match tls.read_identity()? {
        Some(identity) => settings.identity(Identity::from_pem(identity.certificates, identity.key)),
        None => settings,
    })
}
