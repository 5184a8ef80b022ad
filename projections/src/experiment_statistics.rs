//! Compares a variant of an experiment with the control: the difference, its 95 % interval, and the probability that the
//! variant is higher.
//!
//! Companies are assigned to variants, so companies are the units: what happens within one company is correlated. A
//! company is a pair of sums: its trials (visits, rated generations), and their results (clicks, helpful ratings,
//! cost). The value of a variant is the ratio of the sums over its companies, and its variance is the variance of a
//! ratio estimator, linearised (the delta method): `m / (m - 1) * sum((y_i - R n_i)^2) / (sum n_i)^2` over companies
//! with `n_i` trials and results `y_i`, with their effective number `m = (sum n_i)^2 / sum n_i^2`. W. G. Cochran,
//! Sampling Techniques (3rd ed. 1977), 6.3 and 9A.1; for experiments whose unit of analysis is smaller than their unit
//! of assignment: Deng, Knoblich and Lu, Applying the Delta Method in Metric Analytics (KDD 2018), 3.1.
//!
//! [`compare_shares`] and [`compare_means`] say what they do with it. Both are for one look at the end: an interval that
//! is looked at every day, or one of several variants and metrics, excludes 0 by chance more often than in 5 % of cases.

mod company_totals;
mod mean_comparison;
mod share_comparison;
#[cfg(test)]
mod simulation;

use serde::Serialize;

pub use self::{company_totals::CompanyTotals, mean_comparison::compare_means, share_comparison::compare_shares};

/// Minimum number of companies in each variant; with fewer the variance between companies is hardly known.
pub const MIN_COMPANIES: usize = 10;

/// Minimum effective number of companies in each variant: with fewer, one or two companies have most of the trials, and
/// the variance between companies is underestimated.
pub const MIN_EFFECTIVE_COMPANIES: f64 = 5.0;

/// Minimum number of trials in each variant.
pub const MIN_TRIALS: u64 = 30;

/// The probability of an interval.
const CONFIDENCE: f64 = 0.95;

/// A variant compared with the control.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VariantComparison {
    /// The variant's value minus the control's.
    pub difference: f64,
    /// Lower end of the 95 % interval of the difference.
    pub low: f64,
    /// Upper end of the 95 % interval of the difference.
    pub high: f64,
    /// The probability that the variant's value is higher than the control's.
    pub probability_higher: f64,
}

/// Which variant is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentVerdict {
    /// The interval of the difference is on the better side of 0.
    Better,
    /// The interval of the difference is on the worse side of 0.
    Worse,
    /// The interval includes 0.
    NoClearDifference,
    /// One of the variants has fewer than [`MIN_COMPANIES`] companies or [`MIN_TRIALS`] trials, or one or two companies
    /// have most of them ([`MIN_EFFECTIVE_COMPANIES`]).
    NotEnoughData,
}

impl VariantComparison {
    /// Says which is better, if higher values are better or, with `false`, lower ones.
    pub fn verdict(&self, is_higher_better: bool) -> ExperimentVerdict {
        let (is_higher, is_lower) = (self.low > 0.0, self.high < 0.0);
        match (is_higher, is_lower) {
            (false, false) => ExperimentVerdict::NoClearDifference,
            _ if is_higher == is_higher_better => ExperimentVerdict::Better,
            _ => ExperimentVerdict::Worse,
        }
    }
}
