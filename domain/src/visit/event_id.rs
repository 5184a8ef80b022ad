//! The id of a view or click: the same each time it is sent, so that the log recognises the repetition.

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
    /// If the client gives an event id, the result is a digest of that id and the visit, independent of the content.
    /// Otherwise it is a digest of the content: visit, user, kind, opportunity, link, page and time. Such ids begin
    /// with the time in milliseconds, as in UUID version 7, so that events of the same time are neighbours in the
    /// index.
    ///
    /// The same client event id in another visit gives another id, so that no client can use up the ids of others.
    pub fn event_id(&self, visit_id: &VisitId, client_event_id: Option<&ClientEventId>) -> Uuid {
        let mut digest = Sha256::new();
        let mut add = |part: &str| {
            // With the lengths, so that different lists of parts never give the same bytes.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        };
        add(visit_id.as_str());
        if let Some(client_event_id) = client_event_id {
            add("named");
            add(client_event_id.as_str());
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
        if client_event_id.is_none() {
            id[..6].copy_from_slice(&self.occurred_at().timestamp_millis().to_be_bytes()[2..]);
        }
        Builder::from_custom_bytes(id).into_uuid()
    }

    /// The content that distinguishes the event from others, without its time.
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

    /// The opportunity that the event is about, if any.
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
    fn events_with_different_content_have_different_ids() {
        let events = [
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
        let ids: HashSet<_> = events.iter().map(|(visit, event)| event.event_id(visit, None)).collect();
        assert_eq!(ids.len(), events.len());
    }

    #[test]
    fn the_id_of_an_event_is_pinned() {
        // If ids changed with a release, facts that are sent again after it would be counted twice.
        let id = view("/p", Some("036:A"), Some("ann")).event_id(&visit("a"), None);
        assert_eq!(id.to_string(), "019cb391-c200-8be1-9c4d-9161cedda8f1");
        assert_eq!(id.get_version_num(), 8);
    }

    #[test]
    fn a_client_event_id_replaces_the_content() {
        let name = ClientEventId::try_new("e-1").unwrap();
        let (one, other) = (view("/p", None, None), click("/q", None, at()));
        assert_eq!(one.event_id(&visit("a"), Some(&name)), other.event_id(&visit("a"), Some(&name)));
        assert_ne!(one.event_id(&visit("a"), Some(&name)), one.event_id(&visit("b"), Some(&name)));
        assert_ne!(one.event_id(&visit("a"), Some(&name)), one.event_id(&visit("a"), None));
    }
}
