//! `medhub schemas`: lists the schemas of all events and their state in the schema registry.

use std::process::ExitCode;

use anyhow::Context;
use api::app_context::{ReadOnlyRegistryClient, RegisteredSchema};
use clap::Args;
use schemas::catalog::{self, EventSchema};
use serde::Serialize;

use super::output;
use crate::config::MedhubConfig;

/// Lists the schemas of all events and their state in the schema registry. Exit code 0 only if all are registered.
#[derive(Debug, Args)]
pub(super) struct SchemasArgs {
    /// Print one JSON array instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SchemaRow {
    event_type: &'static str,
    event_version: &'static str,
    subject: &'static str,
    /// `None` if it is not registered.
    id: Option<u32>,
    subject_version: Option<u32>,
    state: RegistrationState,
    /// Why the registry would refuse it; empty if it is registered or compatible.
    objections: Vec<String>,
}

/// State of a schema in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum RegistrationState {
    /// It is registered.
    Registered,
    /// Not registered, and compatible: `medhub migrate` registers it.
    Missing,
    /// Not registered, and incompatible: the registry would refuse it.
    Breaking,
}

impl SchemasArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let registry = ReadOnlyRegistryClient::new(&config.engines.registry)?;
        let mut rows = Vec::new();
        for schema in catalog::all_schemas() {
            let row = SchemaRow::load(schema, &registry).await;
            rows.push(row.with_context(|| format!("looking up {} in the schema registry", schema.subject))?);
        }
        let text = if self.json { serde_json::to_string(&rows)? } else { format_table(&rows) };
        output::print_result(&text)?;
        let complete = rows.iter().all(|row| row.state == RegistrationState::Registered);
        Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl SchemaRow {
    async fn load(schema: &'static EventSchema, registry: &ReadOnlyRegistryClient) -> anyhow::Result<Self> {
        let registered = registry.find_schema(schema).await?;
        let objections = match registered {
            Some(_) => vec![],
            None => registry.find_objections(schema).await?,
        };
        let state = match registered {
            Some(_) => RegistrationState::Registered,
            None if objections.is_empty() => RegistrationState::Missing,
            None => RegistrationState::Breaking,
        };
        let EventSchema { event_type, version, subject, .. } = *schema;
        let (id, subject_version) = registered.map(|RegisteredSchema { id, version }| (id, version)).unzip();
        Ok(Self { event_type, event_version: version, subject, id, subject_version, state, objections })
    }
}

fn format_table(rows: &[SchemaRow]) -> String {
    let line = |columns: [&str; 6]| {
        let [event, version, subject, subject_version, id, state] = columns;
        format!("{event:<32}{version:<9}{subject:<40}{subject_version:>7}{id:>6}  {state}")
    };
    let mut lines = vec![line(["EVENT", "VERSION", "SUBJECT", "NUMBER", "ID", "STATE"])];
    for row in rows {
        let number = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let state = match row.state {
            RegistrationState::Registered => "registered",
            RegistrationState::Missing => "missing: `medhub migrate` registers it",
            RegistrationState::Breaking => "BREAKING: the registry would refuse it",
        };
        let (subject_version, id) = (number(row.subject_version), number(row.id));
        lines.push(line([row.event_type, row.event_version, row.subject, &subject_version, &id, state]));
        lines.extend(row.objections.iter().map(|objection| format!("    {objection}")));
    }
    lines.join("\n")
}
