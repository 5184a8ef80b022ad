//! Starts a child process for each file, and ends it with all that it started.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::{
        signal::{Signal, killpg},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStderr, ChildStdout, Command},
    time::{Instant, timeout, timeout_at},
};

use crate::{
    ExtractedText, ExtractionConfig, ExtractionFailure, ExtractionFailureKind, ExtractionFolder, ExtractionRequest,
    extraction_child::ExtractionReport, extraction_watch::ExtractionWatch,
};

/// How long a child process may take to end after its output.
const END_GRACE: Duration = Duration::from_secs(2);

/// What is kept of messages on standard error.
const MAX_MESSAGE_BYTES: u64 = 2000;

/// A program that calls [`crate::run_extraction_child`] with its last argument.
#[derive(Debug, Clone)]
pub struct ExtractionProgram {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl ExtractionProgram {
    /// A program, and the arguments before the request.
    pub fn new(path: PathBuf, arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self { path, arguments: arguments.into_iter().collect() }
    }

    /// The program that runs, `medhub`, even if its file was replaced meanwhile.
    pub fn current() -> Self {
        Self::new("/proc/self/exe".into(), ["extract-text".into()])
    }
}

/// Extracts texts in child processes, one for each file.
#[derive(Debug, Clone)]
pub struct ExtractionProcess {
    program: ExtractionProgram,
    config: ExtractionConfig,
    folder: Option<Arc<ExtractionFolder>>,
}

impl ExtractionProcess {
    /// Starts nothing yet. Temporary files are in the temporary folder of the system.
    pub fn new(program: ExtractionProgram, config: ExtractionConfig) -> Self {
        Self { program, config, folder: None }
    }

    /// Moves temporary files to a folder that is removed also if this process is killed.
    #[must_use]
    pub fn with_folder(self, folder: ExtractionFolder) -> Self {
        Self { folder: Some(Arc::new(folder)), ..self }
    }

    /// The folder for temporary files, such as the file whose text is extracted.
    pub fn temporary_folder(&self) -> PathBuf {
        self.folder.as_ref().map_or_else(std::env::temp_dir, |folder| folder.path().to_owned())
    }

    /// Extracts the text of a file, which the user knows by `file_name`. When the future is dropped, the child process
    /// is killed with all that it started.
    ///
    /// # Errors
    /// [`ExtractionFailure`], with a sentence for the user; its kind says whether another attempt may succeed.
    pub async fn extract(&self, file: &Path, file_name: &str) -> Result<ExtractedText, ExtractionFailure> {
        let folder = tempfile::Builder::new()
            .prefix("medhub-extraction-")
            .tempdir_in(self.temporary_folder())
            .map_err(|error| interrupted(&format!("a temporary folder cannot be made: {error}")))?;
        let mut running = self.start(file, file_name, &folder)?;
        let limits = self.config.limits.clone();
        let watch = ExtractionWatch { group: running.group.0, folder: folder.path().to_owned(), limits };
        let outcome = tokio::select! {
            outcome = running.read_outcome(&self.config) => outcome,
            // The process group is killed below.
            excess = watch.wait_for_excess() => Err(excess),
        };
        drop(running);
        outcome
    }

    fn start(&self, file: &Path, file_name: &str, folder: &TempDir) -> Result<RunningExtraction, ExtractionFailure> {
        let start = |what: String| interrupted(&format!("the extraction cannot be started: {what}"));
        let request = self.build_request(file, file_name, folder).map_err(|error| start(error.to_string()))?;
        let request = serde_json::to_string(&request).map_err(|error| start(error.to_string()))?;
        let mut command = Command::new(&self.program.path);
        command.args(&self.program.arguments).arg(request).current_dir(folder.path());
        // Nothing of this process's environment: it has secrets.
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        command.env("TMPDIR", folder.path()).env("OMP_THREAD_LIMIT", "1");
        // The allocator of `medhub` otherwise reserves as much address space as the limit.
        command.env("MIMALLOC_ARENA_RESERVE", "32MiB").env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.process_group(0).kill_on_drop(true).spawn().map_err(|error| start(error.to_string()))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let group = ProcessGroup(id.ok_or_else(|| start("it has no process id".to_owned()))?);
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(start("it has no output".to_owned()));
        };
        Ok(RunningExtraction { group, stdout, stderr, child })
    }

    fn build_request(&self, file: &Path, file_name: &str, folder: &TempDir) -> std::io::Result<ExtractionRequest> {
        let mut config = self.config.clone();
        // The child process has another PATH and another folder.
        config.tesseract = config.tesseract_program().unwrap_or(config.tesseract);
        config.tesseract = make_absolute(config.tesseract)?;
        config.pdfium_dir = config.pdfium_dir.map(std::path::absolute).transpose()?;
        Ok(ExtractionRequest {
            file: std::path::absolute(file)?,
            file_name: file_name.to_owned(),
            folder: folder.path().to_owned(),
            config,
        })
    }
}

