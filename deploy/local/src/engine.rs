//! The engines: how each is found on this machine, prepared and launched.
//!
//! Every engine has one file with the same two functions: `choose` (which program, from where) and `prepare` (make its
//! data folder, repair what a crash left, and return how to launch it).

mod clickhouse;
mod kafka;
mod postgres;
pub mod qdrant;
mod redis;
mod registry;

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

pub use engine_kinds::EngineKind;
use nix::sys::signal::Signal;
use serde::Serialize;

use crate::{
    artifact::{ArtifactCache, PinnedArtifact},
    process::UnprivilegedUser,
    service_port::{AllocatedPorts, ServicePort},
};

/// Default time for a program to stop gracefully.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// An engine as a part of a local stack.
pub trait LocalEngine {
    /// The port for clients.
    fn port(self) -> ServicePort;

    /// The address at which clients reach the local engine.
    fn url(self, port: u16) -> String;

    /// Chooses the program to run.
    ///
    /// # Errors
    /// If no available program can read the data that exists already.
    fn choose_program(self, settings: &EngineSettings) -> anyhow::Result<EngineProgram>;

    /// Prepares the engine's data folder and returns how to run the engine.
    ///
    /// # Errors
    /// If the folder cannot be created, or the engine's own preparation fails.
    fn prepare_launch(
        self,
        choice: &EngineProgram,
        settings: &EngineSettings,
        ports: &AllocatedPorts,
    ) -> impl Future<Output = anyhow::Result<LaunchSpec>> + Send;
}

impl LocalEngine for EngineKind {
    fn port(self) -> ServicePort {
        match self {
            Self::Postgres => ServicePort::Postgres,
            Self::Registry => ServicePort::Registry,
            Self::Redis => ServicePort::Redis,
            Self::Kafka => ServicePort::Kafka,
            Self::ClickHouse => ServicePort::ClickHouse,
            Self::Qdrant => ServicePort::Qdrant,
        }
    }

    fn url(self, port: u16) -> String {
        match self {
            Self::Postgres => format!("postgres://{0}@127.0.0.1:{port}/{0}", postgres::USER_AND_DATABASE),
            Self::Redis => format!("redis://127.0.0.1:{port}/"),
            Self::Kafka => format!("127.0.0.1:{port}"),
            Self::Registry | Self::ClickHouse | Self::Qdrant => format!("http://127.0.0.1:{port}"),
        }
    }

    fn choose_program(self, settings: &EngineSettings) -> anyhow::Result<EngineProgram> {
        match self {
            Self::Postgres => postgres::choose_program(settings),
            Self::Registry => Ok(registry::choose_program()),
            Self::Redis => Ok(redis::choose_program(settings)),
            Self::Kafka => Ok(kafka::choose_program(settings)),
            Self::ClickHouse => Ok(clickhouse::choose_program(settings)),
            Self::Qdrant => Ok(qdrant::choose_program(settings)),
        }
    }

    async fn prepare_launch(
        self,
        choice: &EngineProgram,
        settings: &EngineSettings,
        ports: &AllocatedPorts,
    ) -> anyhow::Result<LaunchSpec> {
        match self {
            Self::Postgres => postgres::prepare_launch(choice, settings, ports).await,
            Self::Registry => registry::prepare_launch(ports),
            Self::Redis => redis::prepare_launch(choice, settings, ports),
            Self::Kafka => kafka::prepare_launch(choice, settings, ports).await,
            Self::ClickHouse => clickhouse::prepare_launch(choice, settings, ports),
            Self::Qdrant => qdrant::prepare_launch(settings, ports),
        }
    }
}

/// Settings that apply to all engines of a stack.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The cache of fetched artifacts, and whether installed programs may be used.
    pub cache: ArtifactCache,
    /// Where the stack stores its data.
    pub data_folder: PathBuf,
    /// Whether the data folder is removed at the end, so that it need not survive a crash of the machine.
    pub is_temporary: bool,
}

impl EngineSettings {
    /// The data folder of one engine.
    fn folder(&self, name: &str) -> PathBuf {
        self.data_folder.join(name)
    }
}

/// The program chosen for an engine, before anything is fetched.
#[derive(Debug, Clone)]
pub struct EngineProgram {
    /// Where the program comes from.
    pub origin: ProgramOrigin,
    /// The version that the program reports, or the pinned one.
    pub version: String,
    /// The program, or the folder that will contain it once its artifacts are fetched.
    pub path: PathBuf,
    /// What must be in the cache before it runs.
    pub artifacts: Vec<&'static PinnedArtifact>,
    /// The Java to run it with, if it needs one.
    pub java: Option<PathBuf>,
}

/// Where an engine's program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramOrigin {
    /// Installed on this machine.
    System,
    /// From a package registry, in the cache.
    Package,
    /// Compiled into this program.
    BuiltIn,
}

impl EngineProgram {
    fn from_artifact(artifact: &'static PinnedArtifact, settings: &EngineSettings) -> Self {
        Self {
            origin: ProgramOrigin::Package,
            version: artifact.version.to_owned(),
            path: artifact.folder(&settings.cache),
            artifacts: vec![artifact],
            java: None,
        }
    }
}

/// How to run one program and how to end it.
#[derive(Debug, Clone)]
pub struct LaunchSpec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables added to the environment.
    pub variables: BTreeMap<String, String>,
    /// The user to run as; `None` is the current user.
    pub run_as: Option<UnprivilegedUser>,
    /// The signal that asks the program to stop gracefully.
    pub stop_signal: Signal,
    /// How long the program may take to stop gracefully.
    pub stop_limit: Duration,
    /// The signal that the program gets when its supervisor dies: the fastest safe way to end it.
    pub orphan_signal: Signal,
}

impl LaunchSpec {
    pub(crate) fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            variables: BTreeMap::new(),
            run_as: None,
            stop_signal: Signal::SIGTERM,
            stop_limit: STOP_LIMIT,
            orphan_signal: Signal::SIGKILL,
        }
    }

    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_its_own_port() {
        let ports: std::collections::BTreeSet<_> = EngineKind::ALL.iter().map(|engine| engine.port()).collect();
        assert_eq!(ports.len(), EngineKind::ALL.len());
    }
}
