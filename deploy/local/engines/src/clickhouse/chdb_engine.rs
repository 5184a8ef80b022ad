//! The open engine: one session per statement, each on a thread of its own.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use axum::body::Bytes;
use tempfile::NamedTempFile;
use tokio::sync::mpsc::Sender;

use super::{
    chdb_ffi::{ChdbConnection, ChdbLibrary, QueryResult, ResultBuffer, StatementCounters},
    exception::{ClickHouseException, ExceptionCode},
    login_access::LoginAccess,
    stream_framing::{ChunkJoiner, StreamFraming},
};
use crate::EngineError;

/// The engine sizes its recursion to the stack it finds; its own threads have as much.
const STACK_BYTES: usize = 8 << 20;

/// An open engine.
pub(super) struct ChdbEngine {
    chdb: ChdbLibrary,
    path: String,
    version: String,
    time_zone: String,
    /// Keeps the engine open between statements.
    anchor: Mutex<Option<ChdbConnection>>,
}

/// A statement ready to run.
pub(super) struct StatementJob {
    pub(super) access: LoginAccess,
    /// Statements that set the session up.
    pub(super) preparation: Vec<String>,
    pub(super) statement: Vec<u8>,
    pub(super) format: String,
    pub(super) parameters: Vec<(String, String)>,
    /// How to stream the result; `None` where it comes in one piece.
    pub(super) framing: Option<StreamFraming>,
    /// Largest result in one piece, in bytes.
    pub(super) max_result_bytes: u64,
    /// Whether a session remembers the statement.
    pub(super) is_remembered: bool,
    /// The file the statement reads, kept until it has.
    pub(super) data: Option<NamedTempFile>,
}

/// What a running statement tells.
pub(super) enum StatementProgress {
    /// The next piece of the result.
    Chunk(Bytes),
    /// The end, with the counters.
    Finished(StatementCounters, Duration),
    /// It failed.
    Failed(ClickHouseException),
}

impl ChdbEngine {
    /// Loads the library and opens the data.
    pub(super) fn open(library: &Path, data: &Path) -> Result<Self, EngineError> {
        let chdb = ChdbLibrary::load(library)?;
        let refused = |reason: String| EngineError::Open { path: data.to_owned(), reason };
        let path = data.to_str().ok_or_else(|| refused("its path is not UTF-8".to_owned()))?.to_owned();
        let mut anchor = connect(chdb, &path).map_err(|exception| refused(exception.text))?;
        let told = anchor.query(b"SELECT version(), serverTimezone()", "TabSeparated", &[]).map_err(refused)?;
        let told = String::from_utf8_lossy(told.as_ref()).trim().to_owned();
        let (version, time_zone) = told.split_once('\t').unwrap_or((&told, "UTC"));
        let (version, time_zone) = (version.to_owned(), time_zone.to_owned());
        Ok(Self { chdb, path, version, time_zone, anchor: Mutex::new(Some(anchor)) })
    }

    /// The engine's version, such as `26.5.1.1`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// The time zone of the server.
    pub(super) fn time_zone(&self) -> &str {
        &self.time_zone
    }

    /// Lets go of the engine; it closes its data once no statement runs any more.
    pub(super) fn close(&self) {
        drop(self.anchor.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Runs a job to its end on the calling thread; tells whether it succeeded before it tells the client.
    pub(super) fn run(&self, job: &StatementJob, progress: &Sender<StatementProgress>, succeeded: impl FnOnce()) {
        let started = Instant::now();
        let told = match self.execute(job, progress) {
            Ok(tally) => {
                succeeded();
                StatementProgress::Finished(tally, started.elapsed())
            }
            Err(exception) => StatementProgress::Failed(without_paths(exception, job)),
        };
        // Nobody listens where the client has gone.
        progress.blocking_send(told).ok();
    }

    fn execute(
        &self,
        job: &StatementJob,
        progress: &Sender<StatementProgress>,
    ) -> Result<StatementCounters, ClickHouseException> {
        let failed = |text: String| ClickHouseException::from_engine(&text, &self.version);
        let mut connection = connect(self.chdb, &self.path)?;
        let mut limits = vec!["implicit_select=0".to_owned()];
        if job.framing.is_none() {
            limits.push(format!("max_result_bytes={}", job.max_result_bytes));
        }
        let limits = format!("SET {}", limits.join(", "));
        let mut statements: Vec<&str> = job.preparation.iter().map(String::as_str).collect();
        match job.access {
            LoginAccess::Full => statements.insert(0, &limits),
            // Last, so that what was set before cannot lift them, and nothing can be set after.
            LoginAccess::Read => statements.extend([limits.as_str(), "SET readonly=1"]),
        }
        for statement in statements {
            connection.query(statement.as_bytes(), "", &[]).map_err(failed)?;
        }
        if let Some(framing) = job.framing {
            match stream(&mut connection, job, framing, progress) {
                Err(text) if text.contains("Streaming query is not supported") => {}
                told => return told.map_err(failed),
            }
        }
        let output = whole(&mut connection, job).map_err(failed)?;
        let mut tally = StatementCounters::default();
        output.add_to(&mut tally);
        progress.blocking_send(StatementProgress::Chunk(Bytes::from_owner(output))).ok();
        Ok(tally)
    }
}

/// Starts a thread that runs the job.
pub(super) fn start(work: impl FnOnce() + Send + 'static) -> Result<(), ClickHouseException> {
    let thread = thread::Builder::new().name("statement".to_owned()).stack_size(STACK_BYTES).spawn(work);
    thread.map(drop).map_err(|error| ExceptionCode::CannotSchedule.because(&format!("cannot start a thread: {error}")))
}

fn connect(chdb: ChdbLibrary, path: &str) -> Result<ChdbConnection, ClickHouseException> {
    let refused = |reason: &str| ExceptionCode::BadArguments.because(reason);
    ChdbConnection::open(chdb, path)
        .map_err(|error| refused(&error.to_string()))?
        .ok_or_else(|| refused("the engine refuses a connection to its data folder"))
}

fn whole(connection: &mut ChdbConnection, job: &StatementJob) -> QueryResult {
    connection.query(&job.statement, &job.format, &job.parameters)
}

fn stream(
    connection: &mut ChdbConnection,
    job: &StatementJob,
    framing: StreamFraming,
    progress: &Sender<StatementProgress>,
) -> Result<StatementCounters, String> {
    let mut tally = StatementCounters::default();
    let mut joiner = ChunkJoiner::new(framing);
    let mut pieces = connection.stream(&job.statement, &job.format, &job.parameters)?;
    while let Some(piece) = pieces.next()? {
        ResultBuffer::add_to(&piece, &mut tally);
        if progress.blocking_send(StatementProgress::Chunk(joiner.join(piece)?)).is_err() {
            break;
        }
    }
    Ok(tally)
}

/// The client sent data, not a file: its name is of no use to anybody.
fn without_paths(mut exception: ClickHouseException, job: &StatementJob) -> ClickHouseException {
    if let Some(data) = &job.data {
        let path: PathBuf = data.path().to_owned();
        exception.text =
            exception.text.replace(&format!("(in file/uri {})", path.display()), "(in the request's data)");
    }
    exception
}
