//! A feature flag: which variant of a behaviour each tenant gets. An experiment is a flag whose variants share tenants.
//!
//! ```text
//! Absent ──define──▶ Active ──archive──▶ Archived
//!                    │  ▲  ▲                 │
//!                    └──┘  └─────define──────┘
//!       switch, change variants, set and remove overrides
//! ```
//!
//! Flags belong to no company: their streams are those of the public tenant, named by the flag's key.

mod assignment;
mod command;
mod error;
mod event;
mod experiment;
mod experiment_run;
#[cfg(test)]
mod tests;
mod value;
mod variants;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::{
    assignment::{AssignmentReason, FlagAssignment},
    command::FeatureFlagCommand,
    error::FeatureFlagError,
    event::FeatureFlagEvent,
    experiment::{ConfiguredVariants, KnownExperiment, SEARCH_RANKINGS},
    experiment_run::{ExperimentHistory, ExperimentRun},
    value::{CONTROL, FlagDescription, FlagKey, FlagReason, MAX_OVERRIDES, VariantName},
    variants::{FlagVariant, FlagVariants, MAX_VARIANTS, MAX_WEIGHT},
};
use crate::{
    aggregate::aggregate,
    value::{AuditStamp, TenantId},
};

/// State of one feature flag, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeatureFlag {
    /// The flag is not defined.
    #[default]
    Absent,
    /// The flag is defined.
    Active(FlagDefinition),
    /// The flag is no longer used: every tenant gets the control. It can be defined again.
    Archived(FlagDefinition),
}

/// The description, variants and overrides of a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagDefinition {
    /// What the flag is for.
    pub description: FlagDescription,
    /// The variants; the first one is the control.
    pub variants: FlagVariants,
    /// Whether tenants are assigned by the weights; otherwise they get the control.
    pub enabled: bool,
    /// Variants of single tenants, whether the flag is enabled or not.
    pub overrides: BTreeMap<TenantId, VariantName>,
}

impl FeatureFlag {
    /// Decides which events a command leads to; none if it changes nothing.
    ///
    /// # Errors
    /// [`FeatureFlagError`] when the flag's state forbids it.
    pub fn decide(&self, command: FeatureFlagCommand) -> Result<Vec<FeatureFlagEvent>, FeatureFlagError> {
        let active = match (self, &command) {
            (Self::Active(active), _) => active,
            (Self::Absent | Self::Archived(_), FeatureFlagCommand::Define { .. }) => return Ok(define(command)),
            (Self::Archived(_), FeatureFlagCommand::Archive { .. }) => return Ok(vec![]),
            (Self::Absent, _) => return Err(FeatureFlagError::NotDefined),
            (Self::Archived(_), _) => return Err(FeatureFlagError::Archived),
        };
        match command {
            FeatureFlagCommand::Define { description, variants, enabled, .. } => {
                let is_same = active.description == description
                    && active.variants == variants
                    && active.enabled == enabled
                    && active.overrides.is_empty();
                if is_same { Ok(vec![]) } else { Err(FeatureFlagError::AlreadyDefined) }
            }
            FeatureFlagCommand::Switch { enabled, .. } if enabled == active.enabled => Ok(vec![]),
            FeatureFlagCommand::Switch { enabled, reason, stamp } => {
                Ok(vec![FeatureFlagEvent::Switched { enabled, reason, stamp }])
            }
            FeatureFlagCommand::ChangeVariants { variants, reason, stamp } => {
                active.change_variants(variants, reason, stamp)
            }
            FeatureFlagCommand::SetOverride { tenant, variant, reason, stamp } => {
                active.set_override(tenant, variant, reason, stamp)
            }
            FeatureFlagCommand::RemoveOverride { tenant, .. } if !active.overrides.contains_key(&tenant) => Ok(vec![]),
            FeatureFlagCommand::RemoveOverride { tenant, reason, stamp } => {
                Ok(vec![FeatureFlagEvent::OverrideRemoved { tenant, reason, stamp }])
            }
            FeatureFlagCommand::Archive { reason, stamp } => Ok(vec![FeatureFlagEvent::Archived { reason, stamp }]),
        }
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: FeatureFlagEvent) {
        match event {
            FeatureFlagEvent::Defined { description, variants, enabled, .. } => {
                *self = Self::Active(FlagDefinition { description, variants, enabled, overrides: BTreeMap::new() });
            }
            FeatureFlagEvent::Archived { .. } => {
                if let Some(definition) = self.definition() {
                    *self = Self::Archived(definition.clone());
                }
            }
            FeatureFlagEvent::Switched { enabled, .. } => self.update(|active| active.enabled = enabled),
            FeatureFlagEvent::VariantsChanged { variants, .. } => self.update(|active| active.variants = variants),
            FeatureFlagEvent::OverrideSet { tenant, variant, .. } => self.update(|active| {
                active.overrides.insert(tenant, variant);
            }),
            FeatureFlagEvent::OverrideRemoved { tenant, .. } => self.update(|active| {
                active.overrides.remove(&tenant);
            }),
        }
    }

