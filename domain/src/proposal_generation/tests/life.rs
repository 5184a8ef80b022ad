//! Tests of a generation from the request to the rating.

use super::*;

fn expect_events(
    given: Vec<ProposalGenerationEvent>,
    when: ProposalGenerationCommand,
    then: Vec<ProposalGenerationEvent>,
) {
    GenerationScenario::with(()).given(given).when(when).then_expect_events(then);
}

fn expect_refusal(given: Vec<ProposalGenerationEvent>, when: ProposalGenerationCommand, then: ProposalGenerationError) {
    GenerationScenario::with(()).given(given).when(when).then_expect_error(then);
}

fn done() -> Vec<ProposalGenerationEvent> {
    vec![requested(), generated("a", "x"), section_failed("b"), completed()]
}

#[test]
fn a_generation_is_requested_generated_section_by_section_completed_and_rated() {
    expect_events(vec![], request(), vec![requested()]);
    expect_events(vec![requested()], record("a", "x"), vec![generated("a", "x")]);
    expect_events(vec![requested(), generated("a", "x")], record_failure("b"), vec![section_failed("b")]);
    expect_events(vec![requested(), generated("a", "x"), section_failed("b")], complete(), vec![completed()]);
    expect_events(done(), rate(UserRating::Helpful), vec![rated(UserRating::Helpful)]);
}

#[test]
fn a_repeated_command_changes_nothing() {
    expect_events(vec![requested()], request(), vec![]);
    expect_events(vec![requested(), generated("a", "x")], record("a", "x"), vec![]);
    expect_events(vec![requested(), section_failed("a")], record_failure("a"), vec![]);
    expect_events(done(), record("a", "x"), vec![]);
    expect_events(done(), complete(), vec![]);
    expect_events(vec![requested(), failed()], fail(), vec![]);
    expect_events(vec![requested(), cancelled()], cancel(), vec![]);
    expect_events([done(), vec![rated(UserRating::Helpful)]].concat(), rate(UserRating::Helpful), vec![]);
}

#[test]
fn a_request_under_a_known_id_is_refused_when_it_differs() {
    let other = ProposalGenerationCommand::Request {
        request: try_request(vec![section("a")], vec![]).unwrap(),
        stamp: stamp(),
    };
    expect_refusal(vec![requested()], other, ProposalGenerationError::AlreadyRequested);
}

#[test]
fn commands_to_an_unrequested_generation_are_refused() {
    for command in [record("a", "x"), record_failure("a"), complete(), fail(), cancel(), rate(UserRating::Helpful)] {
        expect_refusal(vec![], command, ProposalGenerationError::NotRequested);
    }
}

#[test]
fn a_section_is_recorded_once() {
    let refusal = || ProposalGenerationError::AlreadyRecorded { section: key("a") };
    expect_refusal(vec![requested(), generated("a", "x")], record("a", "y"), refusal());
    expect_refusal(vec![requested(), generated("a", "x")], record_failure("a"), refusal());
    expect_refusal(vec![requested(), section_failed("a")], record("a", "x"), refusal());
}

#[test]
fn only_requested_sections_are_recorded() {
    let refusal = || ProposalGenerationError::NoSuchSection { section: key("z") };
    expect_refusal(vec![requested()], record("z", "x"), refusal());
    expect_refusal(vec![requested()], record_failure("z"), refusal());
}

#[test]
fn a_generation_is_completed_after_its_last_section_if_one_was_generated() {
    expect_refusal(vec![requested()], complete(), ProposalGenerationError::SectionsPending { count: 2 });
    let given = vec![requested(), generated("b", "x")];
    expect_refusal(given, complete(), ProposalGenerationError::SectionsPending { count: 1 });
    let given = vec![requested(), section_failed("a"), section_failed("b")];
    expect_refusal(given.clone(), complete(), ProposalGenerationError::NothingGenerated);
    expect_events(given, fail(), vec![failed()]);
}

#[test]
fn a_running_generation_can_be_cancelled_and_can_fail() {
    expect_events(vec![requested(), generated("a", "x")], cancel(), vec![cancelled()]);
    expect_events(vec![requested(), generated("a", "x")], fail(), vec![failed()]);
}

#[test]
fn an_ended_generation_accepts_no_section_and_no_other_end() {
    for (end, others) in
        [(completed(), [fail(), cancel()]), (failed(), [complete(), cancel()]), (cancelled(), [complete(), fail()])]
    {
        for command in others.into_iter().chain([record("b", "x"), record_failure("b")]) {
            let given = vec![requested(), generated("a", "x"), end.clone()];
            expect_refusal(given, command, ProposalGenerationError::AlreadyEnded);
        }
    }
}

#[test]
fn only_a_completed_generation_is_rated_and_the_last_rating_counts() {
    for given in [vec![requested()], vec![requested(), failed()], vec![requested(), cancelled()]] {
        expect_refusal(given, rate(UserRating::Helpful), ProposalGenerationError::NotCompleted);
    }
    let mut state = ProposalGeneration::default();
    let ratings = [rated(UserRating::Helpful), rated(UserRating::Unhelpful)];
    done().into_iter().chain(ratings).for_each(|event| state.evolve(event));
    let rating = state.as_requested().and_then(|known| known.rating.clone()).unwrap();
    assert_eq!(rating.rating, UserRating::Unhelpful);
}

#[test]
fn what_a_model_reports_is_limited_before_it_is_recorded() {
    let model = ModelUse { input_tokens: u64::MAX, failed_providers: vec![model().provider; 100], ..model() };
    let command =
        ProposalGenerationCommand::RecordSection { section: key("a"), draft: draft("x"), model, stamp: stamp() };
    let mut state = ProposalGeneration::default();
    state.evolve(requested());
    let events = state.decide(command.clone()).unwrap();
    let [ProposalGenerationEvent::SectionGenerated { model, .. }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((model.input_tokens, model.failed_providers.len()), (1 << 53, 20));
    state.evolve(events[0].clone());
    assert_eq!(state.decide(command), Ok(vec![]));
}

#[test]
fn pending_sections_are_those_without_an_outcome() {
    let mut state = ProposalGeneration::default();
    assert_eq!(state.status(), GenerationStatus::Unrequested);
    for event in [requested(), section_failed("a")] {
        state.evolve(event);
    }
    let pending: Vec<_> = state.as_requested().unwrap().pending_sections().map(|known| known.key.as_str()).collect();
    assert_eq!((pending, state.status()), (vec!["b"], GenerationStatus::Running));
}
