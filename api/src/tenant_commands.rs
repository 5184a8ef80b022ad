//! Commands on what tenants own, and who may read it: the same for GraphQL, REST and gRPC.

mod refusal_code;

use std::fmt::Display;

use commands::{
    authorization::{AuthorizedCommand, CallerAuthority, RequiredAuthority},
    dispatcher::CommandOutcome,
    error::CommandError,
    precondition::CommandPreconditions,
};
use domain::{
    aggregate::PureAggregate,
    company::{Role, Scope},
    context::BoundedContext,
    fingerprint::Fingerprint,
    value::{AuditStamp, TenantId},
};
use projections::runtime::ConsistencyToken;
use uuid::Uuid;

pub(crate) use self::refusal_code::RefusalCode;
use crate::{app_context::AppContext, auth::Principal};

/// Names ids that are made from a client's key: a command that is sent again is about the same thing.
const KEYED_ID_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f6b_6579_6564_5f69_6473);

/// Why nothing was done, for the edges to tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandFailure {
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

impl CommandFailure {
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

    fn from_command_error<E: RefusalCode>(error: CommandError<E>, identity: &Principal) -> Self {
        match error {
            CommandError::Refused(reason) => {
                tracing::info!(reason = %reason, "command refused");
                Self::Rejected { rule: reason.refusal_code(), reason: reason.to_string() }
            }
            CommandError::Forbidden { .. } => access_denied(identity),
            CommandError::Outdated { current } => Self::Outdated { current },
            CommandError::KeyReused => Self::KeyReused,
            CommandError::Conflict => Self::Conflict,
            CommandError::Store(source) => Self::unavailable(&*source as &dyn std::error::Error),
        }
    }
}

/// Gives a command about what somebody's tenant owns under `id`.
pub(crate) async fn dispatch<A>(
    stores: &AppContext,
    identity: &Principal,
    id: &(impl Display + Sync),
    conditions: &CommandPreconditions,
    command: impl FnOnce(AuditStamp) -> A::Command + Send,
) -> Result<CommandOutcome, CommandFailure>
where
    A: PureAggregate<Command: AuthorizedCommand + Clone, Error: RefusalCode> + Fingerprint,
{
    // What is public belongs to no company, and is changed by other commands.
    if *identity.tenant() == TenantId::public() {
        return Err(access_denied(identity));
    }
    let command = command(stores.dispatcher.stamp(&identity.sender));
    let given = stores.dispatcher.dispatch::<A>(&identity.sender, &id.to_string(), conditions, command).await;
    given.map_err(|error| CommandFailure::from_command_error(error, identity))
}

/// The tenant whose data somebody may read.
pub(crate) fn readable_tenant(identity: &Principal) -> Result<&TenantId, CommandFailure> {
    let may = match &identity.sender.authority {
        CallerAuthority::Member(_) => true,
        CallerAuthority::Machine(scopes) => scopes.contains(Scope::Read) || scopes.contains(Scope::Write),
        CallerAuthority::Anonymous | CallerAuthority::WithoutCompany | CallerAuthority::System => false,
    };
    if may { Ok(identity.tenant()) } else { Err(access_denied(identity)) }
}

/// Whether somebody may do what contributors may: for what has to be known before there is a command.
pub(crate) fn require_contributor(identity: &Principal) -> Result<(), CommandFailure> {
    require_permission(identity, RequiredAuthority::AtLeast(Role::Contributor))
}

/// Whether somebody may say what became of a document: for what has to be known before there is a command.
pub(crate) fn require_task_scope(identity: &Principal) -> Result<(), CommandFailure> {
    require_permission(identity, RequiredAuthority::HasScope(Scope::Tasks))
}

fn require_permission(identity: &Principal, need: RequiredAuthority) -> Result<(), CommandFailure> {
    let is_owned = *identity.tenant() != TenantId::public();
    let may = is_owned && identity.sender.authority.permits(need);
    if may { Ok(()) } else { Err(access_denied(identity)) }
}

/// The token of a stream's event that was just recorded; `None` where nothing is.
pub(crate) async fn consistency_token(
    stores: &AppContext,
    aggregate_type: &str,
    aggregate_id: &str,
    version: u64,
) -> Result<Option<String>, CommandFailure> {
    let log = stores.runtime.log();
    let incarnation = log.incarnation().await.map_err(|error| CommandFailure::unavailable(&error))?;
    let event = log.load_stream(aggregate_type, aggregate_id, version.saturating_sub(1), 1).await;
    let event = event.map_err(|error| CommandFailure::unavailable(&error))?.into_iter().next();
    let stream = BoundedContext::from_aggregate_type(aggregate_type).map(|context| (context, aggregate_id.to_owned()));
    Ok(event.map(|event| ConsistencyToken { incarnation, position: event.position, stream }.to_string()))
}

/// The tenant whose tasks somebody may read: workers, too.
pub(crate) fn readable_task_tenant(identity: &Principal) -> Result<&TenantId, CommandFailure> {
    match &identity.sender.authority {
        CallerAuthority::Machine(scopes) if scopes.contains(Scope::Tasks) => Ok(identity.tenant()),
        CallerAuthority::Machine(_)
        | CallerAuthority::Member(_)
        | CallerAuthority::Anonymous
        | CallerAuthority::WithoutCompany
        | CallerAuthority::System => readable_tenant(identity),
    }
}

/// The id of something new: the client's own, or one made from its key so that a repetition is about the same, or any.
pub(crate) fn new_id(identity: &Principal, kind: &str, given: Option<Uuid>, conditions: &CommandPreconditions) -> Uuid {
    let keyed = |once: &commands::precondition::IdempotencyKey| {
        Uuid::new_v5(&KEYED_ID_NAMESPACE, format!("{}\n{kind}\n{}", identity.tenant(), once.key()).as_bytes())
    };
    #[expect(clippy::disallowed_methods, reason = "ids of what clients begin are minted at the edge")]
    given.or_else(|| conditions.idempotency_key.as_ref().map(keyed)).unwrap_or_else(Uuid::now_v7)
}

fn access_denied(identity: &Principal) -> CommandFailure {
    if identity.sender.authority == CallerAuthority::Anonymous {
        CommandFailure::Unauthenticated
    } else {
        CommandFailure::Forbidden
    }
}
