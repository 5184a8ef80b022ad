//! What a resource does with what it is asked.

mod invariants;
mod stored_form;

use cqrs_es::test::TestFramework;

use super::*;
use crate::value::{AuditStamp, DocumentId, InvalidValue, UserId};

type ResourceScenario = TestFramework<Resource>;

#[test]
fn a_resource_is_created() {
    ResourceScenario::with(()).given_no_previous_events().when(create("a")).then_expect_events(vec![created("a")]);
}

#[test]
fn creating_what_is_there_just_so_changes_nothing() {
    ResourceScenario::with(()).given(vec![created("a")]).when(create("a")).then_expect_events(vec![]);
}

#[test]
fn creating_over_something_else_is_refused() {
    ResourceScenario::with(())
        .given(vec![created("a")])
        .when(create("b"))
        .then_expect_error(ResourceError::AlreadyCreated);
}

#[test]
fn a_resource_is_updated() {
    ResourceScenario::with(()).given(vec![created("a")]).when(update("b")).then_expect_events(vec![updated("b")]);
}

#[test]
fn updating_to_what_it_holds_changes_nothing() {
    ResourceScenario::with(()).given(vec![created("a"), updated("b")]).when(update("b")).then_expect_events(vec![]);
}

#[test]
fn a_resource_is_deleted() {
    ResourceScenario::with(()).given(vec![created("a")]).when(delete()).then_expect_events(vec![deleted()]);
}

#[test]
fn deleting_twice_changes_nothing() {
    ResourceScenario::with(()).given(vec![created("a"), deleted()]).when(delete()).then_expect_events(vec![]);
}

#[test]
fn what_is_not_there_is_neither_updated_nor_deleted() {
    for command in [update("a"), delete()] {
        ResourceScenario::with(())
            .given_no_previous_events()
            .when(command)
            .then_expect_error(ResourceError::NotCreated);
    }
}

#[test]
fn what_was_deleted_stays_deleted() {
    for command in [create("a"), update("a")] {
        let given = vec![created("a"), deleted()];
        ResourceScenario::with(()).given(given).when(command).then_expect_error(ResourceError::Deleted);
    }
}

#[test]
fn values_check_themselves() {
    assert_eq!(ResourceKind::parse(" resume "), Ok(ResourceKind::Resume));
    assert!(ResourceKind::parse("cv").unwrap_err().to_string().contains("past_performance"));
    assert!(ResourceBody::try_new("two\nlines").is_ok() && ResourceName::try_new("two\nlines").is_err());
    let many = (0..=MAX_TAGS).map(|number| format!("t{number}"));
    assert_eq!(ResourceTags::try_new(many), Err(InvalidValue::TooMany { what: "tags", max: MAX_TAGS }));
    assert_eq!(ResourceTags::try_new(["b", "a", "b"]).unwrap().iter().len(), 2);
    assert!(ResourceTags::try_new(["Not Lower"]).is_err());
}

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::try_new("ann").unwrap(), at: "2026-03-03T12:00:00Z".parse().unwrap() }
}

fn asset(name: &str) -> ResourceContent {
    ResourceContent {
        name: ResourceName::try_new(name).unwrap(),
        kind: ResourceKind::PastPerformance,
        body: ResourceBody::try_new("Delivered 200 patient lifts.").unwrap(),
        tags: ResourceTags::try_new(["lifts", "va"]).unwrap(),
        document_id: None,
    }
}

fn with_document(name: &str) -> ResourceContent {
    let id = DocumentId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
    ResourceContent { document_id: Some(id), ..asset(name) }
}

fn create(name: &str) -> ResourceCommand {
    ResourceCommand::Create { asset: asset(name), stamp: stamp() }
}

fn update(name: &str) -> ResourceCommand {
    ResourceCommand::Update { asset: asset(name), stamp: stamp() }
}

fn delete() -> ResourceCommand {
    ResourceCommand::Delete { stamp: stamp() }
}

fn created(name: &str) -> ResourceEvent {
    ResourceEvent::Created { asset: asset(name), stamp: stamp() }
}

fn updated(name: &str) -> ResourceEvent {
    ResourceEvent::Updated { asset: asset(name), stamp: stamp() }
}

fn deleted() -> ResourceEvent {
    ResourceEvent::Deleted { stamp: stamp() }
}
