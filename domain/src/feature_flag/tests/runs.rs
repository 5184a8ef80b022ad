//! The last run of an experiment.

use chrono::{DateTime, TimeDelta, Utc};

use super::*;

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::try_new("ann").unwrap(), at: at(0) }
}

fn reason() -> FlagReason {
    FlagReason::try_new("a trial").unwrap()
}

fn weighted(control: u32, words: u32) -> FlagVariants {
    let variant = |name, weight| FlagVariant { name: VariantName::try_new(name).unwrap(), weight };
    FlagVariants::try_new(vec![variant("control", control), variant("words", words)]).unwrap()
}

fn defined(enabled: bool) -> FeatureFlagEvent {
    let description = FlagDescription::try_new("Ranking").unwrap();
    FeatureFlagEvent::Defined { description, variants: weighted(80, 20), enabled, stamp: stamp() }
}

fn switched(enabled: bool) -> FeatureFlagEvent {
    FeatureFlagEvent::Switched { enabled, reason: reason(), stamp: stamp() }
}

fn overridden(tenant: &str) -> FeatureFlagEvent {
    let (tenant, variant) = (TenantId::try_new(tenant).unwrap(), VariantName::try_new("words").unwrap());
    FeatureFlagEvent::OverrideSet { tenant, variant, reason: reason(), stamp: stamp() }
}

/// Folds events, one a minute.
fn last_run(events: impl IntoIterator<Item = FeatureFlagEvent>) -> Option<ExperimentRun> {
    let mut history = ExperimentHistory::default();
    for (event, minute) in events.into_iter().zip(1..) {
        history.apply_event(event, at(minute));
    }
    history.run
}

fn assigned(run: &ExperimentRun, tenant: &str) -> Option<String> {
    let key = FlagKey::try_new("search.ranking").unwrap();
    run.assigned_variant(&key, &TenantId::try_new(tenant).unwrap()).map(|variant| variant.to_string())
}

#[test]
fn a_run_lasts_from_enabling_to_disabling_and_is_known_afterwards() {
    assert_eq!(last_run([defined(false), overridden("acme")]), None);
    let period = |events: &[FeatureFlagEvent]| {
        let run = last_run(events.to_vec()).unwrap();
        (run.started_at, run.ended_at)
    };
    let archived = FeatureFlagEvent::Archived { reason: reason(), stamp: stamp() };
    assert_eq!(period(&[defined(true)]), (at(1), None));
    assert_eq!(period(&[defined(false), switched(true), switched(false), overridden("acme")]), (at(2), Some(at(3))));
    assert_eq!(period(&[defined(true), archived.clone()]), (at(1), Some(at(2))));
    assert_eq!(period(&[defined(true), archived, defined(true), overridden("acme")]), (at(3), None));
}

#[test]
fn companies_with_an_override_or_moved_by_weights_do_not_count() {
    let raised = FeatureFlagEvent::VariantsChanged { variants: weighted(50, 50), reason: reason(), stamp: stamp() };
    let removed = FeatureFlagEvent::OverrideRemoved {
        tenant: TenantId::try_new("company-1").unwrap(),
        reason: reason(),
        stamp: stamp(),
    };
    let first = last_run([defined(true)]).unwrap();
    let before_run = last_run([defined(false), overridden("company-0"), switched(true)]).unwrap();
    assert_eq!(assigned(&before_run, "company-0"), None);
    let run = last_run([defined(true), overridden("company-1"), removed, raised, switched(false)]).unwrap();
    assert_eq!(assigned(&run, "company-1"), None, "it had an override for a minute");
    let mut moved = 0;
    for company in (2..400).map(|number| format!("company-{number}")) {
        match assigned(&run, &company) {
            Some(variant) => assert_eq!(assigned(&first, &company), Some(variant)),
            None => moved += 1,
        }
    }
    // 30 of 100 companies go from the control to the raised variant.
    assert!((80..160).contains(&moved), "{moved}");
}
