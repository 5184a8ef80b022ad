//! Single commands on an opportunity, as people send them through the API.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cqrs_es::{EventStore, persist::EventStoreAggregateContext};
use domain::{
    clock::Clock,
    event_store::IdempotencyStore,
    opportunity::{
        AmendOpportunity, Award, AwardOpportunity, CancellationReason, NaicsCode, Notice, NoticeId, Opportunity,
        OpportunityCommand, OpportunityError, OpportunityId, SetAside,
    },
};

use crate::{
    caller::Caller,
    command_execution::{CommandOutcome, execute_command},
    error::CommandError,
    precondition::CommandPreconditions,
};

type OpportunityServiceResult = Result<OpportunityCommandOutcome, CommandError<OpportunityError>>;

/// A command that is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpportunityCommandOutcome {
    /// The opportunity.
    pub id: OpportunityId,
    /// Its version now: the sequence of its last event.
    pub version: u64,
    /// The number of events that the command led to; 0 if it changed nothing.
    pub events: usize,
}

/// A change by hand: what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpportunityAmendment {
    /// The notice that says so; by default the current one.
    pub notice_id: Option<NoticeId>,
    /// New title.
    pub title: Option<String>,
    /// New text.
    pub description: Option<String>,
    /// New deadline for responses.
    pub response_deadline: Option<DateTime<Utc>>,
    /// New set-aside.
    pub set_aside: Option<SetAside>,
    /// New NAICS code.
    pub naics: Option<NaicsCode>,
}

/// The use cases of single opportunities.
pub struct OpportunityService<S> {
    store: S,
    clock: Arc<dyn Clock>,
}

impl<S> OpportunityService<S>
where
    S: EventStore<Opportunity, AC = EventStoreAggregateContext<Opportunity>> + IdempotencyStore,
{
    /// Works on the log behind `store`.
    pub fn new(store: S, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Enters an opportunity by its first notice. Repeating it with the same notice is harmless.
    ///
    /// # Errors
    /// [`CommandError::Refused`] when the opportunity is on record with another notice.
    #[tracing::instrument(skip_all, fields(opportunity.id = %notice.opportunity_id()))]
    pub async fn discover_opportunity(
        &self,
        caller: &Caller,
        notice: Notice,
        conditions: &CommandPreconditions,
    ) -> OpportunityServiceResult {
        let id = notice.opportunity_id();
        self.execute_command(caller, &id, conditions, OpportunityCommand::Discover(Box::new(notice))).await
    }

    /// Changes what is on record; the time of the amendment is now.
    ///
    /// # Errors
    /// [`CommandError::Refused`] when the opportunity is not on record.
    #[tracing::instrument(skip_all, fields(opportunity.id = %id))]
    pub async fn amend_opportunity(
        &self,
        caller: &Caller,
        id: &OpportunityId,
        amendment: OpportunityAmendment,
        conditions: &CommandPreconditions,
    ) -> OpportunityServiceResult {
        let command = AmendOpportunity {
            amended_at: self.clock.now(),
            notice_id: amendment.notice_id,
            title: amendment.title,
            description: amendment.description,
            response_deadline: amendment.response_deadline,
            set_aside: amendment.set_aside,
            naics: amendment.naics,
        };
        self.execute_command(caller, id, conditions, OpportunityCommand::Amend(Box::new(command))).await
    }

    /// Adds an award, told apart from others by its number.
    ///
    /// # Errors
    /// [`CommandError::Refused`] when the opportunity is not on record.
    #[tracing::instrument(skip_all, fields(opportunity.id = %id))]
    pub async fn award_opportunity(
        &self,
        caller: &Caller,
        id: &OpportunityId,
        award: Award,
        conditions: &CommandPreconditions,
    ) -> OpportunityServiceResult {
        self.execute_command(caller, id, conditions, OpportunityCommand::Award(AwardOpportunity { award })).await
    }

    /// Notes that the agency no longer wants it.
    ///
    /// # Errors
    /// [`CommandError::Refused`] when the opportunity is not on record or over.
    #[tracing::instrument(skip_all, fields(opportunity.id = %id))]
    pub async fn cancel_opportunity(
        &self,
        caller: &Caller,
        id: &OpportunityId,
        reason: Option<CancellationReason>,
        conditions: &CommandPreconditions,
    ) -> OpportunityServiceResult {
        let stamp = caller.stamp(self.clock.now());
        self.execute_command(caller, id, conditions, OpportunityCommand::Cancel { reason, stamp }).await
    }

    /// Notes that it is over.
    ///
    /// # Errors
    /// [`CommandError::Refused`] when the opportunity is not on record.
    #[tracing::instrument(skip_all, fields(opportunity.id = %id))]
    pub async fn archive_opportunity(
        &self,
        caller: &Caller,
        id: &OpportunityId,
        conditions: &CommandPreconditions,
    ) -> OpportunityServiceResult {
        let stamp = caller.stamp(self.clock.now());
        self.execute_command(caller, id, conditions, OpportunityCommand::Archive { stamp }).await
    }

    async fn execute_command(
        &self,
        caller: &Caller,
        id: &OpportunityId,
        conditions: &CommandPreconditions,
        command: OpportunityCommand,
    ) -> OpportunityServiceResult {
        let decide = |opportunity: &Opportunity| opportunity.decide(command.clone());
        let CommandOutcome { version, events, .. } =
            execute_command(&self.store, caller, id.as_str(), conditions, decide).await?;
        Ok(OpportunityCommandOutcome { id: id.clone(), version, events })
    }
}
