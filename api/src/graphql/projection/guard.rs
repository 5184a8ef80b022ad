//! Who may operate, and who may change what is public.

use async_graphql::{Context, Guard, Result};

use crate::{auth::Principal, graphql::error};

/// Lets only operators pass.
pub(in crate::graphql) struct OperatorOnly;

impl Guard for OperatorOnly {
    async fn check(&self, ctx: &Context<'_>) -> Result<()> {
        match ctx.data_opt::<Principal>() {
            Some(identity) if identity.is_operator => Ok(()),
            Some(_) | None => Err(error::operator_required()),
        }
    }
}
