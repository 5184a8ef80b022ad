//! Guard of fields for operators: operation of read models, and changes of public data.

use async_graphql::{Context, Guard, Result};

use crate::{auth::Principal, graphql::error};

/// Rejects every caller that is not an operator.
pub(in crate::graphql) struct OperatorOnly;

impl Guard for OperatorOnly {
    async fn check(&self, ctx: &Context<'_>) -> Result<()> {
        match ctx.data_opt::<Principal>() {
            Some(identity) if identity.is_operator => Ok(()),
            Some(_) | None => Err(error::operator_required()),
        }
    }
}
