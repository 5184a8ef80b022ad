//! What becomes of a change to what a company owns.

use std::fmt::Display;

use async_graphql::{ComplexObject, Context, Result, SimpleObject, Union};
use commands::{authority::Guarded, condition::Conditions};
use domain::{aggregate::Decide, fingerprint::Fingerprint, value::Stamp};
use uuid::Uuid;

use super::{consistency, error};
use crate::{
    identity::Identity,
    owned::{self, Rule, Undone},
    store::Stores,
};

/// What became of a change that was asked for.
#[derive(Union)]
pub(super) enum Outcome {
    /// It is on record.
    Accepted(Accepted),
    /// A business rule forbids it.
    Rejected(Rejected),
}

/// The change is on record, or was already; read models follow shortly.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct Accepted {
    /// What was changed.
    id: String,
    /// How many changes are on record now.
    version: u64,
    /// Whether it was made before, by the same idempotency key.
    repeated: bool,
    #[graphql(skip)]
    stream: String,
    #[graphql(skip)]
    aggregate_type: &'static str,
}

#[ComplexObject]
impl Accepted {
    /// For the extension `consistencyToken` of a query that has to show this change: it waits for the read models.
    async fn consistency_token(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        consistency::token_of(ctx, self.aggregate_type, &self.stream, self.version).await
    }
}

/// The change breaks a business rule; nothing was recorded.
#[derive(SimpleObject)]
pub(super) struct Rejected {
    /// The rule, for programs, e.g. `NOT_FOUND`.
    rule: &'static str,
    /// The rule, for people.
    reason: String,
}

/// Gives a command about what the caller's company owns under `id`. Refusals are answers; only what is nobody's decision
/// is an error.
pub(super) async fn give<A>(
    ctx: &Context<'_>,
    id: impl Display + Sync,
    conditions: &Conditions,
    command: impl FnOnce(Stamp) -> A::Command + Send,
) -> Result<Outcome>
where
    A: Decide<Command: Guarded + Clone, Error: Rule> + Fingerprint,
{
    give_as::<A>(ctx, identity(ctx)?, id, conditions, command).await
}

/// The same as somebody else than the caller is by default: a founder acts for a company that is not there yet.
pub(super) async fn give_as<A>(
    ctx: &Context<'_>,
    identity: &Identity,
    id: impl Display + Sync,
    conditions: &Conditions,
    command: impl FnOnce(Stamp) -> A::Command + Send,
) -> Result<Outcome>
where
    A: Decide<Command: Guarded + Clone, Error: Rule> + Fingerprint,
{
    let stores = error::wired(ctx.data::<Stores>())?;
    match owned::give::<A>(stores, identity, &id, conditions, command).await {
        Ok(executed) => Ok(Outcome::Accepted(Accepted {
            id: id.to_string(),
            version: executed.version,
            repeated: executed.repeated,
            stream: executed.aggregate_id,
            aggregate_type: A::TYPE,
        })),
        Err(Undone::Rejected { rule, reason }) => Ok(Outcome::Rejected(Rejected { rule, reason })),
        Err(undone) => Err(error::undone(&undone)),
    }
}

/// Who asks.
pub(super) fn identity<'a>(ctx: &Context<'a>) -> Result<&'a Identity> {
    error::wired(ctx.data::<Identity>())
}

/// The tenant that the caller reads for.
pub(super) fn reader<'a>(ctx: &Context<'a>) -> Result<&'a domain::value::TenantId> {
    owned::reader(identity(ctx)?).map_err(|undone| error::undone(&undone))
}

/// The id of something new.
pub(super) fn new_id(ctx: &Context<'_>, kind: &str, given: Option<Uuid>, conditions: &Conditions) -> Result<Uuid> {
    Ok(owned::new_id(identity(ctx)?, kind, given, conditions))
}
