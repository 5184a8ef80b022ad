//! Commands on the data of tenants, and the right to read it: shared by GraphQL, REST and gRPC.

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
    refusal_code::RefusalCode,
    value::{AuditStamp, TenantId},
};
use projections::runtime::ConsistencyToken;
use uuid::Uuid;

use crate::{app_context::AppContext, auth::Principal};

/// Namespace of ids that are derived from idempotency keys, so that a repeated command has the same object.
const KEYED_ID_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f6b_6579_6564_5f69_6473);

/// Why a command failed, for the edges to report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandFailure {
    /// A business rule refused it.
    #[error("{reason}")]
    Rejected {
        /// Code of the rule, for programs.
        rule: &'static str,
        /// Description, for people.
        reason: String,
        /// Whether the rule is that the object exists.
        is_missing: bool,
    },
    /// The request is anonymous.
    #[error("sign in first: send a token or an API key as `Authorization: Bearer ...`")]
    Unauthenticated,
    /// The caller lacks the authority.
    #[error("your role or API key does not permit this")]
    Forbidden,
    /// The caller expected another version.
    #[error("it has changed since you read it: its version is now {current}")]
    Outdated {
        /// The current version.
        current: u64,
    },
    /// The idempotency key was used for another command.
    #[error("the idempotency key was used for another change, take a new one")]
    KeyReused,
    /// Concurrent changes kept conflicting.
    #[error("other clients keep changing the object, try again")]
    Conflict,
    /// A store is unavailable.
    #[error("a store is unavailable, try again")]
    Unavailable,
}

impl CommandFailure {
    /// Code of the failure, for programs.
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

    /// A failure of a store; logs the error.
    pub(crate) fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "store unavailable");
        Self::Unavailable
    }

    fn from_command_error<E: RefusalCode>(error: CommandError<E>, principal: &Principal) -> Self {
        match error {
            CommandError::Refused(reason) => {
                tracing::info!(reason = %reason, "command refused");
                Self::Rejected {
                    rule: reason.refusal_code(),
                    reason: reason.to_string(),
                    is_missing: reason.is_missing_object(),
                }
            }
            CommandError::Forbidden { .. } => access_denied(principal),
            CommandError::Outdated { current } => Self::Outdated { current },
            CommandError::KeyReused => Self::KeyReused,
            CommandError::Conflict => Self::Conflict,
            CommandError::Store(source) => Self::unavailable(&*source as &dyn std::error::Error),
        }
    }
}

/// An aggregate whose commands are dispatched for clients.
pub(crate) trait EdgeAggregate:
    PureAggregate<Command: AuthorizedCommand + Clone, Error: RefusalCode> + Fingerprint
{
}

impl<A> EdgeAggregate for A where A: PureAggregate<Command: AuthorizedCommand + Clone, Error: RefusalCode> + Fingerprint {}

/// Whose data a command changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataOwner {
    /// The principal's company.
    Company,
    /// No company; only operators change such data.
    Public,
}

impl DataOwner {
    fn admits(self, principal: &Principal) -> bool {
        match self {
            // Public data belongs to no company and is changed by other commands.
            Self::Company => *principal.tenant() != TenantId::public(),
            Self::Public => principal.is_operator,
        }
    }
}

/// Dispatches a command to the aggregate `id` of `owner`.
pub(crate) async fn dispatch<A: EdgeAggregate>(
    app: &AppContext,
    principal: &Principal,
    owner: DataOwner,
    id: &(impl Display + Sync),
    preconditions: &CommandPreconditions,
    command: impl FnOnce(AuditStamp) -> A::Command + Send,
) -> Result<CommandOutcome, CommandFailure> {
    if !owner.admits(principal) {
        return Err(access_denied(principal));
    }
    let command = command(app.dispatcher.stamp(&principal.sender));
    let result = app.dispatcher.dispatch::<A>(&principal.sender, &id.to_string(), preconditions, command).await;
    result.map_err(|error| CommandFailure::from_command_error(error, principal))
}

