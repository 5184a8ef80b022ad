//! A view or click as it is sent, and its conversion to a step of a visit.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use commands::{authorization::CallerAuthority, visit::VisitStep};
use domain::{
    company::Scope,
    opportunity::OpportunityId,
    value::{InvalidValue, TenantId, UserId},
    visit::{ClientEventId, RecordClick, RecordView, VisitCommand, VisitId, VisitUrl},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::raw_event::InvalidEventField;
use crate::{auth::Principal, tenant_commands::CommandFailure};

/// How far the clock of a client may be ahead.
const MAX_CLOCK_AHEAD: Duration = Duration::from_mins(5);

/// Type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::rest) enum EventKind {
    /// A page was viewed.
    View,
    /// A link was clicked.
    Click,
}

/// A view or a click.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::rest) struct IngestEvent {
    /// Type of the event.
    #[serde(rename = "type")]
    pub(super) kind: EventKind,
    /// Id chosen by the client, unique within the visit: an event sent again under the same id is not counted again.
    /// Without an id, an event is identified by its whole content.
    #[schema(min_length = 1, max_length = 100)]
    pub(super) id: Option<String>,
    /// Id of the visit, chosen by the client, without colons and spaces.
    #[schema(min_length = 1, max_length = 100)]
    pub(super) session_id: String,
    /// URL of the page.
    #[schema(min_length = 1, max_length = 2048)]
    pub(super) page_url: String,
    /// URL of the page before a view.
    pub(super) referrer: Option<String>,
    /// Target of a clicked link.
    pub(super) target_url: Option<String>,
    /// The user who did it; a signed-in user cannot name another one.
    pub(super) user_id: Option<String>,
    /// The opportunity that it is about.
    pub(super) opportunity_id: Option<String>,
    /// When it happened; by default now.
    pub(super) at: Option<DateTime<Utc>>,
}

/// The tenant and users that a caller may report events for.
pub(super) struct EventReporter {
    pub(super) tenant: TenantId,
    /// The user that events are about by default; `None` without a signed-in user.
    user: Option<UserId>,
    may_name_others: bool,
}

impl EventReporter {
    pub(super) fn from_principal(principal: &Principal) -> Result<Self, CommandFailure> {
        let tenant = principal.tenant().clone();
        match &principal.sender.authority {
            CallerAuthority::Anonymous => Ok(Self { tenant, user: None, may_name_others: false }),
            CallerAuthority::Member(_) => {
                Ok(Self { tenant, user: Some(principal.user().clone()), may_name_others: false })
            }
            CallerAuthority::Machine(scopes) if scopes.contains(Scope::Ingest) => {
                Ok(Self { tenant, user: None, may_name_others: true })
            }
            CallerAuthority::System => Ok(Self { tenant, user: None, may_name_others: true }),
            CallerAuthority::Machine(_) | CallerAuthority::WithoutCompany => Err(CommandFailure::Forbidden),
        }
    }
}

/// The range of times that events may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeWindow {
    pub(super) now: DateTime<Utc>,
    pub(super) past_days: u16,
}

