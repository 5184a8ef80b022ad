//! The changes of the lists that an event causes.

use std::sync::Arc;

use domain::{
    envelope::RawEnvelope,
    opportunity::{Opportunity, OpportunityContent, OpportunityEvent},
};

use crate::{ListEntry, runtime::ProjectionError};

/// One change of the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListChange {
    /// The details of the current notice.
    Details(Box<ListEntry>),
    /// An award.
    Award(ListedAward),
}

/// An award of an opportunity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListedAward {
    pub(super) opportunity_id: String,
    pub(super) key: String,
    pub(super) sequence: i64,
    pub(super) amount_cents: Option<i64>,
}

impl ListedAward {
    pub(super) const TABLE: &'static str = "awards";
}

impl ListChange {
    /// The change that an event causes, if any.
    pub(super) fn from_event(event: &RawEnvelope) -> Result<Option<Self>, ProjectionError> {
        if event.aggregate_type != <Opportunity as cqrs_es::Aggregate>::TYPE {
            return Ok(None);
        }
        let payload = event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?;
        Ok(payload.into_content().map(|content| match content {
            OpportunityContent::CurrentNotice { filing, details } => {
                Self::Details(Box::new(ListEntry::from_event(event, &filing, Arc::unwrap_or_clone(details))))
            }
            OpportunityContent::Award { key, award } => Self::Award(ListedAward {
                opportunity_id: event.aggregate_id.clone(),
                key,
                sequence: event.sequence.cast_signed(),
                amount_cents: award.amount.map(|amount| amount.0),
            }),
        }))
    }

    pub(super) fn opportunity_id(&self) -> &str {
        match self {
            Self::Details(entry) => &entry.id,
            Self::Award(award) => &award.opportunity_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::opportunity::{AmendmentStanding, PlaceOfPerformance};

    use super::*;
    use crate::fixture::{
        amended, awarded, deadline_changed, discovered, recorded_event, unknown_aggregate_event, unreadable_event,
    };

    #[test]
    fn discoveries_current_amendments_and_awards_change_the_lists() {
        let change = |event: &OpportunityEvent| ListChange::from_event(&recorded_event(3, event)).unwrap();
        for event in [discovered("Lifts"), amended("Lifts", AmendmentStanding::Current)] {
            let Some(ListChange::Details(entry)) = change(&event) else { panic!("no details") };
            assert_eq!(
                (entry.title.as_str(), entry.sequence, entry.naics_sector().as_deref()),
                ("Lifts", 3, Some("33"))
            );
        }
        let Some(ListChange::Award(award)) = change(&awarded("A1", 111)) else { panic!("no award") };
        assert_eq!((award.key.as_str(), award.amount_cents, award.sequence), ("A1", Some(111), 3));
        for event in [amended("Lifts", AmendmentStanding::Earlier), deadline_changed()] {
            assert_eq!(change(&event), None);
        }
    }

    #[test]
    fn a_long_state_is_cut() {
        let mut event = discovered("Lifts");
        let OpportunityEvent::Discovered { details, .. } = &mut event else { panic!("no details") };
        Arc::make_mut(details).place =
            Some(PlaceOfPerformance { state: Some("é".repeat(1_000)), ..PlaceOfPerformance::default() });

        let Ok(Some(ListChange::Details(entry))) = ListChange::from_event(&recorded_event(3, &event)) else {
            panic!("no details")
        };

        assert_eq!(entry.place_state, Some("é".repeat(100)));
    }

    #[test]
    fn an_event_of_another_aggregate_changes_nothing_and_an_unreadable_one_is_poison() {
        assert_eq!(ListChange::from_event(&unknown_aggregate_event()).unwrap(), None);
        assert!(matches!(ListChange::from_event(&unreadable_event()), Err(ProjectionError::Poison(_))));
    }
}
