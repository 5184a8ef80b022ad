//! The assignment of tenants to variants.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[test]
fn an_override_comes_before_weights_and_a_disabled_flag_means_the_control() {
    let everybody_b = vec![defined(), changed(&[("control", 0), ("b", 1)])];
    let mut flag = fold(everybody_b);
    assert_eq!(assigned(&flag, "acme"), ("control".to_owned(), AssignmentReason::Disabled));
    flag.evolve(is_set("acme", "b"));
    assert_eq!(assigned(&flag, "acme"), ("b".to_owned(), AssignmentReason::Override));
    flag.evolve(switched(true));
    flag.evolve(is_set("acme", "control"));
    assert_eq!(assigned(&flag, "acme"), ("control".to_owned(), AssignmentReason::Override));
    assert_eq!(assigned(&flag, "beta"), ("b".to_owned(), AssignmentReason::Weights));
    flag.evolve(archived());
    assert_eq!(assigned(&flag, "beta"), ("control".to_owned(), AssignmentReason::Undefined));
    assert_eq!(assigned(&FeatureFlag::Absent, "acme"), ("control".to_owned(), AssignmentReason::Undefined));
}

#[test]
fn a_plain_flag_is_on_for_everybody_once_it_is_enabled() {
    let mut flag = FeatureFlag::default();
    flag.evolve(FeatureFlagEvent::Defined {
        description: description(),
        variants: FlagVariants::plain(),
        enabled: false,
        stamp: stamp(),
    });
    assert!(!flag.compute_assignment(&key(), &tenant("acme")).variant.is_on());
    flag.evolve(switched(true));
    assert!(flag.compute_assignment(&key(), &tenant("acme")).variant.is_on());
}

/// Pins assignments: another result would move companies between the variants of running experiments.
#[test]
fn assignments_stay_the_same_in_all_releases() {
    let flag = enabled(&[("control", 50), ("b", 30), ("c", 20)]);
    let names = ["acme", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"];
    let found = names.map(|name| assigned(&flag, name).0);
    assert_eq!(found, ["c", "c", "control", "b", "control", "c", "control", "c"]);
}

#[test]
fn shares_are_in_proportion_to_the_weights() {
    const TENANTS: u32 = 20_000;
    let flag = enabled(&[("control", 50), ("b", 30), ("c", 19), ("d", 1), ("e", 0)]);
    let mut counts: HashMap<String, u32> = HashMap::new();
    for number in 0..TENANTS {
        *counts.entry(assigned(&flag, &format!("tenant-{number}")).0).or_default() += 1;
    }
    for (name, weight) in [("control", 50), ("b", 30), ("c", 19), ("d", 1), ("e", 0)] {
        let (count, expected) = (counts.get(name).copied().unwrap_or_default(), TENANTS / 100 * weight);
        // Four standard deviations of a binomial distribution: 4 * sqrt(n * p * (1 - p)).
        let deviation = (16 * u64::from(expected) * u64::from(100 - weight) / 100).isqrt();
        assert!(u64::from(count.abs_diff(expected)) <= deviation, "{name}: {count} instead of {expected}");
    }
}

#[test]
fn flags_are_assigned_independently_of_each_other() {
    let flag = enabled(&[("control", 1), ("b", 1)]);
    let other = KnownExperiment::ProposalPrompt.key();
    let both = (0..2_000).map(|number| tenant(&format!("tenant-{number}"))).filter(|tenant| {
        flag.compute_assignment(&key(), tenant).variant == flag.compute_assignment(&other, tenant).variant
    });
    // Half of them, within four standard deviations.
    assert!(both.count().abs_diff(1_000) <= 90);
}

proptest! {
    #[test]
    fn a_changed_weight_moves_tenants_only_to_or_from_its_variant(
        weights in prop::collection::vec(0_u32..100, 2..6),
        which in any::<prop::sample::Index>(),
        weight in 0_u32..100,
        tenants in prop::collection::hash_set("[a-z0-9-]{1,20}", 1..20),
    ) {
        let which = which.index(weights.len());
        let mut after = weights.clone();
        after[which] = weight;
        prop_assume!(weights.iter().any(|weight| *weight > 0) && after.iter().any(|weight| *weight > 0));
        let (before, after) = (enabled_by(&weights), enabled_by(&after));
        for tenant in tenants {
            let (old, new) = (assigned(&before, &tenant).0, assigned(&after, &tenant).0);
            prop_assert_eq!(&old, &assigned(&before, &tenant).0);
            let changed = format!("v{which}");
            prop_assert!(
                old == new || (if weight > weights[which] { new == changed } else { old == changed }),
                "{} moved from {} to {}", tenant, old, new
            );
        }
    }
}

fn enabled(weights: &[(&str, u32)]) -> FeatureFlag {
    FeatureFlag::Active(FlagDefinition {
        description: description(),
        variants: variants(weights),
        enabled: true,
        overrides: BTreeMap::new(),
    })
}

fn enabled_by(weights: &[u32]) -> FeatureFlag {
    let names: Vec<_> = (0..weights.len()).map(|number| format!("v{number}")).collect();
    let pairs: Vec<_> = names.iter().map(String::as_str).zip(weights.iter().copied()).collect();
    enabled(&pairs)
}
