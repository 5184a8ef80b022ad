//! `medhub rollback`: switches back to the previous generations.

use std::process::ExitCode;

use clap::{Args, builder::PossibleValuesParser};

use super::{output, projection_names};
use crate::{config::MedhubConfig, engine_clients};

/// Switches back to the generations that were active before the last switch, all at once. The generations switched from
/// stay up to date, so that the same command switches forward again.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Read models to switch back [default: those that were switched last]
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(projection_names::possible_names()))]
    projections: Vec<String>,
}

impl RollbackArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context_without_model(config)?;
        let projections = match self.projections.as_slice() {
            [] => app.last_switched_projections().await?,
            named => projection_names::select_projections(&app, named)?,
        };
        if projections.is_empty() {
            anyhow::bail!("no read model was switched yet: there is no previous generation");
        }
        let pointer = app.runtime.rollback(&projections).await?;
        let lines = projections.iter().map(|projection| {
            let name = projection.name();
            let before = pointer.previous.get(name).map_or(String::new(), |before| format!(" from {before}"));
            format!("{name}: switched to {}{before}", pointer.active_generation(name))
        });
        output::print_result(&lines.collect::<Vec<_>>().join("\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
