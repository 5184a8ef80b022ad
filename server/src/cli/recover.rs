//! `medhub recover`: publishes a restored log again.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::output;
use crate::{config::MedhubConfig, engine_clients};

/// Prepares a log that was restored from a backup, or cloned, for publishing: gives it a new incarnation, empties the
/// event topics, and lets the relay publish the whole log again. Events are not changed. Stop the relay before, and
/// rebuild the read models afterwards: they may contain events that the restored log lacks.
#[derive(Debug, Args)]
pub(super) struct RecoverArgs {
    /// Perform the recovery; without this option only print what would be done
    #[arg(long)]
    yes: bool,
}

impl RecoverArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context_without_model(config)?;
        let events = eventstore::count::count_log(&app.pool).await.context("counting the events of the log")?.events;
        let prefix = &config.engines.kafka.topic_prefix;
        if !self.yes {
            output::print_message(&format!(
                "would give the log ({events} events) a new incarnation, delete and create the topics {prefix}.*.events, \
                 and let the relay publish all events again; confirm with `--yes`"
            ));
            return Ok(ExitCode::FAILURE);
        }
        let incarnation = eventstore::relay::recover_log(&app.pool, &config.engines.kafka)
            .await
            .context("recovering; it is safe to repeat")?;
        // Forwarding projections follow the new incarnation from here on; read models have to be rebuilt.
        app.runtime
            .register_projections(&app.all_projections())
            .await
            .context("registering projections; it is safe to repeat")?;
        output::print_result(&incarnation.to_string())?;
        output::print_message(&format!(
            "the log has incarnation {incarnation} now; the relay publishes its {events} events again"
        ));
        Ok(ExitCode::SUCCESS)
    }
}
