//! Mutations of companies and their members, and sign-in for development.

use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use commands::{authorization::CallerAuthority, caller::Caller, dispatcher::CommandSender};
use domain::{
    company::{ClosingReason, Company, CompanyCommand, CompanyName},
    value::{TenantId, UserId},
};

use super::node::{CompanyProfileInput, RoleEnum};
use crate::{
    auth::{Authenticator, LoginError, Principal, SignOutError},
    graphql::{
        command_dispatch::{ChangeOutcome, dispatch_command, dispatch_command_as, request_identity},
        error,
        input_validation::{parse_optional, parse_value},
        precondition::{self, PreconditionsInput},
    },
    tenant_commands::DataOwner,
};

/// Tenant names that are reserved for data that belongs to no company.
const RESERVED_TENANTS: [&str; 3] = ["public", "system", "admin"];

/// Mutations of companies.
#[derive(Default)]
pub(super) struct CompanyAccountMutation;

/// A bearer token for development.
#[derive(SimpleObject)]
struct DevelopmentToken {
    /// The token, to send as `Authorization: Bearer ...`.
    token: String,
    /// When it expires.
    expires_at: DateTime<Utc>,
}

#[expect(clippy::unused_async, reason = "GraphQL resolvers have to be async functions")]
#[Object]
impl CompanyAccountMutation {
    /// Issues a token for any user. Only on development stacks, where it replaces an identity provider.
    async fn development_login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user to sign in as.")] user: String,
        #[graphql(desc = "The company to act for.")] tenant: Option<String>,
    ) -> Result<DevelopmentToken> {
        let user = parse_value("user", &user, UserId::try_new)?;
        let tenant = parse_optional("tenant", tenant, TenantId::try_new)?;
        let authenticator = error::require_context_data(ctx.data::<Authenticator>())?;
        match authenticator.issue_development_token(&user, tenant.as_ref()) {
            Ok((token, expires_at)) => Ok(DevelopmentToken { token, expires_at }),
            Err(error @ LoginError::Disabled) => Err(error::forbidden(&error.to_string())),
            Err(error @ LoginError::Signing(_)) => Err(error::internal(&error)),
        }
    }

    /// Revokes the bearer token of this request until it expires; returns true once the revocation is stored.
    async fn sign_out(&self, ctx: &Context<'_>) -> Result<bool> {
        let authenticator = error::require_context_data(ctx.data::<Authenticator>())?;
        match authenticator.sign_out(request_identity(ctx)?).await {
            Ok(()) => Ok(true),
            Err(error @ SignOutError::NoToken) => Err(error::forbidden(&error.to_string())),
            Err(error @ SignOutError::Unavailable(_)) => Err(error::unavailable(&error)),
        }
    }

    /// Registers a company; the caller becomes its admin. Requires a signed-in user.
    async fn register_company(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Short name, never changes: lower-case letters, digits and hyphens, at most 60 characters.")]
        tenant: String,
        #[graphql(desc = "Name, at most 200 characters.")] name: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let tenant = parse_value("tenant", &tenant, TenantId::try_new)?;
        if RESERVED_TENANTS.contains(&tenant.as_str()) {
            return Err(error::invalid_field("tenant", "this name is reserved".to_owned()));
        }
        let name = parse_value("name", &name, CompanyName::try_new)?;
        let founder = request_identity(ctx)?;
        // The company has no members yet, so its founder acts with the authority of a user without a company.
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
        let outcome =
            dispatch_command_as::<Company>(ctx, &acting, DataOwner::Company, &tenant, &conditions, register).await;
        error::require_context_data(ctx.data::<Authenticator>())?.invalidate_tenant(&tenant);
        outcome
    }

    /// Replaces your company's profile. Requires the role `ADMIN`.
    async fn change_company_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The complete new profile.")] profile: CompanyProfileInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let profile = Box::new(profile.into_profile()?);
        dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::ChangeProfile { profile, stamp }).await
    }

    /// Adds a member to your company. Requires the role `ADMIN`.
    async fn add_company_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "User id as the identity provider states it.")] user: String,
        #[graphql(desc = "The member's role.")] role: RoleEnum,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let user = parse_value("user", &user, UserId::try_new)?;
        dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::AddMember { user, role: role.into(), stamp })
            .await
    }

    /// Changes a member's role. Requires the role `ADMIN`.
    async fn change_company_role(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The member's user id.")] user: String,
        #[graphql(desc = "The new role.")] role: RoleEnum,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let user = parse_value("user", &user, UserId::try_new)?;
        dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::ChangeRole { user, role: role.into(), stamp })
            .await
    }

    /// Removes a member from your company. Requires the role `ADMIN`.
    async fn remove_company_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The member's user id.")] user: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let user = parse_value("user", &user, UserId::try_new)?;
        dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::RemoveMember { user, stamp }).await
    }

    /// Closes your company permanently. Requires the role `ADMIN`.
    async fn close_company(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Reason, at most 2,000 characters.")] reason: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let reason = parse_value("reason", &reason, ClosingReason::try_new)?;
        dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::Close { reason, stamp }).await
    }
}

/// Sends a command to the caller's company, and invalidates the cached roles and keys so that the change applies at
/// once.
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
