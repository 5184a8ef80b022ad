//! From what somebody shows to who they are.

use chrono::{DateTime, TimeDelta, Utc};
use commands::{authority::Authority, bus::Sender, caller::Caller};
use domain::{
    clock::{Clock, SystemClock},
    company::Company,
    value::{TenantId, UserId},
};
use eventstore::store::PgStore;
use projections::views::ViewsConfig;

use super::{
    Counted, Identity, LoginError, SetupError, SignOutError, Unauthenticated,
    api_key::{ApiKeySecret, PREFIX},
    directory::Directory,
    jwt::{Named, Tokens},
    known_keys::KnownKeys,
    login::Login,
    signed_out::{SignedOut, TokenId},
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
    signed_out: SignedOut,
    known_keys: KnownKeys,
}

impl Authenticator {
    /// By these settings, over the companies that `store` knows and the tokens that `redis` knows to be signed out. Call
    /// it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`SetupError`] when a client cannot be made, or when tokens of anybody's would count.
    pub fn new(
        config: &AuthConfig,
        admin: &AdminConfig,
        store: PgStore<Company>,
        redis: &ViewsConfig,
    ) -> Result<Self, SetupError> {
        if let Some(setting) = config.missing_bound() {
            return Err(SetupError::Unbound { setting });
        }
        Ok(Self {
            signed_out: SignedOut::new(redis, config.roster_cache())?,
            admin: admin.clone(),
            tokens: Tokens::new(config)?,
            directory: Directory::new(store, config.roster_cache()),
            login: Login::new(config),
            known_keys: KnownKeys::default(),
        })
    }

