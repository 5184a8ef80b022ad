//! The addresses that have stopped mail of a category by a link, for all companies and users that name them.

use domain::inbox::MailCategory;

use super::{MailQueue, MailQueueError, queue_error};
use crate::AddressDigest;

impl MailQueue {
    /// Records that an address wants no mail of this category. Idempotent.
    ///
    /// # Errors
    /// [`MailQueueError`] when Postgres does not answer.
    pub async fn add_opt_out(&self, address: &AddressDigest, category: MailCategory) -> Result<(), MailQueueError> {
        let add = "insert into mail_opt_outs (address_digest, category) values ($1, $2) on conflict do nothing";
        let added = sqlx::query(add).bind(address.as_str()).bind(category.name()).execute(&self.pool).await;
        added.map(drop).map_err(queue_error("recording that an address wants no mail"))
    }

    /// Allows mail of this category to an address again. Idempotent.
    ///
    /// # Errors
    /// [`MailQueueError`] when Postgres does not answer.
    pub async fn remove_opt_out(&self, address: &AddressDigest, category: MailCategory) -> Result<(), MailQueueError> {
        let remove = "delete from mail_opt_outs where address_digest = $1 and category = $2";
        let removed = sqlx::query(remove).bind(address.as_str()).bind(category.name()).execute(&self.pool).await;
        removed.map(drop).map_err(queue_error("allowing mail to an address again"))
    }

    /// Whether the address wants no mail of this category.
    pub(crate) async fn has_opt_out(
        &self,
        address: &AddressDigest,
        category: MailCategory,
    ) -> Result<bool, MailQueueError> {
        sqlx::query_scalar("select exists (select from mail_opt_outs where address_digest = $1 and category = $2)")
            .bind(address.as_str())
            .bind(category.name())
            .fetch_one(&self.pool)
            .await
            .map_err(queue_error("looking whether an address wants mail"))
    }
}
