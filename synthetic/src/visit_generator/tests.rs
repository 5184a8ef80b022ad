//! What generated browsing is like.

use std::collections::{BTreeMap, BTreeSet};

use domain::visit::VisitCommand;

use super::*;

fn opportunities() -> Vec<OpportunityId> {
    (0..200).map(|number| OpportunityId::parse(&format!("036:N{number}")).unwrap()).collect()
}

fn browsing(visits: u64, seed: u64) -> VisitGeneratorConfig {
    let (from, until) = ("2026-02-01T00:00:00Z".parse().unwrap(), "2026-03-03T00:00:00Z".parse().unwrap());
    VisitGeneratorConfig { visits, seed, from, until }
}

fn generated(browsing: VisitGeneratorConfig) -> Vec<GeneratedVisit> {
    VisitGenerator::new(browsing, opportunities()).map(Result::unwrap).collect()
}

fn time_of(command: &VisitCommand) -> DateTime<Utc> {
    match command {
        VisitCommand::View(view) => view.at,
        VisitCommand::Click(click) => click.at,
    }
}

fn user_of(command: &VisitCommand) -> Option<&UserId> {
    match command {
        VisitCommand::View(view) => view.user_id.as_ref(),
        VisitCommand::Click(click) => click.user_id.as_ref(),
    }
}

fn views(visit: &GeneratedVisit) -> u32 {
    let views = visit.steps.iter().filter(|step| matches!(step.command, VisitCommand::View(_)));
    u32::try_from(views.count()).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_visits_and_another_seed_others() {
    let visits = generated(browsing(300, 1));
    assert_eq!(visits.len(), 300);
    assert_eq!(generated(browsing(300, 1)), visits);
    assert_ne!(generated(browsing(300, 2)), visits);
}

#[test]
fn another_time_gives_other_visits() {
    let earlier = browsing(50, 1);
    let later = VisitGeneratorConfig {
        from: earlier.from + TimeDelta::days(1),
        until: earlier.until + TimeDelta::days(1),
        ..earlier
    };
    let ids = |browsing| generated(browsing).into_iter().map(|visit| visit.steps[0].visit_id.clone());
    let earlier: BTreeSet<_> = ids(earlier).collect();
    assert_eq!(earlier.len(), 50);
    assert!(ids(later).all(|id| !earlier.contains(&id)));
}

#[test]
fn a_visit_is_one_to_twelve_pages_of_one_visitor_in_the_order_of_time() {
    let mut lengths = BTreeSet::new();
    for visit in generated(browsing(2_000, 1)) {
        let first = &visit.steps[0];
        assert!(matches!(first.command, VisitCommand::View(_)), "a visit begins with a page");
        assert!(visit.steps.iter().all(|step| step.visit_id == first.visit_id));
        assert!(visit.steps.iter().all(|step| user_of(&step.command) == user_of(&first.command)));
        assert!(visit.steps.windows(2).all(|pair| time_of(&pair[0].command) < time_of(&pair[1].command)));
        lengths.insert(views(&visit));
    }
    assert_eq!(lengths, (1..=MAX_PAGES).collect());
}

#[test]
fn visits_are_spread_over_the_time_given() {
    let all @ VisitGeneratorConfig { from, until, .. } = browsing(300, 1);
    let mut per_day = BTreeMap::new();
    for visit in generated(all) {
        let begin = time_of(&visit.steps[0].command);
        assert!(from <= begin && begin < until + TimeDelta::seconds(3), "{begin}");
        *per_day.entry((begin - from).num_days()).or_insert(0) += 1;
    }
    assert_eq!(per_day.len(), 30);
    assert!(per_day.values().all(|visits| (9..=11).contains(visits)), "{per_day:?}");
}

#[test]
fn some_visitors_are_anonymous_and_only_the_others_save_what_they_saw() {
    let visits = generated(browsing(2_000, 1));
    let anonymous = visits.iter().filter(|visit| user_of(&visit.steps[0].command).is_none()).count();
    assert!((950..1_130).contains(&anonymous), "{anonymous}");
    let (mut saves, mut unsaves) = (0, 0);
    for visit in &visits {
        for wish in &visit.watchlist_requests {
            assert_eq!(user_of(&visit.steps[0].command), Some(&wish.user_id));
            let opportunity_id = match &wish.command {
                WatchlistCommand::Save { opportunity_id, .. } => {
                    saves += 1;
                    opportunity_id
                }
                WatchlistCommand::Unsave { opportunity_id, .. } => {
                    unsaves += 1;
                    opportunity_id
                }
                other @ (WatchlistCommand::SaveSearch { .. } | WatchlistCommand::RemoveSearch { .. }) => {
                    panic!("made-up users save no searches: {other:?}")
                }
            };
            let saw = |step: &VisitStep| match &step.command {
                VisitCommand::View(view) => view.opportunity_id.as_ref() == Some(opportunity_id),
                VisitCommand::Click(_) => false,
            };
            assert!(visit.steps.iter().any(saw));
        }
    }
    assert!(saves > 200 && unsaves > 10 && unsaves < saves / 5, "{saves} saves, {unsaves} unsaves");
}

#[test]
fn a_few_opportunities_are_seen_by_many() {
    let known: BTreeSet<_> = opportunities().into_iter().collect();
    let mut seen = BTreeMap::<OpportunityId, u32>::new();
    let mut clicks = 0;
    for step in generated(browsing(3_000, 1)).into_iter().flat_map(|visit| visit.steps) {
        match step.command {
            VisitCommand::View(view) => {
                if let Some(id) = view.opportunity_id {
                    *seen.entry(id).or_default() += 1;
                }
            }
            VisitCommand::Click(_) => clicks += 1,
        }
    }
    assert!(seen.keys().all(|id| known.contains(id)));
    let total: u32 = seen.values().sum();
    let mut counts: Vec<_> = seen.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    // By Zipf's law the first of 200 has 17 % and the first ten have half of all.
    assert!((14..20).contains(&(100 * counts[0] / total)), "{} of {total}", counts[0]);
    assert!((45..55).contains(&(100 * counts[..10].iter().sum::<u32>() / total)));
    assert!(clicks > total / 2, "{clicks} clicks, {total} views of opportunities");
}

#[test]
fn without_opportunities_visitors_see_lists() {
    let visits: Vec<_> = VisitGenerator::new(browsing(50, 1), vec![]).map(Result::unwrap).collect();
    assert_eq!(visits.len(), 50);
    assert!(visits.iter().all(|visit| visit.watchlist_requests.is_empty()));
}

#[test]
fn no_time_at_all_is_time_enough() {
    let all = browsing(20, 1);
    let visits = generated(VisitGeneratorConfig { until: all.from, ..all });
    assert_eq!(visits.len(), 20);
}
