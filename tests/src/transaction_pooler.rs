//! A pooler between clients and Postgres, like `PgBouncer` in transaction mode: a client holds a server session only
//! from the first message of a transaction to its end, and its prepared statements follow it to other sessions.
//!
//! ```text
//! client ──Query, or Parse … Sync──▶ any free session ──ReadyForQuery, idle──▶ free for the next client
//! ```
//! Sessions are assigned in turn, so that a client that relies on keeping one soon gets another. Session state
//! (locks, settings) stays on the session after its client has released it.

mod protocol_message;
mod session_pool;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};

use self::{
    protocol_message::{ProtocolMessage, read_message},
    session_pool::{AttachedSession, SessionPool, is_closed},
};

/// Sessions to the server: fewer than a few processes of the product open connections.
const MAX_SESSIONS: usize = 24;

const SSL_REQUEST: i32 = 80_877_103;
const GSS_REQUEST: i32 = 80_877_104;
const CANCEL_REQUEST: i32 = 80_877_102;

/// The answer of the proxy of Amazon RDS to options of a connection: severity, SQLSTATE and message.
const OPTIONS_REFUSAL: &[u8] = b"SFATAL\0VFATAL\0C0A000\0\
    MFeature not supported: RDS Proxy currently doesn't support command-line options\0\0";

/// A running pooler; dropping it closes all of its connections.
#[derive(Debug)]
pub struct TransactionPooler {
    address: SocketAddr,
    url: String,
    task: JoinHandle<()>,
}

impl TransactionPooler {
    /// Starts one in front of a database without passwords.
    ///
    /// # Errors
    /// If it cannot listen, or the URL is invalid.
    pub async fn start(url: &str) -> anyhow::Result<Self> {
        Self::start_with(url, false).await
    }

    /// [`Self::start`], for one that refuses the options of a connection as the proxy of Amazon RDS does.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_refusing_options(url: &str) -> anyhow::Result<Self> {
        Self::start_with(url, true).await
    }

    async fn start_with(url: &str, refuses_options: bool) -> anyhow::Result<Self> {
        let server: PgConnectOptions = url.parse()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let database = server.get_database().context("a database is needed")?.to_owned();
        let pooled = format!("postgres://{}@{address}/{database}", server.get_username());
        let pool = Arc::new(SessionPool {
            server: format!("{}:{}", server.get_host(), server.get_port()),
            user: server.get_username().to_owned(),
            database,
            free: Mutex::default(),
            permits: Arc::new(Semaphore::new(MAX_SESSIONS)),
            clients: AtomicU64::new(0),
        });
        let task = tokio::spawn(async move {
            let mut clients = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let pool = Arc::clone(&pool);
                clients.spawn(async move {
                    // A client that disconnects is not an error.
                    drop(serve_client(client, &pool, refuses_options).await);
                });
                while clients.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, url: pooled, task })
    }

    /// The URL of the database through the pooler.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TransactionPooler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve_client(mut client: TcpStream, pool: &SessionPool, refuses_options: bool) -> anyhow::Result<()> {
    client.set_nodelay(true)?;
    let startup = loop {
        let length = client.read_i32().await?;
        let mut body = vec![0; usize::try_from(length - 4)?];
        client.read_exact(&mut body).await?;
        match body.first_chunk::<4>().map(|code| i32::from_be_bytes(*code)) {
            Some(SSL_REQUEST | GSS_REQUEST) => client.write_all(b"N").await?,
            Some(CANCEL_REQUEST) => return Ok(()),
            _ => break body,
        }
    };
    if refuses_options && has_options(&startup) {
        client.write_all(&ProtocolMessage { kind: b'E', body: OPTIONS_REFUSAL.to_vec() }.bytes()).await?;
        return Ok(());
    }
    let first = pool.attach().await?;
    let mut startup_messages = first.session.startup_messages.clone();
    pool.detach(first);
    startup_messages.extend(ProtocolMessage { kind: b'K', body: vec![0; 8] }.bytes());
    startup_messages.extend(ProtocolMessage { kind: b'Z', body: b"I".to_vec() }.bytes());
    client.write_all(&startup_messages).await?;
    let number = pool.clients.fetch_add(1, Ordering::Relaxed);
    PoolerClient { stream: client, number, statements: HashMap::new() }.serve_client(pool).await
}

/// Whether the start of a connection has options: names and values follow the version of the protocol in turn.
fn has_options(startup: &[u8]) -> bool {
    let texts = startup.get(4..).unwrap_or_default().split(|byte| *byte == 0);
    texts.step_by(2).any(|name| name == b"options")
}

struct PoolerClient {
    stream: TcpStream,
    number: u64,
    /// Statements that the client has prepared, by its own names.
    statements: HashMap<String, ProtocolMessage>,
}

