//! From what somebody shows to who they are.

use chrono::{DateTime, TimeDelta, Utc};
use commands::{authorization::CallerAuthority, caller::Caller, dispatcher::CommandSender};
use domain::{
    clock::{Clock, SystemClock},
    company::Company,
    value::{TenantId, UserId},
};
use eventstore::store::PgEventStore;
use projections::opportunity_views::RedisConfig;

use super::{
    AuthenticationError, AuthenticatorSetupError, LoginError, Principal, RateLimitSubject, SignOutError,
    api_key::{API_KEY_PREFIX, ApiKeySecret},
    company_cache::CompanyCache,
    development_login::DevelopmentLogin,
    known_keys::KnownKeys,
    signed_out_tokens::{SignedOutTokens, TokenId},
    token_verifier::{TokenSubject, TokenVerifier},
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
    tokens: TokenVerifier,
    companies: CompanyCache,
    development_login: DevelopmentLogin,
    signed_out: SignedOutTokens,
    known_keys: KnownKeys,
}

impl Authenticator {
    /// By these settings, over the companies that `store` knows and the tokens that `redis` knows to be signed out. Call
    /// it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`AuthenticatorSetupError`] when a client cannot be made, or when tokens of anybody's would count.
    pub fn new(
        config: &AuthConfig,
        admin: &AdminConfig,
        store: PgEventStore<Company>,
        redis: &RedisConfig,
    ) -> Result<Self, AuthenticatorSetupError> {
        if let Some(setting) = config.missing_claim_setting() {
            return Err(AuthenticatorSetupError::MissingClaimSetting { setting });
        }
        Ok(Self {
            signed_out: SignedOutTokens::new(redis, config.roster_cache())?,
            admin: admin.clone(),
            tokens: TokenVerifier::new(config)?,
            companies: CompanyCache::new(store, config.roster_cache()),
            development_login: DevelopmentLogin::new(config),
            known_keys: KnownKeys::default(),
        })
    }

