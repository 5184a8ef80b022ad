//! The identity of a step: the same each time the step is sent, so that the log recognises the repetition.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::{
    event::VisitEvent,
    value::{ClientEventId, VisitId, VisitUrl},
};
use crate::{opportunity::OpportunityId, value::UserId};

impl VisitEvent {
    /// The event's id in the log.
    ///
    /// Where the client named the step, the id follows from that name and the visit, whatever else is told. Else it follows
    /// from all that the step says: who (visit and user), what (kind, opportunity, link), where (page) and when. Such ids
    /// begin with the time in milliseconds, as version 7 has it, so that events of one time are neighbours in the index.
    ///
    /// The same name in another visit is another step: nobody can take a name away from others.
    pub fn event_id(&self, visit_id: &VisitId, named: Option<&ClientEventId>) -> Uuid {
        let mut digest = Sha256::new();
        let mut add = |part: &str| {
            // With lengths, so that no two lists of parts are the same bytes.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        };
        add(visit_id.as_str());
        if let Some(named) = named {
            add("named");
            add(named.as_str());
        } else {
            let (kind, page, other, user, opportunity) = self.identity_parts();
            add(kind);
            add(page.as_str());
            for part in [other.map(VisitUrl::as_str), user.map(UserId::as_str)] {
                add(if part.is_some() { "some" } else { "none" });
                add(part.unwrap_or_default());
            }
            add(&opportunity.map(ToString::to_string).unwrap_or_default());
            add(&self.occurred_at().timestamp_micros().to_string());
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        if named.is_none() {
            id[..6].copy_from_slice(&self.occurred_at().timestamp_millis().to_be_bytes()[2..]);
        }
        Builder::from_custom_bytes(id).into_uuid()
    }

    /// What tells it from other steps, besides its time.
    fn identity_parts(&self) -> (&'static str, &VisitUrl, Option<&VisitUrl>, Option<&UserId>, Option<&OpportunityId>) {
        match self {
            Self::PageViewed { page_url, referrer, user_id, opportunity_id, .. } => {
                ("viewed", page_url, referrer.as_ref(), user_id.as_ref(), opportunity_id.as_ref())
            }
            Self::LinkClicked { page_url, target_url, user_id, opportunity_id, .. } => {
                ("clicked", page_url, target_url.as_ref(), user_id.as_ref(), opportunity_id.as_ref())
            }
        }
    }

    /// The opportunity that it is about, if any.
    pub fn opportunity_id(&self) -> Option<&OpportunityId> {
        self.identity_parts().4
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;

    fn visit(id: &str) -> VisitId {
        VisitId::try_new(id).unwrap()
    }

    fn at() -> DateTime<Utc> {
        "2026-03-03T12:00:00.000001Z".parse().unwrap()
    }

    fn view(page: &str, opportunity: Option<&str>, user: Option<&str>) -> VisitEvent {
        VisitEvent::PageViewed {
            page_url: VisitUrl::try_new(page).unwrap(),
            referrer: None,
            user_id: user.map(|user| UserId::try_new(user).unwrap()),
            opportunity_id: opportunity.map(|id| OpportunityId::parse(id).unwrap()),
            at: at(),
        }
    }

    fn click(page: &str, target: Option<&str>, at: DateTime<Utc>) -> VisitEvent {
        VisitEvent::LinkClicked {
            page_url: VisitUrl::try_new(page).unwrap(),
            target_url: target.map(|target| VisitUrl::try_new(target).unwrap()),
            user_id: None,
            opportunity_id: None,
            at,
        }
    }

    #[test]
    fn steps_that_differ_in_anything_have_ids_of_their_own() {
        let steps = [
            (visit("a"), view("/p", None, None)),
            (visit("b"), view("/p", None, None)),
            (visit("a"), view("/q", None, None)),
            (visit("a"), view("/p", Some("036:A"), None)),
            (visit("a"), view("/p", Some("036:B"), None)),
            (visit("a"), view("/p", None, Some("ann"))),
            (visit("a"), click("/p", None, at())),
            (visit("a"), click("/p", Some("/q"), at())),
            (visit("a"), click("/p", None, at() + TimeDelta::microseconds(1))),
        ];
        let ids: HashSet<_> = steps.iter().map(|(visit, step)| step.event_id(visit, None)).collect();
        assert_eq!(ids.len(), steps.len());
    }

    #[test]
    fn the_same_step_has_the_same_id_for_ever() {
        // A changed id would count every repetition across a release twice.
        let id = view("/p", Some("036:A"), Some("ann")).event_id(&visit("a"), None);
        assert_eq!(id.to_string(), "019cb391-c200-8be1-9c4d-9161cedda8f1");
        assert_eq!(id.get_version_num(), 8);
    }

    #[test]
    fn a_name_of_the_client_s_own_outweighs_what_is_told() {
        let name = ClientEventId::try_new("e-1").unwrap();
        let (one, other) = (view("/p", None, None), click("/q", None, at()));
        assert_eq!(one.event_id(&visit("a"), Some(&name)), other.event_id(&visit("a"), Some(&name)));
        assert_ne!(one.event_id(&visit("a"), Some(&name)), one.event_id(&visit("b"), Some(&name)));
        assert_ne!(one.event_id(&visit("a"), Some(&name)), one.event_id(&visit("a"), None));
    }
}
