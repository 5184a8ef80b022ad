//! Companies on the wire, and who belongs to them.

mod keys;
mod mutation;
mod query;
mod view;

use async_graphql::MergedObject;

pub(super) use self::query::CompanyQuery;
use self::{keys::KeyMutation, mutation::MemberMutation};

/// Changes companies.
#[derive(MergedObject, Default)]
pub(super) struct CompanyMutation(MemberMutation, KeyMutation);