    /// Who shows that, as far as it itself tells, without asking Postgres or Redis; anonymous who shows nothing.
    ///
    /// # Errors
    /// [`AuthenticationError`] when what is shown tells nothing: it is never passed over.
    pub async fn check_credentials(&self, shown: &Credentials) -> Result<CheckedCredentials, AuthenticationError> {
        let Some(authorization) = &shown.authorization else { return Ok(CheckedCredentials(CheckedClaim::Anonymous)) };
        let (scheme, token) = authorization.split_once(' ').ok_or(AuthenticationError::Malformed)?;
        // The scheme's name has no case (RFC 9110, section 11.1).
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AuthenticationError::Malformed);
        }
        let token = token.trim();
        if self.admin.is_operator_token(token) {
            return Ok(CheckedCredentials(CheckedClaim::Operator));
        }
        let wanted = shown.tenant.as_deref().map(TenantId::try_new).transpose();
        let wanted = wanted.map_err(|_| AuthenticationError::TenantMismatch)?;
        if token.starts_with(API_KEY_PREFIX) {
            let key = ApiKeySecret::parse(token).ok_or(AuthenticationError::InvalidKey)?;
            if wanted.is_some_and(|wanted| wanted != key.tenant) {
                return Err(AuthenticationError::TenantMismatch);
            }
            let is_known = self.known_keys.contains(&key);
            return Ok(CheckedCredentials(CheckedClaim::Machine { key, is_known }));
        }
        let TokenSubject { user, tenant: named, expires_at } = self.tokens.verify_token(token).await?;
        let tenant = match (named, wanted) {
            (Some(named), Some(wanted)) if named != wanted => return Err(AuthenticationError::TenantMismatch),
            (named, wanted) => named.or(wanted).unwrap_or_else(TenantId::public),
        };
        Ok(CheckedCredentials(CheckedClaim::Person { user, tenant, expires_at, token: TokenId::from_token(token) }))
    }

    /// What somebody may who was recognised, as their company and the signed out tokens say.
    ///
    /// # Errors
    /// [`AuthenticationError`] when the token was signed out, the key is none, or the log does not answer.
    pub async fn load_principal(&self, recognised: CheckedCredentials) -> Result<Principal, AuthenticationError> {
        match recognised.0 {
            CheckedClaim::Anonymous => Ok(Principal::anonymous()),
            CheckedClaim::Operator => Ok(Principal::operator()),
            CheckedClaim::Person { user, tenant, expires_at, token } => {
                self.load_user(user, tenant, expires_at, token).await
            }
            CheckedClaim::Machine { key, .. } => self.load_machine(key).await,
        }
    }

    /// What somebody may now, who was identified before: a long connection asks again.
    ///
    /// # Errors
    /// [`AuthenticationError::Unavailable`] when the log does not answer.
    pub async fn load_authority(&self, identity: &Principal) -> Result<CallerAuthority, AuthenticationError> {
        if let Some(token) = identity.token
            && self.signed_out.is_signed_out(token).await
        {
            return Ok(CallerAuthority::Anonymous);
        }
        match &identity.sender.authority {
            CallerAuthority::Anonymous | CallerAuthority::System => Ok(identity.sender.authority.clone()),
            CallerAuthority::WithoutCompany | CallerAuthority::Member(_) => {
                self.load_member_authority(identity.tenant(), identity.user()).await
            }
            CallerAuthority::Machine(_) => {
                let company = self.companies.load_company(identity.tenant()).await?;
                let key = company.as_registered().and_then(|roster| {
                    let id = identity.user().as_str().strip_prefix("key:")?;
                    roster.find_valid_key(domain::company::ApiKeyId::parse(id).ok()?, SystemClock.now())
                });
                Ok(key.map_or(CallerAuthority::Anonymous, |key| CallerAuthority::Machine(key.scopes.clone())))
            }
        }
    }

    /// Lets the token that somebody showed count no more, wherever it is shown from now on: in this process at once, in
    /// others as soon as they ask again.
    ///
    /// # Errors
    /// [`SignOutError`] when they showed none, or when it is not remembered.
    pub async fn sign_out(&self, identity: &Principal) -> Result<(), SignOutError> {
        let token = identity.token.ok_or(SignOutError::NoToken)?;
        let end = identity.expires_at.ok_or(SignOutError::NoToken)?;
        // A token may name an end as far away as a time can be.
        let until = TimeDelta::from_std(self.tokens.leeway()).ok().and_then(|leeway| end.checked_add_signed(leeway));
        Ok(self.signed_out.record_sign_out(token, until.unwrap_or(end)).await?)
    }

    /// A company has changed: what it says counts at once.
    pub fn invalidate_tenant(&self, tenant: &TenantId) {
        self.companies.invalidate(tenant);
    }

    /// A token for development.
    ///
    /// # Errors
    /// [`LoginError::Disabled`] where the settings do not allow that.
    pub fn issue_development_token(
        &self,
        user: &UserId,
        tenant: Option<&TenantId>,
    ) -> Result<(String, DateTime<Utc>), LoginError> {
        self.development_login.issue_token(user, tenant, SystemClock.now())
    }

    async fn load_user(
        &self,
        user: UserId,
        tenant: TenantId,
        expires_at: Option<DateTime<Utc>>,
        token: TokenId,
    ) -> Result<Principal, AuthenticationError> {
        if self.signed_out.is_signed_out(token).await {
            return Err(AuthenticationError::InvalidToken { reason: "it was signed out" });
        }
        let authority = self.load_member_authority(&tenant, &user).await?;
        let counted = RateLimitSubject::User(user.to_string());
        Ok(Principal {
            sender: CommandSender { caller: Caller::new(user, tenant), authority },
            is_operator: false,
            rate_limit_subject: counted,
            expires_at,
            token: Some(token),
        })
    }

    /// A role in a company that there is not, or to which somebody does not belong, is none: the two are not told apart.
    async fn load_member_authority(
        &self,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<CallerAuthority, AuthenticationError> {
        if *tenant == TenantId::public() {
            return Ok(CallerAuthority::WithoutCompany);
        }
        let company = self.companies.load_company(tenant).await?;
        let role = company.as_registered().and_then(|roster| roster.role_of(user));
        Ok(role.map_or(CallerAuthority::WithoutCompany, CallerAuthority::Member))
    }

    async fn load_machine(&self, shown: ApiKeySecret) -> Result<Principal, AuthenticationError> {
        let company = self.companies.load_company(&shown.tenant).await?;
        let key = company.as_registered().and_then(|roster| roster.find_valid_key(shown.id, SystemClock.now()));
        let Some(key) = key.filter(|key| shown.matches(&key.hash)) else {
            self.known_keys.forget(&shown);
            return Err(AuthenticationError::InvalidKey);
        };
        self.known_keys.remember(&shown);
        let user = UserId::try_new(&format!("key:{}", shown.id)).map_err(|_| AuthenticationError::InvalidKey)?;
        Ok(Principal {
            sender: CommandSender {
                caller: Caller::new(user, shown.tenant.clone()),
                authority: CallerAuthority::Machine(key.scopes.clone()),
            },
            is_operator: false,
            rate_limit_subject: RateLimitSubject::Key(shown.id.to_string()),
            expires_at: key.expires_at,
            token: None,
        })
    }
}

/// Somebody of whom is known what they show, and not yet what they may.
#[derive(Debug)]
pub struct CheckedCredentials(CheckedClaim);

#[derive(Debug)]
enum CheckedClaim {
    Anonymous,
    Operator,
    Person { user: UserId, tenant: TenantId, expires_at: Option<DateTime<Utc>>, token: TokenId },
    Machine { key: ApiKeySecret, is_known: bool },
}

impl CheckedCredentials {
    /// Whom limits count for before anything is looked up; `None` for a key that nobody here has seen to be good: whose it
    /// is only its company can tell, and nobody uses up the room of a key that they only name.
    pub fn rate_limit_subject(&self) -> Option<RateLimitSubject> {
        match &self.0 {
            CheckedClaim::Anonymous => Some(RateLimitSubject::Address),
            CheckedClaim::Operator => Some(RateLimitSubject::Unlimited),
            // A person is one caller, whatever company a header names.
            CheckedClaim::Person { user, .. } => Some(RateLimitSubject::User(user.to_string())),
            CheckedClaim::Machine { key, is_known } => is_known.then(|| RateLimitSubject::Key(key.id.to_string())),
        }
    }
}
