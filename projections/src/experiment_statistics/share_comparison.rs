//! Compares shares, such as the share of visits with a click.

use statrs::distribution::{Beta, ContinuousCDF, Normal, StudentsT};

use super::{
    CONFIDENCE, VariantComparison,
    company_totals::{CompanyTotals, VariantSample},
};

/// Number of steps of the integral in [`probability_higher`].
const INTEGRATION_STEPS: u32 = 4_000;

/// Standard deviations around the mean beyond which nothing is integrated; a posterior near 0 or 1 has a long tail.
const INTEGRATION_WIDTH: f64 = 16.0;

/// Compares two shares of successes; `None` if there is not enough data. A company has at most as many successes as
/// trials.
///
/// * The trials of a variant are divided by its design effect, which is the variance between companies divided by the
///   variance of as many independent trials: Rao and Scott, A Simple Method for the Analysis of Clustered Binary Data
///   (Biometrics 1992). At least 1. If all trials have the same result, the design effect of trials that are all the
///   same within a company. They are reduced further by `(z / t)^2`, since a variance from few companies is uncertain:
///   Korn and Graubard (Survey Methodology 1998).
/// * The interval of the difference is made of the intervals of Wilson of both shares: R. G. Newcombe, Interval
///   Estimation for the Difference between Independent Proportions (Statistics in Medicine 1998), method 10. Unlike
///   Wald's it is right for shares near 0 and 1.
/// * The probability of a higher share uses Jeffreys' priors: `P(p_variant > p_control)` for
///   `p ~ Beta(x + 1/2, n - x + 1/2)` with the reduced counts.
pub fn compare_shares(control: &[CompanyTotals], variant: &[CompanyTotals]) -> Option<VariantComparison> {
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, CONFIDENCE));
    let control = EffectiveShare::from_sample(&VariantSample::collect(control)?, z);
    let variant = EffectiveShare::from_sample(&VariantSample::collect(variant)?, z);
    let (low, high) = difference_interval(control, variant, z);
    Some(VariantComparison {
        difference: variant.share - control.share,
        low,
        high,
        probability_higher: probability_higher(control.posterior()?, variant.posterior()?),
    })
}

/// The interval of Newcombe for the difference of two shares.
pub(super) fn difference_interval(control: EffectiveShare, variant: EffectiveShare, z: f64) -> (f64, f64) {
    let difference = variant.share - control.share;
    let (control_interval, variant_interval) = (control.wilson_interval(z), variant.wilson_interval(z));
    (
        difference - (variant.share - variant_interval.0).hypot(control_interval.1 - control.share),
        difference + (variant_interval.1 - variant.share).hypot(control.share - control_interval.0),
    )
}

/// A share of as many independent trials as the trials of the companies are worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct EffectiveShare {
    share: f64,
    trials: f64,
}

impl EffectiveShare {
    pub(super) fn from_sample(sample: &VariantSample, z: f64) -> Self {
        let share = sample.ratio().clamp(0.0, 1.0);
        let independent_variance = share * (1.0 - share) / sample.trials();
        let design_effect = if independent_variance > 0.0 {
            (sample.ratio_variance() / independent_variance).max(1.0)
        } else {
            sample.largest_design_effect()
        };
        let few_companies = StudentsT::new(0.0, 1.0, sample.degrees_of_freedom())
            .map_or(1.0, |distribution| (z / distribution.inverse_cdf(f64::midpoint(1.0, CONFIDENCE))).powi(2));
        Self { share, trials: sample.trials() / design_effect * few_companies }
    }

    /// The interval of Wilson (Journal of the American Statistical Association 1927).
    fn wilson_interval(self, z: f64) -> (f64, f64) {
        let Self { share, trials } = self;
        let width = 1.0 + z * z / trials;
        let center = (share + z * z / (2.0 * trials)) / width;
        let margin = z / width * (share * (1.0 - share) / trials + (z / (2.0 * trials)).powi(2)).sqrt();
        // The ends are exact at 0 and 1.
        ((center - margin).clamp(0.0, share), (center + margin).clamp(share, 1.0))
    }

    fn posterior(self) -> Option<Beta> {
        let successes = self.share * self.trials;
        Beta::new(successes + 0.5, self.trials - successes + 0.5).ok()
    }
}

