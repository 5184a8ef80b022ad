//! Feature flags as GraphQL types.

use async_graphql::{ComplexObject, Context, Enum, InputObject, Result, SimpleObject};
use chrono::{DateTime, Utc};
use commands::feature_flags::{FeatureFlags, FlagRecord};
use domain::{
    envelope::RawEnvelope,
    feature_flag::{
        AssignmentReason, FeatureFlag, FeatureFlagEvent, FlagAssignment, FlagVariant, FlagVariants, KnownExperiment,
        VariantName,
    },
    value::TenantId,
};

use crate::{
    app_context::AppContext,
    graphql::{error, input_validation::parse_value},
};

/// A feature flag: which variant of a behaviour each company gets.
#[derive(SimpleObject)]
#[graphql(name = "FeatureFlag", complex)]
pub(super) struct FeatureFlagNode {
    /// Key, e.g. `search.ranking`.
    key: String,
    /// What the flag is for.
    description: String,
    /// Whether it is defined. An experiment that is not defined is listed, too; everybody has the control.
    is_defined: bool,
    /// Whether it was archived: everybody has the control.
    is_archived: bool,
    /// Whether companies are assigned by the weights; otherwise they have the control, but for overrides.
    enabled: bool,
    /// The variants, the control first; empty if the flag is not defined.
    variants: Vec<FlagVariantNode>,
    /// Variants of single companies, whether the flag is enabled or not; at most 1,000.
    overrides: Vec<FlagOverrideNode>,
    /// The variant of everybody in the program that answers, by its settings; null if they do not name the flag.
    pinned_variant: Option<String>,
    /// Version: the number of recorded changes.
    version: u64,
    /// When it was last changed.
    changed_at: Option<DateTime<Utc>>,
    /// Who changed it last.
    changed_by: Option<String>,
}

/// A variant of a flag.
#[derive(SimpleObject)]
#[graphql(name = "FlagVariant")]
struct FlagVariantNode {
    /// Name.
    name: String,
    /// Its share of the companies is this weight out of the sum of all weights.
    weight: u32,
}

/// The variant of a single company.
#[derive(SimpleObject)]
#[graphql(name = "FlagOverride")]
struct FlagOverrideNode {
    /// Id of the company.
    tenant: String,
    /// Name of the variant.
    variant: String,
}

/// The variant that a company has.
#[derive(SimpleObject)]
#[graphql(name = "FlagAssignment")]
struct FlagAssignmentNode {
    /// Name of the variant.
    variant: String,
    /// Why the company has it.
    reason: AssignmentReasonEnum,
}

/// Why a company has a variant.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "AssignmentReason")]
enum AssignmentReasonEnum {
    /// The settings of the program that answers name the variant.
    Pinned,
    /// The flag has an override for the company.
    Override,
    /// By the weights of the variants.
    Weights,
    /// The flag is disabled.
    Disabled,
    /// The flag is not defined, or archived.
    Undefined,
}

/// A variant with its weight.
#[derive(InputObject)]
pub(super) struct FlagVariantInput {
    /// Name: lower-case letters, digits, hyphens and dots, at most 60 characters.
    name: String,
    /// Weight, 0 to 10,000; 0 for no company but those with an override.
    weight: u32,
}

/// A recorded change of a feature flag.
#[derive(SimpleObject)]
#[graphql(name = "FeatureFlagChange")]
pub(super) struct FeatureFlagChangeNode {
    /// The version after the change.
    version: u64,
    /// Event type, e.g. `feature_flag.switched`.
    kind: String,
    /// What changed, in words.
    summary: String,
    /// Why; null for a definition.
    reason: Option<String>,
    /// Who changed it: `operator` for the API, `user@host` for the command line.
    by: String,
    /// Groups all changes that one request caused.
    correlation_id: String,
    /// When it was recorded.
    recorded_at: DateTime<Utc>,
}

