//! Commands on what tenants own, and who may read it: the same for GraphQL, REST and gRPC.

mod rule;

use std::fmt::Display;

use commands::{
    authority::{Authority, Guarded, Need},
    bus::Executed,
    condition::Conditions,
    error::CommandError,
};
use domain::{
    aggregate::Decide,
    company::{Role, Scope},
    context::Context,
    fingerprint::Fingerprint,
    value::{Stamp, TenantId},
};
use projections::runtime::ConsistencyToken;
use uuid::Uuid;

pub(crate) use self::rule::Rule;
use crate::{identity::Identity, store::Stores};

/// Names ids that are made from a client's key: a command that is sent again is about the same thing.
const KEYED: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f6b_6579_6564_5f69_6473);

/// Why nothing was done, for the edges to tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undone {
    /// A business rule forbids it.
    #[error("{reason}")]
    Rejected {
        /// The rule, for programs.
        rule: &'static str,
        /// The rule, for people.
        reason: String,
    },
    /// Nobody knows who asks.
    #[error("sign in first: send a token or an API key as `Authorization: Bearer ...`")]
    Unauthenticated,
    /// Who asks may not.
    #[error("you may not do that")]
    Forbidden,
    /// The caller has seen an older version.
    #[error("it has changed since you looked: its version is {current}")]
    Outdated {
        /// The version now.
        current: u64,
    },
    /// The client's key belongs to another command.
    #[error("the idempotency key was used for another change, take a new one")]
    KeyReused,
    /// Others kept changing the same.
    #[error("others are changing the same, try again")]
    Conflict,
    /// A store is away.
    #[error("a store is unavailable, try again")]
    Unavailable,
}

impl Undone {
    /// The same for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "REJECTED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::Outdated { .. } | Self::Conflict => "CONFLICT",
            Self::KeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// A store did not answer; logs why.
    pub(crate) fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "store unavailable");
        Self::Unavailable
    }

    fn of<E: Rule>(error: CommandError<E>, identity: &Identity) -> Self {
        match error {
            CommandError::Rejected(reason) => {
                tracing::info!(reason = %reason, "command refused");
                Self::Rejected { rule: reason.rule(), reason: reason.to_string() }
            }
            CommandError::Forbidden { .. } => denied(identity),
            CommandError::Outdated { current } => Self::Outdated { current },
            CommandError::KeyReused => Self::KeyReused,
            CommandError::Conflict => Self::Conflict,
            CommandError::Store(source) => Self::unavailable(&*source as &dyn std::error::Error),
        }
    }
}

/// Gives a command about what somebody's tenant owns under `id`.
pub(crate) async fn give<A>(
    stores: &Stores,
    identity: &Identity,
    id: &(impl Display + Sync),
    conditions: &Conditions,
    command: impl FnOnce(Stamp) -> A::Command + Send,
) -> Result<Executed, Undone>
where
    A: Decide<Command: Guarded + Clone, Error: Rule> + Fingerprint,
{
    // What is public belongs to no company, and is changed by other commands.
    if *identity.tenant() == TenantId::public() {
        return Err(denied(identity));
    }
    let command = command(stores.bus.stamp(&identity.sender));
    let given = stores.bus.give::<A>(&identity.sender, &id.to_string(), conditions, command).await;
    given.map_err(|error| Undone::of(error, identity))
}

/// The tenant whose data somebody may read.
pub(crate) fn reader(identity: &Identity) -> Result<&TenantId, Undone> {
    let may = match &identity.sender.authority {
        Authority::Member(_) => true,
        Authority::Machine(scopes) => scopes.allow(Scope::Read) || scopes.allow(Scope::Write),
        Authority::Anonymous | Authority::Stranger | Authority::System => false,
    };
    if may { Ok(identity.tenant()) } else { Err(denied(identity)) }
}

/// Whether somebody may do what contributors may: for what has to be known before there is a command.
pub(crate) fn contributes(identity: &Identity) -> Result<(), Undone> {
    meets(identity, Need::AtLeast(Role::Contributor))
}

/// Whether somebody may say what became of a document: for what has to be known before there is a command.
pub(crate) fn works(identity: &Identity) -> Result<(), Undone> {
    meets(identity, Need::Holds(Scope::Tasks))
}

fn meets(identity: &Identity, need: Need) -> Result<(), Undone> {
    let is_owned = *identity.tenant() != TenantId::public();
    let may = is_owned && identity.sender.authority.suffices(need);
    if may { Ok(()) } else { Err(denied(identity)) }
}

/// The token of a stream's event that was just recorded; `None` where nothing is.
pub(crate) async fn token_of(
    stores: &Stores,
    aggregate_type: &str,
    aggregate_id: &str,
    version: u64,
) -> Result<Option<String>, Undone> {
    let log = stores.runtime.log();
    let incarnation = log.incarnation().await.map_err(|error| Undone::unavailable(&error))?;
    let event = log.of_stream(aggregate_type, aggregate_id, version.saturating_sub(1), 1).await;
    let event = event.map_err(|error| Undone::unavailable(&error))?.into_iter().next();
    let stream = Context::of_aggregate(aggregate_type).map(|context| (context, aggregate_id.to_owned()));
    Ok(event.map(|event| ConsistencyToken { incarnation, position: event.position, stream }.to_string()))
}

/// The tenant whose tasks somebody may read: workers, too.
pub(crate) fn task_reader(identity: &Identity) -> Result<&TenantId, Undone> {
    match &identity.sender.authority {
        Authority::Machine(scopes) if scopes.allow(Scope::Tasks) => Ok(identity.tenant()),
        Authority::Machine(_)
        | Authority::Member(_)
        | Authority::Anonymous
        | Authority::Stranger
        | Authority::System => reader(identity),
    }
}

/// The id of something new: the client's own, or one made from its key so that a repetition is about the same, or any.
pub(crate) fn new_id(identity: &Identity, kind: &str, given: Option<Uuid>, conditions: &Conditions) -> Uuid {
    let keyed = |once: &commands::condition::Once| {
        Uuid::new_v5(&KEYED, format!("{}\n{kind}\n{}", identity.tenant(), once.key()).as_bytes())
    };
    #[expect(clippy::disallowed_methods, reason = "ids of what clients begin are minted at the edge")]
    given.or_else(|| conditions.once.as_ref().map(keyed)).unwrap_or_else(Uuid::now_v7)
}

fn denied(identity: &Identity) -> Undone {
    if identity.sender.authority == Authority::Anonymous { Undone::Unauthenticated } else { Undone::Forbidden }
}
