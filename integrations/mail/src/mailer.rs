//! Sends the mails of the queue, each at most once.
//!
//! ```text
//! claim one ──▶ MailAttempted recorded ──▶ handed to the server ──▶ MailSent or MailFailed recorded ──▶ removed
//! ```
//!
//! An attempt is recorded before the mail is handed over, and its outcome afterwards. A mailer that dies between the two
//! leaves an attempt without an outcome, which the next one records as unknown and does not repeat.

use std::{fmt::Display, sync::Arc, time::Duration};

use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    precondition::{CommandPreconditions, IdempotencyKey},
};
use domain::{
    company::Company,
    error_chain::format_error_chain,
    event_store::AggregateStores,
    inbox::{
        Inbox, InboxCommand, MailAddress, MailAttemptId, MailCategory, MailFailure, MailNote, MailOutcome,
        MailPreferences, OpenMail, SuppressionCause,
    },
    value::UserId,
};
use futures::future::join_all;
use metrics::{counter, gauge};
use telemetry::SPAN_TARGET;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::{
    AddressDigest, DeliveryError, DeliveryStage, MailQueue, MailQueueError, MailRenderer, MailTransport,
    mail_queue::ClaimedMail,
};

/// The user id that the mailer's commands are recorded under.
const USER_ID: &str = "system:mailer";
/// Mails that each of the deliveries at the same time sends before the server is checked again.
const MAILS_PER_CHECK: usize = 8;
/// Attempts to record one step in the log.
const RECORD_ATTEMPTS: u32 = 5;
/// Pause between two of them.
const RECORD_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause while the server or Postgres cannot be reached.
const MAX_OUTAGE_PAUSE: Duration = Duration::from_mins(1);
/// Longest note in an event, in characters.
const MAX_NOTE: usize = 500;

/// The settings of a mailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailerConfig {
    /// How often it looks for mails that other programs have added, or that are due again.
    pub poll_interval: Duration,
    /// How long a claimed mail belongs to this mailer. Longer than a delivery may take.
    pub lease: Duration,
    /// How many mails are sent at the same time.
    pub concurrency: usize,
    /// Pause after the first attempt that failed; four times as long after each further one, four hours at most.
    pub first_pause: Duration,
    /// How many attempts are made before a mail is given up.
    pub max_attempts: u32,
}

impl Default for MailerConfig {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(2),
            lease: Duration::from_mins(3),
            concurrency: 4,
            first_pause: Duration::from_mins(1),
            max_attempts: 8,
        }
    }
}

/// Sends mails. Several may run at the same time, in any number of programs.
pub struct Mailer<S> {
    queue: MailQueue,
    dispatcher: Arc<CommandDispatcher<S>>,
    renderer: MailRenderer,
    transport: Arc<dyn MailTransport>,
    config: MailerConfig,
}

