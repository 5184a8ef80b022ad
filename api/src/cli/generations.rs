//! `medhub generations`: the builds of every read model.

use std::process::ExitCode;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use projections::{
    read_models,
    runtime::{Generation, GenerationPointer, GenerationRecord},
};
use serde_json::json;

use super::{output, projection_names};
use crate::{app_context::AppContext, config::MedhubConfig};

/// Lists the builds of every read model: the live one that readers see, one that is kept for a rollback, one that is
/// being built, one that was found wrong.
#[derive(Debug, Args)]
pub(super) struct GenerationsArgs {
    #[command(subcommand)]
    action: Option<GenerationSubcommand>,
    /// Print one JSON object for each
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum GenerationSubcommand {
    /// Remove a generation that readers do not see
    Drop {
        /// The read model
        #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(read_models::READ_MODEL_NAMES))]
        projection: String,
        /// Its generation, e.g. g1
        generation: Generation,
    },
}

impl GenerationsArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let stores = AppContext::open_without_model(config)?;
        if let Some(GenerationSubcommand::Drop { projection, generation }) = self.action {
            let chosen = projection_names::select_projections(&stores, std::slice::from_ref(&projection))?;
            for projection in &chosen {
                stores.runtime.drop_generation(projection, generation).await?;
            }
            output::print_message(&format!("{generation} of {projection} is dropped"));
            return Ok(ExitCode::SUCCESS);
        }
        let (builds, pointer) =
            (stores.runtime.control().load_generations().await?, stores.runtime.control().load_pointer().await?);
        let line = |build: &GenerationRecord| {
            if self.json { format_json(build, &pointer) } else { format_text(build, &pointer) }
        };
        output::print_result(&builds.iter().map(line).collect::<Vec<_>>().join("\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What a build is to its readers.
pub(super) fn build_status(build: &GenerationRecord, pointer: &GenerationPointer) -> &'static str {
    let is = |generations: &projections::runtime::GenerationMap| {
        generations.get(&build.projection) == Some(&build.generation)
    };
    if is(&pointer.generations) {
        "live"
    } else if is(&pointer.previous) {
        "retained"
    } else {
        build.state.name()
    }
}

fn format_text(build: &GenerationRecord, pointer: &GenerationPointer) -> String {
    let generation = build.generation.to_string();
    format!("{:<12}{generation:<6}{:<10}{}", build.projection, build_status(build, pointer), build.state.name())
}

fn format_json(build: &GenerationRecord, pointer: &GenerationPointer) -> String {
    json!({
        "projection": build.projection,
        "generation": build.generation.number(),
        "standing": build_status(build, pointer),
        "state": build.state.name(),
        "incarnation": build.incarnation,
        "handover": build.handover,
    })
    .to_string()
}
