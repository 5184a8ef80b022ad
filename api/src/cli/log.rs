//! Where the log goes and how much of it.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use super::Command;
use crate::config::{LogConfig, LogFormat};

/// Directives for commands that a person waits for: their own output says what is going on.
const QUIET: &str = "warn,librdkafka=off,rdkafka=off";

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loudness {
    /// What goes wrong.
    Quiet,
    /// What the settings say.
    Configured,
}

impl Loudness {
    /// A service logs what its settings say, a command only what goes wrong, unless more is asked for.
    pub(super) fn of(command: &Command, verbose: bool) -> Self {
        let service = match command {
            Command::Serve(_) | Command::Project(_) => true,
            Command::Migrate(_)
            | Command::Import(_)
            | Command::Rebuild(_)
            | Command::Rollback(_)
            | Command::Generations(_)
            | Command::Verify(_)
            | Command::DeadLetters(_)
            | Command::Generate(_)
            | Command::Simulate(_)
            | Command::Status(_)
            | Command::Doctor(_)
            | Command::Replay(_)
            | Command::Tail(_)
            | Command::Config(_)
            | Command::Bench(_)
            | Command::Recover(_)
            | Command::Schemas(_)
            | Command::Sdl(_)
            | Command::OpenApi(_) => false,
        };
        if service || verbose { Self::Configured } else { Self::Quiet }
    }
}

/// Starts logging to standard error. A subscriber that the calling program installed before stays.
///
/// # Errors
/// When the filter of the settings is none.
pub(super) fn start(config: &LogConfig, loudness: Loudness) -> anyhow::Result<()> {
    let directives = match loudness {
        Loudness::Quiet => QUIET,
        Loudness::Configured => &config.filter,
    };
    let filter = EnvFilter::try_new(directives).with_context(|| format!("reading log.filter {directives:?}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was set up by the calling program");
    }
    Ok(())
}
