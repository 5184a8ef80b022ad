//! Keys by which machines act for a company.

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

/// Changes keys.
#[derive(Default)]
pub(super) struct ApiKeyMutation;

/// A key to issue.
#[derive(InputObject)]
struct IssueApiKeyInput {
    /// What people call it, at most 100 characters; no other key of the company is called so.
    name: String,
    /// What it lets a machine do, at least one thing.
    scopes: Vec<ScopeEnum>,
    /// Until when it counts; for ever where nothing is said.
    expires_at: Option<DateTime<Utc>>,
}

/// A key that was asked for.
#[derive(SimpleObject)]
struct IssuedApiKey {
    /// What became of it.
    outcome: ChangeOutcome,
    /// Its id, to revoke it by.
    id: String,
    /// The key itself, for its machine; it is shown this once. Null where the key was not issued.
    key: Option<String>,
}

#[Object]
impl ApiKeyMutation {
    /// Let a machine act for your company; admins may. The key is shown once: an answer that is lost is mended by
    /// revoking it and issuing another one.
    async fn issue_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key.")] input: IssueApiKeyInput,
        #[graphql(desc = "The version of the company that you have seen.")] expected_version: Option<u64>,
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

    /// Let a key no longer count; admins may.
    async fn revoke_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let key_id = ApiKeyId::new(id);
        dispatch_company_command(ctx, conditions, |stamp| CompanyCommand::RevokeApiKey { key_id, stamp }).await
    }
}
