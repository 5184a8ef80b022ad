//! Reports of experiments.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::feature_flag::FlagKey;
use projections::{
    experiment_statistics::ExperimentVerdict,
    opportunity_analytics::{ExperimentReport, MetricReport, VariantReport},
};

use super::{error, input_validation::parse_value, projection::guard::OperatorOnly};
use crate::app_context::{AppContext, ExperimentReportError};

/// Query of the report of an experiment.
#[derive(Default)]
pub(in crate::graphql) struct ExperimentQuery;

#[Object]
impl ExperimentQuery {
    /// Compares the variants of an experiment, and says which is better and how sure that is. Companies are the units:
    /// what happens within one company is correlated. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn experiment_report(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Key of the experiment's flag, e.g. `proposal-generation.prompt`.")] experiment: String,
    ) -> Result<ExperimentReportNode> {
        let key = parse_value("experiment", &experiment, FlagKey::try_new)?;
        let app = error::require_context_data(ctx.data::<AppContext>())?;
        match app.load_experiment_report(&key).await {
            Ok(report) => Ok(report.into()),
            Err(ExperimentReportError::Query(query)) => Err(error::query_error(&query)),
            Err(other) => Err(error::unavailable(&other)),
        }
    }
}

/// The variants of an experiment, compared with the control.
#[derive(SimpleObject)]
#[graphql(name = "ExperimentReport")]
struct ExperimentReportNode {
    /// Key of the experiment's flag.
    experiment: String,
    /// Name of the control.
    control: String,
    /// When the run of the experiment started that is reported; null if its flag was never enabled.
    started_at: Option<DateTime<Utc>>,
    /// When the run ended; null while the flag is enabled.
    ended_at: Option<DateTime<Utc>>,
    /// Number of companies with generations or visits that are left out, because their variant was not assigned by chance or
    /// not the same during the whole run.
    excluded_companies: usize,
    /// The variants with companies, the control first.
    variants: Vec<VariantNode>,
}

/// What happened under one variant of an experiment.
#[derive(SimpleObject)]
#[graphql(name = "ExperimentVariantReport")]
struct VariantNode {
    /// Name of the variant.
    variant: String,
    /// Number of companies with generations or visits.
    companies: usize,
    /// Number of requested generations.
    generations: u64,
    /// Number of completed generations.
    completed: u64,
    /// The metrics that have trials.
    metrics: Vec<MetricNode>,
}

/// One metric of one variant of an experiment.
#[derive(SimpleObject)]
#[graphql(name = "ExperimentMetricReport")]
struct MetricNode {
    /// `completed_share`, `failed_section_share`, `helpful_share`, `unchanged_section_share`, `generation_cost_micros`,
    /// `generation_latency_ms` or `click_share`.
    metric: &'static str,
    /// Number of companies with trials.
    companies: usize,
    /// Number of trials: generations, sections or visits.
    trials: u64,
    /// The value over all trials: a share from 0 to 1, or an amount per generation.
    value: f64,
    /// The value minus the control's value; null for the control, and if there is not enough data.
    difference: Option<f64>,
    /// Lower end of the 95 % interval of the difference.
    low: Option<f64>,
    /// Upper end of the 95 % interval of the difference.
    high: Option<f64>,
    /// The probability that the variant is better than the control.
    probability_better: Option<f64>,
    /// Which is better; null for the control.
    verdict: Option<VerdictEnum>,
}

/// Which variant is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ExperimentVerdict", remote = "ExperimentVerdict")]
enum VerdictEnum {
    /// The variant is better than the control.
    Better,
    /// The variant is worse than the control.
    Worse,
    /// The interval of the difference includes 0.
    NoClearDifference,
    /// There are fewer than 10 companies or 30 trials in the variant or in the control, or one or two companies have most of
    /// the trials.
    NotEnoughData,
}

impl From<ExperimentReport> for ExperimentReportNode {
    fn from(report: ExperimentReport) -> Self {
        let variants = report.variants.into_iter().map(VariantNode::from).collect();
        Self {
            experiment: report.experiment,
            control: report.control,
            started_at: report.started_at,
            ended_at: report.ended_at,
            excluded_companies: report.excluded_companies,
            variants,
        }
    }
}

impl From<VariantReport> for VariantNode {
    fn from(report: VariantReport) -> Self {
        Self {
            variant: report.variant,
            companies: report.companies,
            generations: report.generations,
            completed: report.completed,
            metrics: report.metrics.into_iter().map(MetricNode::from).collect(),
        }
    }
}

impl From<MetricReport> for MetricNode {
    fn from(report: MetricReport) -> Self {
        Self {
            metric: report.metric.name(),
            companies: report.companies,
            trials: report.trials,
            value: report.value,
            difference: report.comparison.map(|compared| compared.difference),
            low: report.comparison.map(|compared| compared.low),
            high: report.comparison.map(|compared| compared.high),
            probability_better: report.probability_better,
            verdict: report.verdict.map(VerdictEnum::from),
        }
    }
}
