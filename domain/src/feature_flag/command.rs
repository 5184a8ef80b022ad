//! The commands of a feature flag.

use super::{FlagDescription, FlagReason, FlagVariants, VariantName};
use crate::value::{AuditStamp, TenantId};

/// A command for one feature flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeatureFlagCommand {
    /// Defines the flag, without overrides; an archived one can be defined again.
    Define {
        /// What the flag is for.
        description: FlagDescription,
        /// The variants, the control first.
        variants: FlagVariants,
        /// Whether tenants are assigned by the weights from now on.
        enabled: bool,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Enables or disables the flag.
    Switch {
        /// Whether tenants are assigned by the weights.
        enabled: bool,
        /// Why.
        reason: FlagReason,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Replaces the variants and their weights; the control stays.
    ChangeVariants {
        /// The new variants, complete.
        variants: FlagVariants,
        /// Why.
        reason: FlagReason,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Gives one tenant a variant, regardless of the weights.
    SetOverride {
        /// The tenant.
        tenant: TenantId,
        /// The variant.
        variant: VariantName,
        /// Why.
        reason: FlagReason,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Assigns a tenant by the weights again.
    RemoveOverride {
        /// The tenant.
        tenant: TenantId,
        /// Why.
        reason: FlagReason,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Ends the use of the flag: every tenant gets the control.
    Archive {
        /// Why.
        reason: FlagReason,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
}
