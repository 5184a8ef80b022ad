//! `medhub-local status`: how the running stack does.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use futures::future::join_all;
use serde::Serialize;

use super::{FolderOptions, up::without_password};
use crate::{
    engine::EngineKind, health_probe::HealthProbe, process::ProcessIdentity, stack_state::StackState,
    supervised_stack::PRODUCT,
};

#[derive(Debug, Args)]
pub(super) struct LocalStatusCommand {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How one part of a running stack does.
#[derive(Debug, Serialize)]
pub(super) struct ComponentHealth {
    /// Whether it answered a protocol call.
    pub(super) healthy: bool,
    /// Why it did not.
    pub(super) problem: Option<String>,
    /// Its version as it tells, else as it is pinned.
    version: String,
    /// Where it is, without passwords.
    address: String,
    /// Process id, where it is a child of the stack.
    pid: Option<u32>,
    /// Bytes of memory of it and its children.
    memory: Option<u64>,
    /// How often it was started again.
    restarts: u32,
}

impl LocalStatusCommand {
    pub(super) async fn run(self, places: &FolderOptions) -> anyhow::Result<ExitCode> {
        let stack = StackState::running(&places.data()?)?;
        let parts = health(&stack).await;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&parts).context("writing JSON")?);
        } else {
            for (name, part) in &parts {
                println!("{}", line(name, part));
            }
        }
        Ok(if parts.values().all(|part| part.healthy) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Asks every part of a stack.
pub(super) async fn health(stack: &StackState) -> BTreeMap<String, ComponentHealth> {
    let engine = |engine: EngineKind| {
        let url = stack.variables.get(engine.variable())?.clone();
        Some((engine.name(), url.clone(), HealthProbe::Engine(engine, url)))
    };
    let product = stack.http.clone().map(|http| (PRODUCT, http.clone(), HealthProbe::Product(http)));
    let parts = EngineKind::ALL.into_iter().filter_map(engine).chain(product);
    join_all(parts.map(|(name, url, probe)| one(stack, name, url, probe))).await.into_iter().collect()
}

async fn one(stack: &StackState, name: &str, url: String, probe: HealthProbe) -> (String, ComponentHealth) {
    let answer = probe.ask().await;
    let process = stack.processes.get(name);
    let identity = process.and_then(|process| process.identity);
    let told = answer.as_ref().ok().filter(|version| !version.is_empty()).cloned();
    let health = ComponentHealth {
        healthy: answer.is_ok(),
        problem: answer.err().map(|error| format!("{error:#}")),
        version: told.or_else(|| process.map(|process| process.version.clone())).unwrap_or_default(),
        address: without_password(&url),
        pid: identity.map(|identity| identity.pid),
        memory: identity.map(ProcessIdentity::memory),
        restarts: process.map_or(0, |process| process.restarts),
    };
    (name.to_owned(), health)
}

fn line(name: &str, part: &ComponentHealth) -> String {
    let state = if part.healthy { "healthy" } else { "away" };
    let pid = part.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let memory = part.memory.map_or_else(|| "-".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000));
    let problem = part.problem.as_deref().map(|problem| format!("  {problem}")).unwrap_or_default();
    format!("{name:<12}{state:<9}{pid:>8}{memory:>9}  {:<16}{}{problem}", part.version, part.address)
}
