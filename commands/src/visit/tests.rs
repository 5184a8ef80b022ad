//! What a batch of steps becomes, over a log in memory.

use std::sync::Mutex;

use cqrs_es::Aggregate;
use domain::{
    opportunity::OpportunityId,
    visit::{RecordView, Url},
};

use super::{
    generate::{Browsing, Generator},
    *,
};
use crate::mem_log::MemLog;

fn steps(visits: u64) -> Vec<Step> {
    let (from, until) = ("2026-02-01T00:00:00Z".parse().unwrap(), "2026-03-03T00:00:00Z".parse().unwrap());
    let opportunities = vec![OpportunityId::parse("036:A").unwrap(), OpportunityId::parse("036:B").unwrap()];
    let visits = Generator::new(Browsing { visits, seed: 1, from, until }, opportunities);
    visits.flat_map(|visit| visit.unwrap().steps).collect()
}

async fn record(log: &MemLog, steps: &[Step]) -> Result<Recorded, BatchError> {
    VisitBatches::new(log).record(&Caller::system("system:test"), steps).await
}

#[tokio::test]
async fn every_step_is_an_event_of_its_visit_in_order() {
    let (log, steps) = (MemLog::default(), steps(40));

    let recorded = record(&log, &steps).await.unwrap();

    assert_eq!(recorded, Recorded { recorded: steps.len() as u64, known: 0 });
    let events = log.events.lock().unwrap();
    for (event, step) in events.iter().zip(&steps) {
        assert_eq!((event.aggregate_type, &*event.aggregate_id), (Visit::TYPE, step.visit_id.as_str()));
        assert_eq!(event.payload, serde_json::to_string(&VisitEvent::from(step.command.clone())).unwrap());
    }
    let last = events.last().unwrap();
    let of_visit = steps.iter().filter(|step| step.visit_id.as_str() == last.aggregate_id).count();
    assert_eq!(last.sequence, of_visit as u64);
}

#[tokio::test]
async fn telling_them_again_changes_nothing() {
    let (log, steps) = (MemLog::default(), steps(40));
    record(&log, &steps).await.unwrap();

    let again = record(&log, &steps).await.unwrap();

    assert_eq!(again, Recorded { recorded: 0, known: steps.len() as u64 });
    assert_eq!(log.len(), steps.len());
}

#[tokio::test]
async fn a_step_that_stands_twice_in_a_batch_is_recorded_once() {
    let (log, step) = (MemLog::default(), steps(1).remove(0));
    let recorded = record(&log, &[step.clone(), step]).await.unwrap();
    assert_eq!(recorded, Recorded { recorded: 1, known: 1 });
}

#[tokio::test]
async fn a_faster_writer_makes_the_batch_decide_anew() {
    let (done, steps) = (MemLog::default(), steps(20));
    record(&done, &steps).await.unwrap();
    let all = done.events.into_inner().unwrap();
    let log = MemLog { rivals: Mutex::new(all[..10].to_vec()), ..MemLog::default() };

    let recorded = record(&log, &steps).await.unwrap();

    assert_eq!(recorded, Recorded { recorded: all.len() as u64 - 10, known: 10 });
    assert_eq!(log.len(), all.len());
}

#[tokio::test]
async fn a_stream_of_another_kind_with_the_same_id_is_left_alone() {
    let (log, step) = (MemLog::default(), steps(1).remove(0));
    record(&log, std::slice::from_ref(&step)).await.unwrap();
    log.events.lock().unwrap()[0].aggregate_type = "opportunity";

    let recorded = record(&log, std::slice::from_ref(&step)).await.unwrap();

    assert_eq!(recorded.recorded, 1);
    assert_eq!(log.events.lock().unwrap()[1].sequence, 1);
}

#[tokio::test]
async fn a_visit_that_cannot_be_read_is_named() {
    let (log, step) = (MemLog::default(), steps(1).remove(0));
    record(&log, std::slice::from_ref(&step)).await.unwrap();
    log.events.lock().unwrap()[0].payload = "{\"type\":\"unheard_of\"}".to_owned();
    let next = Step {
        command: VisitCommand::View(RecordView {
            page_url: Url::try_new("/next").unwrap(),
            referrer: None,
            user_id: None,
            opportunity_id: None,
            at: "2026-03-03T12:00:00Z".parse().unwrap(),
        }),
        ..step
    };

    let outcome = record(&log, &[next]).await;

    assert!(matches!(outcome, Err(BatchError::Corrupt { sequence: 1, .. })), "{outcome:?}");
}
