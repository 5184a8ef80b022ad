//! The open engine: each statement runs in a session and on its own thread.

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
    chdb_ffi::{ChdbConnection, ChdbLibrary, ConnectionArguments, QueryResult, ResultBuffer, StatementCounters},
    exception::{ClickHouseException, ExceptionCode},
    login_access::LoginAccess,
    stream_framing::{ChunkJoiner, StreamFraming},
};
use crate::EngineError;

/// The engine limits its recursion by the size of the stack; its own threads have the same.
const STACK_BYTES: usize = 8 << 20;

pub(super) struct ChdbEngine {
    chdb: ChdbLibrary,
    arguments: ConnectionArguments,
    version: String,
    time_zone: String,
    /// Keeps the engine open between statements.
    held_connection: Mutex<Option<ChdbConnection>>,
}

/// A statement ready to run.
pub(super) struct StatementJob {
    pub(super) access: LoginAccess,
    /// Statements that prepare the session.
    pub(super) preparation: Vec<String>,
    pub(super) statement: Vec<u8>,
    pub(super) format: String,
    pub(super) parameters: Vec<(String, String)>,
    /// How to stream the result; `None` if it is returned as a whole.
    pub(super) framing: Option<StreamFraming>,
    /// Maximum size of a result that is not streamed, in bytes.
    pub(super) max_result_bytes: u64,
    /// Whether the statement changes the session, which then repeats it for later requests.
    pub(super) changes_session: bool,
    /// The file that the statement reads; it is removed when the job is dropped.
    pub(super) data: Option<NamedTempFile>,
}

/// What a running statement reports.
pub(super) enum StatementProgress {
    /// The next chunk of the result.
    Chunk(Bytes),
    /// The statement succeeded, with its counters and its duration.
    Finished(StatementCounters, Duration),
    /// The statement failed.
    Failed(ClickHouseException),
}

impl ChdbEngine {
    /// Loads the library and opens the data folder.
    pub(super) fn open(library: &Path, data: &Path, config_file: Option<&Path>) -> Result<Self, EngineError> {
        let chdb = ChdbLibrary::load(library)?;
        let refused = |reason: String| EngineError::Open { path: data.to_owned(), reason };
        let to_text = |path: &Path| {
            path.to_str().map(str::to_owned).ok_or_else(|| refused(format!("{} is not UTF-8", path.display())))
        };
        let arguments =
            ConnectionArguments { data_dir: to_text(data)?, config_file: config_file.map(to_text).transpose()? };
        let mut connection = connect(chdb, &arguments).map_err(|exception| refused(exception.text))?;
        let row = connection.query(b"SELECT version(), serverTimezone()", "TabSeparated", &[]).map_err(refused)?;
        let row = String::from_utf8_lossy(row.as_ref()).trim().to_owned();
        let (version, time_zone) = row.split_once('\t').unwrap_or((&row, "UTC"));
        let (version, time_zone) = (version.to_owned(), time_zone.to_owned());
        Ok(Self { chdb, arguments, version, time_zone, held_connection: Mutex::new(Some(connection)) })
    }

    /// The engine's version, such as `26.5.1.1`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// The time zone of the server.
    pub(super) fn time_zone(&self) -> &str {
        &self.time_zone
    }

    /// Closes the held connection; the engine closes its data when no statement runs any more.
    pub(super) fn close(&self) {
        drop(self.held_connection.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Runs a job to its end on the calling thread; calls `on_success` before it reports success to the client.
    pub(super) fn run(&self, job: &StatementJob, progress: &Sender<StatementProgress>, on_success: impl FnOnce()) {
        let started = Instant::now();
        let outcome = match self.execute(job, progress) {
            Ok(counters) => {
                on_success();
                StatementProgress::Finished(counters, started.elapsed())
            }
            Err(exception) => StatementProgress::Failed(remove_paths(exception, job)),
        };
        // The receiver is gone if the client has disconnected.
        progress.blocking_send(outcome).ok();
    }

    fn execute(
        &self,
        job: &StatementJob,
        progress: &Sender<StatementProgress>,
    ) -> Result<StatementCounters, ClickHouseException> {
        let failed = |text: String| ClickHouseException::from_engine(&text, &self.version);
        let mut connection = connect(self.chdb, &self.arguments)?;
        let mut limits = vec!["implicit_select=0".to_owned()];
        if job.framing.is_none() {
            limits.push(format!("max_result_bytes={}", job.max_result_bytes));
        }
        let limits = format!("SET {}", limits.join(", "));
        let mut statements: Vec<&str> = job.preparation.iter().map(String::as_str).collect();
        match job.access {
            LoginAccess::Full => statements.insert(0, &limits),
            // Last, so that earlier settings cannot lift the limits, and none can be set afterwards.
            LoginAccess::Read => statements.extend([limits.as_str(), "SET readonly=1"]),
        }
        for statement in statements {
            connection.query(statement.as_bytes(), "", &[]).map_err(failed)?;
        }
        if let Some(framing) = job.framing {
            match run_streaming(&mut connection, job, framing, progress) {
                Err(text) if text.contains("Streaming query is not supported") => {}
                outcome => return outcome.map_err(failed),
            }
        }
        let output = run_buffered(&mut connection, job).map_err(failed)?;
        let mut counters = StatementCounters::default();
        output.add_to(&mut counters);
        progress.blocking_send(StatementProgress::Chunk(Bytes::from_owner(output))).ok();
        Ok(counters)
    }
}

/// Starts a thread for a statement.
pub(super) fn start_thread(work: impl FnOnce() + Send + 'static) -> Result<(), ClickHouseException> {
    let thread = thread::Builder::new().name("statement".to_owned()).stack_size(STACK_BYTES).spawn(work);
    thread
        .map(drop)
        .map_err(|error| ExceptionCode::CannotSchedule.with_message(&format!("cannot start a thread: {error}")))
}

fn connect(chdb: ChdbLibrary, arguments: &ConnectionArguments) -> Result<ChdbConnection, ClickHouseException> {
    let refused = |reason: &str| ExceptionCode::BadArguments.with_message(reason);
    ChdbConnection::open(chdb, arguments)
        .map_err(|error| refused(&error.to_string()))?
        .ok_or_else(|| refused("the engine refuses a connection to its data folder"))
}

fn run_buffered(connection: &mut ChdbConnection, job: &StatementJob) -> QueryResult {
    connection.query(&job.statement, &job.format, &job.parameters)
}

fn run_streaming(
    connection: &mut ChdbConnection,
    job: &StatementJob,
    framing: StreamFraming,
    progress: &Sender<StatementProgress>,
) -> Result<StatementCounters, String> {
    let mut counters = StatementCounters::default();
    let mut joiner = ChunkJoiner::new(framing);
    let mut chunks = connection.stream(&job.statement, &job.format, &job.parameters)?;
    while let Some(chunk) = chunks.next_chunk()? {
        ResultBuffer::add_to(&chunk, &mut counters);
        if progress.blocking_send(StatementProgress::Chunk(joiner.join(chunk)?)).is_err() {
            break;
        }
    }
    Ok(counters)
}

/// Removes the spool file's name from an error: the client sent data and does not know the file.
fn remove_paths(mut exception: ClickHouseException, job: &StatementJob) -> ClickHouseException {
    if let Some(data) = &job.data {
        let path: PathBuf = data.path().to_owned();
        exception.text =
            exception.text.replace(&format!("(in file/uri {})", path.display()), "(in the request's data)");
    }
    exception
}
