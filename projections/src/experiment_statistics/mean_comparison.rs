//! Compares amounts per trial, such as the cost of a generation.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{
    CONFIDENCE, VariantComparison,
    company_totals::{CompanyTotals, VariantSample},
};

/// Compares results per trial by the test of Welch (Biometrika 1947), with variances between companies; `None` if there
/// is not enough data.
///
/// The interval is `d +- t * se` with `se^2 = V_variant + V_control` and the degrees of freedom of Satterthwaite (Biometrics
/// 1946); the probability is `T(d / se)`, the posterior one under flat priors.
pub fn compare_means(control: &[CompanyTotals], variant: &[CompanyTotals]) -> Option<VariantComparison> {
    let (control, variant) = (VariantSample::collect(control)?, VariantSample::collect(variant)?);
    let difference = variant.ratio() - control.ratio();
    let (control_variance, variant_variance) = (control.ratio_variance(), variant.ratio_variance());
    let error = (control_variance + variant_variance).sqrt();
    let degrees = (control_variance + variant_variance).powi(2)
        / (control_variance.powi(2) / control.degrees_of_freedom()
            + variant_variance.powi(2) / variant.degrees_of_freedom());
    // Without any variance there are no degrees of freedom.
    let Ok(distribution) = StudentsT::new(0.0, 1.0, degrees) else {
        let probability_higher = if difference == 0.0 { 0.5 } else { f64::from(u8::from(difference > 0.0)) };
        return Some(VariantComparison { difference, low: difference, high: difference, probability_higher });
    };
    let margin = distribution.inverse_cdf(f64::midpoint(1.0, CONFIDENCE)) * error;
    Some(VariantComparison {
        difference,
        low: difference - margin,
        high: difference + margin,
        probability_higher: distribution.cdf(difference / error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(computed: f64, expected: f64) {
        assert!((computed - expected).abs() < 1e-6, "{computed} is not {expected}");
    }

    /// `scipy.stats.ttest_ind(variant, control, equal_var=False)` of scipy 1.17 on the amounts per trial: with the same
    /// number of trials in each company the ratio is their mean.
    #[test]
    fn with_equal_companies_it_is_the_test_of_welch() {
        let companies = |results: &[u64]| -> Vec<_> {
            results.iter().map(|results| CompanyTotals { trials: 3, results: *results }).collect()
        };
        let control = companies(&[41, 55, 38, 62, 47, 50, 44, 58, 39, 53, 61, 45]);
        let variant = companies(&[36, 49, 31, 52, 40, 43, 35, 47, 33, 38, 58]);
        let compared = compare_means(&control, &variant).unwrap();
        assert_near(compared.difference, -2.472_222_222_222_225);
        assert_near(compared.low, -4.932_829_670_758_444);
        assert_near(compared.high, -0.011_614_773_686_005_72);
        assert_near(compared.probability_higher, 0.024_511_652_385_270_484);
    }

    /// The same formulas in Python with scipy 1.17.
    #[test]
    fn companies_of_different_size_are_weighted_by_their_trials() {
        let companies = |totals: &[(u64, u64)]| -> Vec<_> {
            totals.iter().map(|(trials, results)| CompanyTotals { trials: *trials, results: *results }).collect()
        };
        let control =
            [(2, 41), (5, 155), (3, 88), (4, 62), (1, 47), (6, 250), (2, 44), (3, 58), (4, 139), (2, 53), (5, 161)];
        let variant = [(3, 36), (4, 149), (2, 31), (6, 152), (1, 40), (3, 43), (5, 135), (2, 47), (3, 83), (4, 38)];
        let compared = compare_means(&companies(&control), &companies(&variant)).unwrap();
        assert_near(compared.difference, -6.827_190_827_190_829_5);
        assert_near(compared.low, -15.983_703_488_812_893);
        assert_near(compared.high, 2.329_321_834_431_233_6);
        assert_near(compared.probability_higher, 0.066_606_598_148_078_9);
    }

    #[test]
    fn equal_amounts_everywhere_differ_by_exactly_their_difference() {
        let compared = |control: u64, variant: u64| {
            let companies = |results| [CompanyTotals { trials: 3, results }; 12];
            compare_means(&companies(control), &companies(variant)).unwrap()
        };
        let (same, higher) = (compared(6, 6), compared(6, 9));
        assert_eq!((same.difference, same.low, same.high, same.probability_higher), (0.0, 0.0, 0.0, 0.5));
        assert_eq!((higher.difference, higher.low, higher.high, higher.probability_higher), (1.0, 1.0, 1.0, 1.0));
    }
}
