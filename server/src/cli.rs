//! The command line: one file per command, results to standard output, everything else to standard error.

mod bench;
mod config;
mod dead_letters;
mod doctor;
mod event_line_printer;
mod event_selection;
mod experiments;
mod extract_text;
mod flags;
mod generate;
mod generations;
mod import;
mod jobs;
mod logging;
mod migrate;
mod openapi;
mod output;
mod processes;
mod progress_display;
mod project;
mod projection_names;
mod rebuild;
mod recover;
mod replay;
mod rollback;
mod schemas;
mod sdl;
mod serve;
mod simulate;
mod source_report_lines;
mod status;
mod sync;
mod tail;
mod trail;
mod verify;
mod whoami;

use std::{ffi::OsString, iter, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{config::MedhubConfig, file_limit};

/// Finds federal contract opportunities for medical suppliers: imports notices, records every change as an event, and
/// answers queries over GraphQL.
#[derive(Debug, Parser)]
#[command(name = "medhub", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Settings: defaults, then the file, then MEDHUB__SECTION__KEY, then DATABASE_URL, KAFKA_BROKERS, \
                        CLICKHOUSE_URL, QDRANT_URL, REDIS_URL and SCHEMA_REGISTRY_URL. `medhub config` shows the result."
)]
struct MedhubCli {
    #[arg(long, global = true, value_name = "FILE", help = "Settings in TOML [default: what MEDHUB_CONFIG names]")]
    config: Option<PathBuf>,
    /// Log at the level of the settings, not only warnings and errors
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: CliSubcommand,
}

#[derive(Debug, Subcommand)]
enum CliSubcommand {
    /// Prepare every engine: tables, schemas, topics, collections. Safe to repeat
    Migrate(migrate::MigrateArgs),
    /// Run the service until SIGTERM or SIGINT
    Serve(serve::ServeArgs),
    /// Run the workers of some projections until SIGTERM or SIGINT
    Project(project::ProjectArgs),
    /// Import notices from a file or standard input. Safe to interrupt and to repeat
    Import(import::ImportArgs),
    /// Read SAM.gov, and record what changed since the last time. Safe to interrupt and to repeat
    Sync(sync::SyncArgs),
    /// Generate notices in the format of SAM.gov's CSV extract
    Generate(generate::GenerateArgs),
    /// Record generated visits to the opportunities in the log
    Simulate(simulate::SimulateArgs),
    /// Show the relay and the projections, and compare what every engine holds
    Status(status::StatusArgs),
    /// Build the next generation of read models from the log and switch to it
    Rebuild(rebuild::RebuildArgs),
    /// Switch back to the previous generations of read models
    Rollback(rollback::RollbackArgs),
    /// List the generations of every read model, or drop one
    Generations(generations::GenerationsArgs),
    /// Compare read models with the log and report the differences
    Verify(verify::VerifyArgs),
    /// List, inspect, redrive or drop events that a projection could not apply
    DeadLetters(dead_letters::DeadLettersArgs),
    /// List, cancel or resume the instances of processes
    Processes(processes::ProcessesArgs),
    /// Compare the variants of experiments, and say which is better
    Experiments(experiments::ExperimentsArgs),
    /// List scheduled jobs with their last and next runs, or run one now
    Jobs(jobs::JobsArgs),
    /// List, define, switch and change feature flags, and show who changed them
    Flags(flags::FlagsArgs),
    /// Publish the whole log again after it was restored from a backup
    Recover(recover::RecoverArgs),
    /// Check every engine, and say which is unavailable and what to do
    Doctor(doctor::DoctorArgs),
    /// Print events of the log as JSON lines
    Replay(replay::ReplayArgs),
    /// Print the last events of the log and follow it, as JSON lines
    Tail(tail::TailArgs),
    /// Print what one request caused, as a tree with times
    Trail(trail::TrailArgs),
    /// Measure a part of the system beside the raw limit of this machine
    Bench(bench::BenchArgs),
    /// List the schemas of all events and their state in the schema registry
    Schemas(schemas::SchemasArgs),
    /// Show the settings in force, without secrets
    Config(config::ConfigArgs),
    /// Extract the text of one file in a confined process; the workers start it
    #[command(hide = true)]
    ExtractText(extract_text::ExtractTextArgs),
    /// Print the GraphQL schema
    Sdl(sdl::SdlArgs),
    /// Print the OpenAPI description of the REST API
    #[command(name = "openapi")]
    OpenApi(openapi::OpenApiArgs),
}

/// Runs one command with the settings of this process's environment and returns its exit code: 0 done, 1 failed, 2
/// misused, or a code that the command documents.
///
/// `args` do **not** include the program's name. Builds its own Tokio runtime: call it from a synchronous `main`.
pub fn run<I, T>(args: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString>,
{
    let args = iter::once(OsString::from("medhub")).chain(args.into_iter().map(Into::into));
    let cli = match MedhubCli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(usage) => return output::print_usage(&usage),
    };
    match execute_cli(cli) {
        Ok(code) => code,
        Err(error) => output::print_failure(&error),
    }
}

