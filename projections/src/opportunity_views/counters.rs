//! Counters over all opportunities, written atomically with the views that they count.

use std::{borrow::Cow, collections::BTreeMap};

use domain::opportunity::Opportunity;

use super::{
    figure_deltas::{FigureDeltas, FigureKey},
    key_shard::KeyShard,
    opportunity_view::OpportunityViewStatus,
};

const TOTAL: &str = "total";
const AGENCY: &str = "agency:";
const TYPE: &str = "type:";
const STATUS: &str = "status:";

/// Numbers of opportunities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpportunityCounters {
    /// All opportunities.
    pub total: u64,
    /// By agency code.
    pub by_agency: BTreeMap<String, u64>,
    /// By the type of the current notice.
    pub by_type: BTreeMap<String, u64>,
    /// By status: `open`, `awarded`, `cancelled`, `archived`.
    pub by_status: BTreeMap<String, u64>,
}

impl OpportunityCounters {
    /// Sums the counter fields of all shards.
    pub(super) fn from_fields(fields: impl IntoIterator<Item = (String, i64)>) -> Self {
        let mut counters = Self::default();
        for (field, count) in fields {
            // Never negative: the script subtracts only what it has added before.
            let count = u64::try_from(count).unwrap_or_default();
            let sum = if field == TOTAL {
                &mut counters.total
            } else if let Some(code) = field.strip_prefix(AGENCY) {
                counters.by_agency.entry(code.to_owned()).or_default()
            } else if let Some(notice_type) = field.strip_prefix(TYPE) {
                counters.by_type.entry(notice_type.to_owned()).or_default()
            } else if let Some(status) = field.strip_prefix(STATUS) {
                counters.by_status.entry(status.to_owned()).or_default()
            } else {
                continue;
            };
            *sum += count;
        }
        counters
    }

    pub(super) const TOTAL: &'static str = TOTAL;
}

/// The properties by which an opportunity is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CountedProperties<'a> {
    agency: Cow<'a, str>,
    notice_type: Cow<'a, str>,
    status: OpportunityViewStatus,
}

impl<'a> CountedProperties<'a> {
    /// The properties of a folded state; `None` before the opportunity was discovered.
    pub(super) fn from_state(state: &'a Opportunity) -> Option<Self> {
        let (record, status) = (state.record()?, OpportunityViewStatus::from_state(state)?);
        let (agency, notice_type) = (&record.details.agency.code, record.details.notice_type.as_str());
        Some(Self { agency: agency.into(), notice_type: notice_type.into(), status })
    }

    pub(super) fn into_owned(self) -> CountedProperties<'static> {
        let Self { agency, notice_type, status } = self;
        CountedProperties { agency: agency.into_owned().into(), notice_type: notice_type.into_owned().into(), status }
    }

    fn add_to_counters(&self, shard: KeyShard, sign: i64, deltas: &mut FigureDeltas) {
        let Self { agency, notice_type, status } = self;
        deltas.add(FigureKey::Counters(shard), TOTAL, sign);
        for field in [[AGENCY, agency].concat(), [TYPE, notice_type].concat(), [STATUS, status.name()].concat()] {
            deltas.add(FigureKey::Counters(shard), field, sign);
        }
    }
}

/// Counts an opportunity in its state after some events, instead of the state before. Nearly no event changes how an
/// opportunity is counted, once it is discovered.
pub(super) fn count_transition(
    shard: KeyShard,
    before: Option<&CountedProperties<'_>>,
    after: Option<&CountedProperties<'_>>,
    deltas: &mut FigureDeltas,
) {
    if before == after {
        return;
    }
    for (properties, sign) in [(before, -1), (after, 1)] {
        if let Some(properties) = properties {
            properties.add_to_counters(shard, sign, deltas);
        }
    }
}
