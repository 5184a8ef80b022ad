//! `medhub doctor`: checks every engine, and says which is unavailable or misconfigured and what to do.

mod mail_check;

use std::process::ExitCode;

use api::{
    app_context::{self, BackingService, PingError, ServiceFinding},
    config::mask_url,
};
use clap::Args;
use domain::error_chain::format_error_chain;
use futures::future::join_all;
use language_models::{ProviderReachability, ProviderStatus};
use sam_gov::sync::SourceReport;
use secrecy::ExposeSecret;
use serde::Serialize;

use self::mail_check::{MailDiagnosis, check_mail};
use super::{output, source_report_lines::format_source_report};
use crate::{
    config::{MedhubConfig, read_environment_variable},
    connection_advice::ConnectionProblem,
    engine_clients,
    serve::notice_sync::NoticeSync,
};

/// Connects to every engine, checks its settings, and loads the embedding model. Exit code 0 only if no problem was
/// found.
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
    /// Why the embedding model cannot be loaded; `None` if it was loaded.
    model: Option<String>,
    /// The tools that workers read document files with, and that confine their child process. A missing one is a
    /// problem only where such files are uploaded.
    tools: Vec<ToolDiagnosis>,
    /// The providers of generated texts, in their order of preference.
    providers: Vec<ProviderDiagnosis>,
    /// Whether mails can be delivered; `None` if none are sent.
    mail: Option<MailDiagnosis>,
    /// The sources of notices that the settings name, and how up to date the log is with them.
    notice_sources: Vec<SourceReport>,
}

#[derive(Debug, Serialize)]
struct ProviderDiagnosis {
    provider: String,
    /// Protocol, model and address, without the key.
    description: String,
    usable: bool,
    /// Why it cannot be used at present.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct ToolDiagnosis {
    tool: &'static str,
    /// Where it is, if it can be used.
    at: Option<String>,
    /// Why it cannot be used, and how to get it.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct ServiceDiagnosis {
    engine: BackingService,
    /// The address, without a password.
    at: String,
    answers: bool,
    /// The error and its causes, if it does not answer.
    reason: Option<String>,
    /// What an operator can do about it.
    advice: Option<String>,
    /// Misconfigurations of an engine that answers.
    findings: Vec<ServiceFinding>,
}

