//! `medhub bench compare`: two reports of `medhub bench all`.

use std::{path::PathBuf, process::ExitCode};

use bench::report::{BenchRunReport, ReportComparison};
use clap::Args;

use crate::cli::output;

/// Compares two reports of `medhub bench all`, measure by measure: ratios to the raw limits where there are any, since
/// absolute values drift with the machine, otherwise values, and what is asked for.
/// Exit codes: 0 nothing is lost, 1 a figure is missing or worse by more than the threshold, or the reports cannot be
/// compared.
#[derive(Debug, Args)]
pub(super) struct CompareBenchArgs {
    /// The earlier report
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The later report
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// How much worse a figure may be
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = parse_percentage)]
    threshold: f64,
    /// Compare reports of different machines, build profiles or scales, too
    #[arg(long)]
    force: bool,
}

impl CompareBenchArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let (old, new) = (BenchRunReport::read_file(&self.old)?, BenchRunReport::read_file(&self.new)?);
        let comparison = ReportComparison::compare(&old, &new, self.threshold, self.force)?;
        output::print_result(&comparison.format_table())?;
        for (report, file) in [(&old, &self.old), (&new, &self.new)] {
            if !report.complete {
                output::print_message(&format!("{} is incomplete: not every part was measured", file.display()));
            }
        }
        Ok(if comparison.has_loss() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Parses `10%` or `10` as 0.1.
fn parse_percentage(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=1_000.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("must be a percentage from 0 to 1000, e.g. 10%".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_a_percentage() {
        assert_eq!((parse_percentage("10%"), parse_percentage("2.5")), (Ok(0.1), Ok(0.025)));
        for text in ["", "%", "ten", "-1", "NaN", "inf", "1e9"] {
            assert!(parse_percentage(text).is_err(), "{text}");
        }
    }
}
