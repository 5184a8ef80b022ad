//! Sets up logging for a command.

use std::io::IsTerminal;

use anyhow::Context;
use telemetry::{JsonLogFormat, SpanExport};
use tracing_subscriber::{
    EnvFilter, Layer, filter::Directive, fmt::format::JsonFields, layer::SubscriberExt, util::SubscriberInitExt,
};

use super::CliSubcommand;
use crate::config::{LoggingFormat, MedhubConfig};

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
        if is_service(command) || verbose { Self::Configured } else { Self::Quiet }
    }
}

fn is_service(command: &CliSubcommand) -> bool {
    matches!(command, CliSubcommand::Serve(_) | CliSubcommand::Project(_))
}

/// Starts logging to standard error, and the export of spans if this is a service with an endpoint for them; its caller ends
/// the export. A subscriber that the calling program has installed stays in place.
///
/// # Errors
/// When `log.filter` is not a valid filter, or a setting of `telemetry` is invalid.
pub(super) fn init_logging(
    config: &MedhubConfig,
    command: &CliSubcommand,
    verbose: bool,
) -> anyhow::Result<Option<SpanExport>> {
    let directives = match LogVerbosity::for_subcommand(command, verbose) {
        LogVerbosity::Quiet => QUIET_FILTER,
        LogVerbosity::Configured => &config.log.filter,
    };
    let filter = build_line_filter(directives)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log.format {
        LoggingFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LoggingFormat::Json => lines.event_format(JsonLogFormat).fmt_fields(JsonFields::new()).boxed(),
    };
    let export = if is_service(command) { SpanExport::start(&config.telemetry)? } else { None };
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
    // An optional layer would make every disabled call site ask all layers again, each time.
    let installed = match &export {
        Some(export) => subscriber.with(export.layer()).try_init(),
        None => subscriber.try_init(),
    };
    if installed.is_err() {
        tracing::debug!("logging is already set up by the calling program");
    }
    Ok(export)
}

/// The filter of the log's lines: `directives` without the spans that are only exported, which would repeat what the lines
/// say. By a directive, because another filter beside it would have no maximum level: every disabled call site would
/// then cost more than a comparison.
fn build_line_filter(directives: &str) -> anyhow::Result<EnvFilter> {
    let filter = EnvFilter::try_new(directives).with_context(|| format!("reading log.filter {directives:?}"))?;
    let without_spans: Directive = format!("{}=off", telemetry::SPAN_TARGET).parse()?;
    Ok(filter.add_directive(without_spans))
}

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;

    use super::*;

    #[test]
    fn the_filter_of_lines_keeps_its_maximum_level() {
        assert_eq!(build_line_filter("info,apache_avro=error").unwrap().max_level_hint(), Some(LevelFilter::INFO));
        assert_eq!(build_line_filter(QUIET_FILTER).unwrap().max_level_hint(), Some(LevelFilter::WARN));
    }
}
