//! A proxy in front of a broker. Clients know the broker by the proxy's address, and the proxy can tell them that there
//! are no brokers, as a broker does that has been paused and does not count itself as available yet; or have the broker refuse
//! records, as it does before it leads the partition.

mod broker_list;
mod record_refusal;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::eventually;

use self::{
    broker_list::{hide_brokers, replace_broker_port, replace_coordinator_port},
    record_refusal::misdirect_records,
};

/// Keys of the requests that only a partition's leader answers.
const PRODUCE: i16 = 0;
const FETCH: i16 = 1;

/// Keys of the requests whose answers contain brokers.
const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;

/// A running proxy; dropping it closes all of its connections.
#[derive(Debug)]
pub struct KafkaProxy {
    address: SocketAddr,
    hides_brokers: watch::Sender<bool>,
    hidden_lists: Arc<AtomicUsize>,
    refuses_next_records: Arc<AtomicBool>,
    delays_next_answer: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// What the connections of a proxy share.
#[derive(Debug, Clone)]
struct ProxySettings {
    broker: String,
    port: u16,
    hides_brokers: watch::Receiver<bool>,
    hidden_lists: Arc<AtomicUsize>,
    refuses_next_records: Arc<AtomicBool>,
    delays_next_answer: Arc<AtomicBool>,
}

/// What the proxy knows of the requests of one connection.
#[derive(Debug, Default)]
struct ProxiedConnection {
    /// Requests that wait for their answers, by correlation id.
    open_requests: Mutex<HashMap<i32, OpenRequest>>,
    /// Number of requests with records.
    record_requests: watch::Sender<usize>,
}

/// A request whose answer the proxy changes or holds back.
#[derive(Debug, Clone, Copy)]
enum OpenRequest {
    /// For the brokers, in this version.
    Metadata(i16),
    /// For a coordinator, in this version.
    Coordinator(i16),
    /// With records, and with an answer that is delayed; it is the request with records that has this number.
    Delayed(usize),
}

impl ProxiedConnection {
    fn add_open_request(&self, correlation: i32, request: OpenRequest) {
        self.open_requests.lock().unwrap_or_else(PoisonError::into_inner).insert(correlation, request);
    }

    fn take_open_request(&self, correlation: i32) -> Option<OpenRequest> {
        self.open_requests.lock().unwrap_or_else(PoisonError::into_inner).remove(&correlation)
    }
}

impl KafkaProxy {
    /// Starts one in front of the broker at this address.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn start(broker: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, hides_brokers, hidden_lists) =
            (listener.local_addr()?, watch::Sender::new(false), Arc::new(AtomicUsize::new(0)));
        let (refuses_next_records, delays_next_answer) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let settings = ProxySettings {
            broker: broker.to_owned(),
            port: address.port(),
            hides_brokers: hides_brokers.subscribe(),
            hidden_lists: Arc::clone(&hidden_lists),
            refuses_next_records: Arc::clone(&refuses_next_records),
            delays_next_answer: Arc::clone(&delays_next_answer),
        };
        let task = tokio::spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let settings = settings.clone();
                clients.spawn(async move {
                    if let Err(error) = serve_client(client, settings).await {
                        eprintln!("Kafka proxy: {error:#}");
                    }
                });
                while clients.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, hides_brokers, hidden_lists, refuses_next_records, delays_next_answer, task })
    }

    /// Its `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Closes all connections, answers from now on that there are no brokers, and takes and returns no records.
    pub fn hide_brokers(&self) {
        self.hides_brokers.send_replace(true);
    }

    /// Answers as the broker does.
    pub fn show_brokers(&self) {
        self.hides_brokers.send_replace(false);
    }

    /// Has the broker refuse the records of the next request that has any. The client learns it when it has sent another one.
    pub fn refuse_next_records(&self) {
        self.refuses_next_records.store(true, Ordering::Relaxed);
    }

    /// Whether the broker was sent the records that it is to refuse.
    pub fn has_refused_records(&self) -> bool {
        !self.refuses_next_records.load(Ordering::Relaxed)
    }

    /// Delays the answer to the next request with records until the client has sent another one.
    pub fn delay_next_answer(&self) {
        self.delays_next_answer.store(true, Ordering::Relaxed);
    }

    /// Whether the request whose answer is to be delayed was sent.
    pub fn has_delayed_answer(&self) -> bool {
        !self.delays_next_answer.load(Ordering::Relaxed)
    }

    /// Waits until clients have received this many answers without brokers. A second one finds a client that has just begun
    /// to ask the configured addresses again.
    ///
    /// # Panics
    /// If they have not within [`crate::WAIT_TIMEOUT`].
    pub async fn wait_for_hidden_lists(&self, wanted: usize) {
        eventually(async || {
            let lists = self.hidden_lists.load(Ordering::Relaxed);
            if lists >= wanted { Ok(()) } else { Err(format!("{lists} answers without brokers")) }
        })
        .await;
    }
}

