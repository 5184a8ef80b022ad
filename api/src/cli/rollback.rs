//! `medhub rollback`: readers see again what they saw before the last switch.

use std::process::ExitCode;

use clap::{Args, builder::PossibleValuesParser};

use super::{output, projection_names};
use crate::{app_context::AppContext, config::MedhubConfig};

/// Points readers back at the generations that they saw before the last switch, all at once. What they leave stays up
/// to date, so that the same command goes forward again.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Which read models; by default all that were switched last
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(projection_names::possible_names()))]
    projections: Vec<String>,
}

impl RollbackArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let stores = AppContext::open_without_model(config)?;
        let projections = match self.projections.as_slice() {
            [] => stores.last_switched_projections().await?,
            named => projection_names::select_projections(&stores, named)?,
        };
        if projections.is_empty() {
            anyhow::bail!("no read model was switched yet: there is nothing to go back to");
        }
        let pointer = stores.runtime.rollback(&projections).await?;
        let lines = projections.iter().map(|projection| {
            let name = projection.name();
            let before = pointer.previous.get(name).map_or(String::new(), |before| format!(" instead of {before}"));
            format!("{name}: readers see {}{before}", pointer.active_generation(name))
        });
        output::print_result(&lines.collect::<Vec<_>>().join("\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
