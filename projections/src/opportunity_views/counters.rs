//! Counters over all opportunities, moved together with the views they count.

use std::collections::{BTreeMap, HashMap};

use domain::opportunity::Opportunity;

use super::{
    figure_deltas::{FigureDeltas, FigureKey},
    opportunity_view::OpportunityViewStatus,
};

const TOTAL: &str = "total";
const AGENCY: &str = "agency:";
const TYPE: &str = "type:";
const STATUS: &str = "status:";

/// How many opportunities there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpportunityCounters {
    /// In all.
    pub total: u64,
    /// By agency code.
    pub by_agency: BTreeMap<String, u64>,
    /// By the type of the current notice.
    pub by_type: BTreeMap<String, u64>,
    /// By status: `open`, `awarded`, `cancelled`, `archived`.
    pub by_status: BTreeMap<String, u64>,
}

impl OpportunityCounters {
    /// Reads the fields of the counters' hash; an absent hash counts nothing.
    pub(super) fn from_fields(fields: HashMap<String, i64>) -> Self {
        let mut counters = Self::default();
        for (field, count) in fields {
            // Never negative: what is taken away was added by the same script before.
            let count = u64::try_from(count).unwrap_or_default();
            if field == TOTAL {
                counters.total = count;
            } else if let Some(code) = field.strip_prefix(AGENCY) {
                counters.by_agency.insert(code.to_owned(), count);
            } else if let Some(notice_type) = field.strip_prefix(TYPE) {
                counters.by_type.insert(notice_type.to_owned(), count);
            } else if let Some(status) = field.strip_prefix(STATUS) {
                counters.by_status.insert(status.to_owned(), count);
            }
        }
        counters
    }

    pub(super) const TOTAL: &'static str = TOTAL;
}

/// Adds an opportunity in this state to the counters that it counts in; `sign` is -1 to take it away.
pub(super) fn count_opportunity(state: &Opportunity, sign: i64, deltas: &mut FigureDeltas) {
    let (Some(record), Some(status)) = (state.record(), OpportunityViewStatus::from_state(state)) else {
        return;
    };
    for field in [
        TOTAL.to_owned(),
        format!("{AGENCY}{}", record.facts.agency.code),
        format!("{TYPE}{}", record.facts.notice_type),
        format!("{STATUS}{}", status.name()),
    ] {
        deltas.add(FigureKey::Counters, &field, sign);
    }
}
