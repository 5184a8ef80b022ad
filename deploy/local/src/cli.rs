//! The command line of `medhub-local`.

mod demo;
mod doctor;
mod env;
mod fetch;
mod medhub_command;
mod serve_engine;
mod stack_options;
mod status;
mod stop;
mod up;

use std::{ffi::OsString, future::Future, io::IsTerminal as _, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::{folder, process::GuardCommand};

const ABOUT: &str = "Run MedContractHub on one machine, on real engines, without Docker.

Postgres, the schema registry, Redis, Kafka, ClickHouse and Qdrant run as child processes on 127.0.0.1. An engine \
whose URL is set in the environment (DATABASE_URL, SCHEMA_REGISTRY_URL, REDIS_URL, KAFKA_BROKERS, CLICKHOUSE_URL, \
QDRANT_URL) is used instead of a local one.";

/// Run MedContractHub on one machine, on real engines, without Docker.
#[derive(Debug, Parser)]
#[command(name = "medhub-local", version, long_about = ABOUT)]
struct LocalCli {
    #[command(flatten)]
    folders: FolderOptions,
    #[command(subcommand)]
    command: LocalCommand,
}

/// The two folders that this program writes to.
#[derive(Debug, Clone, Args)]
pub(crate) struct FolderOptions {
    /// Folder of the stack's data [default: /var/lib/medhub for root, else ~/.local/share/medhub].
    #[arg(long, global = true, env = "MEDHUB_DATA_DIR", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of fetched engines [default: /var/cache/medhub for root, else ~/.cache/medhub].
    #[arg(long, global = true, env = "MEDHUB_CACHE_DIR", value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl FolderOptions {
    fn data_folder(&self) -> anyhow::Result<PathBuf> {
        let chosen = self.data.clone().filter(|folder| !folder.as_os_str().is_empty());
        Ok(std::path::absolute(chosen.unwrap_or_else(folder::default_data_folder))?)
    }

    fn cache_folder(&self) -> anyhow::Result<PathBuf> {
        let chosen = self.cache.clone().filter(|folder| !folder.as_os_str().is_empty());
        Ok(std::path::absolute(chosen.unwrap_or_else(folder::default_cache_folder))?)
    }
}

#[derive(Debug, Subcommand)]
enum LocalCommand {
    /// Start everything, import generated notices, show what every store contains, and keep running.
    Demo(demo::DemoCommand),
    /// Start the engines, migrate, and serve; stays in the foreground until Ctrl-C.
    Up(up::UpCommand),
    /// Fetch missing engines into the cache.
    Fetch(fetch::FetchCommand),
    /// Show which engines were found, in which version and where, and how to get what is missing.
    Doctor(doctor::LocalDoctorCommand),
    /// Print `export` lines with the running stack's addresses.
    Env(env::EnvCommand),
    /// Show the running stack: processes, ports, memory, health. Exits with 0 only if all is healthy.
    Status(status::LocalStatusCommand),
    /// Stop the running stack gracefully.
    Stop(stop::StopCommand),
    /// Run a command of the product, such as `import` or `status`, against the running stack.
    #[command(disable_help_flag = true)]
    Medhub(medhub_command::MedhubCommand),
    /// Serve one engine in this process.
    #[command(hide = true)]
    Engine(serve_engine::EngineCommand),
    /// Replace this process with a program that ends when its parent dies.
    #[command(hide = true)]
    Guard(GuardCommand),
    /// Read the file of a document. The product starts its own program with this command.
    #[command(hide = true, disable_help_flag = true)]
    ExtractText {
        /// The request.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run the product's command line with the unchanged environment.
    #[command(hide = true, disable_help_flag = true)]
    Product {
        /// Arguments of `medhub`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// The product's command line: runs the given arguments (without the program's name) in this process.
pub type ProductCommandLine = fn(Vec<OsString>) -> ExitCode;

/// Runs the command that the process was started with.
pub fn main(product: ProductCommandLine) -> ExitCode {
    let cli = LocalCli::parse();
    // The product configures its own logs.
    if !matches!(cli.command, LocalCommand::Product { .. } | LocalCommand::ExtractText { .. }) {
        start_logging();
    }
    run_command(cli.command, &cli.folders, product).unwrap_or_else(|error| {
        print_error(&error);
        ExitCode::FAILURE
    })
}

fn run_command(
    command: LocalCommand,
    folders: &FolderOptions,
    product: ProductCommandLine,
) -> anyhow::Result<ExitCode> {
    match command {
        LocalCommand::Demo(demo) => block_on(demo.run(folders)),
        LocalCommand::Up(up) => block_on(up.run(folders)),
        LocalCommand::Fetch(fetch) => block_on(fetch.run(folders)),
        LocalCommand::Doctor(doctor) => block_on(doctor.run(folders)),
        LocalCommand::Env(env) => env.run(folders),
        LocalCommand::Status(status) => block_on(status.run(folders)),
        LocalCommand::Stop(stop) => stop.run(folders),
        LocalCommand::Engine(engine) => engine.run(),
        LocalCommand::Medhub(command) => command.run(folders),
        LocalCommand::Guard(guard) => guard.run(),
        LocalCommand::ExtractText { args } => Ok(product(["extract-text".into()].into_iter().chain(args).collect())),
        LocalCommand::Product { args } => Ok(product(args)),
    }
}

/// Runs on this thread only: a child gets its parent-death signal when the *thread* that forked it ends, and the main
/// thread ends last.
fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn start_logging() {
    let filter = EnvFilter::try_from_env("MEDHUB_LOCAL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    log.with_target(false).with_ansi(terminal).init();
}

#[expect(clippy::print_stderr, reason = "the error output of a command-line program")]
fn print_error(error: &anyhow::Error) {
    eprintln!("medhub-local: {error:#}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::LocalCli::command().debug_assert();
    }
}
