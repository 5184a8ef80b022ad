//! The processes of a stack: engines start in parallel, then the product; they stop in reverse order.

mod initial_state;
mod stack_signals;

use std::{
    collections::BTreeMap,
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use futures::future::{OptionFuture, join_all, try_join_all};
use tokio::{
    process::Command,
    sync::{mpsc, oneshot},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use self::{
    initial_state::{REGISTRY_LOGIN_VARIABLE, create_initial_state},
    stack_signals::StackSignals,
};
use crate::{
    artifact::{DownloadProgress, GRAPHIQL, PDFIUM, PinnedArtifact, WORDLLAMA, ensure_all_cached},
    engine::{EngineKind, EngineSettings, LaunchSpec, LocalEngine},
    folder::{self, ProcessLock},
    health_probe::HealthProbe,
    process::{self, CURRENT_EXE},
    service_port::{AllocatedPorts, ServicePort},
    stack_state::{self, StackStateFile},
    supervisor::{self, ProcessSpec, SupervisedProcess, SupervisionContext},
};

/// The product's name among the processes.
pub const PRODUCT: &str = "medhub";

/// How long an engine that runs elsewhere may take to answer.
const EXTERNAL_ENGINE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the product may take to stop gracefully: it writes events that it acknowledged (`ingest.drain_timeout_ms`),
/// then publishes, and finishes its batches (half of `serve.shutdown_timeout_ms`).
const PRODUCT_STOP_LIMIT: Duration = Duration::from_secs(30);

/// The token that authenticates operators at the product's API.
pub const OPERATOR_TOKEN_VARIABLE: &str = "MEDHUB__ADMIN__TOKEN";

/// Folders that the product reads: the variable that names each, and the artifact that is used when it is not set.
pub const ASSET_FOLDERS: [(&str, &PinnedArtifact); 3] = [
    ("MEDHUB__HTTP__ASSETS_DIR", &GRAPHIQL),
    ("MEDHUB__EMBEDDING__MODEL_DIR", &WORDLLAMA),
    ("MEDHUB__EXTRACTION__PDFIUM_DIR", &PDFIUM),
];

/// Configuration of a stack.
#[derive(Debug, Clone)]
pub struct StackConfig {
    /// Folders, and which programs may be used.
    pub settings: EngineSettings,
    /// The engines of the stack, including those that run elsewhere.
    pub engines: Vec<EngineKind>,
    /// The URLs of engines that run elsewhere; the stack does not start these.
    pub urls: BTreeMap<EngineKind, String>,
    /// Required ports; the others are chosen.
    pub ports: BTreeMap<ServicePort, u16>,
    /// Whether the product runs too.
    pub product: bool,
}

impl StackConfig {
    /// The engines that this stack starts itself.
    pub fn own_engines(&self) -> impl Iterator<Item = EngineKind> {
        self.engines.iter().copied().filter(|engine| !self.urls.contains_key(engine))
    }

    /// The artifacts that the stack needs.
    ///
    /// # Errors
    /// If no available program can read an engine's existing data.
    pub fn needed_artifacts(&self) -> anyhow::Result<Vec<&'static PinnedArtifact>> {
        let mut artifacts = Vec::new();
        for engine in self.own_engines() {
            artifacts.extend(engine.choose_program(&self.settings)?.artifacts);
        }
        let unset = ASSET_FOLDERS.iter().filter(|(variable, _)| std::env::var_os(variable).is_none());
        if self.product {
            artifacts.extend(unset.map(|(_, artifact)| *artifact));
        }
        Ok(artifacts)
    }

    fn wanted_ports(&self) -> Vec<ServicePort> {
        let mut ports: Vec<ServicePort> = self.own_engines().map(LocalEngine::port).collect();
        if ports.contains(&ServicePort::Kafka) {
            ports.push(ServicePort::KafkaController);
        }
        if self.product {
            ports.extend([ServicePort::Http, ServicePort::Grpc]);
        }
        ports
    }
}

/// A stack that this process supervises.
#[derive(Debug)]
pub struct SupervisedStack {
    options: StackConfig,
    ports: AllocatedPorts,
    context: SupervisionContext,
    processes: Mutex<Vec<SupervisedProcess>>,
    _lock: ProcessLock,
}

/// Runs a stack: starts it, runs `body`, and stops it even if that fails.
///
/// A signal ends the stack with success, and so does dropping the sender of `stop_request`, or sending on it. A second
/// signal kills the processes that have not stopped by then.
///
/// # Errors
/// If the stack cannot be started, the supervisor gives up on a process, or `body` fails.
pub async fn run_stack(
    options: StackConfig,
    stop_request: Option<oneshot::Receiver<()>>,
    body: impl AsyncFnOnce(&SupervisedStack) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let mut signals = StackSignals::install()?;
    let (failures, mut failed) = mpsc::unbounded_channel();
    let stack = SupervisedStack::lock_folder(options, failures).await?;
    let work = async {
        stack.start().await?;
        body(&stack).await
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        signal = signals.receive() => {
            tracing::info!(signal, "stopping");
            Ok(ExitCode::SUCCESS)
        }
        Some(_) = OptionFuture::from(stop_request) => {
            tracing::info!("the program that started this stack has ended, stopping");
            Ok(ExitCode::SUCCESS)
        }
        Some(failure) = failed.recv() => Err(anyhow!(failure)),
    };
    let force_stop = stack.context.force_stop.clone();
    let stop = stack.stop();
    tokio::pin!(stop);
    let stopped = tokio::select! {
        stopped = &mut stop => stopped,
        _ = signals.receive() => {
            tracing::warn!("second signal: killing the remaining processes");
            force_stop.cancel();
            stop.await
        }
    };
    outcome.and_then(|code| stopped.map(|()| code))
}

impl SupervisedStack {
    async fn lock_folder(options: StackConfig, failures: mpsc::UnboundedSender<String>) -> anyhow::Result<Self> {
        let data = &options.settings.data_folder;
        folder::create_folder(&data.join("log"))?;
        folder::create_folder(data)?;
        let lock = ProcessLock::acquire(&stack_state::StackState::lock_path(data))
            .with_context(|| format!("the data folder {} is in use", data.display()))?;
        let last = stack_state::StackState::read_last(data);
        if let Some(last) = &last {
            // Processes of a killed stack end with it, but not at the same moment.
            process::wait_until_ended(&last.live_processes()).await;
        }
        let remembered = last.map(|last| last.ports).unwrap_or_default();
        let ports = AllocatedPorts::choose(&options.wanted_ports(), &options.ports, &remembered)?;
        let state = create_initial_state(&options, &ports, remembered)?;
        let state_file = Arc::new(StackStateFile::open(data, state)?);
        let context = SupervisionContext { state_file, force_stop: CancellationToken::new(), failures };
        Ok(Self { options, ports, context, processes: Mutex::default(), _lock: lock })
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.options.settings.data_folder
    }

    /// The current state: processes, ports and variables.
    pub fn state(&self) -> stack_state::StackState {
        self.context.state_file.state()
    }

    async fn start(&self) -> anyhow::Result<()> {
        let started_at = Instant::now();
        let artifacts = self.options.needed_artifacts()?;
        ensure_all_cached(&artifacts, &self.options.settings.cache, &DownloadProgress::default()).await?;
        let independent = self.options.engines.iter().copied().filter(|engine| engine.storing_engine().is_none());
        try_join_all(independent.map(|engine| self.start_with_dependents(engine))).await?;
        tracing::info!(seconds = %format_elapsed(started_at), "engines ready");
        if self.options.product {
            self.start_product().await?;
        }
        self.context.state_file.update(|stack| stack.ready = true)?;
        tracing::info!(seconds = %format_elapsed(started_at), "ready");
        Ok(())
    }

    /// Starts an engine (or waits for an external one), and then the engines that store their data in it.
    async fn start_with_dependents(&self, engine: EngineKind) -> anyhow::Result<()> {
        self.start_or_await_engine(engine).await?;
        let dependents = self.options.engines.iter().copied().filter(|other| other.storing_engine() == Some(engine));
        try_join_all(dependents.map(|dependent| self.start_or_await_engine(dependent))).await.map(drop)
    }

    async fn start_or_await_engine(&self, engine: EngineKind) -> anyhow::Result<()> {
        match self.options.urls.get(&engine) {
            Some(url) => wait_for_external(engine, url).await,
            None => self.start_engine(engine).await,
        }
    }

    async fn start_engine(&self, engine: EngineKind) -> anyhow::Result<()> {
        let (settings, started_at) = (&self.options.settings, Instant::now());
        let choice = engine.choose_program(settings)?;
        let launch = engine.prepare_launch(&choice, settings, &self.ports).await;
        let mut launch = launch.with_context(|| format!("preparing {}", engine.name()))?;
        if let Some(storing_engine) = engine.storing_engine() {
            let variables = self.state().variables;
            let needed = [storing_engine.variable(), OPERATOR_TOKEN_VARIABLE, REGISTRY_LOGIN_VARIABLE];
            let variables = variables.into_iter().filter(|(variable, _)| needed.contains(&variable.as_str()));
            launch.variables.extend(variables);
        }
        let url = engine.url(self.ports.number(engine.port())?);
        self.supervise_process(engine.name(), launch, HealthProbe::Engine(engine, url), choice.version).await?;
        tracing::info!(engine = engine.name(), seconds = %format_elapsed(started_at), "engine ready");
        Ok(())
    }

    async fn start_product(&self) -> anyhow::Result<()> {
        let migrated = self
            .product_command(&["migrate"])
            .stdout(std::io::stderr())
            .status()
            .await
            .context("running `medhub migrate`")?;
        if !migrated.success() {
            bail!("`medhub migrate` ended with {migrated}");
        }
        let state = self.state();
        let mut launch = LaunchSpec::new(CURRENT_EXE).args(["product", "serve", "--role", "all"]);
        launch.variables = state.variables;
        launch.stop_limit = PRODUCT_STOP_LIMIT;
        let address = state.http.context("the product has no HTTP address")?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.supervise_process(PRODUCT, launch, HealthProbe::Product(address), version).await
    }

    /// A command of the product's command line against this stack. Its process is killed when dropped.
    pub fn product_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(CURRENT_EXE);
        command.arg("product").args(args).envs(self.state().variables).kill_on_drop(true);
        command
    }

    async fn supervise_process(
        &self,
        name: &str,
        launch: LaunchSpec,
        probe: HealthProbe,
        version: String,
    ) -> anyhow::Result<()> {
        let log = log_path(&self.options.settings.data_folder, name);
        let spec = ProcessSpec { name: name.to_owned(), launch, probe, version, log_path: log };
        let supervised = SupervisedProcess::start(spec, self.context.clone());
        let mut ready = supervised.condition();
        self.processes.lock().unwrap_or_else(PoisonError::into_inner).push(supervised);
        supervisor::wait_until_ready(&mut ready).await
    }

    /// Stops the product, then the engines in parallel, and last those that store another engine's data.
    async fn stop(self) -> anyhow::Result<()> {
        let processes = self.processes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut stages: [Vec<SupervisedProcess>; 3] = Default::default();
        for process in processes {
            let engine = EngineKind::ALL.into_iter().find(|engine| engine.name() == process.name());
            let has_dependents =
                |engine| EngineKind::ALL.into_iter().any(|other| other.storing_engine() == Some(engine));
            let stage = engine.map_or(0, |engine| if has_dependents(engine) { 2 } else { 1 });
            stages[stage].push(process);
        }
        for processes in stages {
            join_all(processes.into_iter().map(|process| async {
                tracing::debug!(engine = process.name(), "stopping");
                process.stop().await;
            }))
            .await;
        }
        self.context.state_file.update(|stack| {
            stack.ready = false;
            stack.processes.clear();
        })?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// The log file of one of a stack's processes.
pub fn log_path(data: &Path, name: &str) -> std::path::PathBuf {
    data.join("log").join(format!("{name}.log"))
}

/// Waits until an engine that runs elsewhere answers.
async fn wait_for_external(engine: EngineKind, url: &str) -> anyhow::Result<()> {
    let started_at = Instant::now();
    let probe = HealthProbe::Engine(engine, url.to_owned());
    loop {
        match probe.check_health().await {
            Ok(_) => return Ok(()),
            Err(error) if started_at.elapsed() > EXTERNAL_ENGINE_TIMEOUT => {
                // The URL may contain a password, so the message names its variable.
                return Err(error.context(format!("{} does not answer at {}", engine.name(), engine.variable())));
            }
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// The seconds since `started_at`, with one decimal.
fn format_elapsed(started_at: Instant) -> String {
    format!("{:.1}", started_at.elapsed().as_secs_f32())
}