    /// The definition, also of an archived flag; `None` before the flag is defined.
    pub fn definition(&self) -> Option<&FlagDefinition> {
        match self {
            Self::Absent => None,
            Self::Active(definition) | Self::Archived(definition) => Some(definition),
        }
    }

    /// The definition if tenants are assigned by the weights.
    fn enabled_definition(&self) -> Option<&FlagDefinition> {
        match self {
            Self::Active(definition) if definition.enabled => Some(definition),
            Self::Active(_) | Self::Absent | Self::Archived(_) => None,
        }
    }

    fn update(&mut self, change: impl FnOnce(&mut FlagDefinition)) {
        match self {
            Self::Active(active) => change(active),
            Self::Absent | Self::Archived(_) => {}
        }
    }
}

fn define(command: FeatureFlagCommand) -> Vec<FeatureFlagEvent> {
    match command {
        FeatureFlagCommand::Define { description, variants, enabled, stamp } => {
            vec![FeatureFlagEvent::Defined { description, variants, enabled, stamp }]
        }
        FeatureFlagCommand::Switch { .. }
        | FeatureFlagCommand::ChangeVariants { .. }
        | FeatureFlagCommand::SetOverride { .. }
        | FeatureFlagCommand::RemoveOverride { .. }
        | FeatureFlagCommand::Archive { .. } => vec![],
    }
}

impl FlagDefinition {
    fn change_variants(
        &self,
        variants: FlagVariants,
        reason: FlagReason,
        stamp: AuditStamp,
    ) -> Result<Vec<FeatureFlagEvent>, FeatureFlagError> {
        if variants == self.variants {
            return Ok(vec![]);
        }
        // Programs that do not know a variant use the control, since any other variant would change their behaviour.
        if variants.control() != self.variants.control() {
            return Err(FeatureFlagError::ControlChanged);
        }
        if self.overrides.values().any(|variant| !variants.contains(variant)) {
            return Err(FeatureFlagError::VariantInUse);
        }
        Ok(vec![FeatureFlagEvent::VariantsChanged { variants, reason, stamp }])
    }

    fn set_override(
        &self,
        tenant: TenantId,
        variant: VariantName,
        reason: FlagReason,
        stamp: AuditStamp,
    ) -> Result<Vec<FeatureFlagEvent>, FeatureFlagError> {
        if !self.variants.contains(&variant) {
            return Err(FeatureFlagError::UnknownVariant);
        }
        match self.overrides.get(&tenant) {
            Some(current) if *current == variant => return Ok(vec![]),
            None if self.overrides.len() >= MAX_OVERRIDES => return Err(FeatureFlagError::TooManyOverrides),
            Some(_) | None => {}
        }
        Ok(vec![FeatureFlagEvent::OverrideSet { tenant, variant, reason, stamp }])
    }
}

aggregate!(FeatureFlag, "feature_flag", FeatureFlagCommand, FeatureFlagEvent, FeatureFlagError);
