//! Where the log goes and how much of it.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use super::CliSubcommand;
use crate::config::{LoggingConfig, LoggingFormat};

/// Directives for commands that a person waits for: their own output says what is going on.
const QUIET_FILTER: &str = "warn,librdkafka=off,rdkafka=off";

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogVerbosity {
    /// What goes wrong.
    Quiet,
    /// What the settings say.
    Configured,
}

impl LogVerbosity {
    /// A service logs what its settings say, a command only what goes wrong, unless more is asked for.
    pub(super) fn for_subcommand(command: &CliSubcommand, verbose: bool) -> Self {
        let service = match command {
            CliSubcommand::Serve(_) | CliSubcommand::Project(_) => true,
            CliSubcommand::Migrate(_)
            | CliSubcommand::Import(_)
            | CliSubcommand::Rebuild(_)
            | CliSubcommand::Rollback(_)
            | CliSubcommand::Generations(_)
            | CliSubcommand::Verify(_)
            | CliSubcommand::DeadLetters(_)
            | CliSubcommand::Generate(_)
            | CliSubcommand::Simulate(_)
            | CliSubcommand::Status(_)
            | CliSubcommand::Doctor(_)
            | CliSubcommand::Replay(_)
            | CliSubcommand::Tail(_)
            | CliSubcommand::Config(_)
            | CliSubcommand::Bench(_)
            | CliSubcommand::Recover(_)
            | CliSubcommand::Schemas(_)
            | CliSubcommand::Sdl(_)
            | CliSubcommand::OpenApi(_) => false,
        };
        if service || verbose { Self::Configured } else { Self::Quiet }
    }
}

/// Starts logging to standard error. A subscriber that the calling program installed before stays.
///
/// # Errors
/// When the filter of the settings is none.
pub(super) fn init_logging(config: &LoggingConfig, loudness: LogVerbosity) -> anyhow::Result<()> {
    let directives = match loudness {
        LogVerbosity::Quiet => QUIET_FILTER,
        LogVerbosity::Configured => &config.filter,
    };
    let filter = EnvFilter::try_new(directives).with_context(|| format!("reading log.filter {directives:?}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match config.format {
        LoggingFormat::Text => builder.try_init(),
        LoggingFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was set up by the calling program");
    }
    Ok(())
}
