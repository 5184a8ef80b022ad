//! Why a command to a feature flag is refused.

use super::value::MAX_OVERRIDES;
use crate::refusal_code::RefusalCode;

/// Why a command to a feature flag is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FeatureFlagError {
    /// The flag exists with another definition.
    #[error("the flag is already defined; switch it, change its variants or set overrides instead")]
    AlreadyDefined,
    /// The flag was not defined.
    #[error("the flag is not defined; define it first")]
    NotDefined,
    /// The flag was archived.
    #[error("the flag is archived; define it again to use it")]
    Archived,
    /// The flag has no such variant.
    #[error("the flag has no such variant; change its variants first")]
    UnknownVariant,
    /// The first variant would be another one.
    #[error("the first variant is the control and cannot be replaced; archive the flag and define it again")]
    ControlChanged,
    /// A variant would be removed that tenants have by an override.
    #[error("a tenant has a variant by an override that is not among the new ones; remove the override first")]
    VariantInUse,
    /// The flag has the maximum number of overrides.
    #[error("the flag already has {MAX_OVERRIDES} overrides; remove one first")]
    TooManyOverrides,
}

impl RefusalCode for FeatureFlagError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::AlreadyDefined => "ALREADY_DEFINED",
            Self::NotDefined => "NOT_FOUND",
            Self::Archived => "ARCHIVED",
            Self::UnknownVariant => "UNKNOWN_VARIANT",
            Self::ControlChanged => "CONTROL_CHANGED",
            Self::VariantInUse => "VARIANT_IN_USE",
            Self::TooManyOverrides => "TOO_MANY_OVERRIDES",
        }
    }

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotDefined)
    }
}
