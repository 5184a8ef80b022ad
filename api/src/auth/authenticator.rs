//! Turns credentials into a principal.

use chrono::{DateTime, TimeDelta, Utc};
use commands::{authorization::CallerAuthority, caller::Caller, dispatcher::CommandSender};
use domain::{
    clock::{Clock, SystemClock},
    company::Company,
    value::{TenantId, UserId},
};
use eventstore::store::PgEventStore;
use projections::storage::redis::RedisConfig;

use super::{
    AuthenticationError, AuthenticatorSetupError, LoginError, Principal, RateLimitSubject, SignOutError,
    api_key::{API_KEY_PREFIX, ApiKeySecret},
    company_cache::CompanyCache,
    development_login::DevelopmentLogin,
    known_keys::KnownKeys,
    signed_out_tokens::{SignedOutTokens, TokenId},
    token_verifier::{TokenSubject, TokenVerifier},
    verified_tokens::VerifiedTokens,
};
use crate::config::{AdminConfig, AuthConfig};

/// Credentials of a request.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Value of `Authorization`.
    pub authorization: Option<String>,
    /// Value of `X-Medhub-Tenant`: the tenant that a member of several companies acts for.
    pub tenant: Option<String>,
}

/// Authenticates credentials and looks up authority.
#[derive(Clone)]
pub struct Authenticator {
    admin: AdminConfig,
    tokens: TokenVerifier,
    verified_tokens: VerifiedTokens,
    companies: CompanyCache,
    development_login: DevelopmentLogin,
    signed_out: SignedOutTokens,
    known_keys: KnownKeys,
}

impl Authenticator {
    /// Creates an authenticator with the companies in `store` and the signed-out tokens in `redis`. Call it inside a
    /// Tokio runtime.
    ///
    /// # Errors
    /// [`AuthenticatorSetupError`] when a client cannot be created, or when tokens for other services would be
    /// accepted.
    pub fn new(
        config: &AuthConfig,
        admin: &AdminConfig,
        store: PgEventStore<Company>,
        redis: &RedisConfig,
    ) -> Result<Self, AuthenticatorSetupError> {
        if let Some(setting) = config.missing_claim_setting() {
            return Err(AuthenticatorSetupError::MissingClaimSetting { setting });
        }
        let tokens = TokenVerifier::new(config)?;
        Ok(Self {
            signed_out: SignedOutTokens::new(redis, config.roster_cache())?,
            admin: admin.clone(),
            verified_tokens: VerifiedTokens::new(config.roster_cache(), tokens.leeway()),
            tokens,
            companies: CompanyCache::new(store, config.roster_cache()),
            development_login: DevelopmentLogin::new(config),
            known_keys: KnownKeys::default(),
        })
    }

