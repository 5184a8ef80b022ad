//! Who may operate.

use async_graphql::{Context, Guard, Result};

use crate::graphql::error;

/// What the one who asks may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Reads, and gives commands to the domain.
    Visitor,
    /// Operates the service, too.
    Operator,
}

/// Lets only operators pass.
pub(super) struct OperatorOnly;

impl Guard for OperatorOnly {
    async fn check(&self, ctx: &Context<'_>) -> Result<()> {
        match ctx.data_opt::<Standing>() {
            Some(Standing::Operator) => Ok(()),
            Some(Standing::Visitor) | None => Err(error::operators_only()),
        }
    }
}
