//! The sessions to the server.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

use anyhow::bail;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::protocol_message::read_message;

const PROTOCOL_VERSION: i32 = 196_608;

/// The sessions that are free, and how many there may be.
pub(super) struct SessionPool {
    pub(super) server: String,
    pub(super) user: String,
    pub(super) database: String,
    /// Sessions without a transaction, the one that has been free longest first.
    pub(super) free: Mutex<VecDeque<ServerSession>>,
    pub(super) permits: Arc<Semaphore>,
    pub(super) clients: AtomicU64,
}

/// A session on the server.
pub(super) struct ServerSession {
    pub(super) stream: TcpStream,
    /// Names of the statements prepared on this session, by client and the client's name for them.
    pub(super) prepared: HashMap<(u64, String), String>,
    /// Statements whose preparation no answer has confirmed yet.
    pub(super) unconfirmed: Vec<(u64, String)>,
    /// Number of statements prepared on this session, for unique names.
    prepared_count: u64,
    /// The server's messages at the start of the session, repeated to clients.
    pub(super) startup_messages: Vec<u8>,
}

impl ServerSession {
    /// Gives a client's statement a name that is unique on this session: two clients may use one name for different
    /// ones.
    pub(super) fn prepare(&mut self, client: u64, name: &str) -> String {
        if name.is_empty() {
            return String::new();
        }
        self.prepared_count += 1;
        let (statement, renamed) = ((client, name.to_owned()), format!("p{}", self.prepared_count));
        self.unconfirmed.push(statement.clone());
        self.prepared.insert(statement, renamed.clone());
        renamed
    }
}

/// A session that is attached to a client.
pub(super) struct AttachedSession {
    pub(super) session: ServerSession,
    /// Number of `ReadyForQuery` answers that are still expected.
    pub(super) pending_ready: usize,
    /// For each expected `ParseComplete`, in order: whether the client did not send its `Parse`, so that it is not
    /// forwarded.
    pub(super) hidden_completions: VecDeque<bool>,
    _permit: OwnedSemaphorePermit,
}

impl SessionPool {
    pub(super) async fn attach(&self) -> anyhow::Result<AttachedSession> {
        let permit = Arc::clone(&self.permits).acquire_owned().await?;
        let session = loop {
            let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match free {
                // The server has closed it meanwhile.
                Some(session) if is_closed(&session.stream).unwrap_or(true) => {}
                Some(session) => break session,
                None => break self.connect().await?,
            }
        };
        Ok(AttachedSession { session, pending_ready: 0, hidden_completions: VecDeque::new(), _permit: permit })
    }

    pub(super) fn detach(&self, attached: AttachedSession) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push_back(attached.session);
    }

    async fn connect(&self) -> anyhow::Result<ServerSession> {
        let mut stream = TcpStream::connect(&self.server).await?;
        stream.set_nodelay(true)?;
        let mut startup = PROTOCOL_VERSION.to_be_bytes().to_vec();
        for (name, value) in [("user", &self.user), ("database", &self.database)] {
            startup.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
        }
        startup.push(0);
        let length = i32::try_from(startup.len() + 4)?;
        stream.write_all(&[&length.to_be_bytes(), startup.as_slice()].concat()).await?;
        let mut startup_messages = vec![];
        loop {
            let message = read_message(&mut stream).await?;
            match message.kind {
                b'R' | b'S' => startup_messages.extend(message.bytes()),
                b'K' => {}
                b'Z' => {
                    return Ok(ServerSession {
                        stream,
                        prepared: HashMap::new(),
                        unconfirmed: vec![],
                        prepared_count: 0,
                        startup_messages,
                    });
                }
                _ => bail!("unexpected message from the server: {}", String::from_utf8_lossy(&message.body)),
            }
        }
    }
}

/// Whether the other side has closed a connection.
pub(super) fn is_closed(stream: &TcpStream) -> io::Result<bool> {
    let mut byte = [0];
    match futures::FutureExt::now_or_never(stream.peek(&mut byte)) {
        Some(Ok(read)) => Ok(read == 0),
        Some(Err(error)) => Err(error),
        None => Ok(false),
    }
}