impl PoolerClient {
    async fn serve_client(mut self, pool: &SessionPool) -> anyhow::Result<()> {
        let mut current: Option<AttachedSession> = None;
        loop {
            let Some(mut attached) = current.take() else {
                let message = read_message(&mut self.stream).await?;
                if message.kind == b'X' {
                    return Ok(());
                }
                let mut attached = pool.attach().await?;
                self.forward_message(message, &mut attached).await?;
                current = Some(attached);
                continue;
            };
            // Waits until a side is readable before reading, so that no message is read in part and lost.
            let from_client = tokio::select! {
                ready = self.stream.readable() => ready.map(|()| true)?,
                ready = attached.session.stream.readable() => ready.map(|()| false)?,
            };
            if from_client {
                if is_closed(&self.stream)? {
                    // Like PgBouncer: if a client disconnects within a transaction, its session is closed with it.
                    return Ok(());
                }
                if has_no_data(&self.stream)? {
                    current = Some(attached);
                    continue;
                }
                let message = read_message(&mut self.stream).await?;
                if message.kind == b'X' {
                    return Ok(());
                }
                self.forward_message(message, &mut attached).await?;
                current = Some(attached);
            } else {
                if has_no_data(&attached.session.stream)? {
                    current = Some(attached);
                    continue;
                }
                let message = read_message(&mut attached.session.stream).await?;
                current = if self.forward_answer(message, &mut attached).await? {
                    pool.detach(attached);
                    None
                } else {
                    Some(attached)
                };
            }
        }
    }

    async fn forward_message(
        &mut self,
        message: ProtocolMessage,
        attached: &mut AttachedSession,
    ) -> anyhow::Result<()> {
        let mut out = vec![];
        match message.kind {
            b'Q' | b'S' | b'F' => {
                attached.pending_ready += 1;
                out.extend(message.bytes());
            }
            b'P' => {
                let (name, _) = message.text(0);
                let renamed = message.with_text(0, &attached.session.prepare(self.number, &name));
                if !name.is_empty() {
                    self.statements.insert(name, message);
                }
                attached.hidden_completions.push_back(false);
                out.extend(renamed.bytes());
            }
            // The statement's name follows the portal's in Bind, and the kind in Describe and Close.
            b'B' => {
                let (_, at) = message.text(0);
                let renamed = self.ensure_prepared(&message.text(at).0, attached, &mut out);
                out.extend(message.with_text(at, &renamed).bytes());
            }
            b'D' if message.body.first() == Some(&b'S') => {
                let renamed = self.ensure_prepared(&message.text(1).0, attached, &mut out);
                out.extend(message.with_text(1, &renamed).bytes());
            }
            b'C' if message.body.first() == Some(&b'S') => {
                let (name, _) = message.text(1);
                self.statements.remove(&name);
                let renamed = attached.session.prepared.remove(&(self.number, name)).unwrap_or_default();
                out.extend(message.with_text(1, &renamed).bytes());
            }
            _ => out.extend(message.bytes()),
        }
        attached.session.stream.write_all(&out).await?;
        Ok(())
    }

    /// Prepares a statement on the session unless it is prepared already, and returns its name there.
    fn ensure_prepared(&self, name: &str, attached: &mut AttachedSession, out: &mut Vec<u8>) -> String {
        if let Some(existing) = attached.session.prepared.get(&(self.number, name.to_owned())) {
            return existing.clone();
        }
        let Some(statement) = self.statements.get(name) else { return name.to_owned() };
        let renamed = attached.session.prepare(self.number, name);
        attached.hidden_completions.push_back(true);
        out.extend(statement.with_text(0, &renamed).bytes());
        renamed
    }

    /// Forwards an answer; returns whether the transaction is over, after which the client gives up the session.
    async fn forward_answer(
        &mut self,
        message: ProtocolMessage,
        attached: &mut AttachedSession,
    ) -> anyhow::Result<bool> {
        if message.kind == b'1' && attached.hidden_completions.pop_front() == Some(true) {
            return Ok(false);
        }
        let mut is_over = false;
        match message.kind {
            b'Z' => {
                attached.pending_ready = attached.pending_ready.saturating_sub(1);
                is_over = attached.pending_ready == 0 && message.body.first() == Some(&b'I');
                if attached.pending_ready == 0 {
                    attached.hidden_completions.clear();
                    attached.session.unconfirmed.clear();
                }
            }
            // The server skips what follows an error, so unconfirmed statements may not exist.
            b'E' => {
                for statement in attached.session.unconfirmed.drain(..) {
                    attached.session.prepared.remove(&statement);
                }
            }
            _ => {}
        }
        self.stream.write_all(&message.bytes()).await?;
        Ok(is_over)
    }
}

fn has_no_data(stream: &TcpStream) -> io::Result<bool> {
    let mut byte = [0];
    match futures::FutureExt::now_or_never(stream.peek(&mut byte)) {
        Some(Ok(_)) => Ok(false),
        Some(Err(error)) => Err(error),
        None => Ok(true),
    }
}
