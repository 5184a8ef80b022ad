//! The report of an experiment: what happened under each variant, and which variant is better.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{feature_flag::VariantName, value::TenantId};
use serde::{Serialize, Serializer};

use super::experiment_samples::{GenerationSample, SectionSample, VisitSample};
use crate::experiment_statistics::{
    CompanyTotals, ExperimentVerdict, VariantComparison, compare_means, compare_shares,
};

/// What variants are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExperimentMetric {
    /// Completed generations, among those that completed or failed.
    CompletedShare,
    /// Sections that no provider could write, among the sections of completed and failed generations.
    FailedSectionShare,
    /// Completed generations that were rated helpful, among those that were rated.
    HelpfulShare,
    /// Generated sections that nobody changed before the proposal was approved or submitted.
    UnchangedSectionShare,
    /// Cost of a completed or failed generation in millionths of a US dollar.
    GenerationCost,
    /// Time that providers took for a completed generation, in milliseconds.
    GenerationLatency,
    /// Visits with a click on a hit of a search, among those that have seen hits.
    ClickShare,
}

impl ExperimentMetric {
    /// All metrics, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::CompletedShare,
        Self::FailedSectionShare,
        Self::HelpfulShare,
        Self::UnchangedSectionShare,
        Self::GenerationCost,
        Self::GenerationLatency,
        Self::ClickShare,
    ];

    /// The metric's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::CompletedShare => "completed_share",
            Self::FailedSectionShare => "failed_section_share",
            Self::HelpfulShare => "helpful_share",
            Self::UnchangedSectionShare => "unchanged_section_share",
            Self::GenerationCost => "generation_cost_micros",
            Self::GenerationLatency => "generation_latency_ms",
            Self::ClickShare => "click_share",
        }
    }

    /// Whether it is a share of successes, from 0 to 1.
    pub fn is_share(self) -> bool {
        match self {
            Self::CompletedShare
            | Self::FailedSectionShare
            | Self::HelpfulShare
            | Self::UnchangedSectionShare
            | Self::ClickShare => true,
            Self::GenerationCost | Self::GenerationLatency => false,
        }
    }

    /// Whether a higher value is better.
    pub fn is_higher_better(self) -> bool {
        match self {
            Self::CompletedShare | Self::HelpfulShare | Self::UnchangedSectionShare | Self::ClickShare => true,
            Self::FailedSectionShare | Self::GenerationCost | Self::GenerationLatency => false,
        }
    }
}

impl Serialize for ExperimentMetric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The samples of an experiment.
#[derive(Debug, Default)]
pub struct ExperimentSamples {
    /// Generations by company and variant.
    pub generations: Vec<GenerationSample>,
    /// Generated sections by company and variant.
    pub sections: Vec<SectionSample>,
    /// Visits by company and variant; empty for an experiment that does not concern them.
    pub visits: Vec<VisitSample>,
}

/// The variants of an experiment, compared with the control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentReport {
    /// Key of the experiment's flag.
    pub experiment: String,
    /// Name of the control.
    pub control: String,
    /// When the run of the experiment started that is reported; `None` if its flag was never enabled.
    pub started_at: Option<DateTime<Utc>>,
    /// When the run ended; `None` while the flag is enabled.
    pub ended_at: Option<DateTime<Utc>>,
    /// Number of companies with generations or visits that are left out, because their variant was not assigned by chance or
    /// not the same during the whole run.
    pub excluded_companies: usize,
    /// The variants with companies, the control first.
    pub variants: Vec<VariantReport>,
}

/// What happened under one variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VariantReport {
    /// Name of the variant.
    pub variant: String,
    /// Number of companies with generations or visits.
    pub companies: usize,
    /// Number of requested generations.
    pub generations: u64,
    /// Number of completed generations.
    pub completed: u64,
    /// The metrics that have trials.
    pub metrics: Vec<MetricReport>,
}

/// One metric of one variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricReport {
    /// The metric.
    pub metric: ExperimentMetric,
    /// Number of companies with trials.
    pub companies: usize,
    /// Number of trials: generations, sections or visits.
    pub trials: u64,
    /// The value over all trials.
    pub value: f64,
    /// The difference from the control; `None` for the control itself, and if there is not enough data.
    pub comparison: Option<VariantComparison>,
    /// The probability that the variant is better than the control; `None` as for `comparison`.
    pub probability_better: Option<f64>,
    /// Which is better; `None` for the control itself.
    pub verdict: Option<ExperimentVerdict>,
}

/// The companies of each variant by metric.
#[derive(Default)]
struct VariantTotals {
    companies: BTreeSet<String>,
    generations: u64,
    completed: u64,
    metrics: BTreeMap<ExperimentMetric, Vec<CompanyTotals>>,
}