impl DoctorArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context_without_model(config)?;
        let answers = join_all(BackingService::ALL.iter().map(|engine| app.ping(*engine))).await;
        let mut engines: Vec<ServiceDiagnosis> = BackingService::ALL
            .into_iter()
            .zip(answers)
            .map(|(engine, answer)| {
                ServiceDiagnosis::from_ping(engine, service_address(engine, config), answer.as_ref().err())
            })
            .collect();
        let reachable: Vec<_> = engines.iter().filter(|engine| engine.answers).map(|engine| engine.engine).collect();
        for finding in app.collect_findings(&reachable).await {
            engines.iter_mut().filter(|engine| engine.engine == finding.engine).for_each(|engine| {
                engine.findings.push(finding.clone());
            });
        }
        let model = app_context::load_embedding_model(&config.engines.embedding)
            .await
            .err()
            .map(|failure| format_error_chain(&failure));
        let extraction = config.extraction.clone();
        let tools = tokio::task::spawn_blocking(move || {
            let mut tools = documents::check_tools(&extraction);
            tools.extend(documents::check_confinement());
            tools
        })
        .await?;
        let tools = tools.into_iter().map(ToolDiagnosis::from).collect();
        let providers = language_models::check_providers(&config.language_models, read_environment_variable).await;
        let providers: Vec<_> = providers.into_iter().map(ProviderDiagnosis::from).collect();
        let mail = check_mail(&config.mail).await;
        // Without Postgres, or before `medhub migrate`, there is nothing to report.
        let notice_sources = NoticeSync::new(&config.sam_gov, &app.pool).report_sources().await.unwrap_or_default();
        let healthy = model.is_none()
            && engines.iter().all(ServiceDiagnosis::is_healthy)
            && providers.iter().all(|provider| provider.usable)
            && mail.as_ref().is_none_or(|mail| mail.usable)
            && !notice_sources.iter().any(SourceReport::has_problem);
        let report = DoctorReport { healthy, engines, model, tools, providers, mail, notice_sources };
        let text = if self.json { serde_json::to_string(&report)? } else { report.format_table() };
        output::print_result(&text)?;
        Ok(if report.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl From<ProviderStatus> for ProviderDiagnosis {
    fn from(status: ProviderStatus) -> Self {
        let reason = match status.reachability {
            ProviderReachability::BuiltIn | ProviderReachability::Reachable => None,
            ProviderReachability::KeyRefused => Some("it does not accept the API key".to_owned()),
            ProviderReachability::Unreachable(reason) | ProviderReachability::Misconfigured(reason) => Some(reason),
        };
        Self { provider: status.name, description: status.description, usable: reason.is_none(), reason }
    }
}

impl From<documents::ToolStatus> for ToolDiagnosis {
    fn from(status: documents::ToolStatus) -> Self {
        Self { tool: status.name, at: status.found, reason: status.problem }
    }
}

impl ServiceDiagnosis {
    fn from_ping(engine: BackingService, at: String, failure: Option<&PingError>) -> Self {
        let reason = failure.map(|failure| format_error_chain(failure));
        let advice = reason.as_deref().and_then(|reason| match ConnectionProblem::find(reason) {
            Some(problem) => Some(problem.advice(engine)),
            None if engine == BackingService::Objects => None,
            None => Some(format!(
                "start it there, or set {} to its address; `medhub-local up` starts every engine that has no URL",
                engine.env_variable()
            )),
        });
        Self { engine, at, answers: failure.is_none(), reason, advice, findings: vec![] }
    }

    fn is_healthy(&self) -> bool {
        self.answers && self.findings.iter().all(|finding| !finding.harmful)
    }
}

impl DoctorReport {
    fn format_table(&self) -> String {
        let mut lines = Vec::new();
        for diagnosis in &self.engines {
            let verdict = if diagnosis.answers { "answers" } else { "DOWN" };
            lines.push(format!("{:<12}{verdict:<9}{}", diagnosis.engine.name(), diagnosis.at));
            lines.extend(diagnosis.reason.iter().chain(&diagnosis.advice).map(|line| format!("            {line}")));
            lines.extend(diagnosis.findings.iter().map(|finding| {
                format!("            {}: {}", if finding.harmful { "WRONG" } else { "note" }, finding.text)
            }));
        }
        match &self.model {
            None => lines.push(format!("{:<12}loaded", "model")),
            Some(reason) => lines.push(format!("{:<12}MISSING  {reason}", "model")),
        }
        for tool in &self.tools {
            let verdict = if tool.at.is_some() { "found" } else { "MISSING" };
            let detail = tool.at.as_ref().or(tool.reason.as_ref()).map_or("", String::as_str);
            lines.push(format!("{:<12}{verdict:<9}{detail}", tool.tool));
        }
        for provider in &self.providers {
            let verdict = if provider.usable { "usable" } else { "WRONG" };
            lines.push(format!("{:<12}{verdict:<9}{}", provider.provider, provider.description));
            lines.extend(provider.reason.iter().map(|reason| format!("            {reason}")));
        }
        if let Some(mail) = &self.mail {
            let verdict = if mail.usable { "usable" } else { "WRONG" };
            lines.push(format!("{:<12}{verdict:<9}{}", "mail", mail.at));
            let advice = mail.advice.map(str::to_owned);
            lines.extend(mail.reason.iter().chain(&advice).map(|line| format!("            {line}")));
        }
        lines.extend(self.notice_sources.iter().map(format_source_report));
        lines.join("\n")
    }
}

fn service_address(engine: BackingService, config: &MedhubConfig) -> String {
    mask_url(match engine {
        BackingService::POSTGRES => config.engines.postgres.url.expose_secret(),
        BackingService::KAFKA => &config.engines.kafka.brokers,
        BackingService::CLICKHOUSE => &config.engines.clickhouse.url,
        BackingService::QDRANT => &config.engines.qdrant.url,
        BackingService::REDIS => &config.engines.redis.url,
        BackingService::REGISTRY => &config.engines.registry.url,
        BackingService::Lists => {
            let own = config.engines.lists.database_url.as_deref();
            own.unwrap_or_else(|| config.engines.postgres.url.expose_secret())
        }
        BackingService::Objects => return config.engines.objects.describe(),
    })
}
