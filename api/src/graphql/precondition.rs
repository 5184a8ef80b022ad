//! Preconditions of a mutation.

use async_graphql::{Context, InputObject, Result};
use commands::precondition::{CommandPreconditions, IdempotencyKey};

use super::error;

/// Preconditions of a change; all are optional.
#[derive(Debug, Clone, Default, InputObject)]
#[graphql(name = "ChangeConditions")]
pub(super) struct PreconditionsInput {
    /// The version that you last read; 0 for an object that does not exist yet. If the current version differs, nothing
    /// changes and the error `CONFLICT` states it as `currentVersion`.
    expected_version: Option<u64>,
    /// A key that you choose for this change, at most 200 printable characters. A repeated request with the same key
    /// returns the first outcome and changes nothing. The same key with other arguments is the error
    /// `IDEMPOTENCY_KEY_REUSED`.
    idempotency_key: Option<String>,
}

impl PreconditionsInput {
    /// Requires that version and nothing else.
    pub(super) fn at_version(version: u64) -> Self {
        Self { expected_version: Some(version), idempotency_key: None }
    }
}

/// Converts the input; the idempotency key includes a digest of the whole field with its arguments.
pub(super) fn parse_preconditions(
    ctx: &Context<'_>,
    given: Option<PreconditionsInput>,
) -> Result<CommandPreconditions> {
    let PreconditionsInput { expected_version, idempotency_key } = given.unwrap_or_default();
    let key = idempotency_key.map(|key| {
        let field = ctx.field();
        let arguments: Vec<_> = field.arguments()?.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let request = format!("{}({})", field.name(), arguments.join(", "));
        IdempotencyKey::try_from_client(&key, &request)
            .map_err(|reason| error::invalid_value("conditions.idempotencyKey", &reason))
    });
    Ok(CommandPreconditions {
        idempotency_key: key.transpose()?,
        ..CommandPreconditions::with_version(expected_version)
    })
}
