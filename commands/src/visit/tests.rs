//! Recording batches of visit steps in an in-memory log.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    event_store::NewEvent,
    opportunity::OpportunityId,
    visit::{RecordClick, RecordView, VisitUrl},
};

use super::*;
use crate::in_memory_log::InMemoryLog;

/// The steps of this many visits. Each visit views a list and one of the opportunities `036:A` and `036:B`, and clicks
/// there.
fn steps(visits: usize) -> Vec<VisitStep> {
    (0..visits).flat_map(visit_steps).collect()
}

fn visit_steps(number: usize) -> Vec<VisitStep> {
    let visit_id = VisitId::try_new(&format!("visit-{number}")).unwrap();
    let id = if number.is_multiple_of(2) { "036:A" } else { "036:B" };
    let opportunity_id = Some(OpportunityId::parse(id).unwrap());
    let begin: DateTime<Utc> = "2026-02-01T00:00:00Z".parse().unwrap();
    let begin = begin + TimeDelta::minutes(i64::try_from(number).unwrap());
    let at = |second: i64| begin + TimeDelta::seconds(second);
    let url = |path: &str| VisitUrl::try_new(&format!("https://medhub.example/{path}")).unwrap();
    let (list, page) = (url("opportunities"), url(&format!("opportunities/{id}")));
    let view = RecordView { page_url: list.clone(), referrer: None, user_id: None, opportunity_id: None, at: at(0) };
    let detail = RecordView {
        page_url: page.clone(),
        referrer: Some(list),
        opportunity_id: opportunity_id.clone(),
        at: at(5),
        ..view.clone()
    };
    let click = RecordClick { page_url: page, target_url: None, user_id: None, opportunity_id, at: at(9) };
    [VisitCommand::View(view), VisitCommand::View(detail), VisitCommand::Click(click)]
        .map(|command| VisitStep { visit_id: visit_id.clone(), client_event_id: None, command })
        .into()
}

async fn record_steps(log: &InMemoryLog, steps: &[VisitStep]) -> Vec<FactOutcome> {
    VisitRecorder::new(log, 1_000).record_steps(&Caller::for_program("system:test"), steps).await.unwrap()
}

/// The first event of the opportunity `id`.
fn discovered_event(id: &str) -> NewEvent {
    NewEvent {
        aggregate_type: "opportunity",
        aggregate_id: id.to_owned(),
        sequence: 1,
        event_type: "opportunity.discovered".to_owned(),
        event_version: "1.0".to_owned(),
        payload: "{}".to_owned(),
        metadata: Caller::for_program("system:test").metadata(),
    }
}

#[tokio::test]
async fn every_step_becomes_an_event_of_its_visit_in_order() {
    let (log, steps) = (InMemoryLog::default(), steps(40));

    let outcomes = record_steps(&log, &steps).await;

    assert_eq!(outcomes, vec![FactOutcome::Recorded; steps.len()]);
    let events = log.events.lock().unwrap();
    for (event, step) in events.iter().zip(&steps) {
        assert_eq!((event.aggregate_type, &*event.aggregate_id), (Visit::TYPE, step.visit_id.as_str()));
        assert_eq!(event.payload, serde_json::to_string(&VisitEvent::from(step.command.clone())).unwrap());
    }
    let last = events.last().unwrap();
    let steps_of_visit = steps.iter().filter(|step| step.visit_id.as_str() == last.aggregate_id).count();
    assert_eq!(last.sequence, steps_of_visit as u64);
}

#[tokio::test]
async fn steps_that_are_recorded_already_append_nothing() {
    let (log, steps) = (InMemoryLog::default(), steps(40));
    record_steps(&log, &steps).await;

    let repeated = record_steps(&log, &steps).await;

    assert_eq!(repeated, vec![FactOutcome::Known; steps.len()]);
    assert_eq!(log.event_count(), steps.len());
}

#[tokio::test]
async fn a_step_that_occurs_twice_in_a_batch_is_recorded_once() {
    let (log, step) = (InMemoryLog::default(), steps(1).remove(0));
    let outcomes = record_steps(&log, &[step.clone(), step]).await;
    assert_eq!(outcomes, [FactOutcome::Recorded, FactOutcome::Known]);
}

#[tokio::test]
async fn a_batch_that_conflicts_with_another_writer_is_appended_again() {
    let (log, steps) = (InMemoryLog::default(), steps(20));
    let first =
        NewEvent { aggregate_type: "visit", aggregate_id: steps[0].visit_id.to_string(), ..discovered_event("") };
    log.competing_events.lock().unwrap().push(first);

    let outcomes = record_steps(&log, &steps).await;

    assert_eq!(outcomes, vec![FactOutcome::Recorded; steps.len()]);
    assert_eq!(log.events.lock().unwrap()[1].sequence, 2, "the other writer's event comes first");
}

#[tokio::test]
async fn steps_beyond_the_maximum_of_a_visit_have_the_outcome_stream_full() {
    let (log, mut steps) = (InMemoryLog::default(), steps(20));
    let visit_id = steps[0].visit_id.clone();
    for step in &mut steps {
        step.visit_id = visit_id.clone();
    }
    let outcomes = VisitRecorder::new(&log, 3).record_steps(&Caller::for_program("system:test"), &steps).await.unwrap();
    let (recorded, rest) = outcomes.split_at(3);
    assert_eq!(recorded, [FactOutcome::Recorded; 3]);
    assert!(rest.iter().all(|outcome| *outcome == FactOutcome::StreamFull), "{rest:?}");
    assert_eq!(log.event_count(), 3);
}

#[tokio::test]
async fn events_about_an_unknown_opportunity_are_marked_and_a_known_one_is_looked_up_once() {
    let log = InMemoryLog::default();
    log.events.lock().unwrap().push(discovered_event("036:A"));
    let step_about = |id: &str| {
        steps(60).into_iter().find(|step| {
            let event = VisitEvent::from(step.command.clone());
            event.opportunity_id().is_some_and(|opportunity_id| opportunity_id.to_string() == id)
        })
    };
    let (known, unknown) = (step_about("036:A").unwrap(), step_about("036:B").unwrap());
    let recorder = VisitRecorder::new(&log, 1_000);
    let caller = Caller::for_program("system:test");

    recorder.record_steps(&caller, &[known.clone(), unknown.clone()]).await.unwrap();

    let marks: Vec<_> = log.events.lock().unwrap()[1..].iter().map(|event| event.metadata.about_unknown).collect();
    assert_eq!(marks, [false, true]);
    recorder.record_steps(&caller, std::slice::from_ref(&known)).await.unwrap();
    assert_eq!(*log.lookup_count.lock().unwrap(), 1);
    recorder.record_steps(&caller, &[known, unknown]).await.unwrap();
    assert_eq!(
        *log.lookup_count.lock().unwrap(),
        2,
        "an unknown opportunity is looked up again, as it may be recorded by now"
    );
}
