//! A process of the product, to be killed, stopped and started again.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use medhub_local::process::Identity;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::wait::until;
use crate::medhub_local;

/// How long an answer may take: a process asks its engines before it answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A process of the product.
#[derive(Debug)]
pub struct ProductProcess {
    name: String,
    listen: String,
    log: PathBuf,
    command: Command,
    child: Option<Child>,
    http: reqwest::Client,
}

impl ProductProcess {
    /// Starts the product with these arguments. It dies with the thread that calls this.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn start(variables: &BTreeMap<String, String>, logs: &Path, name: &str, args: &[&str]) -> anyhow::Result<Self> {
        // Free now; should somebody else take it first, the process says so and the test with it.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let program = medhub_local();
        let mut command = Command::new(&program);
        command.args(["guard", "--parent", &std::process::id().to_string(), "--signal", "SIGKILL", "--"]);
        command.arg(program).arg("product").args(args);
        command.envs(variables).env("MEDHUB__HTTP__LISTEN", &listen).env("MEDHUB__GRPC__LISTEN", "127.0.0.1:0");
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        let log = logs.join(format!("{name}.log"));
        let mut process = Self { name: name.to_owned(), listen, log, command, child: None, http };
        process.launch()?;
        Ok(process)
    }

    /// Starts it again after an end.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn launch(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log).context("opening its log")?;
        self.command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(self.command.spawn().with_context(|| format!("starting {}", self.name))?);
        Ok(())
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Its name in logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it answers.
    pub fn http(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// What it answers at `/ready`.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn ready(&self) -> anyhow::Result<Value> {
        let answer = self.http.get(format!("http://{}/ready", self.listen)).send().await;
        Ok(answer.with_context(|| format!("asking {}", self.name))?.json().await?)
    }

    /// Kills it and waits until it is gone.
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

    /// Asks it to end in good order and waits for it.
    ///
    /// # Errors
    /// If it does not end in time, or not with success.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.stop_by(Signal::SIGTERM).await
    }

    /// Asks it by a signal to end, and waits for it.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub async fn stop_by(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.send(signal);
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let ended = until(STOP_WITHIN, async || child.try_wait()?.context("it still runs")).await;
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => bail!("{} ended with {status}{}", self.name, self.last_words()),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error.context(format!("stopping {}{}", self.name, self.last_words())))
            }
        }
    }

    /// Sends it a signal.
    pub fn send(&self, signal: Signal) {
        if let Some(identity) = self.child.as_ref().and_then(|child| Identity::of(child.id())) {
            identity.send(signal);
        }
    }

    /// The most memory that it has had resident, in bytes.
    ///
    /// # Errors
    /// If it does not run.
    pub fn peak_memory(&self) -> anyhow::Result<u64> {
        // The guard becomes the program that it guards.
        let pid = self.child.as_ref().context("it does not run")?.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak is told")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        format!("\n  | {}", lines[lines.len().saturating_sub(8)..].join("\n  | "))
    }
}

impl Drop for ProductProcess {
    fn drop(&mut self) {
        // Best effort: it also dies with the thread that started it.
        let _gone = self.kill9();
    }
}
