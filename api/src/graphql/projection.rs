//! Operation of read models over GraphQL, for operators.

mod generation;
pub(super) mod guard;
mod rebuild;
mod rebuild_subscription;
mod rollback;
mod selection;

use async_graphql::MergedObject;

pub(super) use self::{generation::ProjectionQuery, rebuild::RebuildQuery, rebuild_subscription::RebuildSubscription};
use self::{rebuild::RebuildMutation, rollback::RollbackMutation};

/// Mutations that change the active generations.
#[derive(MergedObject, Default)]
pub(super) struct ProjectionMutation(RebuildMutation, RollbackMutation);
