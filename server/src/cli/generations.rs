//! `medhub generations`: lists the generations of every read model, and drops one.

use std::process::ExitCode;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use projections::{
    read_models,
    runtime::{GenerationPointer, GenerationRecord, ReadModelGeneration},
};
use serde_json::json;

use super::{output, projection_names};
use crate::{config::MedhubConfig, engine_clients};

/// Lists the generations of every read model: `live`, which queries read; `retained`, which a rollback would switch to;
/// and generations that are being built or that failed verification.
#[derive(Debug, Args)]
pub(super) struct GenerationsArgs {
    #[command(subcommand)]
    action: Option<GenerationSubcommand>,
    /// Print one JSON object per generation
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum GenerationSubcommand {
    /// Remove a generation that is not active
    Drop {
        /// Name of the read model
        #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(read_models::read_model_names()))]
        projection: String,
        /// Generation to remove, e.g. g1
        generation: ReadModelGeneration,
    },
}

impl GenerationsArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context_without_model(config)?;
        if let Some(GenerationSubcommand::Drop { projection, generation }) = self.action {
            let chosen = projection_names::select_projections(&app, std::slice::from_ref(&projection))?;
            for projection in &chosen {
                app.runtime.drop_generation(projection, generation).await?;
            }
            output::print_message(&format!("dropped {generation} of {projection}"));
            return Ok(ExitCode::SUCCESS);
        }
        let (builds, pointer) =
            (app.runtime.control().load_generations().await?, app.runtime.control().load_pointer().await?);
        // Processes have no generations to choose from.
        let builds: Vec<_> = builds
            .into_iter()
            .filter(|build| read_models::projection_names().contains(&build.projection.as_str()))
            .collect();
        let line = |build: &GenerationRecord| {
            if self.json { format_json(build, &pointer) } else { format_text(build, &pointer) }
        };
        output::print_result(&builds.iter().map(line).collect::<Vec<_>>().join("\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns `live`, `retained`, or the state of a generation that is neither.
pub(super) fn build_status(build: &GenerationRecord, pointer: &GenerationPointer) -> &'static str {
    let contains_build = |generations: &projections::runtime::GenerationMap| {
        generations.get(&build.projection) == Some(&build.generation)
    };
    if contains_build(&pointer.generations) {
        "live"
    } else if contains_build(&pointer.previous) {
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