impl TimeWindow {
    /// Checks the time of an event; now by default.
    fn check_time(self, at: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, InvalidEventField> {
        let at = at.unwrap_or(self.now);
        if at > self.now + MAX_CLOCK_AHEAD {
            return Err(InvalidEventField::new("at", "it is in the future"));
        }
        if at < self.now - TimeDelta::days(self.past_days.into()) {
            return Err(InvalidEventField::new("at", format!("it is more than {} days ago", self.past_days)));
        }
        Ok(at)
    }
}

impl IngestEvent {
    /// Converts the event to a step of a visit, or returns the invalid field and the reason.
    pub(super) fn into_step(
        self,
        reporter: &EventReporter,
        window: TimeWindow,
    ) -> Result<VisitStep, InvalidEventField> {
        let invalid =
            |field: &'static str| move |reason: InvalidValue| InvalidEventField::new(field, reason.to_string());
        // With a colon the id could address a visit of another company.
        if self.session_id.contains(':') {
            return Err(InvalidEventField::new("sessionId", "it contains a colon"));
        }
        let session = self.session_id.trim();
        if session.is_empty() {
            return Err(InvalidEventField::new("sessionId", "it is empty"));
        }
        let is_public = reporter.tenant == TenantId::public();
        let stream = if is_public { session.to_owned() } else { reporter.tenant.stream_id(session) };
        let visit_id = VisitId::try_new(&stream).map_err(invalid("sessionId"))?;
        let client_event_id = self.id.map(|id| ClientEventId::try_new(&id)).transpose().map_err(invalid("id"))?;
        let page_url = VisitUrl::try_new(&self.page_url).map_err(invalid("pageUrl"))?;
        let optional =
            |url: Option<String>| url.filter(|url| !url.is_empty()).map(|url| VisitUrl::try_new(&url)).transpose();
        let user_id = match (self.user_id, &reporter.user) {
            (None, own) => own.clone(),
            (Some(user_id), own) => {
                let user_id = UserId::try_new(&user_id).map_err(invalid("userId"))?;
                if !reporter.may_name_others && own.as_ref() != Some(&user_id) {
                    return Err(InvalidEventField::new("userId", "it is not your own user id"));
                }
                Some(user_id)
            }
        };
        let opportunity_id = match self.opportunity_id.filter(|id| !id.is_empty()) {
            None => None,
            Some(id) => Some(
                OpportunityId::parse(&id)
                    .ok_or_else(|| InvalidEventField::new("opportunityId", "department:number is expected"))?,
            ),
        };
        let at = window.check_time(self.at)?;
        let command = match self.kind {
            EventKind::View if self.target_url.is_some() => {
                return Err(InvalidEventField::new("targetUrl", "a view has no target"));
            }
            EventKind::View => {
                let referrer = optional(self.referrer).map_err(invalid("referrer"))?;
                VisitCommand::View(RecordView { page_url, referrer, user_id, opportunity_id, at })
            }
            EventKind::Click => {
                let target_url = optional(self.target_url).map_err(invalid("targetUrl"))?;
                VisitCommand::Click(RecordClick { page_url, target_url, user_id, opportunity_id, at })
            }
        };
        Ok(VisitStep { visit_id, client_event_id, command })
    }
}

/// Returns the buffer permits that a step needs: one per KiB or part of it.
pub(super) fn buffer_permits(step: &VisitStep) -> usize {
    let (page, other) = match &step.command {
        VisitCommand::View(RecordView { page_url, referrer, .. }) => (page_url, referrer),
        VisitCommand::Click(RecordClick { page_url, target_url, .. }) => (page_url, target_url),
    };
    let bytes = page.as_str().len() + other.as_ref().map_or(0, |other| other.as_str().len());
    1 + bytes / 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_may_be_five_minutes_ahead_and_a_year_old() {
        let now: DateTime<Utc> = "2026-03-03T12:00:00Z".parse().unwrap();
        let window = TimeWindow { now, past_days: 365 };
        assert_eq!(window.check_time(None), Ok(now));
        for at in [now + TimeDelta::minutes(5), now - TimeDelta::days(365)] {
            assert_eq!(window.check_time(Some(at)), Ok(at));
        }
        for (at, reason) in [
            (now + TimeDelta::minutes(6), "it is in the future"),
            (now - TimeDelta::days(366), "it is more than 365 days ago"),
            (DateTime::UNIX_EPOCH, "it is more than 365 days ago"),
            (DateTime::<Utc>::MIN_UTC, "it is more than 365 days ago"),
            (DateTime::<Utc>::MAX_UTC, "it is in the future"),
        ] {
            assert_eq!(window.check_time(Some(at)), Err(InvalidEventField::new("at", reason)));
        }
    }
}
