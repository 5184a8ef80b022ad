//! Sets up logging for a command.

use std::io::IsTerminal;

use anyhow::Context;
use telemetry::{JsonLogFormat, TelemetryExports};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{Directive, filter_fn},
    fmt::format::JsonFields,
    layer::SubscriberExt,
    util::SubscriberInitExt,
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

/// Starts logging to standard error, and the exports of spans and of the log if this is a service with endpoints for them; its
/// caller ends them. A subscriber that the calling program has installed stays in place.
///
/// # Errors
/// When `log.filter` is not a valid filter, or a setting of `telemetry` is invalid.
pub(super) fn init_logging(
    config: &MedhubConfig,
    command: &CliSubcommand,
    verbose: bool,
) -> anyhow::Result<TelemetryExports> {
    let directives = match LogVerbosity::for_subcommand(command, verbose) {
        LogVerbosity::Quiet => QUIET_FILTER,
        LogVerbosity::Configured => &config.log.filter,
    };
    let exports =
        if is_service(command) { TelemetryExports::start(&config.telemetry)? } else { TelemetryExports::default() };
    // For all layers together. A filter of one layer would be left with the verdict on a record that the crate `log` asks about
    // and does not write, and take it for that on the next line.
    let subscriber = tracing_subscriber::registry().with(build_filter(directives, exports.spans.is_some())?);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log.format {
        LoggingFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LoggingFormat::Json => lines.event_format(JsonLogFormat).fmt_fields(JsonFields::new()).boxed(),
    };
    // Spans that are only exported would repeat what the lines say.
    let of_service = filter_fn(|metadata| metadata.target() != telemetry::SPAN_TARGET);
    let installed = match (&exports.spans, &exports.logs) {
        (None, None) => subscriber.with(lines).try_init(),
        (None, Some(logs)) => subscriber.with(lines).with(logs.layer()).try_init(),
        (Some(spans), None) => subscriber.with(lines.with_filter(of_service)).with(spans.layer()).try_init(),
        (Some(spans), Some(logs)) => {
            subscriber.with(lines.with_filter(of_service)).with(spans.layer()).with(logs.layer()).try_init()
        }
    };
    if installed.is_err() {
        tracing::debug!("logging is already set up by the calling program");
    }
    if is_service(command) {
        for (setting, exporter) in config.telemetry.ignored_exporters() {
            tracing::warn!(setting, exporter, "unknown exporter ignored; only otlp and none are supported");
        }
    }
    Ok(exports)
}

/// The filter of `directives`; it enables spans of [`telemetry::SPAN_TARGET`] if they are exported.
fn build_filter(directives: &str, is_exporting: bool) -> anyhow::Result<EnvFilter> {
    let filter = EnvFilter::try_new(directives).with_context(|| format!("reading log.filter {directives:?}"))?;
    let level = if is_exporting { "info" } else { "off" };
    let spans: Directive = format!("{}={level}", telemetry::SPAN_TARGET).parse()?;
    Ok(filter.add_directive(spans))
}

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;

    use super::*;

    #[test]
    fn disabled_lines_cost_a_comparison_of_levels() {
        let level = |directives, is_exporting| build_filter(directives, is_exporting).unwrap().max_level_hint();
        assert_eq!(level("info,apache_avro=error", false), Some(LevelFilter::INFO));
        assert_eq!(level(QUIET_FILTER, false), Some(LevelFilter::WARN));
        assert_eq!(level(QUIET_FILTER, true), Some(LevelFilter::INFO), "spans are exported");
    }
}
