//! Supervises one child process: starts it under a guard, probes it, restarts it when it dies, and stops it.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use tokio::{
    process::{Child, Command},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::LaunchSpec,
    health_probe::HealthProbe,
    process::{CURRENT_EXE, ProcessIdentity, wait_until_ended},
    stack_state::{ProcessState, StackStateFile},
};

/// Time limit for a program's first answer to its probe; Kafka may have a long log to recover.
const START_LIMIT: Duration = Duration::from_mins(2);
/// A run that lasted this long does not count as a failed start.
const STABLE_RUN_TIME: Duration = Duration::from_secs(30);
/// Failed starts in a row before the stack gives up.
const MAX_FAILURES: u32 = 6;
const FIRST_RESTART_DELAY: Duration = Duration::from_millis(200);
/// Pause between two probes of a starting program; some programs log a line for each probe.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
const MAX_LOG_BYTES: u64 = 16 * 1024 * 1024;

/// A process to run, and how to probe that it works.
#[derive(Debug)]
pub struct ProcessSpec {
    /// The name in logs, in the state file and of the log file.
    pub name: String,
    /// How to run it.
    pub launch: LaunchSpec,
    /// The call that it answers once it is ready.
    pub probe: HealthProbe,
    /// Its version, for the state file.
    pub version: String,
    /// Its log file.
    pub log_path: PathBuf,
}

/// The condition of a supervised process.
#[derive(Debug, Clone)]
pub enum ProcessCondition {
    /// Started or restarted, and not answering yet.
    Starting,
    /// Has answered its probe since its last start.
    Ready,
    /// No longer restarted, with the reason.
    Failed(String),
}

/// What the supervised processes of one stack share.
#[derive(Debug, Clone)]
pub struct SupervisionContext {
    /// The state file in which running processes are recorded.
    pub state_file: Arc<StackStateFile>,
    /// When cancelled, processes are killed instead of stopped gracefully.
    pub force_stop: CancellationToken,
    /// Receives the reason when the supervisor gives up on a process.
    pub failures: mpsc::UnboundedSender<String>,
}

/// A process under supervision.
#[derive(Debug)]
pub struct SupervisedProcess {
    name: String,
    stop: CancellationToken,
    condition: watch::Receiver<ProcessCondition>,
    task: JoinHandle<()>,
}

impl SupervisedProcess {
    /// Starts a process of a stack.
    pub fn start(spec: ProcessSpec, context: SupervisionContext) -> Self {
        let (sender, condition) = watch::channel(ProcessCondition::Starting);
        let (stop, name) = (CancellationToken::new(), spec.name.clone());
        let supervisor = ProcessSupervisor { spec, context, stop: stop.clone(), condition: sender };
        Self { name, stop, condition, task: tokio::spawn(supervisor.supervise()) }
    }

    /// The process's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process's condition as it changes; [`wait_until_ready`] waits on it.
    pub fn condition(&self) -> watch::Receiver<ProcessCondition> {
        self.condition.clone()
    }

    /// Stops the process and waits until it has ended.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(engine = self.name, %error, "the supervision task of a process failed");
        }
    }
}

/// Waits until a process is ready.
///
/// # Errors
/// If the supervisor gave up on the process.
pub async fn wait_until_ready(condition: &mut watch::Receiver<ProcessCondition>) -> anyhow::Result<()> {
    let reached = condition.wait_for(|now| !matches!(now, ProcessCondition::Starting)).await;
    match &*reached.context("the supervision ended")? {
        ProcessCondition::Ready | ProcessCondition::Starting => Ok(()),
        ProcessCondition::Failed(reason) => bail!("{reason}"),
    }
}

struct ProcessSupervisor {
    spec: ProcessSpec,
    context: SupervisionContext,
    stop: CancellationToken,
    condition: watch::Sender<ProcessCondition>,
}

/// How one run of a program ended.
enum RunOutcome {
    StopRequested,
    Died(anyhow::Error),
}

