//! `medhub-local status`: shows the state of the running stack.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use futures::future::join_all;
use serde::Serialize;

use super::{FolderOptions, up::mask_password};
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

/// Health of one component of a running stack.
#[derive(Debug, Serialize)]
pub(super) struct ComponentHealth {
    /// Whether it answered a protocol call.
    pub(super) healthy: bool,
    /// Why the call failed.
    pub(super) problem: Option<String>,
    /// The version that it reports, else the pinned one.
    version: String,
    /// Its address, without passwords.
    address: String,
    /// Process id, if it is a child of the stack.
    pid: Option<u32>,
    /// Memory of the process and its children, in bytes.
    memory: Option<u64>,
    /// Number of restarts.
    restarts: u32,
}

impl LocalStatusCommand {
    pub(super) async fn run(self, folders: &FolderOptions) -> anyhow::Result<ExitCode> {
        let stack = StackState::read_running(&folders.data_folder()?)?;
        let components = check_components(&stack).await;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&components).context("writing JSON")?);
        } else {
            for (name, component) in &components {
                println!("{}", format_line(name, component));
            }
        }
        Ok(if components.values().all(|component| component.healthy) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Probes every component of a stack.
pub(super) async fn check_components(stack: &StackState) -> BTreeMap<String, ComponentHealth> {
    let engine = |engine: EngineKind| {
        let url = stack.variables.get(engine.variable())?.clone();
        Some((engine.name(), url.clone(), HealthProbe::Engine(engine, url)))
    };
    let product = stack.http.clone().map(|http| (PRODUCT, http.clone(), HealthProbe::Product(http)));
    let components = EngineKind::ALL.into_iter().filter_map(engine).chain(product);
    join_all(components.map(|(name, url, probe)| probe_component(stack, name, url, probe))).await.into_iter().collect()
}

async fn probe_component(stack: &StackState, name: &str, url: String, probe: HealthProbe) -> (String, ComponentHealth) {
    let answer = probe.check_health().await;
    let process = stack.processes.get(name);
    let identity = process.and_then(|process| process.identity);
    let reported = answer.as_ref().ok().filter(|version| !version.is_empty()).cloned();
    let health = ComponentHealth {
        healthy: answer.is_ok(),
        problem: answer.err().map(|error| format!("{error:#}")),
        version: reported.or_else(|| process.map(|process| process.version.clone())).unwrap_or_default(),
        address: mask_password(&url),
        pid: identity.map(|identity| identity.pid),
        memory: identity.map(ProcessIdentity::memory_bytes),
        restarts: process.map_or(0, |process| process.restarts),
    };
    (name.to_owned(), health)
}

fn format_line(name: &str, component: &ComponentHealth) -> String {
    let state = if component.healthy { "healthy" } else { "unhealthy" };
    let pid = component.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let memory = component.memory.map_or_else(|| "-".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000));
    let problem = component.problem.as_deref().map(|problem| format!("  {problem}")).unwrap_or_default();
    format!("{name:<12}{state:<10}{pid:>8}{memory:>9}  {:<16}{}{problem}", component.version, component.address)
}
