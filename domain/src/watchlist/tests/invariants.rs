//! What holds for any sequence of wishes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn any_command() -> impl Strategy<Value = WatchlistCommand> {
    (any::<bool>(), 0_u8..5, 1_u32..28).prop_map(|(wants, number, day)| {
        let opportunity = format!("036:{number}");
        if wants { save(&opportunity, day) } else { unsave(&opportunity, day) }
    })
}

fn any_search_command() -> impl Strategy<Value = WatchlistCommand> {
    (any::<bool>(), 0_u128..4, "[ab]").prop_map(|(wants, number, name)| {
        if wants { searches::save_search(number, &name) } else { searches::remove_search(number) }
    })
}

proptest! {
    #[test]
    fn names_of_searches_differ_and_replaying_gives_the_same(
        wishes in prop::collection::vec(prop_oneof![any_command(), any_search_command()], 0..40)
    ) {
        let (mut state, mut log) = (Watchlist::default(), vec![]);
        for wish in wishes {
            for event in state.decide(wish).unwrap_or_default() {
                state.evolve(event.clone());
                log.push(event);
            }
            let names: std::collections::HashSet<_> = state.saved_searches().map(|(_, search)| search.name.as_str()).collect();
            prop_assert_eq!(names.len(), state.saved_searches().len());
        }
        let mut replayed = Watchlist::default();
        for event in log {
            replayed.evolve(event);
        }
        let snapshot = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Watchlist>(&snapshot).unwrap(), &state);
        prop_assert_eq!(replayed, state);
    }

    #[test]
    fn what_is_saved_is_what_was_last_asked_for(wishes in prop::collection::vec(any_command(), 0..40)) {
        let (mut state, mut last) = (Watchlist::default(), BTreeMap::new());
        for wish in wishes {
            let (opportunity_id, wanted) = match &wish {
                WatchlistCommand::Save { opportunity_id, .. } => (opportunity_id.clone(), true),
                WatchlistCommand::Unsave { opportunity_id, .. } => (opportunity_id.clone(), false),
                WatchlistCommand::SaveSearch { .. } | WatchlistCommand::RemoveSearch { .. } => continue,
            };
            last.insert(opportunity_id, wanted);
            for event in state.decide(wish).unwrap() {
                state.evolve(event);
            }
        }
        let wanted: Vec<_> = last.iter().filter(|(_, wanted)| **wanted).map(|(id, _)| id).collect();
        prop_assert_eq!(state.saved_opportunities().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn saves_and_unsaves_of_an_opportunity_take_turns(wishes in prop::collection::vec(any_command(), 0..40)) {
        let (mut state, mut turns) = (Watchlist::default(), BTreeMap::<OpportunityId, i32>::new());
        for event in wishes.into_iter().flat_map(|wish| {
            let events = state.decide(wish).unwrap();
            events.iter().cloned().for_each(|event| state.evolve(event));
            events
        }) {
            let (id, step) = match event {
                WatchlistEvent::OpportunitySaved { opportunity_id, .. } => (opportunity_id, 1),
                WatchlistEvent::OpportunityUnsaved { opportunity_id, .. } => (opportunity_id, -1),
                WatchlistEvent::SearchSaved { .. } | WatchlistEvent::SearchRemoved { .. } => continue,
            };
            let turn = turns.entry(id).or_default();
            *turn += step;
            prop_assert!((0..=1).contains(turn));
        }
    }
}
