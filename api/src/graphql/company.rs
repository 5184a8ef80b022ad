//! Companies on the wire, and who belongs to them.

mod api_key;
mod mutation;
mod node;
mod query;

use async_graphql::MergedObject;

pub(super) use self::query::CompanyQuery;
use self::{api_key::ApiKeyMutation, mutation::CompanyAccountMutation};

/// Changes companies.
#[derive(MergedObject, Default)]
pub(super) struct CompanyMutation(CompanyAccountMutation, ApiKeyMutation);