impl ProcessSupervisor {
    async fn supervise(self) {
        let (mut failures, mut restarts) = (0, 0);
        loop {
            let started = Instant::now();
            let died = match self.run_once(restarts).await {
                Ok(RunOutcome::StopRequested) => return,
                Ok(RunOutcome::Died(reason)) | Err(reason) => reason,
            };
            failures = if started.elapsed() > STABLE_RUN_TIME { 1 } else { failures + 1 };
            let log_tail = read_log_tail(&self.spec.log_path);
            if failures >= MAX_FAILURES {
                let text =
                    format!("{} failed {failures} times in a row; the last time: {died:#}{log_tail}", self.spec.name);
                // A stack that is being stopped no longer receives failures.
                let _receiver_gone = self.context.failures.send(text.clone());
                self.condition.send_replace(ProcessCondition::Failed(text));
                return;
            }
            let delay = FIRST_RESTART_DELAY * 2_u32.pow(failures - 1);
            tracing::warn!(engine = self.spec.name, delay.ms = delay.as_millis(), "{died:#}, restarting it{log_tail}");
            self.condition.send_replace(ProcessCondition::Starting);
            restarts += 1;
            tokio::select! {
                () = sleep(delay) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    async fn run_once(&self, restarts: u32) -> anyhow::Result<RunOutcome> {
        let name = &self.spec.name;
        let mut child = spawn_guarded(&self.spec)?;
        let identity = child.id().and_then(ProcessIdentity::from_pid);
        self.record_process(identity, restarts)?;
        let outcome = tokio::select! {
            status = child.wait() => RunOutcome::Died(unexpected_exit(name, status?)),
            () = self.stop.cancelled() => RunOutcome::StopRequested,
            error = self.wait_until_ready() => RunOutcome::Died(error),
        };
        self.stop_child(&mut child, identity).await?;
        self.record_process(None, restarts)?;
        Ok(outcome)
    }

    /// Sets the condition to ready when the program first answers; returns an error if it does not within
    /// [`START_LIMIT`], and never returns otherwise.
    async fn wait_until_ready(&self) -> anyhow::Error {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            match self.spec.probe.check_health().await {
                Ok(_) => break,
                Err(error) if Instant::now() > deadline => {
                    return error.context(format!("{} did not answer within {START_LIMIT:?}", self.spec.name));
                }
                Err(error) => tracing::trace!(engine = self.spec.name, "not ready: {error:#}"),
            }
            sleep(PROBE_INTERVAL).await;
        }
        tracing::debug!(engine = self.spec.name, "ready");
        self.condition.send_replace(ProcessCondition::Ready);
        std::future::pending().await
    }

    fn record_process(&self, identity: Option<ProcessIdentity>, restarts: u32) -> anyhow::Result<()> {
        let spec = &self.spec;
        self.context.state_file.update(|stack| {
            let entry = stack.processes.entry(spec.name.clone()).or_insert_with(|| ProcessState {
                identity: None,
                version: spec.version.clone(),
                program: spec.launch.program.clone(),
                restarts: 0,
            });
            entry.identity = identity;
            entry.restarts = restarts;
        })
    }

    /// Stops a program that may still run: gracefully, and by killing it after its stop limit.
    async fn stop_child(&self, child: &mut Child, identity: Option<ProcessIdentity>) -> anyhow::Result<()> {
        let Some(identity) = identity.filter(|_| child.id().is_some()) else { return Ok(()) };
        let children = identity.child_pids().into_iter().filter_map(ProcessIdentity::from_pid).collect::<Vec<_>>();
        if !self.context.force_stop.is_cancelled() {
            identity.send_signal(self.spec.launch.stop_signal);
            tokio::select! {
                status = timeout(self.spec.launch.stop_limit, child.wait()) => if let Ok(status) = status { status?; },
                () = self.context.force_stop.cancelled() => {}
            }
        }
        if child.id().is_some() {
            tracing::warn!(engine = self.spec.name, "did not end in time, killing it");
            identity.kill();
            child.wait().await.with_context(|| format!("waiting for {}", self.spec.name))?;
        }
        wait_until_ended(&children).await;
        Ok(())
    }
}

fn unexpected_exit(name: &str, status: ExitStatus) -> anyhow::Error {
    anyhow!("{name} ended unexpectedly with {status}")
}

/// Starts a program under `guard` in a separate process group: a terminal's Ctrl-C reaches only the supervisor.
///
/// Call it on the main thread: the parent-death signal is sent when the thread that forked ends, not the process.
fn spawn_guarded(spec: &ProcessSpec) -> anyhow::Result<Child> {
    let launch = &spec.launch;
    let log = open_log(&spec.log_path)?;
    let mut command = Command::new(CURRENT_EXE);
    command.as_std_mut().arg0("medhub-local").process_group(0);
    command.args(["guard", "--parent", &std::process::id().to_string(), "--signal", launch.orphan_signal.as_str()]);
    if let Some(user) = &launch.run_as {
        command.args(["--uid", &user.uid.to_string(), "--gid", &user.gid.to_string()]);
    }
    command.arg("--").arg(&launch.program).args(&launch.args).envs(&launch.variables);
    command.current_dir("/").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().with_context(|| format!("starting {}", spec.name))
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > MAX_LOG_BYTES) {
        fs::rename(path, path.with_extension("log.1")).context("rotating a long log")?;
    }
    File::options().create(true).append(true).open(path).with_context(|| format!("opening {}", path.display()))
}

/// The path and the last lines of a log, for the message that its program ended.
fn read_log_tail(path: &Path) -> String {
    const TAIL_BYTES: i64 = 4096;
    const TAIL_LINES: usize = 5;
    let read = || -> std::io::Result<VecDeque<String>> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() > TAIL_BYTES.unsigned_abs() {
            file.seek(SeekFrom::End(-TAIL_BYTES))?;
        }
        let mut last = VecDeque::with_capacity(TAIL_LINES);
        for line in BufReader::new(file).split(b'\n') {
            if last.len() == TAIL_LINES {
                last.pop_front();
            }
            last.push_back(String::from_utf8_lossy(&line?).into_owned());
        }
        Ok(last)
    };
    let lines = read().unwrap_or_default();
    let quoted = lines.into_iter().map(|line| format!("  | {line}"));
    let path_note = format!(" (its log: {})", path.display());
    std::iter::once(path_note).chain(quoted).collect::<Vec<_>>().join("\n")
}
