//! A row of `opportunities`: the details of the current notice, without its awards.

use chrono::SubsecRound;
use domain::{
    envelope::RawEnvelope,
    opportunity::{NoticeDetails, NoticeFiling},
    value::ensure_storable_time,
};
use sqlx::{Row as _, postgres::PgRow};

use super::{
    OpportunityItem, OpportunityListCursor,
    counter::{CountedValues, CounterDimension},
};
use crate::{ListEntry, runtime::bucket_of};

/// Characters of a state beyond this number are ignored: it is a key of counters, whose size is limited.
const MAX_STATE_CHARS: usize = 100;

impl ListEntry {
    pub(super) const TABLE: &'static str = "opportunities";

    pub(super) fn from_event(event: &RawEnvelope, filing: &NoticeFiling, details: NoticeDetails) -> Self {
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        let place = details.place.unwrap_or_default();
        Self {
            id: event.aggregate_id.clone(),
            sequence: event.sequence.cast_signed(),
            notice_id: filing.notice_id.as_str().to_owned(),
            notice_type: details.notice_type.into(),
            title: details.title,
            description: present(details.description),
            solicitation_number: present(details.solicitation_number),
            agency_code: details.agency.code,
            agency_name: details.agency.name,
            sub_tier: present(details.sub_tier),
            office: present(details.office),
            set_aside: present(details.set_aside.map(String::from)),
            naics: present(details.naics.map(String::from)),
            psc: present(details.psc),
            posted_at: filing.posted_at.trunc_subsecs(6),
            // A typing error such as the year 20226 must not fail a whole batch.
            response_deadline: details
                .response_deadline
                .and_then(|deadline| ensure_storable_time(deadline).ok())
                .map(|deadline| deadline.trunc_subsecs(6)),
            active: details.active,
            link: present(details.link),
            place_city: present(place.city),
            place_state: present(place.state).map(|state| state.chars().take(MAX_STATE_CHARS).collect()),
        }
    }

    /// Decodes the columns of `opportunities`.
    pub(super) fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            sequence: row.try_get("sequence")?,
            notice_id: row.try_get("notice_id")?,
            notice_type: row.try_get("notice_type")?,
            title: row.try_get("title")?,
            description: row.try_get("description")?,
            solicitation_number: row.try_get("solicitation_number")?,
            agency_code: row.try_get("agency_code")?,
            agency_name: row.try_get("agency_name")?,
            sub_tier: row.try_get("sub_tier")?,
            office: row.try_get("office")?,
            set_aside: row.try_get("set_aside")?,
            naics: row.try_get("naics")?,
            psc: row.try_get("psc")?,
            posted_at: row.try_get("posted_at")?,
            response_deadline: row.try_get("response_deadline")?,
            active: row.try_get("active")?,
            link: row.try_get("link")?,
            place_city: row.try_get("place_city")?,
            place_state: row.try_get("place_state")?,
        })
    }

    /// The item of a list whose cursor this is.
    pub(super) fn into_item(self, cursor: OpportunityListCursor, awards: AwardTotals) -> OpportunityItem {
        let AwardTotals { count, cents } = awards;
        OpportunityItem { cursor, entry: self, awards: u64::from(count.max(0).cast_unsigned()), awarded_cents: cents }
    }

    /// The verify bucket.
    pub(super) fn bucket(&self) -> i16 {
        verify_bucket(&self.id)
    }

    /// Ascending is newest first.
    pub(super) fn posted_rank(&self) -> i64 {
        self.posted_at.timestamp_micros().saturating_neg()
    }

    pub(super) fn naics_sector(&self) -> Option<String> {
        self.naics.as_deref().map(|code| naics_sector(code).to_owned())
    }

    /// The values that restrictions name, as [`facet`] writes them.
    pub(super) fn facets(&self) -> Vec<String> {
        let sector = self.naics_sector();
        [
            (CounterDimension::Agency, Some(&self.agency_code)),
            (CounterDimension::NoticeType, Some(&self.notice_type)),
            (CounterDimension::SetAside, self.set_aside.as_ref()),
            (CounterDimension::NaicsSector, sector.as_ref()),
            (CounterDimension::Naics, self.naics.as_ref()),
        ]
        .into_iter()
        .filter_map(|(dimension, value)| value.map(|value| facet(dimension, value)))
        .collect()
    }

    /// What it counts for, with these awards.
    pub(super) fn counted_values(&self, awards: AwardTotals) -> CountedValues {
        CountedValues {
            agency: self.agency_code.clone(),
            notice_type: self.notice_type.clone(),
            set_aside: self.set_aside.clone(),
            naics: self.naics.clone(),
            state: self.place_state.clone(),
            posted_at: self.posted_at,
            response_deadline: self.response_deadline,
            awards,
        }
    }
}

/// A value of a dimension, as in the column `facets`.
pub(super) fn facet(dimension: CounterDimension, value: &str) -> String {
    format!("{}={value}", dimension.number())
}

/// The first two digits of an industry code.
pub(super) fn naics_sector(code: &str) -> &str {
    code.get(..2).unwrap_or(code)
}

/// The verify bucket of an opportunity, as it is stored.
pub(super) fn verify_bucket(id: &str) -> i16 {
    i16::try_from(bucket_of(id)).unwrap_or_default()
}

/// The awards of one opportunity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct AwardTotals {
    pub(super) count: i32,
    /// Sum in US cents, at the bounds of the type if it is beyond; `None` while no award has an amount.
    pub(super) cents: Option<i64>,
}

impl AwardTotals {
    /// Decodes the columns of `opportunities`.
    pub(super) fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self { count: row.try_get("awards")?, cents: row.try_get("awarded_cents")? })
    }

    /// Sums the amounts of all awards.
    pub(super) fn from_amounts(amounts: impl Iterator<Item = Option<i64>>) -> Self {
        let (mut count, mut sum) = (0_i32, None::<i128>);
        for amount in amounts {
            count = count.saturating_add(1);
            if let Some(amount) = amount {
                sum = Some(sum.unwrap_or_default() + i128::from(amount));
            }
        }
        Self { count, cents: sum.map(clamp_cents) }
    }
}

/// The sum, or the nearest bound of the type.
pub(super) fn clamp_cents(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}
