//! API keys, with which machines act for a company.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::company::{ApiKey, ApiKeyId, CompanyCommand, KeyName, ScopeSet};
use uuid::Uuid;

use super::{mutation::dispatch_company_command, node::ScopeEnum};
use crate::{
    auth::ApiKeySecret,
    graphql::{
        command_dispatch::{ChangeOutcome, request_identity},
        error,
        input_validation::{parse_value, validate_optional_time},
        precondition::PreconditionsInput,
    },
};

/// Mutations of API keys.
#[derive(Default)]
pub(super) struct ApiKeyMutation;

/// An API key to issue.
#[derive(InputObject)]
struct IssueApiKeyInput {
    /// Name, at most 100 characters, unique among the company's keys.
    name: String,
    /// Scopes, at least one.
    scopes: Vec<ScopeEnum>,
    /// Expiry; unlimited if omitted.
    expires_at: Option<DateTime<Utc>>,
}

/// Result of issuing an API key.
#[derive(SimpleObject)]
struct IssuedApiKey {
    /// Outcome of the mutation.
    outcome: ChangeOutcome,
    /// The key's id, for revoking it.
    id: String,
    /// The secret key, shown only in this response; null if the key was not issued.
    key: Option<String>,
}

#[Object]
impl ApiKeyMutation {
    /// Issues an API key, which lets a machine act for your company. Requires the role `ADMIN`. The key is shown once:
    /// if the response is lost, revoke the key and issue another.
    async fn issue_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key to issue.")] input: IssueApiKeyInput,
        #[graphql(desc = "The version of the company that you last read.")] expected_version: Option<u64>,
    ) -> Result<IssuedApiKey> {
        let secret = ApiKeySecret::generate(request_identity(ctx)?.tenant().clone());
        let scopes = ScopeSet::try_new(input.scopes.into_iter().map(Into::into));
        let key = ApiKey {
            key_id: secret.id,
            name: parse_value("input.name", &input.name, KeyName::try_new)?,
            hash: secret.hash().map_err(|error| error::internal(&error))?,
            scopes: scopes.map_err(|reason| error::invalid_value("input.scopes", &reason))?,
            expires_at: validate_optional_time("input.expiresAt", input.expires_at)?,
        };
        let conditions = expected_version.map(PreconditionsInput::at_version);
        let outcome =
            dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::IssueApiKey { key, stamp }).await?;
        let is_issued = matches!(outcome, ChangeOutcome::Accepted(_));
        Ok(IssuedApiKey { outcome, id: secret.id.to_string(), key: is_issued.then(|| secret.reveal()) })
    }

    /// Revokes an API key. Requires the role `ADMIN`.
    async fn revoke_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key's id.")] id: Uuid,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let key_id = ApiKeyId::new(id);
        dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::RevokeApiKey { key_id, stamp }).await
    }
}
