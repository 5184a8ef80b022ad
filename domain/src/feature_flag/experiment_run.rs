//! The last run of an experiment: the period when companies are assigned by weights, and the part of it that counts.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{FeatureFlag, FeatureFlagEvent, FlagDefinition, FlagKey, FlagVariants, VariantName};
use crate::value::TenantId;

/// A period when a flag is enabled, with its weights and overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentRun {
    /// When the flag was enabled.
    pub started_at: DateTime<Utc>,
    /// When it was disabled or archived; `None` while it is enabled.
    pub ended_at: Option<DateTime<Utc>>,
    /// The variants with the weights that they had one after the other.
    variants: Vec<FlagVariants>,
    /// Companies that had an override at any time of the run.
    overridden: BTreeSet<TenantId>,
}

impl ExperimentRun {
    fn start(definition: &FlagDefinition, at: DateTime<Utc>) -> Self {
        let (variants, overridden) =
            (vec![definition.variants.clone()], definition.overrides.keys().cloned().collect());
        Self { started_at: at, ended_at: None, variants, overridden }
    }

    /// The variant that a company had by chance during the whole run; `None` if it had an override, or if a change of
    /// weights moved it, so that it is not compared.
    pub fn assigned_variant(&self, key: &FlagKey, tenant: &TenantId) -> Option<VariantName> {
        if self.overridden.contains(tenant) {
            return None;
        }
        let mut assigned = self.variants.iter().map(|variants| variants.draw(key, tenant));
        let first = assigned.next()?;
        assigned.all(|next| next == first).then_some(first)
    }
}

/// A flag with its last run, folded from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExperimentHistory {
    /// State of the flag.
    pub flag: FeatureFlag,
    /// The last run, which may have ended; `None` if the flag was never enabled.
    pub run: Option<ExperimentRun>,
}

impl ExperimentHistory {
    /// Folds one event, which was recorded at `at`.
    pub fn apply_event(&mut self, event: FeatureFlagEvent, at: DateTime<Utc>) {
        let was_enabled = self.flag.enabled_definition().is_some();
        self.flag.evolve(event);
        match (self.flag.enabled_definition(), &mut self.run) {
            (Some(definition), Some(run)) if was_enabled => {
                if run.variants.last() != Some(&definition.variants) {
                    run.variants.push(definition.variants.clone());
                }
                run.overridden.extend(definition.overrides.keys().cloned());
            }
            (Some(definition), run) => *run = Some(ExperimentRun::start(definition, at)),
            (None, Some(run)) if was_enabled => run.ended_at = Some(at),
            (None, _) => {}
        }
    }
}