impl ExperimentReport {
    /// Compares the variants with `control`. A sample counts if its variant is the one that `assigned_variant` names for
    /// its company; a company without one is left out.
    pub fn from_samples(
        experiment: &str,
        control: &VariantName,
        samples: &ExperimentSamples,
        assigned_variant: impl Fn(&TenantId) -> Option<VariantName>,
    ) -> Self {
        let assigned = |tenant: &str| assigned_variant(&TenantId::try_new(tenant).ok()?);
        let mut totals = ExperimentTotals { variants: BTreeMap::new(), companies: BTreeSet::new(), assigned };
        for sample in &samples.generations {
            let Some(variant) = totals.find_variant(&sample.tenant_id, &sample.variant) else { continue };
            variant.generations += sample.generations;
            variant.completed += sample.completed;
            let ended = sample.completed.saturating_add(sample.failed);
            variant.add(ExperimentMetric::CompletedShare, ended, sample.completed);
            variant.add(ExperimentMetric::FailedSectionShare, sample.sections, sample.failed_sections);
            variant.add(ExperimentMetric::HelpfulShare, sample.rated, sample.helpful);
            variant.add(ExperimentMetric::GenerationCost, ended, sample.cost_micros);
            variant.add(ExperimentMetric::GenerationLatency, sample.completed, sample.latency_ms);
        }
        for sample in &samples.sections {
            let Some(variant) = totals.find_variant(&sample.tenant_id, &sample.variant) else { continue };
            variant.add(ExperimentMetric::UnchangedSectionShare, sample.decided, sample.unchanged);
        }
        for sample in &samples.visits {
            let Some(variant) = totals.find_variant(&sample.tenant_id, &sample.variant) else { continue };
            variant.add(ExperimentMetric::ClickShare, sample.visits, sample.clicked);
        }
        let ExperimentTotals { mut variants, companies, .. } = totals;
        let included: usize = variants.values().map(|variant| variant.companies.len()).sum();
        let control_totals = variants.remove(control.as_str()).unwrap_or_default();
        let first = (!control_totals.companies.is_empty()).then(|| control_totals.report(control.as_str(), None));
        let others = variants.iter().map(|(name, variant)| variant.report(name, Some(&control_totals)));
        Self {
            experiment: experiment.to_owned(),
            control: control.to_string(),
            started_at: None,
            ended_at: None,
            excluded_companies: companies.len().saturating_sub(included),
            variants: first.into_iter().chain(others).collect(),
        }
    }
}

/// The variants by name, and all companies with samples.
struct ExperimentTotals<F> {
    variants: BTreeMap<String, VariantTotals>,
    companies: BTreeSet<String>,
    assigned: F,
}

impl<F: Fn(&str) -> Option<VariantName>> ExperimentTotals<F> {
    /// The variant that a sample of a company counts for, if it is the company's.
    fn find_variant(&mut self, tenant: &str, variant: &str) -> Option<&mut VariantTotals> {
        self.companies.insert(tenant.to_owned());
        if (self.assigned)(tenant)?.as_str() != variant {
            return None;
        }
        let totals = self.variants.entry(variant.to_owned()).or_default();
        totals.companies.insert(tenant.to_owned());
        Some(totals)
    }
}

impl VariantTotals {
    fn add(&mut self, metric: ExperimentMetric, trials: u64, results: u64) {
        if trials > 0 {
            self.metrics.entry(metric).or_default().push(CompanyTotals { trials, results });
        }
    }

    fn report(&self, name: &str, control: Option<&Self>) -> VariantReport {
        VariantReport {
            variant: name.to_owned(),
            companies: self.companies.len(),
            generations: self.generations,
            completed: self.completed,
            metrics: self.metrics.iter().map(|(metric, own)| report_metric(*metric, own, control)).collect(),
        }
    }
}

