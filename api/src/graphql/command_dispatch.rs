//! What becomes of a change to what a company owns.

use std::fmt::Display;

use async_graphql::{ComplexObject, Context, Result, SimpleObject, Union};
use commands::{authorization::AuthorizedCommand, precondition::CommandPreconditions};
use domain::{aggregate::PureAggregate, fingerprint::Fingerprint, value::AuditStamp};
use uuid::Uuid;

use super::{consistency_token, error};
use crate::{
    app_context::AppContext,
    auth::Principal,
    tenant_commands::{self, CommandFailure, RefusalCode},
};

/// What became of a change that was asked for.
#[derive(Union)]
#[graphql(name = "Outcome")]
pub(super) enum ChangeOutcome {
    /// It is on record.
    Accepted(ChangeAccepted),
    /// A business rule forbids it.
    Rejected(ChangeRejected),
}

/// The change is on record, or was already; read models follow shortly.
#[derive(SimpleObject)]
#[graphql(name = "Accepted", complex)]
pub(super) struct ChangeAccepted {
    /// What was changed.
    id: String,
    /// How many changes are on record now.
    version: u64,
    /// Whether it was made before, by the same idempotency key.
    repeated: bool,
    #[graphql(skip)]
    aggregate_id: String,
    #[graphql(skip)]
    aggregate_type: &'static str,
}

#[ComplexObject]
impl ChangeAccepted {
    /// For the extension `consistencyToken` of a query that has to show this change: it waits for the read models.
    async fn consistency_token(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        consistency_token::load_consistency_token(ctx, self.aggregate_type, &self.aggregate_id, self.version).await
    }
}

/// The change breaks a business rule; nothing was recorded.
#[derive(SimpleObject)]
#[graphql(name = "Rejected")]
pub(super) struct ChangeRejected {
    /// The rule, for programs, e.g. `NOT_FOUND`.
    rule: &'static str,
    /// The rule, for people.
    reason: String,
}

/// Gives a command about what the caller's company owns under `id`. Refusals are answers; only what is nobody's decision
/// is an error.
pub(super) async fn dispatch_command<A>(
    ctx: &Context<'_>,
    id: impl Display + Sync,
    conditions: &CommandPreconditions,
    command: impl FnOnce(AuditStamp) -> A::Command + Send,
) -> Result<ChangeOutcome>
where
    A: PureAggregate<Command: AuthorizedCommand + Clone, Error: RefusalCode> + Fingerprint,
{
    dispatch_command_as::<A>(ctx, request_identity(ctx)?, id, conditions, command).await
}

/// The same as somebody else than the caller is by default: a founder acts for a company that is not there yet.
pub(super) async fn dispatch_command_as<A>(
    ctx: &Context<'_>,
    identity: &Principal,
    id: impl Display + Sync,
    conditions: &CommandPreconditions,
    command: impl FnOnce(AuditStamp) -> A::Command + Send,
) -> Result<ChangeOutcome>
where
    A: PureAggregate<Command: AuthorizedCommand + Clone, Error: RefusalCode> + Fingerprint,
{
    let stores = error::require_context_data(ctx.data::<AppContext>())?;
    match tenant_commands::dispatch::<A>(stores, identity, &id, conditions, command).await {
        Ok(executed) => Ok(ChangeOutcome::Accepted(ChangeAccepted {
            id: id.to_string(),
            version: executed.version,
            repeated: executed.repeated,
            aggregate_id: executed.aggregate_id,
            aggregate_type: A::TYPE,
        })),
        Err(CommandFailure::Rejected { rule, reason }) => Ok(ChangeOutcome::Rejected(ChangeRejected { rule, reason })),
        Err(undone) => Err(error::command_failure(&undone)),
    }
}

/// Who asks.
pub(super) fn request_identity<'a>(ctx: &Context<'a>) -> Result<&'a Principal> {
    error::require_context_data(ctx.data::<Principal>())
}

/// The tenant that the caller reads for.
pub(super) fn reading_tenant<'a>(ctx: &Context<'a>) -> Result<&'a domain::value::TenantId> {
    tenant_commands::readable_tenant(request_identity(ctx)?).map_err(|undone| error::command_failure(&undone))
}

/// The id of something new.
pub(super) fn new_id(
    ctx: &Context<'_>,
    kind: &str,
    given: Option<Uuid>,
    conditions: &CommandPreconditions,
) -> Result<Uuid> {
    Ok(tenant_commands::new_id(request_identity(ctx)?, kind, given, conditions))
}