impl Drop for KafkaProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve_client(client: TcpStream, settings: ProxySettings) -> anyhow::Result<()> {
    let mut hiding = settings.hides_brokers.clone();
    hiding.mark_unchanged();
    let broker = TcpStream::connect(&settings.broker).await?;
    for stream in [&client, &broker] {
        stream.set_nodelay(true)?;
    }
    let ((from_client, to_client), (from_broker, to_broker)) = (client.into_split(), broker.into_split());
    let connection = ProxiedConnection::default();
    let begins_to_hide = async {
        // An error means that the proxy is gone.
        while hiding.changed().await.is_ok() && !*hiding.borrow_and_update() {}
    };
    tokio::select! {
        forwarded = forward_requests(from_client, to_broker, &connection, &settings) => forwarded,
        forwarded = forward_answers(from_broker, to_client, &connection, &settings) => forwarded,
        () = begins_to_hide => Ok(()),
    }
}

async fn forward_requests(
    mut client: OwnedReadHalf,
    mut broker: OwnedWriteHalf,
    connection: &ProxiedConnection,
    settings: &ProxySettings,
) -> anyhow::Result<()> {
    while let Some(mut request) = read_frame(&mut client).await? {
        match read_request_header(&request) {
            Some((METADATA, version, correlation)) => {
                connection.add_open_request(correlation, OpenRequest::Metadata(version));
            }
            Some((FIND_COORDINATOR, version, correlation)) => {
                connection.add_open_request(correlation, OpenRequest::Coordinator(version));
            }
            // Without brokers there is no leader: closing the connection makes the client ask for the brokers.
            Some((PRODUCE | FETCH, ..)) if *settings.hides_brokers.borrow() => return Ok(()),
            Some((PRODUCE, version, correlation)) => {
                connection.record_requests.send_modify(|count| *count += 1);
                let is_refused = settings.refuses_next_records.swap(false, Ordering::Relaxed);
                if is_refused {
                    misdirect_records(&mut request, version)?;
                }
                if is_refused || settings.delays_next_answer.swap(false, Ordering::Relaxed) {
                    connection
                        .add_open_request(correlation, OpenRequest::Delayed(*connection.record_requests.borrow()));
                }
            }
            Some(_) | None => {}
        }
        write_frame(&mut broker, &request).await?;
    }
    Ok(())
}

async fn forward_answers(
    mut broker: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    connection: &ProxiedConnection,
    settings: &ProxySettings,
) -> anyhow::Result<()> {
    while let Some(mut answer) = read_frame(&mut broker).await? {
        let correlation = answer.first_chunk().copied().map(i32::from_be_bytes).unwrap_or_default();
        match connection.take_open_request(correlation) {
            Some(OpenRequest::Metadata(version)) if *settings.hides_brokers.borrow() => {
                hide_brokers(&mut answer, version)?;
                settings.hidden_lists.fetch_add(1, Ordering::Relaxed);
            }
            Some(OpenRequest::Metadata(version)) => replace_broker_port(&mut answer, version, settings.port)?,
            Some(OpenRequest::Coordinator(version)) => replace_coordinator_port(&mut answer, version, settings.port)?,
            Some(OpenRequest::Delayed(number)) => {
                connection.record_requests.subscribe().wait_for(|count| *count > number).await?;
            }
            None => {}
        }
        write_frame(&mut client, &answer).await?;
    }
    Ok(())
}

/// The key, version and correlation id of a request.
fn read_request_header(request: &[u8]) -> Option<(i16, i16, i32)> {
    let (key, rest) = request.split_first_chunk()?;
    let (version, rest) = rest.split_first_chunk()?;
    Some((i16::from_be_bytes(*key), i16::from_be_bytes(*version), i32::from_be_bytes(*rest.first_chunk()?)))
}

/// Reads a request or an answer without its length; `None` at the end of the connection.
async fn read_frame(stream: &mut OwnedReadHalf) -> anyhow::Result<Option<Vec<u8>>> {
    // A connection may also end within a frame.
    let Ok(length) = stream.read_i32().await else { return Ok(None) };
    let mut frame = vec![0; usize::try_from(length)?];
    Ok(stream.read_exact(&mut frame).await.is_ok().then_some(frame))
}

async fn write_frame(stream: &mut OwnedWriteHalf, frame: &[u8]) -> anyhow::Result<()> {
    stream.write_i32(i32::try_from(frame.len())?).await?;
    Ok(stream.write_all(frame).await?)
}