    /// Who shows that, as far as it itself tells, without asking Postgres or Redis; anonymous who shows nothing.
    ///
    /// # Errors
    /// [`Unauthenticated`] when what is shown tells nothing: it is never passed over.
    pub async fn recognise(&self, shown: &Credentials) -> Result<RecognisedCaller, Unauthenticated> {
        let Some(authorization) = &shown.authorization else { return Ok(RecognisedCaller(CallerClaim::Anonymous)) };
        let (scheme, token) = authorization.split_once(' ').ok_or(Unauthenticated::Malformed)?;
        // The scheme's name has no case (RFC 9110, section 11.1).
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Unauthenticated::Malformed);
        }
        let token = token.trim();
        if self.admin.recognises(token) {
            return Ok(RecognisedCaller(CallerClaim::Operator));
        }
        let wanted = shown.tenant.as_deref().map(TenantId::try_new).transpose();
        let wanted = wanted.map_err(|_| Unauthenticated::Tenant)?;
        if token.starts_with(PREFIX) {
            let key = ApiKeySecret::parse(token).ok_or(Unauthenticated::Key)?;
            if wanted.is_some_and(|wanted| wanted != key.tenant) {
                return Err(Unauthenticated::Tenant);
            }
            let is_known = self.known_keys.has(&key);
            return Ok(RecognisedCaller(CallerClaim::Machine { key, is_known }));
        }
        let Named { user, tenant: named, expires_at } = self.tokens.read(token).await?;
        let tenant = match (named, wanted) {
            (Some(named), Some(wanted)) if named != wanted => return Err(Unauthenticated::Tenant),
            (named, wanted) => named.or(wanted).unwrap_or_else(TenantId::public),
        };
        Ok(RecognisedCaller(CallerClaim::Person { user, tenant, expires_at, token: TokenId::of(token) }))
    }

    /// What somebody may who was recognised, as their company and the signed out tokens say.
    ///
    /// # Errors
    /// [`Unauthenticated`] when the token was signed out, the key is none, or the log does not answer.
    pub async fn look_up(&self, recognised: RecognisedCaller) -> Result<Identity, Unauthenticated> {
        match recognised.0 {
            CallerClaim::Anonymous => Ok(Identity::anonymous()),
            CallerClaim::Operator => Ok(Identity::operator()),
            CallerClaim::Person { user, tenant, expires_at, token } => {
                self.person(user, tenant, expires_at, token).await
            }
            CallerClaim::Machine { key, .. } => self.machine(key).await,
        }
    }

    /// What somebody may now, who was identified before: a long connection asks again.
    ///
    /// # Errors
    /// [`Unauthenticated::Unavailable`] when the log does not answer.
    pub async fn authority_now(&self, identity: &Identity) -> Result<Authority, Unauthenticated> {
        if let Some(token) = identity.token
            && self.signed_out.has(token).await
        {
            return Ok(Authority::Anonymous);
        }
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

    /// Lets the token that somebody showed count no more, wherever it is shown from now on: in this process at once, in
    /// others as soon as they ask again.
    ///
    /// # Errors
    /// [`SignOutError`] when they showed none, or when it is not remembered.
    pub async fn sign_out(&self, identity: &Identity) -> Result<(), SignOutError> {
        let token = identity.token.ok_or(SignOutError::NoToken)?;
        let end = identity.expires_at.ok_or(SignOutError::NoToken)?;
        // A token may name an end as far away as a time can be.
        let until = TimeDelta::from_std(self.tokens.leeway()).ok().and_then(|leeway| end.checked_add_signed(leeway));
        Ok(self.signed_out.add(token, until.unwrap_or(end)).await?)
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

    async fn person(
        &self,
        user: UserId,
        tenant: TenantId,
        expires_at: Option<DateTime<Utc>>,
        token: TokenId,
    ) -> Result<Identity, Unauthenticated> {
        if self.signed_out.has(token).await {
            return Err(Unauthenticated::Token { reason: "it was signed out" });
        }
        let authority = self.member(&tenant, &user).await?;
        let counted = Counted::User(user.to_string());
        Ok(Identity {
            sender: Sender { caller: Caller::new(user, tenant), authority },
            is_operator: false,
            counted,
            expires_at,
            token: Some(token),
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

    async fn machine(&self, shown: ApiKeySecret) -> Result<Identity, Unauthenticated> {
        let company = self.directory.company(&shown.tenant).await?;
        let key = company.roster().and_then(|roster| roster.valid_key(shown.id, SystemClock.now()));
        let Some(key) = key.filter(|key| shown.is_of(&key.hash)) else {
            self.known_keys.forget(&shown);
            return Err(Unauthenticated::Key);
        };
        self.known_keys.remember(&shown);
        let user = UserId::try_new(&format!("key:{}", shown.id)).map_err(|_| Unauthenticated::Key)?;
        Ok(Identity {
            sender: Sender {
                caller: Caller::new(user, shown.tenant.clone()),
                authority: Authority::Machine(key.scopes.clone()),
            },
            is_operator: false,
            counted: Counted::Key(shown.id.to_string()),
            expires_at: key.expires_at,
            token: None,
        })
    }
}

/// Somebody of whom is known what they show, and not yet what they may.
#[derive(Debug)]
pub struct RecognisedCaller(CallerClaim);

#[derive(Debug)]
enum CallerClaim {
    Anonymous,
    Operator,
    Person { user: UserId, tenant: TenantId, expires_at: Option<DateTime<Utc>>, token: TokenId },
    Machine { key: ApiKeySecret, is_known: bool },
}

impl RecognisedCaller {
    /// Whom limits count for before anything is looked up; `None` for a key that nobody here has seen to be good: whose it
    /// is only its company can tell, and nobody uses up the room of a key that they only name.
    pub fn counted(&self) -> Option<Counted> {
        match &self.0 {
            CallerClaim::Anonymous => Some(Counted::Address),
            CallerClaim::Operator => Some(Counted::Nobody),
            // A person is one caller, whatever company a header names.
            CallerClaim::Person { user, .. } => Some(Counted::User(user.to_string())),
            CallerClaim::Machine { key, is_known } => is_known.then(|| Counted::Key(key.id.to_string())),
        }
    }
}
