//! `medhub-local doctor`: what this machine has, what it lacks, and how to get that.

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
    engine::{EngineKind, ProgramOrigin},
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

/// Whether something can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum EngineAvailability {
    /// A URL names one that runs elsewhere.
    Elsewhere,
    /// It is here.
    Found,
    /// It is not here, and will be fetched when it is needed.
    Fetchable,
    /// It is not here, and cannot be fetched.
    Missing,
}

#[derive(Debug, Serialize)]
struct EngineFinding {
    verdict: EngineAvailability,
    origin: Option<ProgramOrigin>,
    version: String,
    place: PathBuf,
    /// What to do, where something is to be done.
    advice: Vec<String>,
}

#[derive(Debug, Serialize)]
struct LocalDoctorReport {
    findings: BTreeMap<&'static str, EngineFinding>,
    data: PathBuf,
    cache: PathBuf,
    /// Empty where no stack runs.
    running: BTreeMap<String, ComponentHealth>,
}

impl LocalDoctorCommand {
    pub(super) async fn run(self, places: &FolderOptions) -> anyhow::Result<ExitCode> {
        let options = self.options.resolve(places, true)?;
        let mut findings: BTreeMap<_, _> =
            EngineKind::ALL.into_iter().map(|engine| (engine.name(), look_at(engine, &options))).collect();
        findings.extend(ASSET_FOLDERS.map(|(variable, piece)| (piece.name, look_at_folder(variable, piece, &options))));
        let running = match StackState::running(&options.settings.data_folder) {
            Ok(stack) => status::health(&stack).await,
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
            print(&report);
        }
        let usable = report.findings.values().all(|finding| finding.verdict != EngineAvailability::Missing);
        let healthy = report.running.values().all(|part| part.healthy);
        Ok(if usable && healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn look_at(engine: EngineKind, options: &StackConfig) -> EngineFinding {
    if options.urls.contains_key(&engine) {
        return elsewhere(engine.variable());
    }
    match engine.choose(&options.settings) {
        Ok(choice) => {
            let (verdict, advice) = judge(&choice.artifacts, &options.settings.cache);
            EngineFinding { verdict, origin: Some(choice.origin), version: choice.version, place: choice.path, advice }
        }
        Err(error) => EngineFinding {
            verdict: EngineAvailability::Missing,
            origin: None,
            version: String::new(),
            place: PathBuf::new(),
            advice: vec![format!("{error:#}")],
        },
    }
}

fn look_at_folder(variable: &str, piece: &'static PinnedArtifact, options: &StackConfig) -> EngineFinding {
    if std::env::var_os(variable).is_some() {
        return elsewhere(variable);
    }
    let (verdict, advice) = judge(&[piece], &options.settings.cache);
    let place = piece.place(&options.settings.cache);
    EngineFinding { verdict, origin: Some(ProgramOrigin::Package), version: piece.version.to_owned(), place, advice }
}

fn elsewhere(variable: &str) -> EngineFinding {
    EngineFinding {
        verdict: EngineAvailability::Elsewhere,
        origin: None,
        version: String::new(),
        place: format!("${variable}").into(),
        advice: Vec::new(),
    }
}

fn judge(pieces: &[&'static PinnedArtifact], cache: &ArtifactCache) -> (EngineAvailability, Vec<String>) {
    let (mut verdict, mut advice) = (EngineAvailability::Found, Vec::new());
    for piece in pieces.iter().filter(|piece| !piece.is_cached(cache)) {
        let megabytes = piece.download_bytes / 1_000_000;
        match piece.lacks_client(cache) {
            None => {
                advice.push(format!("`medhub-local fetch {}` brings {} ({megabytes} MB)", piece.name, piece.package));
                if verdict == EngineAvailability::Found {
                    verdict = EngineAvailability::Fetchable;
                }
            }
            Some(lack) => {
                advice.push(format!("{} needs {}: {lack}; or {}", piece.name, piece.package, piece.alternative));
                verdict = EngineAvailability::Missing;
            }
        }
    }
    (verdict, advice)
}

fn print(report: &LocalDoctorReport) {
    for (name, finding) in &report.findings {
        let verdict = match finding.verdict {
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
        println!("{name:<12}{verdict:<11}{:<20}{origin:<14}{}", finding.version, finding.place.display());
        for advice in &finding.advice {
            println!("{:<12}{advice}", "");
        }
    }
    println!("{:<12}{}\n{:<12}{}", "data", report.data.display(), "cache", report.cache.display());
    if report.running.is_empty() {
        println!("{:<12}no stack runs on this data folder", "running");
    }
    for (name, part) in &report.running {
        let problem = part.problem.as_deref().unwrap_or("healthy");
        println!("{:<12}{name}: {problem}", "running");
    }
}
