//! GraphQL types and resolvers for companies, their members and API keys.

mod api_key;
mod mutation;
mod node;
mod query;

use async_graphql::MergedObject;

pub(super) use self::query::CompanyQuery;
use self::{api_key::ApiKeyMutation, mutation::CompanyAccountMutation};

/// Mutations of companies.
#[derive(MergedObject, Default)]
pub(super) struct CompanyMutation(CompanyAccountMutation, ApiKeyMutation);
