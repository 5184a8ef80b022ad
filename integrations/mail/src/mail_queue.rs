//! The mails to send and the users who receive digests, in Postgres beside the log.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::{
    inbox::MailId,
    value::{InvalidValue, TenantId, UserId},
};
use sqlx::{PgPool, Row, postgres::PgRow};
use telemetry::StoredTraceContext;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::mail_projection::{MailChange, RequestedDelivery};

mod mail_opt_outs;

/// Longest error of an attempt that is kept, in characters.
const MAX_ERROR: usize = 500;

/// Access to the queue. Clones share the signal that wakes the mailer of this program.
#[derive(Debug, Clone)]
pub struct MailQueue {
    pool: PgPool,
    mails_added: Arc<Notify>,
}

/// A mail that a mailer has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedMail {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    pub(crate) mail_id: MailId,
    pub(crate) requested_by: Uuid,
    pub(crate) correlation_id: Uuid,
    pub(crate) requested_at: DateTime<Utc>,
    /// The span of the event that requested it, if its trace is sampled.
    pub(crate) trace: Option<StoredTraceContext>,
}

/// A user whose digest is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DueRecipient {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    pub(crate) time_zone: String,
    pub(crate) digest_hour: u8,
    pub(crate) next_digest_at: DateTime<Utc>,
    /// Until when the last digest covered the results.
    pub(crate) digested_until: DateTime<Utc>,
}

/// Why the queue cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: the mail queue in Postgres cannot be used")]
pub struct MailQueueError {
    /// The operation, as a gerund.
    doing: &'static str,
    /// The error of Postgres, or of decoding.
    #[source]
    source: sqlx::Error,
}

