//! Operating the read models over the API, for those who show the operator's token.

mod chosen;
mod generation;
pub(super) mod guard;
mod progress;
mod rebuild;
mod rollback;

use async_graphql::MergedObject;

pub(super) use self::{generation::ProjectionQuery, progress::RebuildSubscription, rebuild::RebuildQuery};
use self::{rebuild::RebuildMutation, rollback::RollbackMutation};

/// Changes to what readers see.
#[derive(MergedObject, Default)]
pub(super) struct OperationsMutation(RebuildMutation, RollbackMutation);
