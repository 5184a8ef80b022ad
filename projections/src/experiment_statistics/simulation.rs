//! Simulated experiments: how often a difference is reported where there is none, and how often a large one is found.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::{
    CompanyTotals, ExperimentVerdict,
    company_totals::VariantSample,
    compare_means, compare_shares,
    share_comparison::{EffectiveShare, difference_interval},
};

/// Experiments of each kind.
const EXPERIMENTS: u32 = 1_000;

struct ExperimentSimulation(ChaCha8Rng);

impl ExperimentSimulation {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn uniform(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    /// A lognormal number of trials, 8 in the median: with a deviation of 1.5 the largest of 40 companies has about 200.
    fn skewed_trials(&mut self, deviation: f64) -> u64 {
        let normal = (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
        let trials = (8.0 * (deviation * normal).exp()) as u64;
        trials.clamp(1, 5_000)
    }

    /// Companies of different sizes, whose own shares differ by up to `spread` from the common one.
    fn visits(&mut self, companies: u32, share: f64, spread: f64) -> Vec<CompanyTotals> {
        let trials: Vec<_> = (0..companies).map(|_| 1 + self.0.next_u64() % 30).collect();
        self.draw_visits(&trials, share, spread)
    }

    fn skewed_visits(&mut self, companies: u32, deviation: f64) -> Vec<CompanyTotals> {
        let trials: Vec<_> = (0..companies).map(|_| self.skewed_trials(deviation)).collect();
        self.draw_visits(&trials, 0.3, 0.25)
    }

    fn draw_visits(&mut self, trials: &[u64], share: f64, spread: f64) -> Vec<CompanyTotals> {
        trials
            .iter()
            .map(|&trials| {
                let own = share + spread * (2.0 * self.uniform() - 1.0);
                let results = (0..trials).map(|_| u64::from(self.uniform() < own)).sum();
                CompanyTotals { trials, results }
            })
            .collect()
    }

    /// Companies with few generations, whose costs have a skewed distribution.
    fn costs(&mut self, companies: u32, mean: f64) -> Vec<CompanyTotals> {
        let trials: Vec<_> = (0..companies).map(|_| 2 + self.0.next_u64() % 8).collect();
        self.draw_costs(&trials, mean)
    }

    fn skewed_costs(&mut self, companies: u32, deviation: f64) -> Vec<CompanyTotals> {
        let trials: Vec<_> = (0..companies).map(|_| self.skewed_trials(deviation)).collect();
        self.draw_costs(&trials, 5_000.0)
    }

    fn draw_costs(&mut self, trials: &[u64], mean: f64) -> Vec<CompanyTotals> {
        trials
            .iter()
            .map(|&trials| {
                let own = mean * (0.5 + self.uniform());
                let cost: f64 = (0..trials).map(|_| -own * (1.0 - self.uniform()).ln()).sum();
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
                CompanyTotals { trials, results: cost as u64 }
            })
            .collect()
    }
}

/// Whether the interval of a difference of shares excludes 0; [`compare_shares`] without the probability, which takes long.
/// No difference is clear without enough data.
fn is_clear_difference(control: &[CompanyTotals], variant: &[CompanyTotals]) -> bool {
    const Z: f64 = 1.959_964;
    let share = |companies| Some(EffectiveShare::from_sample(&VariantSample::collect(companies)?, Z));
    let (Some(control), Some(variant)) = (share(control), share(variant)) else { return false };
    let (low, high) = difference_interval(control, variant, Z);
    low > 0.0 || high < 0.0
}

/// The share of experiments with a clear difference, in percent.
fn measure_alarm_percent(mut run: impl FnMut() -> bool) -> u32 {
    let alarms = (0..EXPERIMENTS).filter(|_| run()).count();
    u32::try_from(alarms).unwrap() * 100 / EXPERIMENTS
}

#[test]
fn without_an_effect_a_difference_of_shares_is_reported_in_about_five_percent() {
    // Rare successes, correlated ones, and few companies.
    for (seed, companies, share, spread) in [(1, 40, 0.05, 0.04), (2, 40, 0.4, 0.35), (3, 12, 0.3, 0.25)] {
        let mut simulation = ExperimentSimulation::new(seed);
        let alarms = measure_alarm_percent(|| {
            let (control, variant) =
                (simulation.visits(companies, share, spread), simulation.visits(companies, share, spread));
            is_clear_difference(&control, &variant)
        });
        // Five percent of 1,000 have a standard deviation of 0.7 percent.
        assert!((1..=7).contains(&alarms), "{alarms} % with {companies} companies and a share of {share}");
    }
}

#[test]
fn without_an_effect_a_difference_of_costs_is_reported_in_about_five_percent() {
    let mut simulation = ExperimentSimulation::new(4);
    let alarms = measure_alarm_percent(|| {
        let compared = compare_means(&simulation.costs(20, 5_000.0), &simulation.costs(20, 5_000.0)).unwrap();
        compared.verdict(false) != ExperimentVerdict::NoClearDifference
    });
    assert!((1..=7).contains(&alarms), "{alarms} %");
}

#[test]
fn companies_of_very_different_size_give_no_more_differences_by_chance() {
    for (seed, companies, deviation) in [(7, 20, 1.0), (8, 40, 1.0), (9, 40, 1.5), (10, 12, 1.5)] {
        let mut simulation = ExperimentSimulation::new(seed);
        let shares = measure_alarm_percent(|| {
            let control = simulation.skewed_visits(companies, deviation);
            is_clear_difference(&control, &simulation.skewed_visits(companies, deviation))
        });
        let costs = measure_alarm_percent(|| {
            let control = simulation.skewed_costs(companies, deviation);
            let compared = compare_means(&control, &simulation.skewed_costs(companies, deviation));
            compared.is_some_and(|compared| compared.verdict(false) != ExperimentVerdict::NoClearDifference)
        });
        assert!(shares <= 8 && costs <= 8, "{shares} % and {costs} % with {companies} companies and {deviation}");
    }
}

#[test]
fn a_comparison_that_ignores_companies_would_report_far_more() {
    // The same visits as if each were made by its own company.
    let mut simulation = ExperimentSimulation::new(5);
    let single = |companies: Vec<CompanyTotals>| -> Vec<CompanyTotals> {
        let of_company = |company: CompanyTotals| {
            (0..company.trials)
                .map(move |trial| CompanyTotals { trials: 1, results: u64::from(trial < company.results) })
        };
        companies.into_iter().flat_map(of_company).collect()
    };
    let alarms = measure_alarm_percent(|| {
        let (control, variant) = (simulation.visits(20, 0.5, 0.45), simulation.visits(20, 0.5, 0.45));
        is_clear_difference(&single(control), &single(variant))
    });
    assert!(alarms > 15, "{alarms} %");
}

#[test]
fn a_large_effect_is_found_and_has_the_right_sign() {
    let mut simulation = ExperimentSimulation::new(6);
    let mut found = 0;
    for _ in 0..50 {
        let (control, variant) = (simulation.visits(40, 0.3, 0.2), simulation.visits(40, 0.5, 0.2));
        let compared = compare_shares(&control, &variant).unwrap();
        found += u32::from(compared.verdict(true) == ExperimentVerdict::Better && compared.probability_higher > 0.975);
        assert_ne!(compared.verdict(true), ExperimentVerdict::Worse);
        let costs = compare_means(&simulation.costs(30, 9_000.0), &simulation.costs(30, 3_000.0)).unwrap();
        assert_eq!(costs.verdict(false), ExperimentVerdict::Better, "lower costs are better");
    }
    assert!(found >= 48, "{found} of 50");
}
