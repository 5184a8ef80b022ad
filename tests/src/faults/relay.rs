//! Relays as processes of the product: one leads, one stands by.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use medhub_local::process::Identity;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{field::Field, wait::until};
use crate::medhub_local;

/// How long an answer may take: a process asks its engines before it answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// What a relay says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// `leading`, `standby` or `retrying`.
    pub state: String,
    /// Everything up to here is on Kafka, if it leads.
    pub position: u64,
}

impl Status {
    /// Whether it publishes.
    pub fn leads(&self) -> bool {
        self.state == "leading"
    }
}

/// One process.
#[derive(Debug)]
pub struct RelayProcess {
    name: String,
    listen: String,
    log: PathBuf,
    command: Command,
    child: Option<Child>,
    http: reqwest::Client,
}

impl RelayProcess {
    /// Starts a relay. It dies with the thread that calls this.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn start(field: &Field, name: &str) -> anyhow::Result<Self> {
        // Free now; should somebody else take it first, the process says so and the test with it.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let program = medhub_local();
        let mut command = Command::new(&program);
        command.args(["guard", "--parent", &std::process::id().to_string(), "--signal", "SIGKILL", "--"]);
        command.arg(program).args(["product", "serve", "--role", "relay"]);
        command.envs(field.variables()).env("MEDHUB__HTTP__LISTEN", &listen);
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        let log = field.logs().join(format!("{name}.log"));
        let mut relay = Self { name: name.to_owned(), listen, log, command, child: None, http };
        relay.launch()?;
        Ok(relay)
    }

    /// Starts it again after an end.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn launch(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log).context("opening a relay's log")?;
        self.command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(self.command.spawn().with_context(|| format!("starting {}", self.name))?);
        Ok(())
    }

    /// Its name in logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says about itself.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn status(&self) -> anyhow::Result<Status> {
        let answer = self.http.get(format!("http://{}/ready", self.listen)).send().await;
        let answer: Value = answer.with_context(|| format!("asking {}", self.name))?.json().await?;
        let part = &answer["parts"]["relay"];
        let state = part["state"].as_str().with_context(|| format!("{} says {answer}", self.name))?;
        Ok(Status { state: state.to_owned(), position: part["position"].as_u64().unwrap_or_default() })
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
        self.send(Signal::SIGTERM);
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

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        format!("\n  | {}", lines[lines.len().saturating_sub(8)..].join("\n  | "))
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        // Best effort: it also dies with the thread that started it.
        let _gone = self.kill9();
    }
}

/// Two relays on one log.
#[derive(Debug)]
pub struct Relays(pub [RelayProcess; 2]);

impl Relays {
    /// Starts both.
    ///
    /// # Errors
    /// If they cannot be started.
    pub fn start(field: &Field) -> anyhow::Result<Self> {
        Ok(Self([RelayProcess::start(field, "relay-a")?, RelayProcess::start(field, "relay-b")?]))
    }

    /// Which one leads, and how far it is.
    ///
    /// # Errors
    /// What both say, if none leads.
    pub async fn leader(&self) -> anyhow::Result<(usize, Status)> {
        let [first, second] = &self.0;
        let (first, second) = tokio::join!(first.status(), second.status());
        let mut said = Vec::new();
        for (index, status) in [first, second].into_iter().enumerate() {
            match status {
                Ok(status) if status.leads() => return Ok((index, status)),
                Ok(status) => said.push(format!("{}: {}", self.0[index].name, status.state)),
                Err(error) => said.push(format!("{}: {error:#}", self.0[index].name)),
            }
        }
        bail!("no relay leads: {}", said.join(", "))
    }

    /// Waits until one leads and has published everything up to `position`.
    ///
    /// # Errors
    /// The last objection, with the end of both logs.
    pub async fn reach(&self, position: u64, patience: Duration) -> anyhow::Result<usize> {
        let reached = until(patience, async || {
            let (index, status) = self.leader().await?;
            anyhow::ensure!(status.position >= position, "{} is at {status:?}, not at {position}", self.0[index].name);
            Ok(index)
        });
        reached.await.map_err(|error| error.context(format!("the relays said:{}", self.last_words())))
    }

    /// The ends of both logs.
    pub fn last_words(&self) -> String {
        self.0.iter().map(|relay| format!("\n  {}{}", relay.name, relay.last_words())).collect::<Vec<_>>().concat()
    }

    /// How long it takes from now until a relay other than `before` has published everything up to `position`.
    ///
    /// # Errors
    /// The last objection.
    pub async fn taken_over(
        &self,
        before: usize,
        position: u64,
        since: Instant,
        patience: Duration,
    ) -> anyhow::Result<Duration> {
        let heir = &self.0[1 - before];
        until(patience, async || {
            let status = heir.status().await?;
            anyhow::ensure!(status.leads() && status.position >= position, "{} is {status:?}", heir.name);
            Ok(since.elapsed())
        })
        .await
        .map_err(|error| error.context(format!("waiting for {}{}", heir.name, heir.last_words())))
    }
}
