//! `medhub-local doctor`: what this machine has, what it lacks, and how to get that.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::{
    Places,
    options::StackOptions,
    status::{self, Health},
};
use crate::{
    engine::{Engine, Origin},
    piece::{Cache, Piece},
    stack::{FOLDERS, Options},
    state::Stack,
};

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: StackOptions,
}

/// Whether something can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
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
struct Finding {
    verdict: Verdict,
    origin: Option<Origin>,
    version: String,
    place: PathBuf,
    /// What to do, where something is to be done.
    advice: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    findings: BTreeMap<&'static str, Finding>,
    data: PathBuf,
    cache: PathBuf,
    /// Empty where no stack runs.
    running: BTreeMap<String, Health>,
}

impl Doctor {
    pub(super) async fn run(self, places: &Places) -> anyhow::Result<ExitCode> {
        let options = self.options.resolve(places, true)?;
        let mut findings: BTreeMap<_, _> =
            Engine::ALL.into_iter().map(|engine| (engine.name(), look_at(engine, &options))).collect();
        findings.extend(FOLDERS.map(|(variable, piece)| (piece.name, look_at_folder(variable, piece, &options))));
        let running = match Stack::running(&options.site.data) {
            Ok(stack) => status::health(&stack).await,
            Err(_) => BTreeMap::new(),
        };
        let report = Report { findings, data: options.site.data, cache: options.site.cache.folder, running };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report).context("writing JSON")?);
        } else {
            print(&report);
        }
        let usable = report.findings.values().all(|finding| finding.verdict != Verdict::Missing);
        let healthy = report.running.values().all(|part| part.healthy);
        Ok(if usable && healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn look_at(engine: Engine, options: &Options) -> Finding {
    if options.urls.contains_key(&engine) {
        return elsewhere(engine.variable());
    }
    match engine.choose(&options.site) {
        Ok(choice) => {
            let (verdict, advice) = judge(&choice.pieces, &options.site.cache);
            Finding { verdict, origin: Some(choice.origin), version: choice.version, place: choice.place, advice }
        }
        Err(error) => Finding {
            verdict: Verdict::Missing,
            origin: None,
            version: String::new(),
            place: PathBuf::new(),
            advice: vec![format!("{error:#}")],
        },
    }
}

fn look_at_folder(variable: &str, piece: &'static Piece, options: &Options) -> Finding {
    if std::env::var_os(variable).is_some() {
        return elsewhere(variable);
    }
    let (verdict, advice) = judge(&[piece], &options.site.cache);
    let place = piece.place(&options.site.cache);
    Finding { verdict, origin: Some(Origin::Package), version: piece.version.to_owned(), place, advice }
}

fn elsewhere(variable: &str) -> Finding {
    Finding {
        verdict: Verdict::Elsewhere,
        origin: None,
        version: String::new(),
        place: format!("${variable}").into(),
        advice: Vec::new(),
    }
}

fn judge(pieces: &[&'static Piece], cache: &Cache) -> (Verdict, Vec<String>) {
    let (mut verdict, mut advice) = (Verdict::Found, Vec::new());
    for piece in pieces.iter().filter(|piece| !piece.is_cached(cache)) {
        let megabytes = piece.download / 1_000_000;
        match piece.lacks_client(cache) {
            None => {
                advice.push(format!("`medhub-local fetch {}` brings {} ({megabytes} MB)", piece.name, piece.package));
                if verdict == Verdict::Found {
                    verdict = Verdict::Fetchable;
                }
            }
            Some(lack) => {
                advice.push(format!("{} needs {}: {lack}; or {}", piece.name, piece.package, piece.instead));
                verdict = Verdict::Missing;
            }
        }
    }
    (verdict, advice)
}

fn print(report: &Report) {
    for (name, finding) in &report.findings {
        let verdict = match finding.verdict {
            Verdict::Elsewhere => "elsewhere",
            Verdict::Found => "found",
            Verdict::Fetchable => "to fetch",
            Verdict::Missing => "MISSING",
        };
        let origin = match finding.origin {
            Some(Origin::System) => "this machine",
            Some(Origin::Package) => "registry",
            Some(Origin::BuiltIn) => "built in",
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
