//! From what somebody shows to who they are.

use chrono::{DateTime, Utc};
use commands::{authority::Authority, bus::Sender, caller::Caller};
use domain::{
    clock::{Clock, SystemClock},
    company::Company,
    value::{TenantId, UserId},
};
use eventstore::store::PgStore;

use super::{
    Counted, Identity, LoginError, Unauthenticated,
    api_key::{ApiKeySecret, PREFIX},
    directory::Directory,
    jwt::{Named, Tokens},
    login::Login,
};
use crate::config::{AdminConfig, AuthConfig};

/// What somebody shows.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// The value of `Authorization`.
    pub authorization: Option<String>,
    /// The value of `X-Medhub-Tenant`: for whom a member of several companies acts.
    pub tenant: Option<String>,
}

/// Tells who somebody is.
#[derive(Clone)]
pub struct Authenticator {
    admin: AdminConfig,
    tokens: Tokens,
    directory: Directory,
    login: Login,
}

impl Authenticator {
    /// By these settings, over the companies that `store` knows.
    ///
    /// # Errors
    /// [`reqwest::Error`] when no client for the identity provider can be made.
    pub fn new(config: &AuthConfig, admin: &AdminConfig, store: PgStore<Company>) -> Result<Self, reqwest::Error> {
        Ok(Self {
            admin: admin.clone(),
            tokens: Tokens::new(config)?,
            directory: Directory::new(store, config.roster_cache()),
            login: Login::new(config),
        })
    }

    /// Who shows that; anonymous who shows nothing.
    ///
    /// # Errors
    /// [`Unauthenticated`] when what is shown tells nothing: it is never passed over.
    pub async fn identify(&self, shown: &Credentials) -> Result<Identity, Unauthenticated> {
        let Some(authorization) = &shown.authorization else { return Ok(Identity::anonymous()) };
        let (scheme, token) = authorization.split_once(' ').ok_or(Unauthenticated::Malformed)?;
        // The scheme's name has no case (RFC 9110, section 11.1).
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Unauthenticated::Malformed);
        }
        let token = token.trim();
        if self.admin.recognises(token) {
            return Ok(Identity::operator());
        }
        let tenant = shown.tenant.as_deref().map(TenantId::try_new).transpose();
        let tenant = tenant.map_err(|_| Unauthenticated::Tenant)?;
        if token.starts_with(PREFIX) { self.machine(token, tenant).await } else { self.person(token, tenant).await }
    }

    /// What somebody may now, who was identified before: a long connection asks again.
    ///
    /// # Errors
    /// [`Unauthenticated::Unavailable`] when the log does not answer.
    pub async fn authority_now(&self, identity: &Identity) -> Result<Authority, Unauthenticated> {
        match &identity.sender.authority {
            Authority::Anonymous | Authority::System => Ok(identity.sender.authority.clone()),
            Authority::Stranger | Authority::Member(_) => self.member(identity.tenant(), identity.user()).await,
            Authority::Machine(_) => {
                let company = self.directory.company(identity.tenant()).await?;
                let key = company.roster().and_then(|roster| {
                    let id = identity.user().as_str().strip_prefix("key:")?;
                    roster.valid_key(domain::company::ApiKeyId::parse(id).ok()?, SystemClock.now())
                });
                Ok(key.map_or(Authority::Anonymous, |key| Authority::Machine(key.scopes.clone())))
            }
        }
    }

    /// A company has changed: what it says counts at once.
    pub fn changed(&self, tenant: &TenantId) {
        self.directory.forget(tenant);
    }

    /// A token for development.
    ///
    /// # Errors
    /// [`LoginError::Off`] where the settings do not allow that.
    pub fn development_token(
        &self,
        user: &UserId,
        tenant: Option<&TenantId>,
    ) -> Result<(String, DateTime<Utc>), LoginError> {
        self.login.token(user, tenant, SystemClock.now())
    }

    async fn person(&self, token: &str, wanted: Option<TenantId>) -> Result<Identity, Unauthenticated> {
        let Named { user, tenant: named, expires_at } = self.tokens.read(token).await?;
        let tenant = match (named, wanted) {
            (Some(named), Some(wanted)) if named != wanted => return Err(Unauthenticated::Tenant),
            (named, wanted) => named.or(wanted).unwrap_or_else(TenantId::public),
        };
        let authority = self.member(&tenant, &user).await?;
        let counted = Counted::User(format!("{tenant}:{user}"));
        Ok(Identity {
            sender: Sender { caller: Caller::new(user, tenant), authority },
            is_operator: false,
            counted,
            expires_at,
        })
    }

    /// A role in a company that there is not, or to which somebody does not belong, is none: the two are not told apart.
    async fn member(&self, tenant: &TenantId, user: &UserId) -> Result<Authority, Unauthenticated> {
        if *tenant == TenantId::public() {
            return Ok(Authority::Stranger);
        }
        let company = self.directory.company(tenant).await?;
        let role = company.roster().and_then(|roster| roster.role_of(user));
        Ok(role.map_or(Authority::Stranger, Authority::Member))
    }

    async fn machine(&self, token: &str, wanted: Option<TenantId>) -> Result<Identity, Unauthenticated> {
        let shown = ApiKeySecret::parse(token).ok_or(Unauthenticated::Key)?;
        if wanted.is_some_and(|wanted| wanted != shown.tenant) {
            return Err(Unauthenticated::Tenant);
        }
        let company = self.directory.company(&shown.tenant).await?;
        let key = company.roster().and_then(|roster| roster.valid_key(shown.id, SystemClock.now()));
        let key = key.filter(|key| shown.is_of(&key.hash)).ok_or(Unauthenticated::Key)?;
        let user = UserId::try_new(&format!("key:{}", shown.id)).map_err(|_| Unauthenticated::Key)?;
        Ok(Identity {
            sender: Sender {
                caller: Caller::new(user, shown.tenant.clone()),
                authority: Authority::Machine(key.scopes.clone()),
            },
            is_operator: false,
            counted: Counted::Key(shown.id.to_string()),
            expires_at: key.expires_at,
        })
    }
}
