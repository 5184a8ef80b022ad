//! `medhub-local doctor`: shows what this machine has, what it lacks, and how to get that.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::{
    FolderOptions,
    stack_options::StackOptions,
    status::{self, ComponentHealth},
};
use crate::{
    artifact::{ArtifactCache, PinnedArtifact},
    engine::{EngineKind, LocalEngine as _, ProgramOrigin},
    stack_state::StackState,
    supervised_stack::{ASSET_FOLDERS, StackConfig},
};

#[derive(Debug, Args)]
pub(super) struct LocalDoctorCommand {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: StackOptions,
}

/// Whether an engine or artifact can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum EngineAvailability {
    /// Named by a URL or a folder variable; not managed by this stack.
    Elsewhere,
    /// Installed on this machine or in the cache.
    Found,
    /// Absent; it will be fetched when it is needed.
    Fetchable,
    /// Absent, and cannot be fetched.
    Missing,
}

#[derive(Debug, Serialize)]
struct EngineFinding {
    #[serde(rename = "verdict")]
    availability: EngineAvailability,
    origin: Option<ProgramOrigin>,
    version: String,
    #[serde(rename = "place")]
    path: PathBuf,
    /// What the user can do; empty if nothing is missing.
    advice: Vec<String>,
}

#[derive(Debug, Serialize)]
struct LocalDoctorReport {
    findings: BTreeMap<&'static str, EngineFinding>,
    data: PathBuf,
    cache: PathBuf,
    /// Empty if no stack runs.
    running: BTreeMap<String, ComponentHealth>,
}

impl LocalDoctorCommand {
    pub(super) async fn run(self, folders: &FolderOptions) -> anyhow::Result<ExitCode> {
        let options = self.options.into_stack_config(folders, true)?;
        let mut findings: BTreeMap<_, _> =
            EngineKind::ALL.into_iter().map(|engine| (engine.name(), inspect_engine(engine, &options))).collect();
        findings.extend(
            ASSET_FOLDERS
                .map(|(variable, artifact)| (artifact.name, inspect_asset_folder(variable, artifact, &options))),
        );
        let running = match StackState::read_running(&options.settings.data_folder) {
            Ok(stack) => status::check_components(&stack).await,
            Err(_) => BTreeMap::new(),
        };
        let report = LocalDoctorReport {
            findings,
            data: options.settings.data_folder,
            cache: options.settings.cache.folder,
            running,
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report).context("writing JSON")?);
        } else {
            print_report(&report);
        }
        let usable = report.findings.values().all(|finding| finding.availability != EngineAvailability::Missing);
        let healthy = report.running.values().all(|component| component.healthy);
        Ok(if usable && healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn inspect_engine(engine: EngineKind, options: &StackConfig) -> EngineFinding {
    if options.urls.contains_key(&engine) {
        return external_finding(engine.variable());
    }
    match engine.choose_program(&options.settings) {
        Ok(choice) => {
            let (availability, advice) = check_artifacts(&choice.artifacts, &options.settings.cache);
            EngineFinding {
                availability,
                origin: Some(choice.origin),
                version: choice.version,
                path: choice.path,
                advice,
            }
        }
        Err(error) => EngineFinding {
            availability: EngineAvailability::Missing,
            origin: None,
            version: String::new(),
            path: PathBuf::new(),
            advice: vec![format!("{error:#}")],
        },
    }
}

fn inspect_asset_folder(variable: &str, artifact: &'static PinnedArtifact, options: &StackConfig) -> EngineFinding {
    if std::env::var_os(variable).is_some() {
        return external_finding(variable);
    }
    let (availability, advice) = check_artifacts(&[artifact], &options.settings.cache);
    let path = artifact.folder(&options.settings.cache);
    EngineFinding {
        availability,
        origin: Some(ProgramOrigin::Package),
        version: artifact.version.to_owned(),
        path,
        advice,
    }
}

fn external_finding(variable: &str) -> EngineFinding {
    EngineFinding {
        availability: EngineAvailability::Elsewhere,
        origin: None,
        version: String::new(),
        path: format!("${variable}").into(),
        advice: Vec::new(),
    }
}

fn check_artifacts(artifacts: &[&'static PinnedArtifact], cache: &ArtifactCache) -> (EngineAvailability, Vec<String>) {
    let (mut availability, mut advice) = (EngineAvailability::Found, Vec::new());
    for artifact in artifacts.iter().filter(|artifact| !artifact.is_cached(cache)) {
        let megabytes = artifact.download_bytes / 1_000_000;
        match artifact.missing_client(cache) {
            None => {
                advice.push(format!(
                    "`medhub-local fetch {}` fetches {} ({megabytes} MB)",
                    artifact.name, artifact.package
                ));
                if availability == EngineAvailability::Found {
                    availability = EngineAvailability::Fetchable;
                }
            }
            Some(reason) => {
                advice.push(format!(
                    "{} needs {}: {reason}; or {}",
                    artifact.name, artifact.package, artifact.alternative
                ));
                availability = EngineAvailability::Missing;
            }
        }
    }
    (availability, advice)
}

fn print_report(report: &LocalDoctorReport) {
    for (name, finding) in &report.findings {
        let availability = match finding.availability {
            EngineAvailability::Elsewhere => "elsewhere",
            EngineAvailability::Found => "found",
            EngineAvailability::Fetchable => "to fetch",
            EngineAvailability::Missing => "MISSING",
        };
        let origin = match finding.origin {
            Some(ProgramOrigin::System) => "this machine",
            Some(ProgramOrigin::Package) => "registry",
            Some(ProgramOrigin::BuiltIn) => "built in",
            None => "",
        };
        println!("{name:<12}{availability:<11}{:<20}{origin:<14}{}", finding.version, finding.path.display());
        for advice in &finding.advice {
            println!("{:<12}{advice}", "");
        }
    }
    println!("{:<12}{}\n{:<12}{}", "data", report.data.display(), "cache", report.cache.display());
    if report.running.is_empty() {
        println!("{:<12}no stack runs on this data folder", "running");
    }
    for (name, component) in &report.running {
        let problem = component.problem.as_deref().unwrap_or("healthy");
        println!("{:<12}{name}: {problem}", "running");
    }
}
