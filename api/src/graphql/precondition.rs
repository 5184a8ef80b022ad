//! What a caller wants to hold when a change is made.

use async_graphql::{Context, InputObject, Result};
use commands::precondition::{CommandPreconditions, IdempotencyKey};

use super::error;

/// What has to hold for a change to be made; all of it may be left out.
#[derive(Debug, Clone, Default, InputObject)]
#[graphql(name = "ChangeConditions")]
pub(super) struct PreconditionsInput {
    /// The version that you have seen; 0 for what is not there yet. If there is another one, nothing is changed, and the
    /// error `CONFLICT` tells the current one as `currentVersion`.
    expected_version: Option<u64>,
    /// Your own key of this change, at most 200 printable characters: sent again with the same key, it is not made again,
    /// and answered as it was. The same key with other arguments is the error `IDEMPOTENCY_KEY_REUSED`.
    idempotency_key: Option<String>,
}

impl PreconditionsInput {
    /// Nothing but that version.
    pub(super) fn at_version(version: u64) -> Self {
        Self { expected_version: Some(version), idempotency_key: None }
    }
}

/// What the caller asked for, with a digest of the whole field as it was sent.
pub(super) fn parse_preconditions(
    ctx: &Context<'_>,
    given: Option<PreconditionsInput>,
) -> Result<CommandPreconditions> {
    let PreconditionsInput { expected_version, idempotency_key } = given.unwrap_or_default();
    let once = idempotency_key.map(|key| {
        let field = ctx.field();
        let arguments: Vec<_> = field.arguments()?.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let asked = format!("{}({})", field.name(), arguments.join(", "));
        IdempotencyKey::try_new(&key, &asked)
            .map_err(|reason| error::invalid_value("conditions.idempotencyKey", &reason))
    });
    Ok(CommandPreconditions {
        idempotency_key: once.transpose()?,
        ..CommandPreconditions::with_version(expected_version)
    })
}
