//! Counters over all opportunities, written atomically with the views that they count.

use std::collections::BTreeMap;

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

/// Adds an opportunity in this state to its counters; a `sign` of -1 subtracts it.
pub(super) fn count_opportunity(shard: KeyShard, state: &Opportunity, sign: i64, deltas: &mut FigureDeltas) {
    let (Some(record), Some(status)) = (state.record(), OpportunityViewStatus::from_state(state)) else {
        return;
    };
    for field in [
        TOTAL.to_owned(),
        format!("{AGENCY}{}", record.details.agency.code),
        format!("{TYPE}{}", record.details.notice_type),
        format!("{STATUS}{}", status.name()),
    ] {
        deltas.add(FigureKey::Counters(shard), &field, sign);
    }
}