/// Why a mailer cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// The queue cannot be used.
    #[error(transparent)]
    Queue(#[from] MailQueueError),
    /// The server cannot be reached, or does not accept this program. No mail was attempted.
    #[error("the mail server is not available")]
    Server(#[source] DeliveryError),
    /// The log cannot be used.
    #[error("{doing} in the log")]
    Log {
        /// The operation, as a gerund.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl<S: AggregateStores + 'static> Mailer<S> {
    /// Creates a mailer; it starts in [`Self::run`].
    pub fn new(
        queue: MailQueue,
        dispatcher: Arc<CommandDispatcher<S>>,
        renderer: MailRenderer,
        transport: Arc<dyn MailTransport>,
        config: MailerConfig,
    ) -> Self {
        Self { queue, dispatcher, renderer, transport, config }
    }

    /// Runs until `stop`, then ends after the deliveries in progress.
    pub async fn run(self, stop: CancellationToken) {
        let mut failures = 0_u32;
        while !stop.is_cancelled() {
            match self.run_once(&stop).await {
                Ok(0) => {
                    failures = 0;
                    if let Ok(waiting) = self.queue.count_waiting().await {
                        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
                        gauge!("medhub_mails_waiting").set(waiting as f64);
                    }
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.queue.wait_for_mails(self.config.poll_interval) => {}
                    }
                }
                Ok(_) => failures = 0,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(reason = format_error_chain(&error), failures, "mails cannot be sent, retrying");
                    let pause = Duration::from_secs(1 << failures.min(6)).min(MAX_OUTAGE_PAUSE);
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = sleep(pause) => {}
                    }
                }
            }
        }
    }

    /// Sends mails that are due, some at most; returns how many were handled. Begins no further one after `stop`.
    ///
    /// # Errors
    /// [`MailerError`] when queue, log or server cannot be used.
    pub async fn run_once(&self, stop: &CancellationToken) -> Result<usize, MailerError> {
        if !self.queue.has_due().await? {
            return Ok(0);
        }
        // Before anything is claimed or recorded: while the server is unavailable, nothing is known about any mail.
        let available = self.transport.check().await;
        gauge!("medhub_mail_server_available").set(f64::from(u8::from(available.is_ok())));
        available.map_err(MailerError::Server)?;
        let deliveries = (0..self.config.concurrency.max(1)).map(|_| self.handle_due(stop));
        join_all(deliveries).await.into_iter().sum()
    }

    /// Handles mails that are due, one after the other, each under its own lease; returns how many.
    async fn handle_due(&self, stop: &CancellationToken) -> Result<usize, MailerError> {
        let mut handled = 0;
        while handled < MAILS_PER_CHECK && !stop.is_cancelled() {
            let Some(mail) = self.queue.claim_mail(self.config.lease).await? else { break };
            self.handle_mail(&mail).instrument(mail_span(&mail)).await?;
            handled += 1;
        }
        Ok(handled)
    }

    async fn handle_mail(&self, mail: &ClaimedMail) -> Result<(), MailerError> {
        let before = self.load_inbox(mail).await?;
        let (open, preferences) = (before.mail_state().find_open(mail.mail_id), before.mail_state().preferences());
        let Some((open, MailPreferences { address, .. })) = open.zip(preferences) else { return self.skip(mail).await };
        let obstacle = self.find_obstacle(mail, address, open.mail.category).await?;
        let attempt_id = MailAttemptId::new(Uuid::new_v4());
        let start = |stamp| InboxCommand::StartMailAttempt { mail_id: mail.mail_id, attempt_id, obstacle, stamp };
        self.record(mail, &format!("mail-attempt-{attempt_id}"), "recording an attempt to send a mail", start).await?;
        let inbox = self.load_inbox(mail).await?;
        let open = inbox.mail_state().find_open(mail.mail_id).filter(|open| open.attempt == Some(attempt_id));
        // Suppressed, or its last attempt is recorded as unknown just now.
        let Some(open) = open else { return self.skip(mail).await };
        let outcome = if open.address.as_ref() == Some(address) {
            self.send(mail, &inbox, open).await
        } else {
            let reason = "the address was changed meanwhile".to_owned();
            Err(DeliveryError::Transient { stage: DeliveryStage::Recipient, reason })
        };
        self.record_outcome(mail, attempt_id, open.attempts, outcome).await
    }

    async fn load_inbox(&self, mail: &ClaimedMail) -> Result<Inbox, MailerError> {
        let inbox = self.dispatcher.load_aggregate::<Inbox>(&mail.tenant, mail.user.as_str()).await;
        Ok(inbox.map_err(log_error("reading an inbox"))?.state)
    }

    /// Why a mail may not be sent to that address, for reasons outside its inbox.
    async fn find_obstacle(
        &self,
        mail: &ClaimedMail,
        address: &MailAddress,
        category: MailCategory,
    ) -> Result<Option<SuppressionCause>, MailerError> {
        let company = self.dispatcher.load_aggregate::<Company>(&mail.tenant, mail.tenant.as_str()).await;
        let company = company.map_err(log_error("reading a company"))?.state;
        if company.as_registered().is_none_or(|company| company.find_role(&mail.user).is_none()) {
            return Ok(Some(SuppressionCause::NotAMember));
        }
        let is_stopped = self.queue.has_opt_out(&AddressDigest::from_address(address), category).await?;
        Ok(is_stopped.then_some(SuppressionCause::Unsubscribed))
    }

    /// Removes a mail that is sent, given up or suppressed.
    async fn skip(&self, mail: &ClaimedMail) -> Result<(), MailerError> {
        counter!("medhub_mails_total", "outcome" => "skipped").increment(1);
        Ok(self.queue.remove(mail).await?)
    }

    /// Hands the mail to the server.
    async fn send(&self, mail: &ClaimedMail, inbox: &Inbox, open: &OpenMail) -> Result<String, DeliveryError> {
        let composed = self.renderer.render(&mail.tenant, &mail.user, inbox, open);
        let composed = composed.map_err(|error| DeliveryError::Permanent {
            stage: DeliveryStage::Message,
            reason: format_error_chain(&error),
        })?;
        self.transport.deliver(&composed).instrument(delivery_span(mail)).await
    }

    async fn record_outcome(
        &self,
        mail: &ClaimedMail,
        attempt_id: MailAttemptId,
        attempts: u32,
        delivered: Result<String, DeliveryError>,
    ) -> Result<(), MailerError> {
        let (outcome, retry_reason) = match &delivered {
            Ok(answer) => (MailOutcome::Sent { answer: note(answer) }, None),
            Err(error) => {
                let failure = classify(error, attempts < self.config.max_attempts);
                let retry = (failure == MailFailure::Postponed).then(|| error.to_string());
                (MailOutcome::Failed { failure, reason: note(error) }, retry)
            }
        };
        let word = match &outcome {
            MailOutcome::Sent { .. } => "sent",
            MailOutcome::Failed { failure, .. } => failure.name(),
        };
        counter!("medhub_mails_total", "outcome" => word).increment(1);
        if let Err(error) = &delivered {
            tracing::info!(tenant = mail.tenant.as_str(), mail = %mail.mail_id, outcome = word, %error, "mail not sent");
        }
        let record = |stamp| InboxCommand::RecordMailOutcome {
            mail_id: mail.mail_id,
            attempt_id,
            outcome: outcome.clone(),
            stamp,
        };
        self.record(mail, &format!("mail-outcome-{attempt_id}"), "recording the outcome of a mail", record).await?;
        match retry_reason {
            Some(reason) => Ok(self.queue.postpone(mail, self.pause_after(attempts), &reason).await?),
            None => Ok(self.queue.remove(mail).await?),
        }
    }

    /// The pause after that many attempts, from 1.
    fn pause_after(&self, attempts: u32) -> Duration {
        let factor = 4_u32.saturating_pow(attempts.saturating_sub(1).min(10));
        self.config.first_pause.saturating_mul(factor).min(Duration::from_hours(4))
    }

    /// Executes a command on the user's inbox, and again while the log does not answer: under the same key it is executed
    /// once.
    async fn record(
        &self,
        mail: &ClaimedMail,
        key: &str,
        doing: &'static str,
        command: impl Fn(domain::value::AuditStamp) -> InboxCommand,
    ) -> Result<(), MailerError> {
        let caller = Caller {
            user_id: UserId::from_program(USER_ID),
            tenant_id: mail.tenant.clone(),
            correlation_id: mail.correlation_id,
            causation_id: Some(mail.requested_by),
        };
        let sender = CommandSender { caller, authority: CallerAuthority::System };
        let key = IdempotencyKey::try_new(key, key).map_err(log_error(doing))?;
        let conditions = CommandPreconditions { idempotency_key: Some(key), ..CommandPreconditions::default() };
        let mut attempt = 1;
        loop {
            let command = command(self.dispatcher.stamp(&sender));
            match self.dispatcher.dispatch::<Inbox>(&sender, mail.user.as_str(), &conditions, command).await {
                Ok(_) => return Ok(()),
                Err(error) if attempt >= RECORD_ATTEMPTS => return Err(log_error(doing)(error)),
                Err(error) => {
                    tracing::debug!(reason = format_error_chain(&error), attempt, doing, "log not available, retrying");
                    sleep(RECORD_PAUSE).await;
                }
            }
            attempt += 1;
        }
    }
}

