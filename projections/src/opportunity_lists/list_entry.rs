//! A row of `opportunities`: the details of the current notice, without its awards.

use chrono::{DateTime, SubsecRound, Utc};
use domain::{
    envelope::RawEnvelope,
    opportunity::{NoticeDetails, NoticeId},
    value::ensure_storable_time,
};

use super::counter::{CountedValues, CounterDimension};
use crate::runtime::bucket_of;

/// Characters of a state beyond this number are ignored: it is a key of counters, whose size is limited.
const MAX_STATE_CHARS: usize = 100;

/// The details of one opportunity, as lists show them. An empty text counts as absent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListEntry {
    pub(super) id: String,
    pub(super) sequence: i64,
    pub(super) notice_id: String,
    pub(super) notice_type: String,
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) solicitation_number: Option<String>,
    pub(super) agency_code: String,
    pub(super) agency_name: String,
    pub(super) sub_tier: Option<String>,
    pub(super) office: Option<String>,
    pub(super) set_aside: Option<String>,
    pub(super) naics: Option<String>,
    pub(super) psc: Option<String>,
    pub(super) posted_at: DateTime<Utc>,
    pub(super) response_deadline: Option<DateTime<Utc>>,
    pub(super) active: Option<bool>,
    pub(super) link: Option<String>,
    pub(super) place_city: Option<String>,
    pub(super) place_state: Option<String>,
}

impl ListEntry {
    pub(super) const TABLE: &'static str = "opportunities";

    pub(super) fn from_event(
        event: &RawEnvelope,
        notice_id: &NoticeId,
        posted_at: DateTime<Utc>,
        details: NoticeDetails,
    ) -> Self {
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        let place = details.place.unwrap_or_default();
        Self {
            id: event.aggregate_id.clone(),
            sequence: event.sequence.cast_signed(),
            notice_id: notice_id.to_string(),
            notice_type: details.notice_type.to_string(),
            title: details.title,
            description: present(details.description),
            solicitation_number: present(details.solicitation_number),
            agency_code: details.agency.code,
            agency_name: details.agency.name,
            sub_tier: present(details.sub_tier),
            office: present(details.office),
            set_aside: present(details.set_aside.map(|code| code.to_string())),
            naics: present(details.naics.map(|code| code.to_string())),
            psc: present(details.psc),
            posted_at: posted_at.trunc_subsecs(6),
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
            awards,
        }
    }
}

/// A value of a dimension as it stands in the column `facets`.
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
