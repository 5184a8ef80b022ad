//! `medhub generations`: the builds of every read model.

use std::process::ExitCode;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use projections::{
    catalog,
    runtime::{Build, Generation, Pointer},
};
use serde_json::json;

use super::{output, projection_names};
use crate::{config::Config, store::Stores};

/// Lists the builds of every read model: the live one that readers see, one that is kept for a rollback, one that is
/// being built, one that was found wrong.
#[derive(Debug, Args)]
pub(super) struct ListGenerations {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print one JSON object for each
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Remove a generation that readers do not see
    Drop {
        /// The read model
        #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(catalog::KEPT))]
        projection: String,
        /// Its generation, e.g. g1
        generation: Generation,
    },
}

impl ListGenerations {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let stores = Stores::open_without_model(config)?;
        if let Some(Action::Drop { projection, generation }) = self.action {
            let chosen = projection_names::chosen(&stores, std::slice::from_ref(&projection))?;
            for projection in &chosen {
                stores.runtime.drop_generation(projection, generation).await?;
            }
            output::say(&format!("{generation} of {projection} is dropped"));
            return Ok(ExitCode::SUCCESS);
        }
        let (builds, pointer) = (stores.runtime.control().builds().await?, stores.runtime.control().pointer().await?);
        let line = |build: &Build| if self.json { as_json(build, &pointer) } else { as_text(build, &pointer) };
        output::result(&builds.iter().map(line).collect::<Vec<_>>().join("\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What a build is to its readers.
pub(super) fn standing(build: &Build, pointer: &Pointer) -> &'static str {
    let is =
        |generations: &projections::runtime::Generations| generations.get(&build.projection) == Some(&build.generation);
    if is(&pointer.generations) {
        "live"
    } else if is(&pointer.previous) {
        "retained"
    } else {
        build.state.name()
    }
}

fn as_text(build: &Build, pointer: &Pointer) -> String {
    let generation = build.generation.to_string();
    format!("{:<12}{generation:<6}{:<10}{}", build.projection, standing(build, pointer), build.state.name())
}

fn as_json(build: &Build, pointer: &Pointer) -> String {
    json!({
        "projection": build.projection,
        "generation": build.generation.number(),
        "standing": standing(build, pointer),
        "state": build.state.name(),
        "incarnation": build.incarnation,
        "handover": build.handover,
    })
    .to_string()
}
