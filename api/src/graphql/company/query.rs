//! Reading about companies, and about oneself.

use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use commands::authority::{Authority, Need};
use domain::{company as record, value::TenantId};

use super::view::{Company, Role, Scope};
use crate::graphql::{
    error,
    outcome::{identity, reader},
    reading,
};

/// The company, and who asks.
#[derive(Default)]
pub(in crate::graphql) struct CompanyQuery;

#[expect(clippy::unused_async, reason = "fields of GraphQL are answered by async functions")]
#[Object]
impl CompanyQuery {
    /// Your company; null before it is registered.
    async fn company(&self, ctx: &Context<'_>) -> Result<Option<Company>> {
        let tenant = reader(ctx)?;
        let found = reading::of(ctx)?.workspace().await?.get::<record::Company>(tenant, "").await;
        let runs_it = identity(ctx)?.sender.authority.suffices(Need::AtLeast(record::Role::Admin));
        let found = found.map_err(|error| error::query(&error))?;
        Ok(found.and_then(|kept| Company::of(tenant.as_str(), &kept, runs_it)))
    }

    /// Who you are and what you may, as the service sees it; null for who shows nothing.
    async fn me(&self, ctx: &Context<'_>) -> Result<Option<Me>> {
        let identity = identity(ctx)?;
        let (mut role, mut scopes) = (None, vec![]);
        match &identity.sender.authority {
            Authority::Anonymous => return Ok(None),
            Authority::Stranger | Authority::System => {}
            Authority::Member(own) => role = Some(Role::from(*own)),
            Authority::Machine(own) => {
                role = Some(Role::Service);
                scopes = own.iter().map(Scope::from).collect();
            }
        }
        let tenant = identity.tenant();
        Ok(Some(Me {
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
struct Me {
    /// Who it is.
    user: String,
    /// The company that they act for.
    tenant: Option<String>,
    /// What they may do for it; null for who does not belong to it.
    role: Option<Role>,
    /// What a machine's key lets it do.
    scopes: Vec<Scope>,
    /// Whether they operate the service.
    operator: bool,
    /// Until when what they showed counts.
    expires_at: Option<DateTime<Utc>>,
}
