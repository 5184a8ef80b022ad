//! Reading about companies, and about oneself.

use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use commands::authorization::{CallerAuthority, RequiredAuthority};
use domain::{company as record, value::TenantId};

use super::node::{CompanyNode, RoleEnum, ScopeEnum};
use crate::graphql::{
    command_dispatch::{reading_tenant, request_identity},
    error, read_models,
};

/// The company, and who asks.
#[derive(Default)]
pub(in crate::graphql) struct CompanyQuery;

#[expect(clippy::unused_async, reason = "fields of GraphQL are answered by async functions")]
#[Object]
impl CompanyQuery {
    /// Your company; null before it is registered.
    async fn company(&self, ctx: &Context<'_>) -> Result<Option<CompanyNode>> {
        let tenant = reading_tenant(ctx)?;
        let found = read_models::from_context(ctx)?.tenant_views().await?.get::<record::Company>(tenant, "").await;
        let runs_it = request_identity(ctx)?.sender.authority.permits(RequiredAuthority::AtLeast(record::Role::Admin));
        let found = found.map_err(|error| error::query_error(&error))?;
        Ok(found.and_then(|kept| CompanyNode::from_stored(tenant.as_str(), &kept, runs_it)))
    }

    /// Who you are and what you may, as the service sees it; null for who shows nothing.
    async fn me(&self, ctx: &Context<'_>) -> Result<Option<CurrentPrincipal>> {
        let identity = request_identity(ctx)?;
        let (mut role, mut scopes) = (None, vec![]);
        match &identity.sender.authority {
            CallerAuthority::Anonymous => return Ok(None),
            CallerAuthority::WithoutCompany | CallerAuthority::System => {}
            CallerAuthority::Member(own) => role = Some(RoleEnum::from(*own)),
            CallerAuthority::Machine(own) => {
                role = Some(RoleEnum::Service);
                scopes = own.iter().map(ScopeEnum::from).collect();
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

/// Somebody who asks.
#[derive(SimpleObject)]
#[graphql(name = "Me")]
struct CurrentPrincipal {
    /// Who it is.
    user: String,
    /// The company that they act for.
    tenant: Option<String>,
    /// What they may do for it; null for who does not belong to it.
    role: Option<RoleEnum>,
    /// What a machine's key lets it do.
    scopes: Vec<ScopeEnum>,
    /// Whether they operate the service.
    operator: bool,
    /// Until when what they showed counts.
    expires_at: Option<DateTime<Utc>>,
}
