//! `medhub recover`: after a restore of the log.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::output;
use crate::{app_context::AppContext, config::MedhubConfig};

/// Makes a log that was restored, or cloned, one of its own: gives it a new incarnation, empties the topics of events,
/// and lets the relay publish the whole log again. The log itself is not touched. Stop the relay before, and rebuild
/// the read models afterwards: they may hold what the restored log does not.
#[derive(Debug, Args)]
pub(super) struct RecoverArgs {
    /// Do it; without this option only say what would be done
    #[arg(long)]
    yes: bool,
}

impl RecoverArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let stores = AppContext::open_without_model(config)?;
        let events = eventstore::count::count_log(&stores.pool).await.context("looking at the log")?.events;
        let prefix = &config.kafka.topic_prefix;
        if !self.yes {
            output::print_message(&format!(
                "would give the log ({events} events) a new incarnation, delete and create the topics {prefix}.*.events, \
                 and let the relay publish everything again; `--yes` does it"
            ));
            return Ok(ExitCode::FAILURE);
        }
        let incarnation = eventstore::relay::recover_log(&stores.pool, &config.kafka)
            .await
            .context("recovering; it is safe to repeat")?;
        // Those that keep nothing follow the new incarnation from here; read models have to be rebuilt.
        stores
            .runtime
            .register_projections(&stores.read_models.current().all_projections())
            .await
            .context("registering projections; it is safe to repeat")?;
        output::print_result(&incarnation.to_string())?;
        output::print_message(&format!(
            "the log is incarnation {incarnation} now; the relay publishes its {events} events anew"
        ));
        Ok(ExitCode::SUCCESS)
    }
}
