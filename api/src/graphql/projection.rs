//! Operating the read models over the API, for those who show the operator's token.

mod generation;
pub(super) mod guard;
mod rebuild;
mod rebuild_subscription;
mod rollback;
mod selection;

use async_graphql::MergedObject;

pub(super) use self::{generation::ProjectionQuery, rebuild::RebuildQuery, rebuild_subscription::RebuildSubscription};
use self::{rebuild::RebuildMutation, rollback::RollbackMutation};

/// Changes to what readers see.
#[derive(MergedObject, Default)]
pub(super) struct ProjectionMutation(RebuildMutation, RollbackMutation);
