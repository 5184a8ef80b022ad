//! Properties of generated visits.

use std::collections::{BTreeMap, BTreeSet};

use domain::visit::VisitCommand;

use super::*;

fn opportunities() -> Vec<OpportunityId> {
    (0..200).map(|number| OpportunityId::parse(&format!("036:N{number}")).unwrap()).collect()
}

fn config(visits: u64, seed: u64) -> VisitGeneratorConfig {
    let (from, until) = ("2026-02-01T00:00:00Z".parse().unwrap(), "2026-03-03T00:00:00Z".parse().unwrap());
    VisitGeneratorConfig { visits, seed, from, until }
}

fn generate_visits(config: VisitGeneratorConfig) -> Vec<GeneratedVisit> {
    VisitGenerator::new(config, opportunities()).map(Result::unwrap).collect()
}

fn command_time(command: &VisitCommand) -> DateTime<Utc> {
    match command {
        VisitCommand::View(view) => view.at,
        VisitCommand::Click(click) => click.at,
    }
}

fn command_user(command: &VisitCommand) -> Option<&UserId> {
    match command {
        VisitCommand::View(view) => view.user_id.as_ref(),
        VisitCommand::Click(click) => click.user_id.as_ref(),
    }
}

fn count_views(visit: &GeneratedVisit) -> u32 {
    let views = visit.steps.iter().filter(|step| matches!(step.command, VisitCommand::View(_)));
    u32::try_from(views.count()).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_visits_and_another_seed_others() {
    let visits = generate_visits(config(300, 1));
    assert_eq!(visits.len(), 300);
    assert_eq!(generate_visits(config(300, 1)), visits);
    assert_ne!(generate_visits(config(300, 2)), visits);
}

#[test]
fn another_time_range_gives_other_visit_ids() {
    let earlier = config(50, 1);
    let later = VisitGeneratorConfig {
        from: earlier.from + TimeDelta::days(1),
        until: earlier.until + TimeDelta::days(1),
        ..earlier
    };
    let ids = |config| generate_visits(config).into_iter().map(|visit| visit.steps[0].visit_id.clone());
    let earlier: BTreeSet<_> = ids(earlier).collect();
    assert_eq!(earlier.len(), 50);
    assert!(ids(later).all(|id| !earlier.contains(&id)));
}

#[test]
fn a_visit_has_one_to_twelve_pages_of_one_visitor_ordered_by_time() {
    let mut lengths = BTreeSet::new();
    for visit in generate_visits(config(2_000, 1)) {
        let first = &visit.steps[0];
        assert!(matches!(first.command, VisitCommand::View(_)), "a visit begins with a view");
        assert!(visit.steps.iter().all(|step| step.visit_id == first.visit_id));
        assert!(visit.steps.iter().all(|step| command_user(&step.command) == command_user(&first.command)));
        assert!(visit.steps.windows(2).all(|pair| command_time(&pair[0].command) < command_time(&pair[1].command)));
        lengths.insert(count_views(&visit));
    }
    assert_eq!(lengths, (1..=MAX_PAGES).collect());
}

#[test]
fn visits_are_distributed_over_the_time_range() {
    let all @ VisitGeneratorConfig { from, until, .. } = config(300, 1);
    let mut per_day = BTreeMap::new();
    for visit in generate_visits(all) {
        let begin = command_time(&visit.steps[0].command);
        assert!(from <= begin && begin < until + TimeDelta::seconds(3), "{begin}");
        *per_day.entry((begin - from).num_days()).or_insert(0) += 1;
    }
    assert_eq!(per_day.len(), 30);
    assert!(per_day.values().all(|visits| (9..=11).contains(visits)), "{per_day:?}");
}

#[test]
fn half_of_the_visitors_are_anonymous_and_only_the_others_save_viewed_opportunities() {
    let visits = generate_visits(config(2_000, 1));
    let anonymous = visits.iter().filter(|visit| command_user(&visit.steps[0].command).is_none()).count();
    assert!((950..1_130).contains(&anonymous), "{anonymous}");
    let (mut saves, mut unsaves) = (0, 0);
    for visit in &visits {
        for request in &visit.watchlist_requests {
            assert_eq!(command_user(&visit.steps[0].command), Some(&request.user_id));
            let opportunity_id = match &request.command {
                WatchlistCommand::Save { opportunity_id, .. } => {
                    saves += 1;
                    opportunity_id
                }
                WatchlistCommand::Unsave { opportunity_id, .. } => {
                    unsaves += 1;
                    opportunity_id
                }
                other @ (WatchlistCommand::SaveSearch { .. } | WatchlistCommand::RemoveSearch { .. }) => {
                    panic!("generated users save no searches: {other:?}")
                }
            };
            let views_opportunity = |step: &VisitStep| match &step.command {
                VisitCommand::View(view) => view.opportunity_id.as_ref() == Some(opportunity_id),
                VisitCommand::Click(_) => false,
            };
            assert!(visit.steps.iter().any(views_opportunity));
        }
    }
    assert!(saves > 200 && unsaves > 10 && unsaves < saves / 5, "{saves} saves, {unsaves} unsaves");
}

#[test]
fn a_few_opportunities_have_most_of_the_views() {
    let known: BTreeSet<_> = opportunities().into_iter().collect();
    let mut views = BTreeMap::<OpportunityId, u32>::new();
    let mut clicks = 0;
    for step in generate_visits(config(3_000, 1)).into_iter().flat_map(|visit| visit.steps) {
        match step.command {
            VisitCommand::View(view) => {
                if let Some(id) = view.opportunity_id {
                    *views.entry(id).or_default() += 1;
                }
            }
            VisitCommand::Click(_) => clicks += 1,
        }
    }
    assert!(views.keys().all(|id| known.contains(id)));
    let total: u32 = views.values().sum();
    let mut counts: Vec<_> = views.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    // By Zipf's law the first of 200 has 17 % and the first ten have half of all.
    assert!((14..20).contains(&(100 * counts[0] / total)), "{} of {total}", counts[0]);
    assert!((45..55).contains(&(100 * counts[..10].iter().sum::<u32>() / total)));
    assert!(clicks > total / 2, "{clicks} clicks, {total} views of opportunities");
}

#[test]
fn without_opportunities_visitors_view_only_lists() {
    let visits: Vec<_> = VisitGenerator::new(config(50, 1), vec![]).map(Result::unwrap).collect();
    assert_eq!(visits.len(), 50);
    assert!(visits.iter().all(|visit| visit.watchlist_requests.is_empty()));
}

#[test]
fn an_empty_time_range_gives_all_visits() {
    let all = config(20, 1);
    let visits = generate_visits(VisitGeneratorConfig { until: all.from, ..all });
    assert_eq!(visits.len(), 20);
}