/// The tenant whose data the principal may read.
pub(crate) fn readable_tenant(principal: &Principal) -> Result<&TenantId, CommandFailure> {
    let is_allowed = match &principal.sender.authority {
        CallerAuthority::Member(_) => true,
        CallerAuthority::Machine(scopes) => scopes.contains(Scope::Read) || scopes.contains(Scope::Write),
        CallerAuthority::Anonymous | CallerAuthority::WithoutCompany | CallerAuthority::System => false,
    };
    if is_allowed { Ok(principal.tenant()) } else { Err(access_denied(principal)) }
}

/// Checks that the principal has the authority of a contributor, before there is a command.
pub(crate) fn require_contributor(principal: &Principal) -> Result<(), CommandFailure> {
    require_permission(principal, RequiredAuthority::AtLeast(Role::Contributor))
}

/// Checks that the principal may report results of tasks, before there is a command.
pub(crate) fn require_task_scope(principal: &Principal) -> Result<(), CommandFailure> {
    require_permission(principal, RequiredAuthority::HasScope(Scope::Tasks))
}

fn require_permission(principal: &Principal, required: RequiredAuthority) -> Result<(), CommandFailure> {
    let is_owned = *principal.tenant() != TenantId::public();
    let is_allowed = is_owned && principal.sender.authority.permits(required);
    if is_allowed { Ok(()) } else { Err(access_denied(principal)) }
}

/// The consistency token of an event that was just recorded; `None` if there is no event.
pub(crate) async fn consistency_token(
    app: &AppContext,
    aggregate_type: &str,
    aggregate_id: &str,
    version: u64,
) -> Result<Option<String>, CommandFailure> {
    let log = app.runtime.log();
    let incarnation = log.incarnation().await.map_err(|error| CommandFailure::unavailable(&error))?;
    let event = log.load_stream(aggregate_type, aggregate_id, version.saturating_sub(1), 1).await;
    let event = event.map_err(|error| CommandFailure::unavailable(&error))?.into_iter().next();
    let stream = BoundedContext::from_aggregate_type(aggregate_type).map(|context| (context, aggregate_id.to_owned()));
    Ok(event.map(|event| ConsistencyToken { incarnation, position: event.position, stream }.to_string()))
}

/// The tenant whose tasks the principal may read; workers may, too.
pub(crate) fn readable_task_tenant(principal: &Principal) -> Result<&TenantId, CommandFailure> {
    match &principal.sender.authority {
        CallerAuthority::Machine(scopes) if scopes.contains(Scope::Tasks) => Ok(principal.tenant()),
        CallerAuthority::Machine(_)
        | CallerAuthority::Member(_)
        | CallerAuthority::Anonymous
        | CallerAuthority::WithoutCompany
        | CallerAuthority::System => readable_tenant(principal),
    }
}

/// The id of a new object: the client's own, or one derived from the idempotency key so that a repeated command has the
/// same object, or a random one.
pub(crate) fn new_id(
    principal: &Principal,
    kind: &str,
    given: Option<Uuid>,
    preconditions: &CommandPreconditions,
) -> Uuid {
    let keyed = |key: &commands::precondition::IdempotencyKey| {
        Uuid::new_v5(&KEYED_ID_NAMESPACE, format!("{}\n{kind}\n{}", principal.tenant(), key.key()).as_bytes())
    };
    #[expect(clippy::disallowed_methods, reason = "ids of objects that clients create are minted at the edge")]
    given.or_else(|| preconditions.idempotency_key.as_ref().map(keyed)).unwrap_or_else(Uuid::now_v7)
}

/// [`new_id`] for the aggregate that the command creates: with a random id there is nothing to load.
pub(crate) fn new_aggregate_id(
    principal: &Principal,
    kind: &str,
    given: Option<Uuid>,
    preconditions: &mut CommandPreconditions,
) -> Uuid {
    preconditions.is_new_aggregate = given.is_none() && preconditions.idempotency_key.is_none();
    new_id(principal, kind, given, preconditions)
}

fn access_denied(principal: &Principal) -> CommandFailure {
    if principal.sender.authority == CallerAuthority::Anonymous {
        CommandFailure::Unauthenticated
    } else {
        CommandFailure::Forbidden
    }
}