fn report_metric(metric: ExperimentMetric, own: &[CompanyTotals], control: Option<&VariantTotals>) -> MetricReport {
    let (trials, results) = own.iter().fold((0_u64, 0_u64), |(trials, results), company| {
        (trials.saturating_add(company.trials), results.saturating_add(company.results))
    });
    let comparison = control.and_then(|control| {
        let control = control.metrics.get(&metric)?;
        if metric.is_share() { compare_shares(control, own) } else { compare_means(control, own) }
    });
    let probability_better = |compared: VariantComparison| {
        if metric.is_higher_better() { compared.probability_higher } else { 1.0 - compared.probability_higher }
    };
    let verdict = |compared: VariantComparison| compared.verdict(metric.is_higher_better());
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let value = results as f64 / trials as f64;
    MetricReport {
        metric,
        companies: own.len(),
        trials,
        value,
        comparison,
        probability_better: comparison.map(probability_better),
        verdict: control.map(|_| comparison.map_or(ExperimentVerdict::NotEnoughData, verdict)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(company: u64, variant: &str, helpful: u64) -> GenerationSample {
        GenerationSample {
            tenant_id: format!("{variant}-{company}"),
            variant: variant.to_owned(),
            generations: 6,
            completed: 5,
            failed: 1,
            sections: 12,
            failed_sections: 1,
            rated: 5,
            helpful,
            cost_micros: 1_000 + 10 * company,
            latency_ms: 900,
        }
    }

    fn report(samples: &ExperimentSamples) -> ExperimentReport {
        // `two-3` has the variant `two`; the variant of other companies was set by an override.
        ExperimentReport::from_samples("proposal-generation.prompt", &VariantName::control(), samples, |tenant| {
            VariantName::try_new(tenant.as_str().split_once('-')?.0).ok()
        })
    }

    #[test]
    fn variants_are_compared_with_the_control_by_each_metric() {
        let generations: Vec<_> = (0..12)
            .flat_map(|company| [sample(company, "control", company % 3), sample(company, "two", 3 + company % 3)])
            .collect();
        let report = report(&ExperimentSamples { generations, ..ExperimentSamples::default() });
        let [control, two] = report.variants.as_slice() else { panic!("{report:?}") };
        assert_eq!(
            (control.variant.as_str(), control.companies, control.generations, control.completed),
            ("control", 12, 72, 60)
        );
        assert!(control.metrics.iter().all(|metric| metric.verdict.is_none() && metric.comparison.is_none()));
        let completed = &two.metrics[0];
        assert_eq!((completed.metric, completed.trials), (ExperimentMetric::CompletedShare, 72));
        let helpful = &two.metrics[2];
        assert_eq!((helpful.metric, helpful.companies, helpful.trials), (ExperimentMetric::HelpfulShare, 12, 60));
        assert_eq!((helpful.value, helpful.verdict), (0.8, Some(ExperimentVerdict::Better)));
        assert!(helpful.probability_better.unwrap() > 0.99);
        let cost = &two.metrics[3];
        assert_eq!(cost.trials, 72, "failed generations cost, too");
        assert_eq!(
            (cost.metric, cost.verdict),
            (ExperimentMetric::GenerationCost, Some(ExperimentVerdict::NoClearDifference))
        );
        assert_eq!(two.metrics.len(), 5, "nothing is said about sections and visits");
    }

    #[test]
    fn a_variant_that_fails_more_often_is_worse_although_it_costs_the_same() {
        let failing =
            |company| GenerationSample { completed: 2, failed: 4, failed_sections: 7, ..sample(company, "two", 1) };
        let generations = (0..12).flat_map(|company| [sample(company, "control", 1), failing(company)]).collect();
        let report = report(&ExperimentSamples { generations, ..ExperimentSamples::default() });
        let verdicts: Vec<_> =
            report.variants[1].metrics[..2].iter().map(|metric| (metric.metric.name(), metric.verdict)).collect();
        let worse = Some(ExperimentVerdict::Worse);
        assert_eq!(verdicts, [("completed_share", worse), ("failed_section_share", worse)]);
    }

    #[test]
    fn only_samples_under_the_assigned_variant_count() {
        let visits = [
            ("control-1", "control"),
            ("blended-1", "blended"),
            ("blended-1", "control"),
            ("blended-2", "blended"),
            ("blended-3", "words"),
            ("overridden", "blended"),
            ("Not a tenant", "blended"),
        ]
        .map(|(tenant, variant)| VisitSample {
            tenant_id: tenant.to_owned(),
            variant: variant.to_owned(),
            visits: 10,
            clicked: 4,
        });
        let report = report(&ExperimentSamples { visits: visits.to_vec(), ..ExperimentSamples::default() });
        let shares: Vec<_> =
            report.variants.iter().map(|variant| (variant.variant.as_str(), variant.metrics[0].trials)).collect();
        assert_eq!(shares, [("control", 10), ("blended", 20)]);
        assert_eq!(report.excluded_companies, 3);
        assert_eq!(report.variants[1].metrics[0].verdict, Some(ExperimentVerdict::NotEnoughData));
    }

    #[test]
    fn a_variant_without_a_control_is_shown_without_a_comparison() {
        let generations = (0..12).map(|company| sample(company, "two", 3)).collect();
        let report = report(&ExperimentSamples { generations, ..ExperimentSamples::default() });
        assert_eq!(report.variants.len(), 1);
        assert_eq!(report.variants[0].metrics[0].verdict, Some(ExperimentVerdict::NotEnoughData));
    }
}
