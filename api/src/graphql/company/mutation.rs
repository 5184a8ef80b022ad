//! Changing companies, and who belongs to them.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use commands::{authorization::CallerAuthority, caller::Caller, dispatcher::CommandSender};
use domain::{
    company::{CageCode, CapabilityText, ClosingReason, Company, CompanyCommand, CompanyName, CompanyProfile, Uei},
    opportunity::{NaicsCode, SetAside},
    value::{TenantId, UserId},
};

use super::node::RoleEnum;
use crate::{
    auth::{Authenticator, LoginError, Principal, SignOutError},
    graphql::{
        command_dispatch::{ChangeOutcome, dispatch_command, dispatch_command_as, request_identity},
        error,
        input_validation::{parse_optional, parse_value},
        precondition::{self, PreconditionsInput},
    },
};

/// Names that no company can have: they stand for what is nobody's.
const RESERVED_TENANTS: [&str; 3] = ["public", "system", "admin"];

/// Changes companies.
#[derive(Default)]
pub(super) struct CompanyAccountMutation;

/// What a company is to be like.
#[derive(InputObject)]
struct CompanyProfileInput {
    /// What it is called, at most 200 characters.
    name: String,
    /// What it can do, in its own words, at most 20,000 characters.
    capabilities: Option<String>,
    /// The industries it is in, by NAICS codes, at most 100.
    #[graphql(default)]
    naics: Vec<String>,
    /// The set-asides it is eligible for, by their codes, at most 30.
    #[graphql(default)]
    set_asides: Vec<String>,
    /// The Unique Entity ID by which SAM.gov knows it.
    uei: Option<String>,
    /// Its CAGE code.
    cage: Option<String>,
}

/// A token for development.
#[derive(SimpleObject)]
struct DevelopmentToken {
    /// To be sent as `Authorization: Bearer ...`.
    token: String,
    /// Until when it counts.
    expires_at: DateTime<Utc>,
}

