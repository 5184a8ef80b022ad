//! Tests of a task: given events, when a command, then events or a refusal.

mod invariants;
mod life;
mod stored_form;

use cqrs_es::test::TestFramework;

use super::*;
use crate::value::{AuditStamp, InvalidValue, UserId};

type TaskScenario = TestFramework<Task>;

#[test]
fn constructors_validate_values() {
    assert_eq!(ProgressPercent::try_new(100).unwrap().number(), 100);
    for wrong in [101, 256, u32::MAX] {
        assert!(ProgressPercent::try_new(wrong).is_err());
    }
    assert_eq!(ParameterList::try_new([("b", "1"), ("a", "2"), ("b", "3")]).unwrap().iter().len(), 2);
    let names: Vec<_> = (0..=MAX_PARAMETERS).map(|number| format!("p{number}")).collect();
    let too_many = names.iter().map(|name| (name.as_str(), "x"));
    assert_eq!(
        ParameterList::try_new(too_many),
        Err(InvalidValue::TooMany { what: "parameters", max: MAX_PARAMETERS })
    );
    assert!(ParameterList::try_new([("Not a name", "x")]).is_err());
    assert!(TaskSubject::try_new(SubjectKind::Document, " ").is_err());
}

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::try_new("ann").unwrap(), at: "2026-03-03T12:00:00Z".parse().unwrap() }
}

fn spec(subject: &str) -> TaskSpec {
    let subject = TaskSubject::try_new(SubjectKind::Document, subject).unwrap();
    TaskSpec {
        parameters: ParameterList::try_new([("language", "en")]).unwrap(),
        ..TaskSpec::new(TaskKind::ExtractText, subject)
    }
}

fn worker(name: &str) -> WorkerName {
    WorkerName::try_new(name).unwrap()
}

fn note(text: &str) -> TaskNote {
    TaskNote::try_new(text).unwrap()
}

fn request(subject: &str) -> TaskCommand {
    TaskCommand::Request { spec: spec(subject), stamp: stamp() }
}

fn start(name: &str) -> TaskCommand {
    TaskCommand::Start { worker: worker(name), stamp: stamp() }
}

fn report(percent: u32) -> TaskCommand {
    TaskCommand::Report {
        worker: worker("w"),
        percent: ProgressPercent::try_new(percent).unwrap(),
        note: None,
        stamp: stamp(),
    }
}

fn complete(result: &str) -> TaskCommand {
    TaskCommand::Complete { worker: worker("w"), result: TaskResult::try_new(result).unwrap(), stamp: stamp() }
}

fn fail(retry: RetryDecision) -> TaskCommand {
    TaskCommand::Fail { worker: worker("w"), reason: note("no text"), retry, stamp: stamp() }
}

fn cancel() -> TaskCommand {
    TaskCommand::Cancel { reason: note("not needed"), stamp: stamp() }
}

fn requested(subject: &str) -> TaskEvent {
    TaskEvent::Requested { spec: spec(subject), stamp: stamp() }
}

fn started(name: &str, attempt: u32) -> TaskEvent {
    TaskEvent::Started { worker: worker(name), attempt, stamp: stamp() }
}

fn reported(percent: u32) -> TaskEvent {
    TaskEvent::ProgressReported { percent: ProgressPercent::try_new(percent).unwrap(), note: None, stamp: stamp() }
}

fn completed(result: &str) -> TaskEvent {
    TaskEvent::Completed { result: TaskResult::try_new(result).unwrap(), stamp: stamp() }
}

fn failed(attempt: u32, retry: RetryDecision) -> TaskEvent {
    TaskEvent::Failed { attempt, reason: note("no text"), retry, stamp: stamp() }
}

fn cancelled() -> TaskEvent {
    TaskEvent::Cancelled { reason: note("not needed"), stamp: stamp() }
}
