//! Feeds the events of inboxes to the mail queue, as a forwarding projection: neither a replay of the log nor a rebuild
//! requests a mail.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{
    context::BoundedContext,
    envelope::RawEnvelope,
    inbox::{Inbox, InboxEvent, MailCategory},
};
use projections::{
    QueryError,
    runtime::{BatchLimits, FetchStrategy, ForwardingProjection, ProjectionError},
};
use uuid::Uuid;

use crate::{MailQueue, digest_schedule::next_digest_at};

/// Keeps the mail queue up to date.
#[derive(Debug, Clone)]
pub struct MailProjection {
    queue: MailQueue,
}

impl MailProjection {
    /// Creates the projection of events to `queue`.
    pub fn new(queue: MailQueue) -> Self {
        Self { queue }
    }
}

/// What an event changes in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailChange {
    /// A mail is to be sent.
    Request(RequestedDelivery),
    /// A user has new preferences.
    Recipient(MailRecipient),
    /// A user receives no digests any more.
    StopDigest {
        /// The tenant.
        tenant: String,
        /// The user.
        user: String,
        /// The event's sequence.
        sequence: i64,
    },
}

/// A mail to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedDelivery {
    pub(crate) tenant: String,
    pub(crate) user: String,
    pub(crate) mail_id: Uuid,
    pub(crate) event_id: Uuid,
    pub(crate) correlation_id: Uuid,
    pub(crate) requested_at: DateTime<Utc>,
    /// The span that the event belongs to; empty without a sampled trace.
    pub(crate) traceparent: String,
}

/// When a user receives digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRecipient {
    pub(crate) tenant: String,
    pub(crate) user: String,
    pub(crate) sequence: i64,
    pub(crate) time_zone: String,
    pub(crate) digest_hour: u8,
    pub(crate) next_digest_at: Option<DateTime<Utc>>,
    pub(crate) changed_at: DateTime<Utc>,
}

impl MailChange {
    fn from_event(event: &RawEnvelope) -> Result<Option<Self>, ProjectionError> {
        let decoded: InboxEvent = event.decode().map_err(ProjectionError::poison)?;
        let (tenant, user) = (event.tenant_id.clone(), event.local_id().to_owned());
        let sequence = i64::try_from(event.sequence).unwrap_or(i64::MAX);
        Ok(match decoded {
            InboxEvent::MailRequested { mail, .. } => Some(Self::Request(RequestedDelivery {
                tenant,
                user,
                mail_id: mail.mail_id.uuid(),
                event_id: event.event_id,
                correlation_id: Uuid::parse_str(&event.metadata.correlation_id).unwrap_or(event.event_id),
                requested_at: event.recorded_at,
                traceparent: event.metadata.traceparent.clone(),
            })),
            InboxEvent::MailPreferencesChanged { preferences, .. } => {
                let (zone, hour) = (preferences.time_zone.as_str(), preferences.digest_hour.number());
                let is_wanted = !preferences.unsubscribed.contains(&MailCategory::DailyDigest);
                let next_digest_at = if is_wanted { next_digest_at(zone, hour, event.recorded_at) } else { None };
                Some(Self::Recipient(MailRecipient {
                    tenant,
                    user,
                    sequence,
                    time_zone: zone.to_owned(),
                    digest_hour: hour,
                    next_digest_at,
                    changed_at: event.recorded_at,
                }))
            }
            InboxEvent::MailUnsubscribed { category: MailCategory::DailyDigest, .. } => {
                Some(Self::StopDigest { tenant, user, sequence })
            }
            InboxEvent::MailUnsubscribed { .. }
            | InboxEvent::Notified { .. }
            | InboxEvent::Read { .. }
            | InboxEvent::AllRead { .. }
            | InboxEvent::Dismissed { .. }
            | InboxEvent::MailAttempted { .. }
            | InboxEvent::MailSent { .. }
            | InboxEvent::MailFailed { .. }
            | InboxEvent::MailSuppressed { .. } => None,
        })
    }
}

impl ForwardingProjection for MailProjection {
    const NAME: &'static str = "mail";

    const FETCH_STRATEGY: FetchStrategy = FetchStrategy::AtOnce;

    type Change = MailChange;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[BoundedContext::System]
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 200, linger: Duration::from_millis(2), rebuild_events: 200 }
    }

    fn project(event: &RawEnvelope) -> Result<Vec<MailChange>, ProjectionError> {
        if event.aggregate_type != <Inbox as cqrs_es::Aggregate>::TYPE {
            return Ok(vec![]);
        }
        Ok(MailChange::from_event(event)?.into_iter().collect())
    }

    async fn apply(&self, changes: &[MailChange]) -> Result<(), ProjectionError> {
        self.queue.apply_changes(changes).await.map_err(ProjectionError::unavailable)
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.queue.ping().await.map_err(QueryError::postgres)
    }
}
