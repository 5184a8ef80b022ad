//! The service that the benchmarks of requests measure: a child process on a bench environment, so that no data in use
//! changes, and the service is measured as people run it.

use std::{
    ffi::OsString,
    fs::File,
    io::Cursor,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use commands::caller::Caller;
use eventstore::append::PgBatchStore;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sam_gov::{
    NoticeRowError,
    notice_import::{ImportObserver, ImportSummary, NoticeImport},
};
use secrecy::ExposeSecret;
use serde_json::Value;
use synthetic::notice_generator;
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    bench_environment::BenchEnvironment,
    report::{BenchMeasure, MeasureRepetition, MeasureUnit},
};

/// How long the service may take to be ready, and to end.
const START_TIMEOUT: Duration = Duration::from_mins(2);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Rows per append of the import.
const IMPORT_BATCH_ROWS: usize = 1_000;

/// Bytes of the log's end that an error shows.
const SHOWN_LOG_BYTES: usize = 2_000;

/// How to start the service.
#[derive(Debug, Clone)]
pub struct ServiceProgram {
    /// The program, usually this one.
    pub path: PathBuf,
    /// Arguments that precede a command of `medhub`.
    pub arguments: Vec<OsString>,
}

/// A running service. It is killed when dropped.
pub(crate) struct MeasuredService {
    child: Child,
    folder: TempDir,
    /// Base URL of its HTTP edge.
    pub(crate) base_url: String,
    /// The operators' token.
    pub(crate) operator_token: String,
}

impl MeasuredService {
    /// Starts the service in the environment, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start, with the end of its log.
    pub(crate) async fn start(environment: &BenchEnvironment, program: &ServiceProgram) -> anyhow::Result<Self> {
        Self::start_as(environment, program, &["serve"]).await
    }

    /// Starts the service by this command.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) async fn start_as(
        environment: &BenchEnvironment,
        program: &ServiceProgram,
        serve: &[&str],
    ) -> anyhow::Result<Self> {
        // The child inherits the bucket, and removes files in it that its log does not name.
        ensure!(
            !environment.config.objects.s3.is_enabled(),
            "objects.s3.bucket is set: a service with an empty log would remove the files in it; run this part without it"
        );
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        let operator_token = format!("operator-{}", Uuid::new_v4().simple());
        let log = File::create(log_file(folder.path())).context("creating the log of the measured service")?;
        let variables = service_variables(environment, &operator_token, folder.path())?;
        let spawn = |subcommand: &[&str]| -> anyhow::Result<Child> {
            let mut command = Command::new(&program.path);
            command.args(&program.arguments).args(subcommand).envs(variables.iter().cloned());
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
            // A separate process group: Ctrl-C reaches this process only, which then stops the service.
            command.process_group(0).kill_on_drop(true);
            command.spawn().with_context(|| format!("starting `medhub {}`", subcommand.join(" ")))
        };
        // The environment has prepared the measured read models only.
        let migrated = timeout(START_TIMEOUT, spawn(&["migrate"])?.wait()).await;
        let status = migrated.with_context(|| format!("`medhub migrate` did not end within {START_TIMEOUT:?}"))??;
        ensure!(status.success(), "`medhub migrate` ended with {status}");
        let child = spawn(serve)?;
        let mut service = Self { child, folder, base_url: String::new(), operator_token };
        let ready = match timeout(START_TIMEOUT, service.wait_until_ready()).await {
            Ok(ready) => ready,
            Err(_late) => Err(anyhow!("the service that is to be measured is not ready after {START_TIMEOUT:?}")),
        };
        ready.with_context(|| format!("starting a service, whose log ends with: {}", service.log_end()))?;
        Ok(service)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let http = reqwest::Client::builder().timeout(STOP_TIMEOUT).build()?;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the service that is to be measured ended with {status}");
            }
            if self.base_url.is_empty() {
                self.base_url = self.find_base_url().unwrap_or_default();
            } else {
                let ready = http.get(format!("{}/ready", self.base_url)).send().await;
                if ready.is_ok_and(|response| response.status().is_success()) {
                    return Ok(());
                }
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the address that the log names: the kernel has assigned the port.
    fn find_base_url(&self) -> Option<String> {
        let log = std::fs::read_to_string(log_file(self.folder.path())).ok()?;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut edges = lines.filter(|line| line["message"] == "listening" && line["edge"] == "HTTP");
        edges.find_map(|line| Some(format!("http://{}", line["address"].as_str()?)))
    }

    fn log_end(&self) -> String {
        let log = std::fs::read(log_file(self.folder.path())).unwrap_or_default();
        String::from_utf8_lossy(log.get(log.len().saturating_sub(SHOWN_LOG_BYTES)..).unwrap_or_default()).into_owned()
    }

    /// Returns the id of its process.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn process_id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the measured service has ended")
    }

    /// Returns its peak resident memory so far; nothing where the system does not report it in `/proc`.
    pub(super) fn peak_memory(&self) -> Option<BenchMeasure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u32 = line.split_whitespace().next()?.parse().ok()?;
        let repetition = MeasureRepetition::from_value(f64::from(kib) / 1_024.0);
        Some(BenchMeasure::new("api/memory", MeasureUnit::Mebibytes, vec![repetition]))
    }

    /// Stops the service and waits until it has ended.
    ///
    /// # Errors
    /// When it does not end by itself, or with an error.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.process_id()?)?), Signal::SIGTERM)
            .context("stopping the measured service")?;
        let ended = timeout(STOP_TIMEOUT, self.child.wait()).await;
        let status = ended.with_context(|| format!("the service did not stop within {STOP_TIMEOUT:?}"))??;
        ensure!(status.success(), "the measured service ended with {status}: {}", self.log_end());
        Ok(())
    }
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("service.log")
}

