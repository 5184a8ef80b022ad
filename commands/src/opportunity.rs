//! Single commands to an opportunity, as people give them through the API.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cqrs_es::{EventStore, persist::EventStoreAggregateContext};
use domain::{
    clock::Clock,
    opportunity::{
        AmendOpportunity, Award, AwardOpportunity, CancellationReason, Naics, Notice, NoticeId, Opportunity,
        OpportunityCommand, OpportunityError, OpportunityId, SetAside,
    },
    store::CommandLog,
};

use crate::{
    caller::Caller,
    condition::Conditions,
    error::CommandError,
    execute::{Executed, execute},
};

type Outcome = Result<Accepted, CommandError<OpportunityError>>;

/// A command that is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The opportunity.
    pub id: OpportunityId,
    /// Its version now: the sequence of its last event.
    pub version: u64,
    /// How many events the command led to; 0 when its wish was already met.
    pub events: usize,
}

/// A change by hand: what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amendment {
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
    pub naics: Option<Naics>,
}

/// The use cases of single opportunities.
pub struct Opportunities<S> {
    store: S,
    clock: Arc<dyn Clock>,
}

impl<S> Opportunities<S>
where
    S: EventStore<Opportunity, AC = EventStoreAggregateContext<Opportunity>> + CommandLog,
{
    /// Works on the log behind `store`.
    pub fn new(store: S, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Enters an opportunity by its first notice. Repeating it with the same notice is harmless.
    ///
    /// # Errors
    /// [`CommandError::Rejected`] when the opportunity is on record with another notice.
    #[tracing::instrument(skip_all, fields(opportunity.id = %notice.opportunity_id()))]
    pub async fn discover(&self, caller: &Caller, notice: Notice, conditions: &Conditions) -> Outcome {
        let id = notice.opportunity_id();
        self.execute(caller, &id, conditions, OpportunityCommand::Discover(Box::new(notice))).await
    }

    /// Changes what is on record; the time of the amendment is now.
    ///
    /// # Errors
    /// [`CommandError::Rejected`] when the opportunity is not on record.
    #[tracing::instrument(skip_all, fields(opportunity.id = %id))]
    pub async fn amend(
        &self,
        caller: &Caller,
        id: &OpportunityId,
        amendment: Amendment,
        conditions: &Conditions,
    ) -> Outcome {
        let command = AmendOpportunity {
            amended_at: self.clock.now(),
            notice_id: amendment.notice_id,
            title: amendment.title,
            description: amendment.description,
            response_deadline: amendment.response_deadline,
            set_aside: amendment.set_aside,
            naics: amendment.naics,
        };
        self.execute(caller, id, conditions, OpportunityCommand::Amend(Box::new(command))).await
    }

    /// Adds an award, told apart from others by its number.
    ///
    /// # Errors
    /// [`CommandError::Rejected`] when the opportunity is not on record.
    #[tracing::instrument(skip_all, fields(opportunity.id = %id))]
    pub async fn award(&self, caller: &Caller, id: &OpportunityId, award: Award, conditions: &Conditions) -> Outcome {
        self.execute(caller, id, conditions, OpportunityCommand::Award(AwardOpportunity { award })).await
    }

    /// Notes that the agency no longer wants it.
    ///
    /// # Errors
    /// [`CommandError::Rejected`] when the opportunity is not on record or over.
    #[tracing::instrument(skip_all, fields(opportunity.id = %id))]
    pub async fn cancel(
        &self,
        caller: &Caller,
        id: &OpportunityId,
        reason: Option<CancellationReason>,
        conditions: &Conditions,
    ) -> Outcome {
        let stamp = caller.stamp(self.clock.now());
        self.execute(caller, id, conditions, OpportunityCommand::Cancel { reason, stamp }).await
    }

    /// Notes that it is over.
    ///
    /// # Errors
    /// [`CommandError::Rejected`] when the opportunity is not on record.
    #[tracing::instrument(skip_all, fields(opportunity.id = %id))]
    pub async fn archive(&self, caller: &Caller, id: &OpportunityId, conditions: &Conditions) -> Outcome {
        let stamp = caller.stamp(self.clock.now());
        self.execute(caller, id, conditions, OpportunityCommand::Archive { stamp }).await
    }

    async fn execute(
        &self,
        caller: &Caller,
        id: &OpportunityId,
        conditions: &Conditions,
        command: OpportunityCommand,
    ) -> Outcome {
        let decide = |opportunity: &Opportunity| opportunity.decide(command.clone());
        let Executed { version, events, .. } = execute(&self.store, caller, id.as_str(), conditions, decide).await?;
        Ok(Accepted { id: id.clone(), version, events })
    }
}
