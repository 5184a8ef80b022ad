//! What happened in one company, and sums over companies.

use super::{MIN_COMPANIES, MIN_EFFECTIVE_COMPANIES, MIN_TRIALS};

/// The trials of one company with their results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompanyTotals {
    /// Number of trials.
    pub trials: u64,
    /// Sum of the results: number of successes, or sum of amounts.
    pub results: u64,
}

/// The companies of one variant that have trials.
pub(super) struct VariantSample {
    companies: Vec<(f64, f64)>,
    trials: f64,
    results: f64,
    /// See [`Self::degrees_of_freedom`].
    effective_companies: f64,
}

impl VariantSample {
    /// Collects the companies; `None` if they are too few, or have too few trials, or if one or two have most of them.
    pub(super) fn collect(companies: &[CompanyTotals]) -> Option<Self> {
        let with_trials: Vec<_> = companies.iter().filter(|company| company.trials > 0).collect();
        let trials = with_trials.iter().fold(0_u64, |sum, company| sum.saturating_add(company.trials));
        if with_trials.len() < MIN_COMPANIES || trials < MIN_TRIALS {
            return None;
        }
        let companies: Vec<_> =
            with_trials.iter().map(|company| (to_float(company.trials), to_float(company.results))).collect();
        let (trials, results) =
            companies.iter().fold((0.0, 0.0), |(trials, results), company| (trials + company.0, results + company.1));
        let effective_companies = trials.powi(2) / companies.iter().map(|(trials, _)| trials.powi(2)).sum::<f64>();
        (effective_companies >= MIN_EFFECTIVE_COMPANIES).then_some(Self {
            companies,
            trials,
            results,
            effective_companies,
        })
    }

    /// Number of trials.
    pub(super) fn trials(&self) -> f64 {
        self.trials
    }

    /// Results per trial.
    pub(super) fn ratio(&self) -> f64 {
        self.results / self.trials
    }

    /// Degrees of freedom of [`Self::ratio_variance`]: the effective number of companies less one. The effective number
    /// is `(sum n_i)^2 / sum n_i^2` (L. Kish, Survey Sampling, 1965), and the number of companies if all have the same
    /// number of trials. The ratio is near the ratio of a company with most of the trials, so that its residual is too small.
    pub(super) fn degrees_of_freedom(&self) -> f64 {
        self.effective_companies - 1.0
    }

    /// The variance of the ratio, from the differences between companies.
    pub(super) fn ratio_variance(&self) -> f64 {
        let ratio = self.ratio();
        let residuals: f64 = self.companies.iter().map(|(trials, results)| (results - ratio * trials).powi(2)).sum();
        self.effective_companies / self.degrees_of_freedom() * residuals / self.trials.powi(2)
    }

    /// The design effect if all trials of a company have the same result: the number of trials per independent one.
    pub(super) fn largest_design_effect(&self) -> f64 {
        self.companies.iter().map(|(trials, _)| trials.powi(2)).sum::<f64>() / self.trials
    }
}

/// A count as a number to compute with.
#[expect(clippy::cast_precision_loss, reason = "16 digits are more than a comparison needs")]
pub(super) fn to_float(count: u64) -> f64 {
    count as f64
}
