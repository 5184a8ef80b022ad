//! Changing documents.

use async_graphql::{Context, Object, Result};
use domain::document::{Document, DocumentCommand};
use uuid::Uuid;

use crate::graphql::{
    condition::{self, ChangeConditions},
    outcome::{Outcome, give},
};

/// Changes documents.
#[derive(Default)]
pub(in crate::graphql) struct DocumentMutation;

#[Object]
impl DocumentMutation {
    /// Do away with a document for good; managers may.
    async fn delete_document(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] id: Uuid,
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<Outcome> {
        let conditions = condition::of(ctx, conditions)?;
        give::<Document>(ctx, id, &conditions, |stamp| DocumentCommand::Delete { stamp }).await
    }
}
