//! Properties that hold for any sequence of commands.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn any_command() -> impl Strategy<Value = WatchlistCommand> {
    (any::<bool>(), 0_u8..5, 1_u32..28).prop_map(|(is_save, number, day)| {
        let opportunity = format!("036:{number}");
        if is_save { save(&opportunity, day) } else { unsave(&opportunity, day) }
    })
}

fn any_search_command() -> impl Strategy<Value = WatchlistCommand> {
    (any::<bool>(), 0_u128..4, "[ab]").prop_map(|(is_save, number, name)| {
        if is_save { searches::save_search(number, &name) } else { searches::remove_search(number) }
    })
}

proptest! {
    #[test]
    fn names_of_searches_differ_and_replay_is_exact(
        commands in prop::collection::vec(prop_oneof![any_command(), any_search_command()], 0..40)
    ) {
        let (mut state, mut log) = (Watchlist::default(), vec![]);
        for command in commands {
            for event in state.decide(command).unwrap_or_default() {
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
    fn the_last_command_for_an_opportunity_decides(commands in prop::collection::vec(any_command(), 0..40)) {
        let (mut state, mut last) = (Watchlist::default(), BTreeMap::new());
        for command in commands {
            let (opportunity_id, is_saved) = match &command {
                WatchlistCommand::Save { opportunity_id, .. } => (opportunity_id.clone(), true),
                WatchlistCommand::Unsave { opportunity_id, .. } => (opportunity_id.clone(), false),
                WatchlistCommand::SaveSearch { .. } | WatchlistCommand::RemoveSearch { .. } => continue,
            };
            last.insert(opportunity_id, is_saved);
            for event in state.decide(command).unwrap() {
                state.evolve(event);
            }
        }
        let expected: Vec<_> = last.iter().filter(|(_, is_saved)| **is_saved).map(|(id, _)| id).collect();
        prop_assert_eq!(state.saved_opportunities().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn saves_and_unsaves_of_an_opportunity_alternate(commands in prop::collection::vec(any_command(), 0..40)) {
        let (mut state, mut balances) = (Watchlist::default(), BTreeMap::<OpportunityId, i32>::new());
        for event in commands.into_iter().flat_map(|command| {
            let events = state.decide(command).unwrap();
            events.iter().cloned().for_each(|event| state.evolve(event));
            events
        }) {
            let (id, step) = match event {
                WatchlistEvent::OpportunitySaved { opportunity_id, .. } => (opportunity_id, 1),
                WatchlistEvent::OpportunityUnsaved { opportunity_id, .. } => (opportunity_id, -1),
                WatchlistEvent::SearchSaved { .. } | WatchlistEvent::SearchRemoved { .. } => continue,
            };
            let balance = balances.entry(id).or_default();
            *balance += step;
            prop_assert!((0..=1).contains(balance));
        }
    }
}
