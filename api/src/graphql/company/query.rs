//! Queries of the caller's company and of the caller.

use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use commands::authorization::{CallerAuthority, RequiredAuthority};
use domain::{company as record, value::TenantId};

use super::node::{CompanyNode, RoleEnum, ScopeEnum};
use crate::graphql::{
    command_dispatch::{reading_tenant, request_identity},
    error, read_models,
};

/// Queries of the caller's company and of the caller.
#[derive(Default)]
pub(in crate::graphql) struct CompanyQuery;

#[expect(clippy::unused_async, reason = "GraphQL resolvers have to be async functions")]
#[Object]
impl CompanyQuery {
    /// Your company; null before it is registered.
    async fn company(&self, ctx: &Context<'_>) -> Result<Option<CompanyNode>> {
        let tenant = reading_tenant(ctx)?;
        let found = read_models::from_context(ctx)?.tenant_views().await?.get::<record::Company>(tenant, "").await;
        let is_admin = request_identity(ctx)?.sender.authority.permits(RequiredAuthority::AtLeast(record::Role::Admin));
        let found = found.map_err(|error| error::query_error(&error))?;
        Ok(found.and_then(|stored| CompanyNode::from_stored(tenant.as_str(), &stored, is_admin)))
    }

    /// The authenticated caller and its permissions; null for anonymous requests.
    async fn me(&self, ctx: &Context<'_>) -> Result<Option<CurrentPrincipal>> {
        let identity = request_identity(ctx)?;
        let (mut role, mut scopes) = (None, vec![]);
        match &identity.sender.authority {
            CallerAuthority::Anonymous => return Ok(None),
            CallerAuthority::WithoutCompany | CallerAuthority::System => {}
            CallerAuthority::Member(granted) => role = Some(RoleEnum::from(*granted)),
            CallerAuthority::Machine(granted) => {
                role = Some(RoleEnum::Service);
                scopes = granted.iter().map(ScopeEnum::from).collect();
            }
        }
        let tenant = identity.tenant();
        Ok(Some(CurrentPrincipal {
            user: identity.user().to_string(),
            tenant: (*tenant != TenantId::public()).then(|| tenant.to_string()),
            role,
            scopes,
            operator: identity.is_operator,
            expires_at: identity.expires_at,
        }))
    }
}

/// The authenticated caller.
#[derive(SimpleObject)]
#[graphql(name = "Me")]
struct CurrentPrincipal {
    /// User id; `key:<id>` for an API key.
    user: String,
    /// Company that the caller acts for.
    tenant: Option<String>,
    /// Role in that company; null for a caller that is not a member.
    role: Option<RoleEnum>,
    /// Scopes of the API key; empty for a person.
    scopes: Vec<ScopeEnum>,
    /// Whether the caller is an operator of the service.
    operator: bool,
    /// When the credentials expire.
    expires_at: Option<DateTime<Utc>>,
}
