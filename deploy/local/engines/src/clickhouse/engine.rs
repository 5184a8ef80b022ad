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
    exception::{Exception, Refusal},
    ffi::{Answer, Chdb, Connection, Output, Tally},
    framing::{Framing, Joiner},
    login::Access,
};
use crate::EngineError;

/// The engine sizes its recursion to the stack it finds; its own threads have as much.
const STACK_BYTES: usize = 8 << 20;

/// An open engine.
pub(super) struct Engine {
    chdb: Chdb,
    path: String,
    version: String,
    time_zone: String,
    /// Keeps the engine open between statements.
    anchor: Mutex<Option<Connection>>,
}

/// A statement ready to run.
pub(super) struct Job {
    pub(super) access: Access,
    /// Statements that set the session up.
    pub(super) preparation: Vec<String>,
    pub(super) statement: Vec<u8>,
    pub(super) format: String,
    pub(super) parameters: Vec<(String, String)>,
    /// How to stream the result; `None` where it comes in one piece.
    pub(super) framing: Option<Framing>,
    /// Largest result in one piece, in bytes.
    pub(super) max_result_bytes: u64,
    /// Whether a session remembers the statement.
    pub(super) is_remembered: bool,
    /// The file the statement reads, kept until it has.
    pub(super) data: Option<NamedTempFile>,
}

/// What a running statement tells.
pub(super) enum Progress {
    /// The next piece of the result.
    Piece(Bytes),
    /// The end, with the counters.
    Done(Tally, Duration),
    /// It failed.
    Failed(Exception),
}

impl Engine {
    /// Loads the library and opens the data.
    pub(super) fn open(library: &Path, data: &Path) -> Result<Self, EngineError> {
        let chdb = Chdb::load(library)?;
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
    pub(super) fn run(&self, job: &Job, progress: &Sender<Progress>, succeeded: impl FnOnce()) {
        let started = Instant::now();
        let told = match self.execute(job, progress) {
            Ok(tally) => {
                succeeded();
                Progress::Done(tally, started.elapsed())
            }
            Err(exception) => Progress::Failed(without_paths(exception, job)),
        };
        // Nobody listens where the client has gone.
        progress.blocking_send(told).ok();
    }

    fn execute(&self, job: &Job, progress: &Sender<Progress>) -> Result<Tally, Exception> {
        let failed = |text: String| Exception::from_engine(&text, &self.version);
        let mut connection = connect(self.chdb, &self.path)?;
        let mut limits = vec!["implicit_select=0".to_owned()];
        if job.framing.is_none() {
            limits.push(format!("max_result_bytes={}", job.max_result_bytes));
        }
        let limits = format!("SET {}", limits.join(", "));
        let mut statements: Vec<&str> = job.preparation.iter().map(String::as_str).collect();
        match job.access {
            Access::Full => statements.insert(0, &limits),
            // Last, so that what was set before cannot lift them, and nothing can be set after.
            Access::Read => statements.extend([limits.as_str(), "SET readonly=1"]),
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
        let mut tally = Tally::default();
        output.add_to(&mut tally);
        progress.blocking_send(Progress::Piece(Bytes::from_owner(output))).ok();
        Ok(tally)
    }
}

/// Starts a thread that runs the job.
pub(super) fn start(work: impl FnOnce() + Send + 'static) -> Result<(), Exception> {
    let thread = thread::Builder::new().name("statement".to_owned()).stack_size(STACK_BYTES).spawn(work);
    thread.map(drop).map_err(|error| Refusal::CannotSchedule.because(&format!("cannot start a thread: {error}")))
}

fn connect(chdb: Chdb, path: &str) -> Result<Connection, Exception> {
    let refused = |reason: &str| Refusal::BadArguments.because(reason);
    Connection::open(chdb, path)
        .map_err(|error| refused(&error.to_string()))?
        .ok_or_else(|| refused("the engine refuses a connection to its data folder"))
}

fn whole(connection: &mut Connection, job: &Job) -> Answer {
    connection.query(&job.statement, &job.format, &job.parameters)
}

fn stream(
    connection: &mut Connection,
    job: &Job,
    framing: Framing,
    progress: &Sender<Progress>,
) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let mut joiner = Joiner::new(framing);
    let mut pieces = connection.stream(&job.statement, &job.format, &job.parameters)?;
    while let Some(piece) = pieces.next()? {
        Output::add_to(&piece, &mut tally);
        if progress.blocking_send(Progress::Piece(joiner.join(piece)?)).is_err() {
            break;
        }
    }
    Ok(tally)
}

/// The client sent data, not a file: its name is of no use to anybody.
fn without_paths(mut exception: Exception, job: &Job) -> Exception {
    if let Some(data) = &job.data {
        let path: PathBuf = data.path().to_owned();
        exception.text =
            exception.text.replace(&format!("(in file/uri {})", path.display()), "(in the request's data)");
    }
    exception
}
