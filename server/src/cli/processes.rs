//! `medhub processes`: lists, cancels and resumes instances of processes.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use chrono::SecondsFormat;
use clap::{
    Args, Subcommand,
    builder::{NonEmptyStringValueParser, PossibleValuesParser},
};
use processes::{AnyProcess, InstanceKey, InstanceQuery, InstanceRow, InstanceStatus, InstanceStore, PROCESS_NAMES};
use serde_json::json;
use task_workers::{TaskQueue, UnreadableTaskRow};

use super::{output, whoami};
use crate::{config::MedhubConfig, engine_clients};

/// Lists, cancels and resumes instances of processes. A process reacts to events with commands: for example it leads a
/// document from its upload to its analysis. An instance is one such course of events.
#[derive(Debug, Args)]
pub(super) struct ProcessesArgs {
    #[command(subcommand)]
    action: ProcessSubcommand,
}

#[derive(Debug, Subcommand)]
enum ProcessSubcommand {
    /// List instances, those that wait the longest first
    List(ListArgs),
    /// Cancel an instance; the process undoes what it has begun
    Cancel(CancelArgs),
    /// Send the pending commands of an instance now, also those that were given up after repeated failures
    Resume(ResumeArgs),
}

/// Lists instances with what each waits for, and since when. Without options: those that are waiting or stalled, and the
/// tasks that no worker can read.
#[derive(Debug, Args)]
struct ListArgs {
    /// Only instances of this process
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(PROCESS_NAMES.iter().copied()))]
    process: Option<String>,
    /// Only instances of this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Only instances with this status; can be repeated
    #[arg(long, value_name = "STATUS", value_parser = parse_status)]
    status: Vec<InstanceStatus>,
    /// Number of instances at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Print one JSON object per instance
    #[arg(long)]
    json: bool,
}

/// Names an instance.
#[derive(Debug, Args)]
struct InstanceArgs {
    /// Name of the process
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(PROCESS_NAMES.iter().copied()))]
    process: String,
    /// Id of the tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Id of the instance, as `list` prints it
    #[arg(value_name = "ID")]
    instance: String,
}

#[derive(Debug, Args)]
struct CancelArgs {
    #[command(flatten)]
    instance: InstanceArgs,
    /// Why it is cancelled; stays on record
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
}

#[derive(Debug, Args)]
struct ResumeArgs {
    #[command(flatten)]
    instance: InstanceArgs,
}

fn parse_status(name: &str) -> Result<InstanceStatus, String> {
    let names = InstanceStatus::ALL.map(InstanceStatus::name).join(", ");
    InstanceStatus::from_name(name).ok_or_else(|| format!("there are {names}"))
}

impl ProcessesArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context_without_model(config)?;
        let store = app.process_instances;
        match self.action {
            ProcessSubcommand::List(list) => list.run(&store, &app.task_queue).await,
            ProcessSubcommand::Cancel(cancel) => cancel.run(&store).await,
            ProcessSubcommand::Resume(resume) => resume.run(&store).await,
        }
    }
}

impl ListArgs {
    async fn run(self, store: &InstanceStore, tasks: &TaskQueue) -> anyhow::Result<ExitCode> {
        let query =
            InstanceQuery { process: self.process, tenant_id: self.tenant, statuses: self.status, limit: self.limit };
        let rows = store.list_instances(&query).await.context("listing the instances of processes")?;
        let tasks = if query.is_for_all() {
            tasks.list_unreadable(query.limit).await.context("listing the tasks that cannot be read")?
        } else {
            vec![]
        };
        if rows.is_empty() && tasks.is_empty() {
            output::print_message("no instance matches");
            return Ok(ExitCode::SUCCESS);
        }
        let mut lines: Vec<_> = rows.iter().map(if self.json { format_json } else { format_instance }).collect();
        lines.extend(tasks.iter().map(if self.json { format_task_json } else { format_task }));
        output::print_result(&lines.join("\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl CancelArgs {
    async fn run(self, store: &InstanceStore) -> anyhow::Result<ExitCode> {
        let process = self.instance.find_process()?;
        let key = self.instance.key();
        let reason = format!("{} ({})", self.reason, whoami::user_at_host());
        store.cancel_instance(process.as_ref(), &key, &reason).await?;
        output::print_message(&format!("cancelled instance {} of {}", key.instance_id, process.name()));
        Ok(ExitCode::SUCCESS)
    }
}

impl ResumeArgs {
    async fn run(self, store: &InstanceStore) -> anyhow::Result<ExitCode> {
        let key = self.instance.key();
        store.resume_instance(&self.instance.process, &key).await?;
        output::print_message(&format!("resumed instance {} of {}", key.instance_id, self.instance.process));
        Ok(ExitCode::SUCCESS)
    }
}

impl InstanceArgs {
    fn key(&self) -> InstanceKey {
        InstanceKey { tenant_id: self.tenant.clone(), instance_id: self.instance.clone() }
    }

    fn find_process(&self) -> anyhow::Result<Arc<dyn AnyProcess>> {
        let found = processes::all_processes().into_iter().find(|process| process.name() == self.process);
        found.with_context(|| format!("there is no process {}", self.process))
    }
}

/// An instance as a line of text.
pub(super) fn format_instance(row: &InstanceRow) -> String {
    let since = row.waits_since.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut parts = vec![format!(
        "{} {} {}: {}{} since {since}",
        row.process,
        row.key.tenant_id,
        row.key.instance_id,
        row.status.name(),
        if row.waits_for.is_empty() { String::new() } else { format!(" for {}", row.waits_for) },
    )];
    if row.pending_commands > 0 {
        parts.push(format!("{} commands pending", row.pending_commands));
    }
    parts.extend(
        row.next_timer_at.map(|due| format!("times out at {}", due.to_rfc3339_opts(SecondsFormat::Secs, true))),
    );
    for (label, text) in [
        ("last error", &row.last_error),
        ("cancelled because", &row.note),
        ("not handled by this release, which cannot read its state", &row.unreadable_because),
    ] {
        if !text.is_empty() {
            parts.push(format!("{label}: {text}"));
        }
    }
    parts.join(", ")
}

/// A task that cannot be read, as a line of text.
fn format_task(row: &UnreadableTaskRow) -> String {
    let UnreadableTaskRow { tenant_id, task_id, kind, reason, claimable_at } = row;
    let claimable_at = claimable_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!(
        "task {kind} {tenant_id} {task_id}: parked, no worker can read it, offered again at {claimable_at}, reason: {reason}"
    )
}

fn format_task_json(row: &UnreadableTaskRow) -> String {
    json!({
        "task": row.task_id,
        "tenant": row.tenant_id,
        "kind": row.kind,
        "status": "parked",
        "claimable_at": row.claimable_at,
        "last_error": row.reason,
    })
    .to_string()
}

fn format_json(row: &InstanceRow) -> String {
    json!({
        "process": row.process,
        "tenant": row.key.tenant_id,
        "instance": row.key.instance_id,
        "status": row.status.name(),
        "waits_for": row.waits_for,
        "waits_since": row.waits_since,
        "started_at": row.started_at,
        "next_timer_at": row.next_timer_at,
        "pending_commands": row.pending_commands,
        "last_error": row.last_error,
        "note": row.note,
        "unreadable_because": row.unreadable_because,
    })
    .to_string()
}
