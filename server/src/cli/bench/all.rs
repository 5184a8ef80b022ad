//! `medhub bench all`: every benchmark in one go, with a report.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use bench::suite::{self, BenchPart, BenchScale, BenchSuiteOptions, ServiceProgram};
use clap::{Args, builder::PossibleValuesParser};
use domain::clock::{Clock as _, SystemClock};

use crate::{cli::output, config::MedhubConfig};

/// Exit code after SIGINT, by convention of the shell.
const INTERRUPTED_EXIT_CODE: u8 = 128 + 2;

/// Starts the program that runs, even if its file was replaced meanwhile.
pub(super) const CURRENT_EXE: &str = "/proc/self/exe";

/// Measures everything beside raw limits in some minutes: appends, replay, relay, rebuild, workers, latency from commit
/// to visible, and requests and documents of a service that it starts. Everything uses separate databases, topics and
/// keys, and removes them. Writes a report as JSON and a picture of it as SVG, again after each part, so that an
/// interrupted run leaves what was measured. Options of `medhub` itself, such as --config, come before `bench`. Exit
/// codes: 0 everything was measured, 1 a part failed, 130 interrupted.
#[derive(Debug, Args)]
pub(super) struct AllBenchArgs {
    /// Smallest sizes: shows that everything can be measured
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Sizes of figures that are published; takes long
    #[arg(long)]
    full: bool,
    /// Measure only this part; may be repeated
    #[arg(long = "part", value_name = "NAME", value_parser = PossibleValuesParser::new(BenchPart::NAMES))]
    parts: Vec<String>,
    /// Where to write the report; the picture has the same name with the extension svg
    #[arg(long, value_name = "FILE", default_value = "medhub-bench.json")]
    out: PathBuf,
    /// The measured commit [default: the commit of the checkout in the current folder]
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
}

impl AllBenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let Self { quick, full, parts, out, commit } = self;
        let mut selected = BenchPart::ALL.to_vec();
        selected.retain(|part| parts.is_empty() || parts.iter().any(|name| name == part.name()));
        let options = BenchSuiteOptions {
            parts: selected,
            scale: match (quick, full) {
                (true, _) => BenchScale::QUICK,
                (false, true) => BenchScale::FULL,
                (false, false) => BenchScale::DEFAULT,
            },
            service: ServiceProgram {
                path: CURRENT_EXE.into(),
                arguments: leading_arguments(std::env::args_os(), "all"),
            },
            extraction: config.extraction.clone(),
            picture_file: out.with_extension("svg"),
            report_file: out,
            commit,
            started_at: SystemClock.now(),
        };
        let outcome = suite::run(&config.engines, &options, &|line| output::print_message(&line)).await?;
        let lines = outcome.report.measures.iter().map(|measure| format!("{measure}\n"));
        let (report, picture) = (options.report_file.display(), options.picture_file.display());
        output::print_result(&format!("{}report: {report}, picture: {picture}\n", lines.collect::<String>()))?;
        if outcome.interrupted {
            return Ok(ExitCode::from(INTERRUPTED_EXIT_CODE));
        }
        Ok(if outcome.report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Returns the arguments before `bench` and this subcommand, which other commands of this program need, too.
pub(super) fn leading_arguments(arguments: impl IntoIterator<Item = OsString>, subcommand: &str) -> Vec<OsString> {
    let arguments: Vec<_> = arguments.into_iter().skip(1).collect();
    let command = arguments.windows(2).position(|pair| pair == ["bench", subcommand]).unwrap_or_default();
    arguments.into_iter().take(command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_gets_what_stands_before_the_command() {
        for (arguments, expected) in [
            ("medhub bench all --quick", ""),
            ("medhub --config bench bench all", "--config bench"),
            ("medhub-local product bench all", "product"),
            ("medhub", ""),
        ] {
            let expected: Vec<_> = expected.split_whitespace().map(OsString::from).collect();
            assert_eq!(leading_arguments(arguments.split(' ').map(OsString::from), "all"), expected, "{arguments}");
        }
    }
}
