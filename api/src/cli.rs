//! The command line: one file per command, results to standard output, everything else to standard error.

mod bench;
mod config;
mod dead_letters;
mod doctor;
mod event_lines;
mod generate;
mod generations;
mod import;
mod log;
mod migrate;
mod openapi;
mod output;
mod progress;
mod project;
mod projection_names;
mod rebuild;
mod recover;
mod replay;
mod rollback;
mod schemas;
mod sdl;
mod selection;
mod serve;
mod simulate;
mod status;
mod tail;
mod verify;
mod who;

use std::{ffi::OsString, iter, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::config::Config;

/// Finds federal contract opportunities for medical suppliers: takes notices in, keeps every change as an event, and
/// answers through GraphQL.
#[derive(Debug, Parser)]
#[command(name = "medhub", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Settings: defaults, then the file, then MEDHUB__SECTION__KEY, then DATABASE_URL, KAFKA_BROKERS, \
                        CLICKHOUSE_URL, QDRANT_URL, REDIS_URL and SCHEMA_REGISTRY_URL. `medhub config` shows what results."
)]
struct Cli {
    #[arg(long, global = true, value_name = "FILE", help = "Settings in TOML [default: what MEDHUB_CONFIG names]")]
    config: Option<PathBuf>,
    /// Log what is going on, not only what goes wrong
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prepare every store: tables, topics, collections. Safe to repeat
    Migrate(migrate::Migrate),
    /// Run the service until it is told to stop
    Serve(serve::Serve),
    /// Run the workers of some projections until they are told to stop
    Project(project::Project),
    /// Take in notices from a file or from standard input. Safe to interrupt and to repeat
    Import(import::Import),
    /// Write made-up notices in the format of SAM.gov's CSV extract
    Generate(generate::Generate),
    /// Record made-up visits to the opportunities in the log
    Simulate(simulate::Simulate),
    /// Count what every store holds, and say whether they agree
    Status(status::Status),
    /// Build the next generation of read models from the log, and switch readers over
    Rebuild(rebuild::Rebuild),
    /// Point readers back at the generations they saw before
    Rollback(rollback::Rollback),
    /// List the builds of every read model, or drop one
    Generations(generations::ListGenerations),
    /// Compare read models with the log, and name what differs
    Verify(verify::Verify),
    /// Deal with events that a projection could not take in
    DeadLetters(dead_letters::DeadLetters),
    /// Publish a log anew that was restored from a backup
    Recover(recover::Recover),
    /// Reach every store, and say which one is away and what to do
    Doctor(doctor::Doctor),
    /// Print events of the log as JSON lines
    Replay(replay::ReplayLog),
    /// Print the last events of the log and what comes, as JSON lines
    Tail(tail::Tail),
    /// Measure a part of the system beside the raw limit of this machine
    Bench(bench::Bench),
    /// List the schemas of all events, and what the schema registry knows of them
    Schemas(schemas::Schemas),
    /// Show the settings in force, without secrets
    Config(config::ShowConfig),
    /// Print the GraphQL schema
    Sdl(sdl::Sdl),
    /// Print the description of the REST API
    #[command(name = "openapi")]
    OpenApi(openapi::OpenApi),
}

/// Runs one command in this process's environment and answers with its exit code: 0 done, 1 failed, 2 misused.
///
/// `args` come **without** the name of the program. It builds a runtime of its own: call it from a plain `main`.
pub fn run<I, T>(args: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString>,
{
    let args = iter::once(OsString::from("medhub")).chain(args.into_iter().map(Into::into));
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(usage) => return output::usage(&usage),
    };
    match execute(cli) {
        Ok(code) => code,
        Err(error) => output::failure(&error),
    }
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    // What needs no settings works also where they are broken.
    let command = match cli.command {
        Command::Generate(command) => return command.run(),
        Command::Sdl(command) => return command.run(),
        Command::OpenApi(command) => return command.run(),
        command @ (Command::Migrate(_)
        | Command::Serve(_)
        | Command::Project(_)
        | Command::Rebuild(_)
        | Command::Rollback(_)
        | Command::Generations(_)
        | Command::Verify(_)
        | Command::DeadLetters(_)
        | Command::Import(_)
        | Command::Simulate(_)
        | Command::Status(_)
        | Command::Doctor(_)
        | Command::Replay(_)
        | Command::Tail(_)
        | Command::Bench(_)
        | Command::Recover(_)
        | Command::Schemas(_)
        | Command::Config(_)) => command,
    };
    // Variables that are not text cannot name a setting.
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = Config::load(cli.config.as_deref(), environment)?;
    log::start(&config.log, log::Loudness::of(&command, cli.verbose))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(dispatch(command, config));
    // A blocking read of standard input cannot be interrupted; it must not hold up the end.
    runtime.shutdown_background();
    outcome
}

async fn dispatch(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Migrate(command) => command.run(&config).await,
        Command::Serve(command) => command.run(config).await,
        Command::Project(command) => command.run(config).await,
        Command::Rebuild(command) => command.run(&config).await,
        Command::Rollback(command) => command.run(&config).await,
        Command::Generations(command) => command.run(&config).await,
        Command::Verify(command) => command.run(&config).await,
        Command::DeadLetters(command) => command.run(&config).await,
        Command::Import(command) => command.run(&config).await,
        Command::Simulate(command) => command.run(&config).await,
        Command::Status(command) => command.run(&config).await,
        Command::Doctor(command) => command.run(&config).await,
        Command::Replay(command) => command.run(&config).await,
        Command::Tail(command) => command.run(&config).await,
        Command::Bench(command) => command.run(&config).await,
        Command::Recover(command) => command.run(&config).await,
        Command::Schemas(command) => command.run(&config).await,
        Command::Config(command) => command.run(&config),
        Command::Generate(command) => command.run(),
        Command::Sdl(command) => command.run(),
        Command::OpenApi(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_every_option_says_what_it_does() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }
}