#[expect(clippy::unused_async, reason = "fields of GraphQL are answered by async functions")]
#[Object]
impl CompanyAccountMutation {
    /// A token for anybody you name: on development stacks only, where it takes the place of an identity provider.
    async fn development_login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who you want to be.")] user: String,
        #[graphql(desc = "The company that you want to act for.")] tenant: Option<String>,
    ) -> Result<DevelopmentToken> {
        let user = parse_value("user", &user, UserId::try_new)?;
        let tenant = parse_optional("tenant", tenant, TenantId::try_new)?;
        let authenticator = error::require_context_data(ctx.data::<Authenticator>())?;
        match authenticator.issue_development_token(&user, tenant.as_ref()) {
            Ok((token, expires_at)) => Ok(DevelopmentToken { token, expires_at }),
            Err(off @ LoginError::Disabled) => Err(error::forbidden(&off.to_string())),
            Err(failed @ LoginError::Signing(_)) => Err(error::internal(&failed)),
        }
    }

    /// Let the token that you show count no more, as long as it would have; true when that is remembered.
    async fn sign_out(&self, ctx: &Context<'_>) -> Result<bool> {
        let authenticator = error::require_context_data(ctx.data::<Authenticator>())?;
        match authenticator.sign_out(request_identity(ctx)?).await {
            Ok(()) => Ok(true),
            Err(none @ SignOutError::NoToken) => Err(error::forbidden(&none.to_string())),
            Err(away @ SignOutError::Unavailable(_)) => Err(error::unavailable(&away)),
        }
    }

    /// Register a company that you run from then on; whoever is signed in may.
    async fn register_company(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its short name, which never changes: lower-case letters, digits and hyphens, at most 60.")]
        tenant: String,
        #[graphql(desc = "What it is called, at most 200 characters.")] name: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let tenant = parse_value("tenant", &tenant, TenantId::try_new)?;
        if RESERVED_TENANTS.contains(&tenant.as_str()) {
            return Err(error::invalid_field("tenant", "this name is taken".to_owned()));
        }
        let name = parse_value("name", &name, CompanyName::try_new)?;
        let founder = request_identity(ctx)?;
        // Nobody belongs to what is not there yet: who founds it acts for it as one who is signed in.
        let authority = match &founder.sender.authority {
            CallerAuthority::Member(_) | CallerAuthority::WithoutCompany => CallerAuthority::WithoutCompany,
            other @ (CallerAuthority::Anonymous | CallerAuthority::Machine(_) | CallerAuthority::System) => {
                other.clone()
            }
        };
        let Caller { user_id, correlation_id, causation_id, .. } = founder.sender.caller.clone();
        let caller = Caller { user_id, tenant_id: tenant.clone(), correlation_id, causation_id };
        let acting = Principal { sender: CommandSender { caller, authority }, ..founder.clone() };
        let user = founder.user().clone();
        let register = |stamp| CompanyCommand::Register { name, founder: user, stamp };
        let outcome = dispatch_command_as::<Company>(ctx, &acting, &tenant, &conditions, register).await;
        error::require_context_data(ctx.data::<Authenticator>())?.invalidate_tenant(&tenant);
        outcome
    }

    /// Change what your company is like; admins may.
    async fn change_company_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "All that it is like from then on.")] profile: CompanyProfileInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let codes = |naics: &String| parse_value("profile.naics", naics, NaicsCode::try_new);
        let set_asides = |code: &String| parse_value("profile.setAsides", code, SetAside::try_new);
        let profile = CompanyProfile {
            name: parse_value("profile.name", &profile.name, CompanyName::try_new)?,
            capabilities: parse_optional("profile.capabilities", profile.capabilities, CapabilityText::try_new)?,
            naics: profile.naics.iter().map(codes).collect::<Result<_>>()?,
            set_asides: profile.set_asides.iter().map(set_asides).collect::<Result<_>>()?,
            uei: parse_optional("profile.uei", profile.uei, Uei::try_new)?,
            cage: parse_optional("profile.cage", profile.cage, CageCode::try_new)?,
        };
        let profile = Box::new(profile.validate().map_err(|reason| error::invalid_value("profile", &reason))?);
        dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::ChangeProfile { profile, stamp }).await
    }

    /// Let somebody belong to your company; admins may.
    async fn add_company_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who, as the identity provider names them.")] user: String,
        #[graphql(desc = "What they may do.")] role: RoleEnum,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let user = parse_value("user", &user, UserId::try_new)?;
        dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::AddMember { user, role: role.into(), stamp })
            .await
    }

    /// Let a member do something else; admins may.
    async fn change_company_role(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who.")] user: String,
        #[graphql(desc = "What they may do from then on.")] role: RoleEnum,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let user = parse_value("user", &user, UserId::try_new)?;
        dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::ChangeRole { user, role: role.into(), stamp })
            .await
    }

    /// Let somebody no longer belong to your company; admins may.
    async fn remove_company_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who.")] user: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let user = parse_value("user", &user, UserId::try_new)?;
        dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::RemoveMember { user, stamp }).await
    }

    /// Let your company no longer use the platform, for good; admins may.
    async fn close_company(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Why, at most 2,000 characters.")] reason: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let reason = parse_value("reason", &reason, ClosingReason::try_new)?;
        dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::Close { reason, stamp }).await
    }
}

/// Changes the caller's company; what it says about roles and keys counts at once.
pub(super) async fn dispatch_company_command(
    ctx: &Context<'_>,
    conditions: Option<PreconditionsInput>,
    command: impl FnOnce(domain::value::AuditStamp) -> CompanyCommand + Send,
) -> Result<ChangeOutcome> {
    let conditions = precondition::parse_preconditions(ctx, conditions)?;
    let tenant = request_identity(ctx)?.tenant().clone();
    let outcome = dispatch_command::<Company>(ctx, &tenant, &conditions, command).await;
    error::require_context_data(ctx.data::<Authenticator>())?.invalidate_tenant(&tenant);
    outcome
}