fn execute_cli(cli: MedhubCli) -> anyhow::Result<ExitCode> {
    // These need no settings and so work where the settings are invalid.
    let command = match cli.command {
        CliSubcommand::Generate(command) => return command.run(),
        CliSubcommand::ExtractText(command) => return Ok(command.run()),
        CliSubcommand::Sdl(command) => return command.run(),
        CliSubcommand::OpenApi(command) => return command.run(),
        command @ (CliSubcommand::Migrate(_)
        | CliSubcommand::Serve(_)
        | CliSubcommand::Project(_)
        | CliSubcommand::Rebuild(_)
        | CliSubcommand::Rollback(_)
        | CliSubcommand::Generations(_)
        | CliSubcommand::Verify(_)
        | CliSubcommand::DeadLetters(_)
        | CliSubcommand::Processes(_)
        | CliSubcommand::Experiments(_)
        | CliSubcommand::Jobs(_)
        | CliSubcommand::Flags(_)
        | CliSubcommand::Import(_)
        | CliSubcommand::Sync(_)
        | CliSubcommand::Simulate(_)
        | CliSubcommand::Status(_)
        | CliSubcommand::Doctor(_)
        | CliSubcommand::Replay(_)
        | CliSubcommand::Tail(_)
        | CliSubcommand::Trail(_)
        | CliSubcommand::Bench(_)
        | CliSubcommand::Recover(_)
        | CliSubcommand::Schemas(_)
        | CliSubcommand::Config(_)) => command,
    };
    // Variables that are not valid Unicode cannot name a setting.
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut config = MedhubConfig::load(cli.config.as_deref(), environment)?;
    if matches!(command, CliSubcommand::Bench(_)) {
        // Benchmarks fill separate databases by single statements.
        config.engines.postgres.statement_timeout_ms = 0;
    } else if !matches!(command, CliSubcommand::Serve(_) | CliSubcommand::Project(_)) {
        config.engines.postgres.limit_as_operator();
    }
    let exports = logging::init_logging(&config, &command, cli.verbose)?;
    // The comparison of a long log has two temporary files for each pass.
    if let Err(error) = file_limit::raise_file_limit() {
        tracing::warn!(error = &error as &dyn std::error::Error, "raising the limit of open files failed");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run_subcommand(command, config));
    // A blocking read of standard input cannot be interrupted; do not wait for it.
    runtime.shutdown_background();
    exports.shutdown();
    outcome
}

async fn run_subcommand(command: CliSubcommand, config: MedhubConfig) -> anyhow::Result<ExitCode> {
    match command {
        CliSubcommand::Migrate(command) => command.run(&config).await,
        CliSubcommand::Serve(command) => Box::pin(command.run(config)).await,
        CliSubcommand::Project(command) => Box::pin(command.run(config)).await,
        CliSubcommand::Rebuild(command) => command.run(&config).await,
        CliSubcommand::Rollback(command) => command.run(&config).await,
        CliSubcommand::Generations(command) => command.run(&config).await,
        CliSubcommand::Verify(command) => command.run(&config).await,
        CliSubcommand::DeadLetters(command) => command.run(&config).await,
        CliSubcommand::Processes(command) => command.run(&config).await,
        CliSubcommand::Experiments(command) => command.run(&config).await,
        CliSubcommand::Jobs(command) => command.run(&config).await,
        CliSubcommand::Flags(command) => command.run(&config).await,
        CliSubcommand::Import(command) => command.run(&config).await,
        CliSubcommand::Sync(command) => command.run(&config).await,
        CliSubcommand::Simulate(command) => command.run(&config).await,
        CliSubcommand::Status(command) => Box::pin(command.run(&config)).await,
        CliSubcommand::Doctor(command) => command.run(&config).await,
        CliSubcommand::Replay(command) => command.run(&config).await,
        CliSubcommand::Tail(command) => command.run(&config).await,
        CliSubcommand::Trail(command) => command.run(&config).await,
        CliSubcommand::Bench(command) => Box::pin(command.run(&config)).await,
        CliSubcommand::Recover(command) => command.run(&config).await,
        CliSubcommand::Schemas(command) => command.run(&config).await,
        CliSubcommand::Config(command) => command.run(&config),
        CliSubcommand::Generate(command) => command.run(),
        CliSubcommand::ExtractText(command) => Ok(command.run()),
        CliSubcommand::Sdl(command) => command.run(),
        CliSubcommand::OpenApi(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_definition_is_valid() {
        MedhubCli::command().debug_assert();
    }

    /// Lists each command and each of its arguments: `medhub import <FILE>`, `medhub import --encoding <ENCODING>`.
    fn list_arguments(command: &clap::Command, path: &str, lines: &mut Vec<String>) {
        lines.push(path.to_owned());
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let takes_value = argument.get_action().takes_values();
            let names = argument.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>"));
            let value = if takes_value { names.collect::<Vec<_>>().join(" ") } else { String::new() };
            let option = argument.get_long().map(|long| format!("--{long}"));
            let line = [Some(path.to_owned()), option, Some(value)].into_iter().flatten().collect::<Vec<_>>().join(" ");
            lines.push(line.trim_end().to_owned());
        }
        for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
            list_arguments(child, &format!("{path} {}", child.get_name()), lines);
        }
    }

    #[test]
    fn every_promised_command_and_option_exists() {
        let mut command = MedhubCli::command();
        command.build();
        let mut lines = vec![];
        list_arguments(&command, "medhub", &mut lines);
        let promised = include_str!("cli/promised.txt").lines();
        let missing: Vec<_> = promised.filter(|promise| !lines.iter().any(|line| line == promise)).collect();
        assert_eq!(missing, Vec::<&str>::new(), "scripts use these; the whole list is\n{}", lines.join("\n"));
    }

    #[test]
    fn every_command_and_every_option_has_a_help_text() {
        for command in MedhubCli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }
}
