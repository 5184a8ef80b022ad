//! A process of the product, to be killed, stopped and started again.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use medhub_local::process::ProcessIdentity;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    WAIT_TIMEOUT, faults::bounded_wait::wait_until, guarded_child, http_client::http_client_builder, medhub_local,
};

/// The timeout of a request to `/ready`: the process checks its engines before it answers.
const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// A process of the product. It ends with the test program.
#[derive(Debug)]
pub struct ProductProcess {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    variables: BTreeMap<String, String>,
    log: PathBuf,
    /// Where the log of the latest launch begins.
    log_start: u64,
    child: Option<Child>,
    http: reqwest::Client,
}

/// An edge of the product that listens on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductEdge {
    /// GraphQL, REST, ingest, health.
    Http,
    /// gRPC.
    Grpc,
}

impl ProductEdge {
    /// The setting that names its address.
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::Http => "MEDHUB__HTTP__LISTEN",
            Self::Grpc => "MEDHUB__GRPC__LISTEN",
        }
    }

    fn name_in_log(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Grpc => "gRPC",
        }
    }

    /// The address in a line of the log, of either format, if it says that this edge listens.
    fn read_address(self, line: &str) -> Option<String> {
        if !line.contains("listening") {
            return None;
        }
        if let Ok(line) = serde_json::from_str::<Value>(line) {
            return (line["edge"] == self.name_in_log()).then(|| line["address"].as_str().map(str::to_owned))?;
        }
        let is_edge = line.contains(&format!("edge=\"{}\"", self.name_in_log()));
        is_edge.then(|| line.split_once(" address=")?.1.split_whitespace().next().map(str::to_owned))?
    }
}

impl ProductProcess {
    /// Starts the product with these arguments, listening on free ports.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn start(variables: &BTreeMap<String, String>, logs: &Path, name: &str, args: &[&str]) -> anyhow::Result<Self> {
        Self::start_build(medhub_local(), variables, logs, name, args)
    }

    /// [`Self::start`] with another build of `medhub-local`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_build(
        program: PathBuf,
        variables: &BTreeMap<String, String>,
        logs: &Path,
        name: &str,
        args: &[&str],
    ) -> anyhow::Result<Self> {
        let mut variables = variables.clone();
        // The kernel assigns a free port at bind time, so no other process can take it; the product logs it.
        for edge in [ProductEdge::Http, ProductEdge::Grpc] {
            variables.insert(edge.setting().to_owned(), "127.0.0.1:0".to_owned());
        }
        let http = http_client_builder().timeout(READY_TIMEOUT).build()?;
        let log = logs.join(format!("{name}.log"));
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        let name = name.to_owned();
        let mut process = Self { name, program, args, variables, log, log_start: 0, child: None, http };
        process.launch()?;
        Ok(process)
    }

    /// Starts the process again after it has ended.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn launch(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log).context("opening its log")?;
        self.log_start = log.metadata().context("asking for the length of its log")?.len();
        let mut command = guarded_child::product_command(&self.program, &self.args);
        // Addresses are read from the log, so log settings of the tests' own environment must not apply.
        command.env_remove("MEDHUB__LOG__FORMAT").env_remove("MEDHUB__LOG__FILTER");
        command.envs(&self.variables).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(guarded_child::spawn_guarded(command).with_context(|| format!("starting {}", self.name))?);
        Ok(())
    }

    /// Waits until its log names the address that an edge listens on.
    ///
    /// # Errors
    /// If it does not listen in time, or has ended.
    pub async fn wait_for_address(&mut self, edge: ProductEdge) -> anyhow::Result<String> {
        let deadline = tokio::time::Instant::now() + WAIT_TIMEOUT;
        loop {
            if let Some(address) = self.logged_address(edge) {
                return Ok(address);
            }
            if !self.is_running() || tokio::time::Instant::now() > deadline {
                bail!("{} does not listen for {edge:?}:{}", self.name, self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn logged_address(&self, edge: ProductEdge) -> Option<String> {
        let log = fs::read(&self.log).ok()?;
        let latest = log.get(usize::try_from(self.log_start).ok()?..)?;
        let text = String::from_utf8_lossy(latest);
        // Text after the last line break may be an incomplete line.
        let (whole_lines, _) = text.rsplit_once('\n')?;
        whole_lines.lines().find_map(|line| edge.read_address(line))
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Its name in logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The base URL of its HTTP edge.
    ///
    /// # Errors
    /// If it does not listen yet.
    pub fn http(&self) -> anyhow::Result<String> {
        let address =
            self.logged_address(ProductEdge::Http).with_context(|| format!("{} does not listen yet", self.name))?;
        Ok(format!("http://{address}"))
    }

    /// Fetches its answer to `/ready`.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn fetch_readiness(&self) -> anyhow::Result<Value> {
        let answer = self.http.get(format!("{}/ready", self.http()?)).send().await;
        Ok(answer.with_context(|| format!("asking {}", self.name))?.json().await?)
    }

    /// Kills it and waits until it has exited.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Stops it gracefully and waits for its end.
    ///
    /// # Errors
    /// If it does not end in time, or not with success.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.stop_with_signal(Signal::SIGTERM).await
    }

    /// Sends it a signal that ends it, and waits for its end.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub async fn stop_with_signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.send_signal(signal);
        self.wait_for_end().await
    }

    /// Waits until it ends, after a signal.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub async fn wait_for_end(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let ended = wait_until(WAIT_TIMEOUT, async || child.try_wait()?.context("it still runs")).await;
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => bail!("{} ended with {status}{}", self.name, self.log_tail()),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error.context(format!("stopping {}{}", self.name, self.log_tail())))
            }
        }
    }

    /// Sends it a signal.
    pub fn send_signal(&self, signal: Signal) {
        if let Some(identity) = self.child.as_ref().and_then(|child| ProcessIdentity::from_pid(child.id())) {
            identity.send_signal(signal);
        }
    }

    /// Peak resident memory, in bytes.
    ///
    /// # Errors
    /// If it does not run.
    pub fn peak_memory(&self) -> anyhow::Result<u64> {
        // The guard becomes the program that it guards.
        let pid = self.child.as_ref().context("it does not run")?.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel reports no peak")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }

    /// Whether its log contains a text.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn has_logged(&self, text: &str) -> anyhow::Result<bool> {
        Ok(fs::read_to_string(&self.log).context("reading its log")?.contains(text))
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        format!("\n  | {}", lines[lines.len().saturating_sub(8)..].join("\n  | "))
    }
}

impl Drop for ProductProcess {
    fn drop(&mut self) {
        // Best effort: it also ends with the test program.
        let _killed = self.kill9();
    }
}
