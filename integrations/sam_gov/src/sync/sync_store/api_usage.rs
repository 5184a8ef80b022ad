//! Requests to the API by day, and until when the API refuses further ones: `sam_gov_api_usage`.

use chrono::{DateTime, NaiveDate, Utc};

use super::{StoreResult, SyncStore, failed};

const COUNT_REQUEST: &str = include_str!("count_request.sql");
const DELAY_REQUESTS: &str = include_str!("delay_requests.sql");

/// Number of days to keep the number of requests for.
const USAGE_DAYS: i32 = 90;

impl SyncStore {
    /// Counts a request against the day's quota; `false` if it is used up. Requests of a preview count too.
    pub(in crate::sync) async fn count_request(&self, day: NaiveDate, quota: u32) -> StoreResult<bool> {
        let counted: Option<i32> = sqlx::query_scalar(COUNT_REQUEST)
            .bind(day)
            .bind(i32::try_from(quota).unwrap_or(i32::MAX))
            .bind(USAGE_DAYS)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("counting a request"))?;
        Ok(counted.is_some())
    }

    /// The number of requests on that day.
    pub(in crate::sync) async fn count_requests_on(&self, day: NaiveDate) -> StoreResult<u32> {
        let requests: Option<i32> = sqlx::query_scalar("select requests from sam_gov_api_usage where day = $1")
            .bind(day)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("reading the number of requests"))?;
        Ok(requests.and_then(|requests| u32::try_from(requests).ok()).unwrap_or(0))
    }

    /// Records that the API refuses requests until then.
    pub(in crate::sync) async fn delay_requests(&self, day: NaiveDate, until: DateTime<Utc>) -> StoreResult<()> {
        let query = sqlx::query(DELAY_REQUESTS).bind(day).bind(until);
        query.execute(&self.pool).await.map(drop).map_err(failed("recording that the API refuses requests"))
    }

    /// Until when the API refuses requests, if it does.
    pub(in crate::sync) async fn delayed_until(&self, now: DateTime<Utc>) -> StoreResult<Option<DateTime<Utc>>> {
        sqlx::query_scalar("select max(throttled_until) from sam_gov_api_usage where throttled_until > $1")
            .bind(now)
            .fetch_one(&self.pool)
            .await
            .map_err(failed("reading until when the API refuses requests"))
    }
}
