//! Requests the daily digests that are due.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    precondition::CommandPreconditions,
};
use domain::{
    company::Company,
    error_chain::format_error_chain,
    event_store::AggregateStores,
    inbox::{DailyDigest, Inbox, InboxCommand, MAX_DIGEST_ITEMS, MailCategory, MailId, RequestedMail},
    value::UserId,
};
use uuid::Uuid;

use crate::{
    DigestSource, MailQueue, MailQueueError,
    digest_schedule::{local_date, next_digest_at},
    mail_queue::DueRecipient,
};

/// The user id that digests are requested under.
const USER_ID: &str = "system:daily-digest";
/// Users that are read from Postgres at once.
const PAGE: i64 = 200;
/// Namespace of the ids of digests.
const DIGEST_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f64_6967_6573_7400_0001);

/// Requests the digests of all users at their local hours. A user has one digest a day, also when this is run again or by
/// two programs.
pub struct DigestRequester<S> {
    queue: MailQueue,
    dispatcher: Arc<CommandDispatcher<S>>,
    source: Arc<dyn DigestSource>,
}

/// What a run has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DigestSummary {
    /// Digests that were requested.
    pub requested: u32,
    /// Users without new results, or who no longer belong to their company.
    pub empty: u32,
    /// Users whose digest failed and is tried again with the next run.
    pub failed: u32,
}

impl fmt::Display for DigestSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} digests requested, {} users without results, {} failed", self.requested, self.empty, self.failed)
    }
}

/// The error of one user's digest.
type DigestError = Box<dyn std::error::Error + Send + Sync>;

impl<S: AggregateStores + 'static> DigestRequester<S> {
    /// Creates a requester.
    pub fn new(queue: MailQueue, dispatcher: Arc<CommandDispatcher<S>>, source: Arc<dyn DigestSource>) -> Self {
        Self { queue, dispatcher, source }
    }

    /// Requests all digests that are due at `now`. One that fails does not stop the others.
    ///
    /// # Errors
    /// [`MailQueueError`] when Postgres does not answer.
    pub async fn request_due(&self, now: DateTime<Utc>) -> Result<DigestSummary, MailQueueError> {
        let mut summary = DigestSummary::default();
        loop {
            let failed_before = summary.failed;
            let due = self.queue.find_due_recipients(now, PAGE).await?;
            for recipient in &due {
                match self.request_digest(recipient, now).await {
                    Ok(true) => summary.requested += 1,
                    Ok(false) => summary.empty += 1,
                    Err(error) => {
                        summary.failed += 1;
                        tracing::warn!(
                            tenant = recipient.tenant.as_str(),
                            reason = format_error_chain(&*error),
                            "daily digest not requested"
                        );
                    }
                }
            }
            // Users whose digest failed are due again at once; the next run takes them.
            let is_last_page = i64::try_from(due.len()).unwrap_or(PAGE) < PAGE;
            if is_last_page || summary.failed > failed_before {
                return Ok(summary);
            }
        }
    }

    /// Requests the digest of one user; `false` if there is none.
    async fn request_digest(&self, recipient: &DueRecipient, now: DateTime<Utc>) -> Result<bool, DigestError> {
        let DueRecipient { tenant, user, time_zone, digest_hour, digested_until, .. } = recipient;
        let company = self.dispatcher.load_aggregate::<Company>(tenant, tenant.as_str()).await?.state;
        let is_member = company.as_registered().is_some_and(|company| company.role_of(user).is_some());
        let mut covered_until = now;
        let mut is_requested = false;
        if is_member {
            let found = self.source.find_results(tenant, user, *digested_until, now, MAX_DIGEST_ITEMS).await?;
            if !found.items.is_empty() {
                let date = local_date(time_zone, now);
                let mail = RequestedMail {
                    mail_id: MailId::new(Uuid::new_v5(&DIGEST_NAMESPACE, format!("{tenant} {user} {date}").as_bytes())),
                    category: MailCategory::DailyDigest,
                    notification_id: None,
                    digest: Some(DailyDigest { date, items: found.items, more: found.more }),
                };
                let caller = Caller::new(UserId::from_program(USER_ID), tenant.clone());
                let sender = CommandSender { caller, authority: CallerAuthority::System };
                let command =
                    InboxCommand::RequestDigest { mail: Box::new(mail), stamp: self.dispatcher.stamp(&sender) };
                let none = CommandPreconditions::default();
                let outcome = self.dispatcher.dispatch::<Inbox>(&sender, user.as_str(), &none, command).await?;
                is_requested = outcome.events > 0;
                if is_requested {
                    self.source.mark_announced(tenant, user, *digested_until, now).await?;
                } else {
                    // There was one today, or the user has unsubscribed meanwhile: the next one has these results.
                    covered_until = *digested_until;
                }
            }
        }
        let next = if is_member { next_digest_at(time_zone, *digest_hour, now) } else { None };
        self.queue.move_digest(recipient, next, covered_until).await?;
        Ok(is_requested)
    }
}
