//! The events of a feature flag.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests.rs` pins the
//! stored JSON. A changed shape needs a new version with an upcaster, in `event_versions!`; `schemas/README.md` lists the
//! other steps.

use serde::{Deserialize, Serialize};

use super::{FlagDescription, FlagReason, FlagVariants, VariantName};
use crate::{
    event_version::event_versions,
    value::{AuditStamp, TenantId},
};

/// An event of a feature flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FeatureFlagEvent {
    /// The flag was defined, for the first time or after it was archived.
    Defined {
        /// What the flag is for.
        description: FlagDescription,
        /// The variants, the control first.
        variants: FlagVariants,
        /// Whether tenants are assigned by the weights.
        enabled: bool,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The flag was enabled or disabled.
    Switched {
        /// Whether tenants are assigned by the weights from then on.
        enabled: bool,
        /// Why.
        reason: FlagReason,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The variants or their weights were replaced.
    VariantsChanged {
        /// The new variants, complete.
        variants: FlagVariants,
        /// Why.
        reason: FlagReason,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A tenant was given a variant.
    OverrideSet {
        /// The tenant.
        tenant: TenantId,
        /// The variant.
        variant: VariantName,
        /// Why.
        reason: FlagReason,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A tenant is assigned by the weights again.
    OverrideRemoved {
        /// The tenant.
        tenant: TenantId,
        /// Why.
        reason: FlagReason,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The flag is not used any more.
    Archived {
        /// Why.
        reason: FlagReason,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
}

impl FeatureFlagEvent {
    /// What changed, as text on one line for a list of changes.
    pub fn summary(&self) -> String {
        match self {
            Self::Defined { variants, enabled, .. } => {
                format!("defined with {variants}, {}", if *enabled { "enabled" } else { "disabled" })
            }
            Self::Switched { enabled: true, .. } => "enabled".to_owned(),
            Self::Switched { enabled: false, .. } => "disabled".to_owned(),
            Self::VariantsChanged { variants, .. } => format!("variants changed to {variants}"),
            Self::OverrideSet { tenant, variant, .. } => format!("override of {tenant} set to {variant}"),
            Self::OverrideRemoved { tenant, .. } => format!("override of {tenant} removed"),
            Self::Archived { .. } => "archived".to_owned(),
        }
    }

    /// Why it was changed; `None` for a definition, whose description says it.
    pub fn reason(&self) -> Option<&FlagReason> {
        match self {
            Self::Defined { .. } => None,
            Self::Switched { reason, .. }
            | Self::VariantsChanged { reason, .. }
            | Self::OverrideSet { reason, .. }
            | Self::OverrideRemoved { reason, .. }
            | Self::Archived { reason, .. } => Some(reason),
        }
    }
}

event_versions! {
    FeatureFlagEvent {
        Defined => "feature_flag.defined", "1.0";
        Switched => "feature_flag.switched", "1.0";
        VariantsChanged => "feature_flag.variants_changed", "1.0";
        OverrideSet => "feature_flag.override_set", "1.0";
        OverrideRemoved => "feature_flag.override_removed", "1.0";
        Archived => "feature_flag.archived", "1.0";
    }
}
