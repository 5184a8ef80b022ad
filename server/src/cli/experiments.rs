//! `medhub experiments`: reports which variants of experiments are better.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use domain::feature_flag::{FlagKey, KnownExperiment};
use projections::{
    experiment_statistics::{ExperimentVerdict, MIN_COMPANIES, MIN_TRIALS},
    opportunity_analytics::{ExperimentMetric, ExperimentReport, MetricReport},
};

use super::output;
use crate::{config::MedhubConfig, engine_clients};

/// Reports which variants of experiments are better, and how sure that is.
#[derive(Debug, Args)]
pub(super) struct ExperimentsArgs {
    #[command(subcommand)]
    action: ExperimentSubcommand,
}

#[derive(Debug, Subcommand)]
enum ExperimentSubcommand {
    /// Compare the variants with the control, metric by metric
    Report(ReportArgs),
}

/// Compares the variants of experiments with the control: the difference with its 95 % interval, and the probability
/// that the variant is better. Companies are the units. The interval is for one look at the end of an experiment.
#[derive(Debug, Args)]
struct ReportArgs {
    /// Keys of the experiments' flags [default: all experiments of this release]
    #[arg(value_name = "KEY", value_parser = FlagKey::try_new)]
    experiments: Vec<FlagKey>,
    /// Print one JSON object per experiment
    #[arg(long)]
    json: bool,
}

impl ExperimentsArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let ExperimentSubcommand::Report(report) = self.action;
        report.run(config).await
    }
}

impl ReportArgs {
    async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let app = engine_clients::open_app_context_without_model(config)?;
        // Both are kept up to date by a running service.
        app.flags.refresh().await.context("reading the feature flags")?;
        app.read_models.refresh_pointer(app.runtime.control()).await.context("reading the active generations")?;
        let keys = if self.experiments.is_empty() {
            KnownExperiment::ALL.iter().map(|experiment| experiment.key()).collect()
        } else {
            self.experiments
        };
        let mut reports = Vec::with_capacity(keys.len());
        for key in &keys {
            let report = app.load_experiment_report(key).await;
            let report = report.with_context(|| format!("comparing the variants of {key}"))?;
            reports.push(if self.json { serde_json::to_string(&report)? } else { format_report(&report) });
        }
        output::print_result(&reports.join("\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn format_report(report: &ExperimentReport) -> String {
    let mut text = format!("{} (control: {})", report.experiment, report.control);
    if let Some(started_at) = report.started_at {
        let ended_at = report.ended_at.map_or_else(|| "now".to_owned(), format_time);
        let _ = write!(text, ", from {} to {ended_at}", format_time(started_at));
    }
    text.push('\n');
    if report.variants.is_empty() {
        let reason = if report.started_at.is_some() {
            "no company has generations or visits in its last run"
        } else {
            "it was never enabled"
        };
        // Writing to a string never fails.
        let _ = writeln!(text, "  {reason}");
    }
    for variant in &report.variants {
        let _ = writeln!(
            text,
            "  {}: {} companies, {} generations, {} completed",
            variant.variant, variant.companies, variant.generations, variant.completed
        );
        for metric in &variant.metrics {
            let _ = writeln!(text, "    {}", format_metric(metric));
        }
    }
    if report.excluded_companies > 0 {
        let _ = writeln!(
            text,
            "  {} companies left out: their variant was set by an override, or changed during the run",
            report.excluded_companies
        );
    }
    text
}

fn format_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn format_metric(report: &MetricReport) -> String {
    let MetricReport { metric, companies, trials, value, .. } = report;
    let mut text =
        format!("{:<24} {:>12}  of {trials} in {companies} companies", metric.name(), format_value(*metric, *value));
    if let (Some(compared), Some(probability)) = (report.comparison, report.probability_better) {
        let _ = write!(
            text,
            "; difference {} ({} to {}), better with probability {probability:.3}",
            format_difference(*metric, compared.difference),
            format_difference(*metric, compared.low),
            format_difference(*metric, compared.high)
        );
    }
    match report.verdict {
        None => {}
        Some(ExperimentVerdict::Better) => text.push_str(": better"),
        Some(ExperimentVerdict::Worse) => text.push_str(": worse"),
        Some(ExperimentVerdict::NoClearDifference) => text.push_str(": no clear difference"),
        Some(ExperimentVerdict::NotEnoughData) => {
            let _ = write!(
                text,
                ": not enough data, fewer than {MIN_COMPANIES} companies or {MIN_TRIALS} trials on a side, or most of one company"
            );
        }
    }
    text
}

fn format_value(metric: ExperimentMetric, value: f64) -> String {
    match metric {
        ExperimentMetric::CompletedShare
        | ExperimentMetric::FailedSectionShare
        | ExperimentMetric::HelpfulShare
        | ExperimentMetric::UnchangedSectionShare
        | ExperimentMetric::ClickShare => format!("{:.1} %", value * 100.0),
        ExperimentMetric::GenerationCost => format!("{:.4} USD", value / 1e6),
        ExperimentMetric::GenerationLatency => format!("{:.1} s", value / 1e3),
    }
}

fn format_difference(metric: ExperimentMetric, value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "+" };
    format!("{sign}{}", format_value(metric, value.abs()))
}

#[cfg(test)]
mod tests {
    use projections::experiment_statistics::VariantComparison;

    use super::*;

    #[test]
    fn a_line_says_which_is_better_and_how_sure() {
        let comparison = VariantComparison { difference: 0.088, low: 0.012, high: 0.161, probability_higher: 0.989 };
        let mut report = MetricReport {
            metric: ExperimentMetric::HelpfulShare,
            companies: 22,
            trials: 280,
            value: 0.701,
            comparison: Some(comparison),
            probability_better: Some(0.989),
            verdict: Some(ExperimentVerdict::Better),
        };
        assert_eq!(
            format_metric(&report),
            "helpful_share                  70.1 %  of 280 in 22 companies; difference +8.8 % (+1.2 % to +16.1 %), \
             better with probability 0.989: better"
        );
        (report.comparison, report.probability_better) = (None, None);
        report.verdict = Some(ExperimentVerdict::NotEnoughData);
        assert!(format_metric(&report).ends_with("10 companies or 30 trials on a side, or most of one company"));
    }
}