impl MailQueue {
    /// Uses the tables behind this pool, which `medhub migrate` creates.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, mails_added: Arc::default() }
    }

    /// Checks that Postgres answers.
    ///
    /// # Errors
    /// [`MailQueueError`] when it does not.
    pub async fn ping(&self) -> Result<(), MailQueueError> {
        sqlx::query("select 1").execute(&self.pool).await.map(drop).map_err(queue_error("reaching the mail queue"))
    }

    /// Number of mails that wait to be sent.
    ///
    /// # Errors
    /// [`MailQueueError`] when Postgres does not answer.
    pub async fn count_waiting(&self) -> Result<i64, MailQueueError> {
        let counted = sqlx::query_scalar("select count(*) from mail_queue").fetch_one(&self.pool).await;
        counted.map_err(queue_error("counting the mails that wait"))
    }

    /// Waits until this program has added mails, at most that long.
    pub(crate) async fn wait_for_mails(&self, limit: Duration) {
        let _waited = tokio::time::timeout(limit, self.mails_added.notified()).await;
    }

    /// Applies events, in order. Idempotent.
    pub(crate) async fn apply_changes(&self, changes: &[MailChange]) -> Result<(), MailQueueError> {
        let doing = || queue_error("following the events of inboxes");
        let mut transaction = self.pool.begin().await.map_err(doing())?;
        for change in changes {
            let query = match change {
                MailChange::Request(RequestedDelivery {
                    tenant,
                    user,
                    mail_id,
                    event_id,
                    correlation_id,
                    requested_at,
                    traceparent,
                }) => sqlx::query(include_str!("mail_queue/add.sql"))
                    .bind(tenant)
                    .bind(user)
                    .bind(mail_id)
                    .bind(event_id)
                    .bind(correlation_id)
                    .bind(requested_at)
                    .bind(traceparent),
                MailChange::Recipient(recipient) => sqlx::query(include_str!("mail_queue/set_recipient.sql"))
                    .bind(&recipient.tenant)
                    .bind(&recipient.user)
                    .bind(recipient.sequence)
                    .bind(&recipient.time_zone)
                    .bind(i16::from(recipient.digest_hour))
                    .bind(recipient.next_digest_at)
                    .bind(recipient.changed_at),
                MailChange::StopDigest { tenant, user, sequence } => {
                    sqlx::query(include_str!("mail_queue/stop_digest.sql")).bind(tenant).bind(user).bind(sequence)
                }
            };
            query.execute(&mut *transaction).await.map_err(doing())?;
        }
        transaction.commit().await.map_err(doing())?;
        if changes.iter().any(|change| matches!(change, MailChange::Request(_))) {
            self.mails_added.notify_waiters();
        }
        Ok(())
    }

    /// Claims a mail that is due; until `lease` is over no other mailer claims it.
    pub(crate) async fn claim_mail(&self, lease: Duration) -> Result<Option<ClaimedMail>, MailQueueError> {
        let doing = || queue_error("claiming a mail");
        let row = sqlx::query(include_str!("mail_queue/claim.sql"))
            .bind(lease.as_secs_f64())
            .fetch_optional(&self.pool)
            .await
            .map_err(doing())?;
        row.as_ref().map(mail_from_row).transpose().map_err(doing())
    }

    /// Whether a mail is due.
    pub(crate) async fn has_due(&self) -> Result<bool, MailQueueError> {
        sqlx::query_scalar("select exists (select from mail_queue where due_at <= clock_timestamp())")
            .fetch_one(&self.pool)
            .await
            .map_err(queue_error("looking for mails that are due"))
    }

    /// Makes a claimed mail due after a pause.
    pub(crate) async fn postpone(
        &self,
        mail: &ClaimedMail,
        pause: Duration,
        error: &str,
    ) -> Result<(), MailQueueError> {
        let error: String = error.chars().take(MAX_ERROR).collect();
        sqlx::query(
            "update mail_queue set due_at = clock_timestamp() + make_interval(secs => $4), last_error = $5
             where tenant_id = $1 and user_id = $2 and mail_id = $3",
        )
        .bind(mail.tenant.as_str())
        .bind(mail.user.as_str())
        .bind(mail.mail_id.uuid())
        .bind(pause.as_secs_f64())
        .bind(error)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(queue_error("postponing a mail"))
    }

    /// Removes a mail that was sent or given up.
    pub(crate) async fn remove(&self, mail: &ClaimedMail) -> Result<(), MailQueueError> {
        sqlx::query("delete from mail_queue where tenant_id = $1 and user_id = $2 and mail_id = $3")
            .bind(mail.tenant.as_str())
            .bind(mail.user.as_str())
            .bind(mail.mail_id.uuid())
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(queue_error("removing a mail"))
    }

    /// The users whose digest is due and who follow `last`, those that have waited the longest first.
    pub(crate) async fn find_due_recipients(
        &self,
        now: DateTime<Utc>,
        last: Option<&DueRecipient>,
        limit: i64,
    ) -> Result<Vec<DueRecipient>, MailQueueError> {
        let doing = || queue_error("looking for digests that are due");
        let rows = sqlx::query(include_str!("mail_queue/find_due_recipients.sql"))
            .bind(now)
            .bind(last.map(|last| last.next_digest_at))
            .bind(last.map(|last| last.tenant.as_str()))
            .bind(last.map(|last| last.user.as_str()))
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(doing())?;
        rows.iter().map(recipient_from_row).collect::<Result<_, _>>().map_err(doing())
    }

    /// Records that a digest was handled: the next one is due then, and covers what was found after `covered_until`.
    /// Changes nothing if the user's preferences have changed meanwhile.
    pub(crate) async fn move_digest(
        &self,
        recipient: &DueRecipient,
        next_digest_at: Option<DateTime<Utc>>,
        covered_until: DateTime<Utc>,
    ) -> Result<(), MailQueueError> {
        sqlx::query(
            "update mail_recipients set next_digest_at = $4, digested_until = $5
             where tenant_id = $1 and user_id = $2 and next_digest_at = $3",
        )
        .bind(recipient.tenant.as_str())
        .bind(recipient.user.as_str())
        .bind(recipient.next_digest_at)
        .bind(next_digest_at)
        .bind(covered_until)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(queue_error("recording a digest"))
    }
}

fn queue_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> MailQueueError {
    move |source| MailQueueError { doing, source }
}

fn decode_error(error: InvalidValue) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

fn mail_from_row(row: &PgRow) -> Result<ClaimedMail, sqlx::Error> {
    Ok(ClaimedMail {
        tenant: TenantId::try_new(row.try_get("tenant_id")?).map_err(decode_error)?,
        user: UserId::try_new(row.try_get("user_id")?).map_err(decode_error)?,
        mail_id: MailId::new(row.try_get("mail_id")?),
        requested_by: row.try_get("requested_by")?,
        correlation_id: row.try_get("correlation_id")?,
        requested_at: row.try_get("requested_at")?,
        trace: StoredTraceContext::parse(row.try_get("traceparent")?),
    })
}

fn recipient_from_row(row: &PgRow) -> Result<DueRecipient, sqlx::Error> {
    Ok(DueRecipient {
        tenant: TenantId::try_new(row.try_get("tenant_id")?).map_err(decode_error)?,
        user: UserId::try_new(row.try_get("user_id")?).map_err(decode_error)?,
        time_zone: row.try_get("time_zone")?,
        digest_hour: u8::try_from(row.try_get::<i16, _>("digest_hour")?).unwrap_or(0),
        next_digest_at: row.try_get("next_digest_at")?,
        digested_until: row.try_get("digested_until")?,
    })
}
