//! Sets up logging for a command.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use super::CliSubcommand;
use crate::config::{LoggingConfig, LoggingFormat};

/// Filter for interactive commands, whose own output shows their progress.
const QUIET_FILTER: &str = "warn,apache_avro=error,librdkafka=off,rdkafka=off";

/// Which filter applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogVerbosity {
    /// Warnings and errors only.
    Quiet,
    /// The filter of the settings, `log.filter`.
    Configured,
}

impl LogVerbosity {
    /// Services use the filter of the settings; other commands log warnings and errors only, unless `verbose`.
    pub(super) fn for_subcommand(command: &CliSubcommand, verbose: bool) -> Self {
        let service = matches!(command, CliSubcommand::Serve(_) | CliSubcommand::Project(_));
        if service || verbose { Self::Configured } else { Self::Quiet }
    }
}

/// Starts logging to standard error. A subscriber that the calling program has installed stays in place.
///
/// # Errors
/// When `log.filter` is not a valid filter.
pub(super) fn init_logging(config: &LoggingConfig, verbosity: LogVerbosity) -> anyhow::Result<()> {
    let directives = match verbosity {
        LogVerbosity::Quiet => QUIET_FILTER,
        LogVerbosity::Configured => &config.filter,
    };
    let filter = EnvFilter::try_new(directives).with_context(|| format!("reading log.filter {directives:?}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let installed = match config.format {
        LoggingFormat::Text => builder.try_init(),
        LoggingFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if installed.is_err() {
        tracing::debug!("logging is already set up by the calling program");
    }
    Ok(())
}
