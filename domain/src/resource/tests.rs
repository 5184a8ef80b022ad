//! Tests of a resource: given events, when a command, then events or a refusal.

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
fn creating_a_resource_again_with_the_same_content_changes_nothing() {
    ResourceScenario::with(()).given(vec![created("a")]).when(create("a")).then_expect_events(vec![]);
}

#[test]
fn creating_a_resource_again_with_other_content_is_refused() {
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
fn updating_to_the_same_content_changes_nothing() {
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
fn updating_or_deleting_an_absent_resource_is_refused() {
    for command in [update("a"), delete()] {
        ResourceScenario::with(())
            .given_no_previous_events()
            .when(command)
            .then_expect_error(ResourceError::NotCreated);
    }
}

#[test]
fn creating_or_updating_a_deleted_resource_is_refused() {
    for command in [create("a"), update("a")] {
        let given = vec![created("a"), deleted()];
        ResourceScenario::with(()).given(given).when(command).then_expect_error(ResourceError::Deleted);
    }
}

#[test]
fn constructors_validate_values() {
    assert_eq!(ResourceKind::parse(" resume "), Ok(ResourceKind::Resume));
    assert!(ResourceKind::parse("cv").unwrap_err().to_string().contains("past_performance"));
    assert!(ResourceBody::try_new("two\nlines").is_ok() && ResourceName::try_new("two\nlines").is_err());
    let too_many = (0..=MAX_TAGS).map(|number| format!("t{number}"));
    assert_eq!(ResourceTags::try_new(too_many), Err(InvalidValue::TooMany { what: "tags", max: MAX_TAGS }));
    assert_eq!(ResourceTags::try_new(["b", "a", "b"]).unwrap().iter().len(), 2);
    assert!(ResourceTags::try_new(["Not Lower"]).is_err());
}

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::try_new("ann").unwrap(), at: "2026-03-03T12:00:00Z".parse().unwrap() }
}

fn content(name: &str) -> ResourceContent {
    let body = ResourceBody::try_new("Delivered 200 patient lifts.").unwrap();
    ResourceContent {
        tags: ResourceTags::try_new(["lifts", "va"]).unwrap(),
        ..ResourceContent::new(ResourceName::try_new(name).unwrap(), ResourceKind::PastPerformance, body)
    }
}

fn with_document(name: &str) -> ResourceContent {
    let id = DocumentId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
    ResourceContent { document_id: Some(id), ..content(name) }
}

fn create(name: &str) -> ResourceCommand {
    ResourceCommand::Create { content: content(name), stamp: stamp() }
}

fn update(name: &str) -> ResourceCommand {
    ResourceCommand::Update { content: content(name), stamp: stamp() }
}

fn delete() -> ResourceCommand {
    ResourceCommand::Delete { stamp: stamp() }
}

fn created(name: &str) -> ResourceEvent {
    ResourceEvent::Created { content: content(name), stamp: stamp() }
}

fn updated(name: &str) -> ResourceEvent {
    ResourceEvent::Updated { content: content(name), stamp: stamp() }
}

fn deleted() -> ResourceEvent {
    ResourceEvent::Deleted { stamp: stamp() }
}