/// The probability that a value of `variant` is higher than one of `control`: the integral of `1 - F_variant` over
/// `dF_control`, in steps between which `F_control` changes by its exact difference.
fn probability_higher(control: Beta, variant: Beta) -> f64 {
    let (shape_a, shape_b) = (control.shape_a(), control.shape_b());
    let total = shape_a + shape_b;
    let mean = shape_a / total;
    let deviation = (shape_a * shape_b / (total * total * (total + 1.0))).sqrt();
    let low = (mean - INTEGRATION_WIDTH * deviation).max(0.0);
    let high = (mean + INTEGRATION_WIDTH * deviation).min(1.0);
    let width = (high - low) / f64::from(INTEGRATION_STEPS);
    let (mut probability, mut below) = (0.0, control.cdf(low));
    for step in 0..INTEGRATION_STEPS {
        let start = low + width * f64::from(step);
        let until = control.cdf((start + width).min(1.0));
        probability += (until - below) * variant.sf(start + width / 2.0);
        below = until;
    }
    probability.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROL: &[(u64, u64)] =
        &[(12, 3), (7, 1), (30, 9), (4, 2), (18, 2), (9, 4), (25, 5), (14, 1), (6, 0), (11, 6), (20, 7), (3, 1)];
    const VARIANT: &[(u64, u64)] =
        &[(10, 6), (16, 5), (5, 3), (22, 14), (8, 2), (13, 9), (28, 10), (6, 4), (19, 5), (9, 7), (15, 6)];

    fn companies(totals: &[(u64, u64)]) -> Vec<CompanyTotals> {
        totals.iter().map(|(trials, results)| CompanyTotals { trials: *trials, results: *results }).collect()
    }

    fn assert_near(computed: f64, expected: f64) {
        assert!((computed - expected).abs() < 1e-6, "{computed} is not {expected}");
    }

    /// `proportion_confint(81, 263, method="wilson")` and `(0, 20)` of statsmodels 0.15.
    #[test]
    fn the_interval_of_one_share_matches_wilson() {
        let z = Normal::standard().inverse_cdf(0.975);
        for (successes, trials, low, high) in [
            (81.0, 263.0, 0.255_288_519_878_274_2, 0.366_209_576_982_800_04),
            (0.0, 20.0, 0.0, 0.161_125_158_052_819_4),
        ] {
            let interval = EffectiveShare { share: successes / trials, trials }.wilson_interval(z);
            assert_near(interval.0, low);
            assert_near(interval.1, high);
        }
    }

    /// 56/70 and 48/80 are the first example of Newcombe's table II, with the interval from 0.0524 to 0.3339.
    #[test]
    fn the_interval_of_a_difference_matches_newcombe() {
        let z = Normal::standard().inverse_cdf(0.975);
        let (variant, control) =
            (EffectiveShare { share: 0.8, trials: 70.0 }, EffectiveShare { share: 0.6, trials: 80.0 });
        let (low, high) = difference_interval(control, variant, z);
        assert_near(low, 0.052_431_472_402_364_98);
        assert_near(high, 0.333_872_653_406_906_14);
    }

    /// Computed by the same formulas with scipy 1.17 (`stats`, `integrate.quad`), which gives 0.9992 by a bootstrap over
    /// companies for the probability and (0.085, 0.354) for the interval: a bootstrap ignores how uncertain the variance of
    /// few companies is.
    #[test]
    fn trials_within_a_company_count_less_than_independent_ones() {
        let compared = compare_shares(&companies(CONTROL), &companies(VARIANT)).unwrap();
        assert_near(compared.difference, 0.212_337_040_276_562_97);
        assert_near(compared.low, 0.046_574_383_148_209_025);
        assert_near(compared.high, 0.368_620_148_061_305_05);
        assert_near(compared.probability_higher, 0.994_057_295_074_604_7);
        let sample = VariantSample::collect(&companies(VARIANT)).unwrap();
        assert!(EffectiveShare::from_sample(&sample, 1.96).trials < sample.trials() / 2.0);
    }

    /// As above; the control is 12 companies with three successes in three trials.
    #[test]
    fn a_share_of_one_is_not_certain() {
        let compared = compare_shares(&companies(&[(3, 3); 12]), &companies(VARIANT)).unwrap();
        assert_near(compared.difference, -0.529_801_324_503_311_3);
        assert_near(compared.low, -0.658_273_671_169_472_3);
        assert_near(compared.high, -0.213_132_551_919_418_38);
        assert_near(compared.probability_higher, 0.000_298_030_917_981_998);
    }

    /// `scipy.integrate.quad(lambda u: beta_v.sf(beta_c.ppf(u)), 0, 1)`.
    #[test]
    fn the_probability_is_the_integral_over_both_shares() {
        for ((a, b), (c, d), expected) in [
            ((3.5, 17.5), (6.5, 14.5), 0.872_103_698_652_008),
            ((0.5, 20.5), (0.5, 20.5), 0.5),
            ((500.5, 4_500.5), (560.5, 4_440.5), 0.974_377_541_827_236_2),
        ] {
            let computed = probability_higher(Beta::new(a, b).unwrap(), Beta::new(c, d).unwrap());
            // The density of the second pair is infinite at 0.
            assert!((computed - expected).abs() < 1e-3, "{computed} is not {expected}");
        }
    }

    #[test]
    fn few_companies_or_few_trials_are_not_compared() {
        let enough = companies(CONTROL);
        assert_eq!(compare_shares(&enough, &companies(&[(100, 50); 9])), None);
        assert_eq!(compare_shares(&companies(&[(2, 1); 14]), &enough), None);
        assert_eq!(compare_shares(&enough, &companies(&[(0, 0); 50])), None);
        assert!(compare_shares(&enough, &companies(&[(3, 1); 10])).is_some());
        let dominated: Vec<_> = std::iter::once((500, 200)).chain([(5, 2); 11]).collect();
        assert_eq!(compare_shares(&enough, &companies(&dominated)), None, "one company has most of the trials");
    }
}