/// A path with folders becomes absolute; a name that is looked up on PATH stays.
fn make_absolute(program: PathBuf) -> std::io::Result<PathBuf> {
    if program.components().count() > 1 { std::path::absolute(program) } else { Ok(program) }
}

/// A child process. Its standard input stays open until it is dropped. The group is dropped, and so killed, before the
/// child process, which is reaped: until then no other group has its id.
#[derive(Debug)]
struct RunningExtraction {
    group: ProcessGroup,
    stdout: ChildStdout,
    stderr: ChildStderr,
    child: Child,
}

/// Kills a process group when it is dropped.
#[derive(Debug)]
struct ProcessGroup(Pid);

impl ProcessGroup {
    fn kill(&self) {
        // Fails only if all its processes have ended.
        let _ended = killpg(self.0, Signal::SIGKILL);
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}

impl RunningExtraction {
    async fn read_outcome(&mut self, config: &ExtractionConfig) -> Result<ExtractedText, ExtractionFailure> {
        let limits = &config.limits;
        let deadline = Instant::now() + Duration::from_secs(limits.wall_clock_seconds);
        let mut output = Vec::new();
        let mut bounded = (&mut self.stdout).take(limits.max_output_bytes() + 1);
        let read = timeout_at(deadline, bounded.read_to_end(&mut output)).await;
        if matches!(read, Ok(Ok(_))) && output.len() as u64 <= limits.max_output_bytes() {
            self.await_end().await;
        }
        self.group.kill();
        let status = self.child.wait().await;
        match read {
            Err(_elapsed) => {
                let seconds = limits.wall_clock_seconds;
                let reason = format!("reading the file was not finished after {seconds} seconds; split it");
                return Err(ExtractionFailure::new(ExtractionFailureKind::TimeExceeded, &reason));
            }
            Ok(Err(error)) => {
                return Err(interrupted(&format!("the output of the extraction cannot be read: {error}")));
            }
            Ok(Ok(_)) if output.len() as u64 > limits.max_output_bytes() => {
                let reason = format!("the text of the file is longer than {} bytes; split it", limits.max_text_bytes);
                return Err(ExtractionFailure::new(ExtractionFailureKind::TooLarge, &reason));
            }
            Ok(Ok(_)) => {}
        }
        match serde_json::from_slice(&output) {
            Ok(ExtractionReport::Extracted(text)) => Ok(text),
            Ok(ExtractionReport::Failed(failure)) => Err(failure),
            Err(_incomplete) => {
                let status = status.map_err(|error| interrupted(&format!("the extraction is lost: {error}")))?;
                Err(describe_end(status, &self.read_message().await, config))
            }
        }
    }

    /// Waits until the child process has ended by itself, without reaping it.
    async fn await_end(&self) {
        let id = Id::Pid(self.group.0);
        let wait = tokio::task::spawn_blocking(move || waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT));
        // It is killed afterwards in any case, and the thread ends with it.
        let _timed_out = timeout(END_GRACE, wait).await;
    }

    async fn read_message(&mut self) -> String {
        let mut message = Vec::new();
        let mut bounded = (&mut self.stderr).take(MAX_MESSAGE_BYTES);
        // What was read until an error or a time-out is the message.
        let _incomplete = timeout(END_GRACE, bounded.read_to_end(&mut message)).await;
        String::from_utf8_lossy(&message).trim().to_owned()
    }
}

/// Says why a child process ended without a report.
fn describe_end(status: ExitStatus, message: &str, config: &ExtractionConfig) -> ExtractionFailure {
    let signal = status.signal().and_then(|signal| Signal::try_from(signal).ok());
    match signal {
        Some(Signal::SIGXCPU) => ExtractionFailure::new(
            ExtractionFailureKind::CpuTimeExceeded,
            &format!("reading the file takes more than {} seconds of computing", config.limits.cpu_seconds),
        ),
        Some(
            Signal::SIGSEGV
            | Signal::SIGABRT
            | Signal::SIGBUS
            | Signal::SIGILL
            | Signal::SIGTRAP
            | Signal::SIGFPE
            | Signal::SIGSYS
            | Signal::SIGXFSZ,
        ) => ExtractionFailure::new(
            ExtractionFailureKind::MemoryExceeded,
            &format!(
                "the file is damaged, or reading it takes more than {} MiB of memory",
                config.limits.memory_bytes >> 20
            ),
        ),
        Some(signal) => interrupted(&format!("the extraction was ended by {signal}")),
        None => interrupted(&format!("the extraction ended with {status}: {message}")),
    }
}

fn interrupted(reason: &str) -> ExtractionFailure {
    ExtractionFailure::new(ExtractionFailureKind::Interrupted, reason)
}
