//! Dispatch of commands on aggregates of the caller's company, and the outcome of a mutation.

use std::fmt::Display;

use async_graphql::{ComplexObject, Context, Result, SimpleObject, Union};
use commands::{dispatcher::CommandOutcome, precondition::CommandPreconditions};
use domain::{aggregate::PureAggregate, refusal_code::RefusalCode, value::AuditStamp};
use uuid::Uuid;

use super::{consistency_token, error};
use crate::{
    app_context::AppContext,
    auth::Principal,
    tenant_commands::{self, CommandFailure, DataOwner, EdgeAggregate},
};

/// Outcome of a mutation.
#[derive(Union)]
#[graphql(name = "Outcome")]
pub(super) enum ChangeOutcome {
    /// The change is recorded.
    Accepted(ChangeAccepted),
    /// A business rule forbids the change.
    Rejected(ChangeRejected),
}

impl ChangeOutcome {
    /// The outcome of a change that a business rule forbids before there is a command.
    pub(super) fn refused(refusal: &impl RefusalCode) -> Self {
        Self::Rejected(ChangeRejected { rule: refusal.refusal_code(), reason: refusal.to_string() })
    }
}

/// The change is recorded, now or by an earlier request; read models follow shortly.
#[derive(SimpleObject)]
#[graphql(name = "Accepted", complex)]
pub(super) struct ChangeAccepted {
    /// Id of the changed object.
    id: String,
    /// Number of recorded changes, this one included.
    version: u64,
    /// Whether an earlier request with the same idempotency key made the change.
    repeated: bool,
    #[graphql(skip)]
    aggregate_id: String,
    #[graphql(skip)]
    aggregate_type: &'static str,
}

#[ComplexObject]
impl ChangeAccepted {
    /// Value for the request extension `consistencyToken`: a query that sends it waits until its read models contain
    /// the change.
    async fn consistency_token(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        consistency_token::load_consistency_token(ctx, self.aggregate_type, &self.aggregate_id, self.version).await
    }
}

/// The change violates a business rule; nothing was recorded.
#[derive(SimpleObject)]
#[graphql(name = "Rejected")]
pub(super) struct ChangeRejected {
    /// Code of the violated rule, e.g. `NOT_FOUND`.
    rule: &'static str,
    /// Human-readable explanation.
    reason: String,
}

/// Dispatches a command to the aggregate `id` of the caller's company. A refusal becomes [`ChangeOutcome::Rejected`];
/// other failures are errors.
pub(super) async fn dispatch_command<A: EdgeAggregate>(
    ctx: &Context<'_>,
    id: impl Display + Sync,
    conditions: &CommandPreconditions,
    command: impl FnOnce(AuditStamp) -> A::Command + Send,
) -> Result<ChangeOutcome> {
    dispatch_command_as::<A>(ctx, request_identity(ctx)?, DataOwner::Company, id, conditions, command).await
}

/// Like [`dispatch_command`], for data of any owner, and with a principal other than the request's: a founder acts for a
/// company that does not exist yet.
pub(super) async fn dispatch_command_as<A: EdgeAggregate>(
    ctx: &Context<'_>,
    identity: &Principal,
    owner: DataOwner,
    id: impl Display + Sync,
    conditions: &CommandPreconditions,
    command: impl FnOnce(AuditStamp) -> A::Command + Send,
) -> Result<ChangeOutcome> {
    let app = error::require_context_data(ctx.data::<AppContext>())?;
    to_outcome::<A>(&id, tenant_commands::dispatch::<A>(app, identity, owner, &id, conditions, command).await)
}

fn to_outcome<A: PureAggregate>(
    id: &(impl Display + Sync),
    executed: std::result::Result<CommandOutcome, CommandFailure>,
) -> Result<ChangeOutcome> {
    match executed {
        Ok(executed) => Ok(ChangeOutcome::Accepted(ChangeAccepted {
            id: id.to_string(),
            version: executed.version,
            repeated: executed.repeated,
            aggregate_id: executed.aggregate_id,
            aggregate_type: A::TYPE,
        })),
        Err(CommandFailure::Rejected { rule, reason, .. }) => {
            Ok(ChangeOutcome::Rejected(ChangeRejected { rule, reason }))
        }
        Err(failure) => Err(error::command_failure(&failure)),
    }
}

/// The principal of the request.
pub(super) fn request_identity<'a>(ctx: &Context<'a>) -> Result<&'a Principal> {
    error::require_context_data(ctx.data::<Principal>())
}

/// Returns the tenant whose data the caller may read.
pub(super) fn reading_tenant<'a>(ctx: &Context<'a>) -> Result<&'a domain::value::TenantId> {
    tenant_commands::readable_tenant(request_identity(ctx)?).map_err(|failure| error::command_failure(&failure))
}

/// Returns the id of a new object: `client_id`, or a generated one, which is the same for requests that are repeated
/// with an idempotency key.
pub(super) fn new_id(
    ctx: &Context<'_>,
    kind: &str,
    client_id: Option<Uuid>,
    conditions: &CommandPreconditions,
) -> Result<Uuid> {
    Ok(tenant_commands::new_id(request_identity(ctx)?, kind, client_id, conditions))
}

/// [`new_id`] for the aggregate that the mutation creates.
pub(super) fn new_aggregate_id(
    ctx: &Context<'_>,
    kind: &str,
    client_id: Option<Uuid>,
    conditions: &mut CommandPreconditions,
) -> Result<Uuid> {
    Ok(tenant_commands::new_aggregate_id(request_identity(ctx)?, kind, client_id, conditions))
}