fn log_error<E>(doing: &'static str) -> impl FnOnce(E) -> MailerError
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |source| MailerError::Log { doing, source: Box::new(source) }
}

/// The span of an attempt at a mail, in the trace of what requested it; none outside of a trace.
fn mail_span(mail: &ClaimedMail) -> Span {
    let Some(trace) = mail.trace else { return Span::none() };
    let span = tracing::info_span!(
        target: SPAN_TARGET,
        "mail",
        otel.name = "send mail",
        medhub.correlation_id = %mail.correlation_id,
        medhub.tenant_id = mail.tenant.as_str(),
    );
    trace.continue_in(&span);
    span
}

/// The span of the delivery to the mail server, within an attempt; none outside of a trace.
fn delivery_span(mail: &ClaimedMail) -> Span {
    if mail.trace.is_none() {
        return Span::none();
    }
    tracing::info_span!(target: SPAN_TARGET, "delivery", otel.name = "deliver mail", otel.kind = "client")
}

/// What a failed delivery means for its mail.
fn classify(error: &DeliveryError, may_retry: bool) -> MailFailure {
    match error {
        DeliveryError::Permanent { stage: DeliveryStage::Recipient, .. } => MailFailure::Bounced,
        DeliveryError::Permanent { .. } => MailFailure::Refused,
        DeliveryError::Unknown { .. } => MailFailure::Unknown,
        DeliveryError::Transient { .. } if may_retry => MailFailure::Postponed,
        DeliveryError::Transient { .. } => MailFailure::Abandoned,
    }
}

/// The text as a note of an event.
fn note(text: &impl Display) -> MailNote {
    let text: String = text.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_NOTE).collect();
    MailNote::try_new(&text).unwrap_or_else(|_| MailNote::from_program("(no text)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_recipient_is_a_bounce_and_an_unknown_outcome_is_never_retried() {
        let permanent = |stage| DeliveryError::Permanent { stage, reason: "no".to_owned() };
        let transient = DeliveryError::Transient { stage: DeliveryStage::Recipient, reason: "later".to_owned() };
        let unknown = DeliveryError::Unknown { reason: "gone".to_owned() };
        assert_eq!(classify(&permanent(DeliveryStage::Recipient), true), MailFailure::Bounced);
        assert_eq!(classify(&permanent(DeliveryStage::Message), true), MailFailure::Refused);
        assert_eq!(classify(&unknown, true), MailFailure::Unknown);
        assert_eq!(classify(&transient, true), MailFailure::Postponed);
        assert_eq!(classify(&transient, false), MailFailure::Abandoned);
    }

    #[test]
    fn a_note_is_never_empty_and_has_a_limited_length() {
        assert_eq!(note(&"").as_str(), "(no text)");
        assert_eq!(note(&"a\u{0}b").as_str(), "a b");
        assert_eq!(note(&"x".repeat(2_000)).as_str().len(), MAX_NOTE);
    }
}
