//! Mutations of feature flags.

use async_graphql::{Context, Object, Result};
use domain::{
    feature_flag::{
        FeatureFlag, FeatureFlagCommand, FlagDescription, FlagKey, FlagReason, FlagVariants, KnownExperiment,
        VariantName,
    },
    value::{AuditStamp, TenantId},
};

use super::node::{self, FlagVariantInput};
use crate::{
    app_context::AppContext,
    graphql::{
        command_dispatch::{ChangeOutcome, dispatch_command_as, request_identity},
        error,
        input_validation::parse_value,
        precondition::{self, PreconditionsInput},
        projection::guard::OperatorOnly,
    },
    tenant_commands::DataOwner,
};

/// Mutations of feature flags. Every program follows them within a second.
#[derive(Default)]
pub(in crate::graphql) struct FeatureFlagMutation;

#[Object]
impl FeatureFlagMutation {
    /// Defines a feature flag, or defines an archived one again. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn define_feature_flag(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Key: lower-case letters, digits, hyphens and dots, e.g. `search.ranking`.")] key: String,
        #[graphql(desc = "What it is for, at most 500 characters.")] description: String,
        #[graphql(desc = "2 to 20 variants, the control first; by default `off` and `on`.")] variants: Option<
            Vec<FlagVariantInput>,
        >,
        #[graphql(default = false, desc = "Whether companies are assigned by the weights at once.")] enabled: bool,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let description = parse_value("description", &description, FlagDescription::try_new)?;
        let variants = variants.map(|variants| node::parse_variants("variants", variants)).transpose()?;
        let variants = variants.unwrap_or_else(FlagVariants::plain);
        check_variants(ctx, &key, &variants)?;
        let define = |stamp| FeatureFlagCommand::Define { description, variants, enabled, stamp };
        dispatch_flag_command(ctx, &key, conditions, define).await
    }

    /// Enables or disables a feature flag. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn switch_feature_flag(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The flag's key.")] key: String,
        #[graphql(desc = "Whether companies are assigned by the weights.")] enabled: bool,
        #[graphql(desc = "Why, at most 500 characters.")] reason: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let reason = parse_reason(&reason)?;
        let switch = |stamp| FeatureFlagCommand::Switch { enabled, reason, stamp };
        dispatch_flag_command(ctx, &key, conditions, switch).await
    }

    /// Replaces the variants of a feature flag and their weights; the control stays. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn change_flag_variants(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The flag's key.")] key: String,
        #[graphql(desc = "All variants, the control first.")] variants: Vec<FlagVariantInput>,
        #[graphql(desc = "Why, at most 500 characters.")] reason: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (variants, reason) = (node::parse_variants("variants", variants)?, parse_reason(&reason)?);
        check_variants(ctx, &key, &variants)?;
        let change = |stamp| FeatureFlagCommand::ChangeVariants { variants, reason, stamp };
        dispatch_flag_command(ctx, &key, conditions, change).await
    }

    /// Gives a company a variant, regardless of the weights. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn set_flag_override(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The flag's key.")] key: String,
        #[graphql(desc = "Id of the company; it need not exist yet.")] tenant: String,
        #[graphql(desc = "Name of the variant.")] variant: String,
        #[graphql(desc = "Why, at most 500 characters.")] reason: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let tenant = parse_value("tenant", &tenant, TenantId::try_new)?;
        let (variant, reason) = (parse_value("variant", &variant, VariantName::try_new)?, parse_reason(&reason)?);
        let set = |stamp| FeatureFlagCommand::SetOverride { tenant, variant, reason, stamp };
        dispatch_flag_command(ctx, &key, conditions, set).await
    }

    /// Assigns a company by the weights again. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn remove_flag_override(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The flag's key.")] key: String,
        #[graphql(desc = "Id of the company.")] tenant: String,
        #[graphql(desc = "Why, at most 500 characters.")] reason: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (tenant, reason) = (parse_value("tenant", &tenant, TenantId::try_new)?, parse_reason(&reason)?);
        let remove = |stamp| FeatureFlagCommand::RemoveOverride { tenant, reason, stamp };
        dispatch_flag_command(ctx, &key, conditions, remove).await
    }

    /// Ends the use of a feature flag: everybody has the control. It can be defined again. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn archive_feature_flag(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The flag's key.")] key: String,
        #[graphql(desc = "Why, at most 500 characters.")] reason: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let reason = parse_reason(&reason)?;
        dispatch_flag_command(ctx, &key, conditions, |stamp| FeatureFlagCommand::Archive { reason, stamp }).await
    }
}

fn check_variants(ctx: &Context<'_>, key: &str, variants: &FlagVariants) -> Result<()> {
    let key = parse_value("key", key, FlagKey::try_new)?;
    let configured = &error::require_context_data(ctx.data::<AppContext>())?.configured_variants;
    let checked = KnownExperiment::check_variants(&key, variants, configured);
    checked.map_err(|reason| error::invalid_value("variants", &reason))
}

fn parse_reason(reason: &str) -> Result<FlagReason> {
    parse_value("reason", reason, FlagReason::try_new)
}

/// Sends a command to a flag, and reads the flags of this program again.
async fn dispatch_flag_command(
    ctx: &Context<'_>,
    key: &str,
    conditions: Option<PreconditionsInput>,
    command: impl FnOnce(AuditStamp) -> FeatureFlagCommand + Send,
) -> Result<ChangeOutcome> {
    let conditions = precondition::parse_preconditions(ctx, conditions)?;
    let key = parse_value("key", key, FlagKey::try_new)?;
    let (operator, owner) = (request_identity(ctx)?, DataOwner::Public);
    let outcome = dispatch_command_as::<FeatureFlag>(ctx, operator, owner, key, &conditions, command).await?;
    if let Err(error) = node::from_context(ctx)?.refresh().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a changed feature flag takes effect later");
    }
    Ok(outcome)
}