    /// Verifies credentials as far as possible without Postgres or Redis. Without credentials the caller is anonymous.
    ///
    /// # Errors
    /// [`AuthenticationError`] for credentials that are not valid: they are never treated as anonymous.
    pub async fn check_credentials(
        &self,
        credentials: &Credentials,
    ) -> Result<CheckedCredentials, AuthenticationError> {
        let Some(authorization) = &credentials.authorization else {
            return Ok(CheckedCredentials(CheckedClaim::Anonymous));
        };
        let (scheme, token) = authorization.split_once(' ').ok_or(AuthenticationError::Malformed)?;
        // The scheme is case-insensitive (RFC 9110, section 11.1).
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AuthenticationError::Malformed);
        }
        let token = token.trim();
        if self.admin.is_operator_token(token) {
            return Ok(CheckedCredentials(CheckedClaim::Operator));
        }
        let requested_tenant = credentials.tenant.as_deref().map(TenantId::try_new).transpose();
        let requested_tenant = requested_tenant.map_err(|_| AuthenticationError::TenantMismatch)?;
        if token.starts_with(API_KEY_PREFIX) {
            let key = ApiKeySecret::parse(token).ok_or(AuthenticationError::InvalidKey)?;
            if requested_tenant.is_some_and(|requested| requested != key.tenant) {
                return Err(AuthenticationError::TenantMismatch);
            }
            let is_known = self.known_keys.contains(&key);
            return Ok(CheckedCredentials(CheckedClaim::Machine { key, is_known }));
        }
        let token_id = TokenId::from_token(token);
        let TokenSubject { user, tenant: token_tenant, expires_at } = self.verify_token(token, token_id).await?;
        let tenant = match (token_tenant, requested_tenant) {
            (Some(named), Some(requested)) if named != requested => return Err(AuthenticationError::TenantMismatch),
            (named, requested) => named.or(requested).unwrap_or_else(TenantId::public),
        };
        Ok(CheckedCredentials(CheckedClaim::Person { user, tenant, expires_at, token: token_id }))
    }

    async fn verify_token(&self, token: &str, id: TokenId) -> Result<TokenSubject, AuthenticationError> {
        if let Some(subject) = self.verified_tokens.find(id, SystemClock.now()) {
            return Ok(subject);
        }
        let subject = self.tokens.verify_token(token).await?;
        self.verified_tokens.insert(id, subject.clone());
        Ok(subject)
    }

    /// Returns the principal of verified credentials, with the authority that its company grants.
    ///
    /// # Errors
    /// [`AuthenticationError`] when the token was signed out, the key is not valid, or the event store is unavailable.
    pub async fn load_principal(&self, checked: CheckedCredentials) -> Result<Principal, AuthenticationError> {
        match checked.0 {
            CheckedClaim::Anonymous => Ok(Principal::anonymous()),
            CheckedClaim::Operator => Ok(Principal::operator()),
            CheckedClaim::Person { user, tenant, expires_at, token } => {
                self.load_user(user, tenant, expires_at, token).await
            }
            CheckedClaim::Machine { key, .. } => self.load_machine(key).await,
        }
    }

    /// Returns the current authority of a principal; long connections check it again.
    ///
    /// # Errors
    /// [`AuthenticationError::Unavailable`] when the event store is unavailable.
    pub async fn load_authority(&self, principal: &Principal) -> Result<CallerAuthority, AuthenticationError> {
        if let Some(token) = principal.token
            && self.signed_out.is_signed_out(token).await
        {
            return Ok(CallerAuthority::Anonymous);
        }
        match &principal.sender.authority {
            CallerAuthority::Anonymous | CallerAuthority::System => Ok(principal.sender.authority.clone()),
            CallerAuthority::WithoutCompany | CallerAuthority::Member(_) => {
                self.load_member_authority(principal.tenant(), principal.user()).await
            }
            CallerAuthority::Machine(_) => {
                let company = self.companies.load_company(principal.tenant()).await?;
                let key = company.as_registered().and_then(|roster| {
                    let id = principal.user().as_str().strip_prefix("key:")?;
                    roster.find_valid_key(domain::company::ApiKeyId::parse(id).ok()?, SystemClock.now())
                });
                Ok(key.map_or(CallerAuthority::Anonymous, |key| CallerAuthority::Machine(key.scopes.clone())))
            }
        }
    }

    /// Signs out the principal's token: it is rejected from now on, in this process at once, in others when their
    /// cached lookup expires.
    ///
    /// # Errors
    /// [`SignOutError`] when there is no token, or when the sign-out cannot be stored.
    pub async fn sign_out(&self, principal: &Principal) -> Result<(), SignOutError> {
        let token = principal.token.ok_or(SignOutError::NoToken)?;
        let end = principal.expires_at.ok_or(SignOutError::NoToken)?;
        // A token's expiry may be as late as a time can be.
        let until = TimeDelta::from_std(self.tokens.leeway()).ok().and_then(|leeway| end.checked_add_signed(leeway));
        Ok(self.signed_out.record_sign_out(token, until.unwrap_or(end)).await?)
    }

    /// Discards the cached state of a company that has changed, so that the change is effective at once.
    pub fn invalidate_tenant(&self, tenant: &TenantId) {
        self.companies.invalidate(tenant);
    }

    /// Issues a token for development.
    ///
    /// # Errors
    /// [`LoginError::Disabled`] unless the configuration enables the development login.
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
        let rate_limit_subject = RateLimitSubject::User(user.to_string());
        Ok(Principal {
            sender: CommandSender { caller: Caller::new(user, tenant), authority },
            is_operator: false,
            rate_limit_subject,
            expires_at,
            token: Some(token),
        })
    }

    /// Returns the user's role in a company. An unknown company and one without this member give the same result.
    async fn load_member_authority(
        &self,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<CallerAuthority, AuthenticationError> {
        if *tenant == TenantId::public() {
            return Ok(CallerAuthority::WithoutCompany);
        }
        let company = self.companies.load_company(tenant).await?;
        let role = company.as_registered().and_then(|roster| roster.find_role(user));
        Ok(role.map_or(CallerAuthority::WithoutCompany, CallerAuthority::Member))
    }

    async fn load_machine(&self, presented: ApiKeySecret) -> Result<Principal, AuthenticationError> {
        let company = self.companies.load_company(&presented.tenant).await?;
        let key = company.as_registered().and_then(|roster| roster.find_valid_key(presented.id, SystemClock.now()));
        let Some(key) = key.filter(|key| presented.matches(&key.hash)) else {
            self.known_keys.remove(&presented);
            return Err(AuthenticationError::InvalidKey);
        };
        self.known_keys.insert(&presented);
        let user = UserId::try_new(&format!("key:{}", presented.id)).map_err(|_| AuthenticationError::InvalidKey)?;
        Ok(Principal {
            sender: CommandSender {
                caller: Caller::new(user, presented.tenant.clone()),
                authority: CallerAuthority::Machine(key.scopes.clone()),
            },
            is_operator: false,
            rate_limit_subject: RateLimitSubject::Key(presented.id.to_string()),
            expires_at: key.expires_at,
            token: None,
        })
    }
}

/// Verified credentials whose authority is not looked up yet.
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
    /// Returns the subject of the rate limit before any lookup. `None` for a key that is not known to be valid: that
    /// requires a lookup of its company, and a caller must not use up the limit of a key without its secret.
    pub fn rate_limit_subject(&self) -> Option<RateLimitSubject> {
        match &self.0 {
            CheckedClaim::Anonymous => Some(RateLimitSubject::Address),
            CheckedClaim::Operator => Some(RateLimitSubject::Unlimited),
            // A user is one caller for all companies that headers name.
            CheckedClaim::Person { user, .. } => Some(RateLimitSubject::User(user.to_string())),
            CheckedClaim::Machine { key, is_known } => is_known.then(|| RateLimitSubject::Key(key.id.to_string())),
        }
    }
}
