//! Requests the daily digests that are due.

use std::{fmt, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
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
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    DigestPeriod, DigestResults, DigestSource, MailQueue, MailQueueError,
    digest_schedule::{local_date, next_digest_at},
    mail_queue::DueRecipient,
};

/// The user id that digests are requested under.
const USER_ID: &str = "system:daily-digest";
/// Users that are read from Postgres at once.
const PAGE: i64 = 200;
/// How long after a result was found digests may list it: its transaction, whose time it has, may still be in progress
/// before.
const SETTLING_TIME: TimeDelta = TimeDelta::minutes(5);
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
    /// Users without new results, or who do not receive a digest now.
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

    /// Requests all digests that are due at `now`, or fewer after `stop`. One that fails does not stop the others.
    ///
    /// # Errors
    /// [`MailQueueError`] when Postgres does not answer.
    pub async fn request_due(
        &self,
        now: DateTime<Utc>,
        stop: &CancellationToken,
    ) -> Result<DigestSummary, MailQueueError> {
        let mut summary = DigestSummary::default();
        let mut last = None;
        loop {
            let mut due = self.queue.find_due_recipients(now, last.as_ref(), PAGE).await?;
            for recipient in &due {
                if stop.is_cancelled() {
                    return Ok(summary);
                }
                match self.handle_recipient(recipient, now).await {
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
            // Users whose digest failed stay due; the next run takes them.
            if i64::try_from(due.len()).unwrap_or(PAGE) < PAGE {
                return Ok(summary);
            }
            last = due.pop();
        }
    }

    /// Requests the digest of one user, if there is one, and records when the next one is due; returns whether it was
    /// requested.
    async fn handle_recipient(&self, recipient: &DueRecipient, now: DateTime<Utc>) -> Result<bool, DigestError> {
        let DueRecipient { tenant, user, time_zone, digest_hour, digested_until, .. } = recipient;
        let company = self.dispatcher.load_aggregate::<Company>(tenant, tenant.as_str()).await?.state;
        let inbox = self.dispatcher.load_aggregate::<Inbox>(tenant, user.as_str()).await?.state;
        let mut since = *digested_until;
        // Of a digest that was requested by a program that died before it recorded this in the tables.
        if let Some(last) = inbox.mail_state().last_digest().filter(|last| last.covered_until > since) {
            self.source.mark_announced(DigestPeriod { tenant, user, since, until: last.covered_until }).await?;
            since = last.covered_until;
        }
        let until = since.max(now - SETTLING_TIME);
        let period = DigestPeriod { tenant, user, since, until };
        let is_member = company.as_registered().is_some_and(|company| company.find_role(user).is_some());
        let mut is_requested = false;
        // Who receives none now does not receive these results later.
        let mut covered_until = until;
        if is_member && inbox.mail_state().accepts(MailCategory::DailyDigest) {
            let found = self.source.find_results(period, MAX_DIGEST_ITEMS).await?;
            if !found.items.is_empty() || found.more > 0 {
                is_requested = self.request_digest(recipient, until, found).await?;
                if is_requested {
                    self.source.mark_announced(period).await?;
                } else {
                    // There was one on this day, or the preferences have changed meanwhile: the next one has these results.
                    covered_until = since;
                }
            }
        }
        self.queue.move_digest(recipient, next_digest_at(time_zone, *digest_hour, now), covered_until).await?;
        Ok(is_requested)
    }

    /// Requests a digest of these results; `false` if the inbox does not accept it.
    async fn request_digest(
        &self,
        recipient: &DueRecipient,
        covered_until: DateTime<Utc>,
        found: DigestResults,
    ) -> Result<bool, DigestError> {
        let DueRecipient { tenant, user, time_zone, next_digest_at, .. } = recipient;
        // The day that it was due for, also when it is late.
        let date = local_date(time_zone, *next_digest_at);
        let mail = RequestedMail {
            mail_id: MailId::new(Uuid::new_v5(&DIGEST_NAMESPACE, format!("{tenant} {user} {date}").as_bytes())),
            category: MailCategory::DailyDigest,
            notification_id: None,
            digest: Some(DailyDigest { date, covered_until, items: found.items, more: found.more }),
        };
        let caller = Caller::new(UserId::from_program(USER_ID), tenant.clone());
        let sender = CommandSender { caller, authority: CallerAuthority::System };
        let command = InboxCommand::RequestDigest { mail: Box::new(mail), stamp: self.dispatcher.stamp(&sender) };
        let none = CommandPreconditions::default();
        let outcome = self.dispatcher.dispatch::<Inbox>(&sender, user.as_str(), &none, command).await?;
        Ok(outcome.events > 0)
    }
}
