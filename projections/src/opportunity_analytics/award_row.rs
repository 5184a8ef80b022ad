//! A row of `awards`: one award of one opportunity.

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};
use clickhouse::Row;
use domain::{envelope::RawEnvelope, opportunity::Award};
use serde::{Deserialize, Serialize};

use super::opportunity_row::{RowDates, storable_date};

/// One award.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Row, Serialize, Deserialize)]
pub struct AwardRow {
    opportunity_id: String,
    award_key: String,
    sequence: u64,
    tenant_id: String,
    number: String,
    #[serde(with = "clickhouse::serde::chrono::date32::option")]
    awarded_on: Option<NaiveDate>,
    amount_cents: Option<i64>,
    awardee: String,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    recorded_at: DateTime<Utc>,
}

impl AwardRow {
    pub(super) const TABLE: &'static str = "awards";

    /// The opportunity's id and the award's key.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.opportunity_id, &self.award_key)
    }

    /// The row's dates as queries return them.
    pub(super) fn queried_dates(&self) -> RowDates {
        RowDates::from_row(vec![], vec![self.awarded_on])
    }

    pub(super) fn from_event(event: &RawEnvelope, award_key: String, award: Award) -> Self {
        Self {
            opportunity_id: event.aggregate_id.clone(),
            award_key,
            sequence: event.sequence,
            tenant_id: event.tenant_id.clone(),
            number: award.number.unwrap_or_default(),
            awarded_on: award.date.and_then(storable_date),
            amount_cents: award.amount.map(|amount| amount.0),
            awardee: award.awardee.unwrap_or_default(),
            recorded_at: event.recorded_at.trunc_subsecs(6),
        }
    }
}