/// Settings of the service: the environment's names in every engine, free ports, secrets of its own.
fn service_variables(
    environment: &BenchEnvironment,
    operator_token: &str,
    folder: &Path,
) -> anyhow::Result<Vec<(&'static str, OsString)>> {
    let config = &environment.config;
    let text = |name: &'static str, value: &str| (name, OsString::from(value));
    let secret = || Uuid::new_v4().simple().to_string();
    Ok(vec![
        text("DATABASE_URL", config.postgres.url.expose_secret()),
        // An empty value would leave the database of the settings.
        text("MEDHUB__LISTS__DATABASE_URL", config.postgres.url.expose_secret()),
        text("KAFKA_BROKERS", &config.kafka.brokers),
        text("CLICKHOUSE_URL", &config.clickhouse.url),
        text("QDRANT_URL", &config.qdrant.url),
        text("REDIS_URL", &config.redis.url),
        text("SCHEMA_REGISTRY_URL", &config.registry.url),
        text("MEDHUB__KAFKA__TOPIC_PREFIX", &config.kafka.topic_prefix),
        text("MEDHUB__WORKER__TOPIC_PREFIX", &config.worker.topic_prefix),
        text("MEDHUB__WORKER__GROUP_PREFIX", &config.worker.group_prefix),
        text("MEDHUB__CLICKHOUSE__DATABASE", &config.clickhouse.database),
        text("MEDHUB__QDRANT__COLLECTION_PREFIX", &config.qdrant.collection_prefix),
        text("MEDHUB__REDIS__KEY_PREFIX", &config.redis.key_prefix),
        ("MEDHUB__EMBEDDING__MODEL_DIR", std::path::absolute(&config.embedding.model_dir)?.into()),
        ("MEDHUB__OBJECTS__DIR", folder.join("objects").into()),
        text("MEDHUB__ADMIN__TOKEN", operator_token),
        text("MEDHUB__AUTH__HS256_SECRET", &format!("{}{}", secret(), secret())),
        text("MEDHUB__AUTH__DEVELOPMENT_LOGIN", "true"),
        text("MEDHUB__LIMITS__ENABLED", "false"),
        text("MEDHUB__HTTP__LISTEN", "127.0.0.1:0"),
        text("MEDHUB__GRPC__LISTEN", "127.0.0.1:0"),
        text("MEDHUB__MAIL__TRANSPORT", "none"),
        // No synchronisation with SAM.gov: it would use up the daily quota of the key.
        text("MEDHUB__SAM_GOV__API_INTERVAL_S", "0"),
        text("MEDHUB__SAM_GOV__EXTRACT_INTERVAL_S", "0"),
        text("MEDHUB__LOG__FORMAT", "json"),
        text("MEDHUB__LOG__FILTER", "info,apache_avro=error,librdkafka=off,rdkafka=off"),
    ])
}

/// Imports generated notices into the log of the environment.
///
/// # Errors
/// When Postgres fails.
pub(crate) async fn import_notices(environment: &BenchEnvironment, notices: u64) -> anyhow::Result<()> {
    let mut csv = Vec::new();
    notice_generator::write_csv(&mut csv, notices, 1, |_| {}).context("generating notices")?;
    let rows =
        sam_gov::read_notices(Box::new(Cursor::new(csv)), sam_gov::SourceFormat::Csv, sam_gov::SourceEncoding::Utf8)
            .context("reading generated notices")?;
    let import = NoticeImport::new(PgBatchStore::new(environment.pool.clone()), IMPORT_BATCH_ROWS);
    let caller = Caller::for_program("system:bench");
    let imported = import.import_notices(&caller, rows, &mut SilentObserver, CancellationToken::new()).await;
    imported.context("importing generated notices").map(drop)
}

/// Ignores rejected rows: some generated rows are invalid on purpose.
struct SilentObserver;

impl ImportObserver for SilentObserver {
    fn on_progress(&mut self, _so_far: &ImportSummary) {}

    fn on_rejected_row(&mut self, _line: u64, _reason: &NoticeRowError) -> std::io::Result<()> {
        Ok(())
    }

    fn on_omitted_value(&mut self, _line: u64, _value: &NoticeRowError) -> std::io::Result<()> {
        Ok(())
    }
}
