//! `medhub doctor`: reaches every store, says which one is away or set up wrongly, and what to do.

use std::{error::Error, process::ExitCode};

use clap::Args;
use futures::future::join_all;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::output;
use crate::{
    app_context::{self, AppContext, BackingService, PingError, ServiceFinding as Found},
    config::{MedhubConfig, mask_url},
};

/// Reaches every store, looks at the settings that matter, and loads the embedding model. Exit code 0 only if nothing is amiss.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct DoctorReport {
    healthy: bool,
    engines: Vec<ServiceDiagnosis>,
    /// Why the embedding model cannot be loaded, if so.
    model: Option<String>,
}

#[derive(Debug, Serialize)]
struct ServiceDiagnosis {
    engine: BackingService,
    /// Where it was looked for, without a password.
    at: String,
    answers: bool,
    /// What it said instead of answering.
    reason: Option<String>,
    /// What a person can do about it.
    advice: Option<String>,
    /// What about an engine that answers is not as it should be.
    findings: Vec<Found>,
}

impl DoctorArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let stores = AppContext::open_without_model(config)?;
        let answers = join_all(BackingService::ALL.iter().map(|engine| stores.ping(*engine))).await;
        let mut engines: Vec<ServiceDiagnosis> = BackingService::ALL
            .into_iter()
            .zip(answers)
            .map(|(engine, answer)| {
                ServiceDiagnosis::from_ping(engine, service_address(engine, config), answer.as_ref().err())
            })
            .collect();
        let there: Vec<_> = engines.iter().filter(|finding| finding.answers).map(|finding| finding.engine).collect();
        for found in stores.collect_findings(&there).await {
            engines.iter_mut().filter(|finding| finding.engine == found.engine).for_each(|finding| {
                finding.findings.push(found.clone());
            });
        }
        let model =
            app_context::load_embedding_model(&config.embedding).await.err().map(|failure| format_causes(&failure));
        let healthy = model.is_none() && engines.iter().all(ServiceDiagnosis::is_healthy);
        let diagnosis = DoctorReport { healthy, engines, model };
        let text = if self.json { serde_json::to_string(&diagnosis)? } else { diagnosis.format_table() };
        output::print_result(&text)?;
        Ok(if diagnosis.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl ServiceDiagnosis {
    fn from_ping(engine: BackingService, at: String, failure: Option<&PingError>) -> Self {
        let advice = failure.map(|_| {
            format!(
                "start it there, or name where it is in {}; `medhub-local up` starts every engine that has no URL",
                engine.env_variable()
            )
        });
        Self {
            engine,
            at,
            answers: failure.is_none(),
            reason: failure.map(|failure| format_causes(failure)),
            advice,
            findings: vec![],
        }
    }

    fn is_healthy(&self) -> bool {
        self.answers && self.findings.iter().all(|found| !found.harmful)
    }
}

impl DoctorReport {
    fn format_table(&self) -> String {
        let mut lines = Vec::new();
        for finding in &self.engines {
            let verdict = if finding.answers { "answers" } else { "AWAY" };
            lines.push(format!("{:<12}{verdict:<9}{}", finding.engine.name(), finding.at));
            lines.extend(finding.reason.iter().chain(&finding.advice).map(|line| format!("            {line}")));
            lines.extend(
                finding.findings.iter().map(|found| {
                    format!("            {}: {}", if found.harmful { "WRONG" } else { "note" }, found.text)
                }),
            );
        }
        match &self.model {
            None => lines.push(format!("{:<12}loaded", "model")),
            Some(reason) => lines.push(format!("{:<12}MISSING  {reason}", "model")),
        }
        lines.join("\n")
    }
}

fn service_address(engine: BackingService, config: &MedhubConfig) -> String {
    mask_url(match engine {
        BackingService::Postgres => config.postgres.url.expose_secret(),
        BackingService::Kafka => &config.kafka.brokers,
        BackingService::ClickHouse => &config.clickhouse.url,
        BackingService::Qdrant => &config.qdrant.url,
        BackingService::Redis => &config.redis.url,
        BackingService::Registry => &config.registry.url,
    })
}

/// The failure and its causes on one line.
fn format_causes(failure: &dyn Error) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}