/// A page of the recorded changes of a feature flag.
#[derive(SimpleObject)]
#[graphql(name = "FeatureFlagHistory")]
pub(super) struct FeatureFlagHistoryNode {
    /// The changes, oldest first.
    pub(super) changes: Vec<FeatureFlagChangeNode>,
    /// Whether further changes follow.
    pub(super) has_more: bool,
}

#[expect(clippy::unused_async, reason = "GraphQL resolvers have to be async functions")]
#[ComplexObject]
impl FeatureFlagNode {
    /// The variant of a company, in the program that answers.
    async fn assignment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the company; `public` for requests without one.")] tenant: String,
    ) -> Result<FlagAssignmentNode> {
        let tenant = parse_value("tenant", &tenant, TenantId::try_new)?;
        let FlagAssignment { variant, reason } = from_context(ctx)?.assignment(&self.key, &tenant);
        Ok(FlagAssignmentNode { variant: variant.to_string(), reason: reason.into() })
    }
}

impl FeatureFlagNode {
    pub(super) fn new(record: FlagRecord, flags: &FeatureFlags) -> Self {
        let FlagRecord { key, state, version, changed_at, changed_by } = record;
        let definition = state.definition();
        let is_archived = matches!(state, FeatureFlag::Archived(_));
        let experiment = KnownExperiment::parse(key.as_str()).ok();
        Self {
            description: match (definition, experiment) {
                (Some(definition), _) => definition.description.to_string(),
                (None, Some(experiment)) => experiment.description().to_owned(),
                (None, None) => String::new(),
            },
            is_defined: definition.is_some(),
            is_archived,
            enabled: !is_archived && definition.is_some_and(|definition| definition.enabled),
            variants: definition.map(|definition| list_variants(&definition.variants)).unwrap_or_default(),
            overrides: definition
                .into_iter()
                .flat_map(|definition| &definition.overrides)
                .map(|(tenant, variant)| FlagOverrideNode { tenant: tenant.to_string(), variant: variant.to_string() })
                .collect(),
            pinned_variant: flags.pins().find(key.as_str()).map(ToString::to_string),
            key: key.to_string(),
            version,
            changed_at,
            changed_by: Some(changed_by).filter(|by| !by.is_empty()),
        }
    }
}

impl FeatureFlagChangeNode {
    pub(super) fn from_event(event: RawEnvelope) -> Result<Self> {
        let decoded: FeatureFlagEvent = event.decode().map_err(|error| error::internal(&error))?;
        Ok(Self {
            version: event.sequence,
            summary: decoded.summary(),
            reason: decoded.reason().map(ToString::to_string),
            kind: event.event_type,
            by: event.metadata.user_id,
            correlation_id: event.metadata.correlation_id,
            recorded_at: event.recorded_at,
        })
    }
}

impl From<AssignmentReason> for AssignmentReasonEnum {
    fn from(reason: AssignmentReason) -> Self {
        match reason {
            AssignmentReason::Pinned => Self::Pinned,
            AssignmentReason::Override => Self::Override,
            AssignmentReason::Weights => Self::Weights,
            AssignmentReason::Disabled => Self::Disabled,
            AssignmentReason::Undefined => Self::Undefined,
        }
    }
}

/// Parses a list of variants with their weights.
pub(super) fn parse_variants(field: &str, variants: Vec<FlagVariantInput>) -> Result<FlagVariants> {
    let parse = |FlagVariantInput { name, weight }| {
        Ok(FlagVariant { name: parse_value(field, &name, VariantName::try_new)?, weight })
    };
    let variants = variants.into_iter().map(parse).collect::<Result<Vec<_>>>()?;
    FlagVariants::try_new(variants).map_err(|reason| error::invalid_value(field, &reason))
}

/// The flags of the program that answers.
pub(super) fn from_context<'a>(ctx: &Context<'a>) -> Result<&'a FeatureFlags> {
    Ok(&error::require_context_data(ctx.data::<AppContext>())?.flags)
}

fn list_variants(variants: &FlagVariants) -> Vec<FlagVariantNode> {
    variants
        .iter()
        .map(|FlagVariant { name, weight }| FlagVariantNode { name: name.to_string(), weight: *weight })
        .collect()
}
