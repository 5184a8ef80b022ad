//! A row of `opportunities`: the details of the current notice.
//!
//! Discoveries and current amendments contain all details, so a row is derived from a single event.

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};
use clickhouse::Row;
use domain::{
    envelope::RawEnvelope,
    opportunity::{NoticeDetails, NoticeFiling},
    value::{ensure_storable_day, ensure_storable_time},
};
use serde::{Deserialize, Serialize};

use super::{AnalyticsCursor, AnalyticsItem, analytics_page::AwardTotalsRow};
use crate::ListEntry;

/// One opportunity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Row, Serialize, Deserialize)]
pub struct OpportunityRow {
    id: String,
    sequence: u64,
    tenant_id: String,
    notice_id: String,
    title: String,
    description: String,
    solicitation_number: String,
    notice_type: String,
    base_type: String,
    agency_code: String,
    agency_name: String,
    sub_tier: String,
    office: String,
    set_aside: String,
    naics: String,
    psc: String,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    posted_at: DateTime<Utc>,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros::option")]
    response_deadline: Option<DateTime<Utc>>,
    #[serde(with = "clickhouse::serde::chrono::date32::option")]
    archive_on: Option<NaiveDate>,
    active: Option<bool>,
    place_city: String,
    place_state: String,
    place_zip: String,
    place_country: String,
    link: String,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    recorded_at: DateTime<Utc>,
}

impl OpportunityRow {
    pub(super) const TABLE: &'static str = "opportunities";

    /// The row's dates as queries return them.
    pub(super) fn queried_dates(&self) -> RowDates {
        RowDates::from_row(vec![Some(self.posted_at), self.response_deadline], vec![self.archive_on])
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn from_event(event: &RawEnvelope, filing: &NoticeFiling, details: NoticeDetails) -> Self {
        let place = details.place.unwrap_or_default();
        Self {
            id: event.aggregate_id.clone(),
            sequence: event.sequence,
            tenant_id: event.tenant_id.clone(),
            notice_id: filing.notice_id.as_str().to_owned(),
            title: details.title,
            description: details.description.unwrap_or_default(),
            solicitation_number: details.solicitation_number.unwrap_or_default(),
            notice_type: details.notice_type.into(),
            base_type: details.base_type.map(String::from).unwrap_or_default(),
            agency_code: details.agency.code,
            agency_name: details.agency.name,
            sub_tier: details.sub_tier.unwrap_or_default(),
            office: details.office.unwrap_or_default(),
            set_aside: details.set_aside.map(String::from).unwrap_or_default(),
            naics: details.naics.map(String::from).unwrap_or_default(),
            psc: details.psc.unwrap_or_default(),
            posted_at: filing.posted_at.trunc_subsecs(6),
            response_deadline: details.response_deadline.map(|deadline| deadline.trunc_subsecs(6)),
            archive_on: details.archive_on.and_then(storable_date),
            active: details.active,
            place_city: place.city.unwrap_or_default(),
            place_state: place.state.unwrap_or_default(),
            place_zip: place.zip.unwrap_or_default(),
            place_country: place.country.unwrap_or_default(),
            link: details.link.unwrap_or_default(),
            recorded_at: event.recorded_at.trunc_subsecs(6),
        }
    }

    /// The item of a list, with the awards of the opportunity if it has any.
    pub(super) fn into_item(self, awards: Option<&AwardTotalsRow>) -> AnalyticsItem {
        // An empty column means that the notice does not have the value.
        let to_option = |text: String| (!text.is_empty()).then_some(text);
        let cursor = AnalyticsCursor::after(self.posted_at, &self.id);
        let entry = ListEntry {
            id: self.id,
            sequence: self.sequence.cast_signed(),
            notice_id: self.notice_id,
            notice_type: self.notice_type,
            title: self.title,
            description: to_option(self.description),
            solicitation_number: to_option(self.solicitation_number),
            agency_code: self.agency_code,
            agency_name: self.agency_name,
            sub_tier: to_option(self.sub_tier),
            office: to_option(self.office),
            set_aside: to_option(self.set_aside),
            naics: to_option(self.naics),
            psc: to_option(self.psc),
            posted_at: self.posted_at,
            response_deadline: self.response_deadline,
            active: self.active,
            link: to_option(self.link),
            place_city: to_option(self.place_city),
            place_state: to_option(self.place_state),
        };
        AnalyticsItem {
            cursor,
            entry,
            awards: awards.map_or(0, |totals| totals.awards),
            awarded_cents: awards.and_then(|totals| totals.awarded_cents),
        }
    }
}

/// The dates of a row, for comparison with the log's: a column returns another date for one outside its range.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RowDates {
    times: Vec<Option<DateTime<Utc>>>,
    days: Vec<Option<NaiveDate>>,
}

impl RowDates {
    /// The dates as recorded in the log.
    pub(super) fn from_log(times: Vec<Option<DateTime<Utc>>>, days: Vec<Option<NaiveDate>>) -> Self {
        Self { times, days }
    }

    /// The dates as queries return them; a time outside the range of the column is `None`.
    pub(super) fn from_row(times: Vec<Option<DateTime<Utc>>>, days: Vec<Option<NaiveDate>>) -> Self {
        let storable = |time: DateTime<Utc>| ensure_storable_time(time).ok();
        Self { times: times.into_iter().map(|time| time.and_then(storable)).collect(), days }
    }
}

/// The dates of an opportunity as recorded in the log, in the order of [`OpportunityRow::queried_dates`].
pub(super) fn recorded_dates(posted_at: DateTime<Utc>, details: &NoticeDetails) -> RowDates {
    let deadline = details.response_deadline.map(|deadline| deadline.trunc_subsecs(6));
    RowDates::from_log(vec![Some(posted_at.trunc_subsecs(6)), deadline], vec![details.archive_on])
}

/// The date, if it is in the range of the column: a typing error such as the year 20226 must not fail a whole batch.
pub(super) fn storable_date(date: NaiveDate) -> Option<NaiveDate> {
    ensure_storable_day(date).ok()
}
