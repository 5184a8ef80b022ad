//! Tenants' objects in a real Redis: exactly once, in lists that keep their order, and invisible to other tenants.

use std::fmt::Debug;

use cqrs_es::DomainEvent;
use domain::{
    envelope::RawEnvelope,
    proposal::{LifecyclePhase, Proposal, ProposalCommand, ProposalOutline, ProposalTitle, WithdrawalReason},
    resource::{Resource, ResourceBody, ResourceCommand, ResourceContent, ResourceKind, ResourceName},
    value::{AuditStamp, TenantId, UserId},
};
use projections::{
    runtime::{Projection, ProjectionError, RowKey, ScopeSelection, VerifyScope},
    tenant_views::{ListCursor, ListGroup, TenantViews},
};

use super::{apply, apply_live, apply_with_repetitions, id};
use tests::opportunity_history::history;

/// The events of two companies: three proposals of one, the first of them withdrawn, a deleted resource, and a proposal
/// of the other.
pub(super) fn worked() -> Vec<RawEnvelope> {
    let mut log = vec![];
    for (number, minute) in [(1, 1), (2, 2), (3, 3)] {
        record::<Proposal>(&mut log, "acme", number, minute, draft(&format!("Lifts {number}")));
    }
    record::<Resource>(&mut log, "acme", 7, 4, ResourceCommand::Create { content: content(), stamp: stamp() });
    let given_up = WithdrawalReason::try_new("too late").unwrap();
    let withdraw = ProposalCommand::Withdraw { reason: given_up, stamp: stamp() };
    record::<Proposal>(&mut log, "acme", 1, 5, withdraw);
    record::<Resource>(&mut log, "acme", 7, 6, ResourceCommand::Delete { stamp: stamp() });
    record::<Proposal>(&mut log, "other", 1, 7, draft("Beds"));
    log
}

/// Lets an aggregate decide about what the log holds of it, and adds what follows.
fn record<A>(log: &mut Vec<RawEnvelope>, tenant: &str, number: u128, minute: u32, command: A::Command)
where
    A: domain::aggregate::PureAggregate<Error: Debug>,
{
    let stream = format!("{tenant}:{}", uuid::Uuid::from_u128(number));
    let (mut state, mut sequence) = (A::default(), 0);
    for event in log.iter().filter(|event| event.aggregate_type == A::TYPE && event.aggregate_id == stream) {
        state.apply(event.decode().unwrap());
        sequence = event.sequence;
    }
    for event in state.decide(command).unwrap() {
        sequence += 1;
        let position = log.len() as u64 + 1;
        let template = history().remove(0);
        let mut metadata = template.metadata.clone();
        "ann".clone_into(&mut metadata.user_id);
        tenant.clone_into(&mut metadata.tenant_id);
        log.push(RawEnvelope {
            position,
            event_id: uuid::Uuid::from_u128(u128::from(position)),
            tenant_id: tenant.to_owned(),
            aggregate_type: A::TYPE.to_owned(),
            aggregate_id: stream.clone(),
            sequence,
            event_type: event.event_type(),
            event_version: event.event_version(),
            recorded_at: format!("2026-03-01T00:{minute:02}:00Z").parse().unwrap(),
            metadata,
            payload: serde_json::to_string(&event).unwrap(),
        });
    }
}

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::try_new("ann").unwrap(), at: "2026-03-01T00:00:00Z".parse().unwrap() }
}

fn draft(title: &str) -> ProposalCommand {
    let title = ProposalTitle::try_new(title).unwrap();
    ProposalCommand::Draft { opportunity_id: id("036:W1"), title, outline: ProposalOutline::default(), stamp: stamp() }
}

fn content() -> ResourceContent {
    let body = ResourceBody::try_new("Lifts in 2024.").unwrap();
    ResourceContent::new(ResourceName::try_new("Past work").unwrap(), ResourceKind::PastPerformance, body)
}

fn tenant(name: &str) -> TenantId {
    TenantId::try_new(name).unwrap()
}

fn number(number: u128) -> String {
    uuid::Uuid::from_u128(number).to_string()
}

async fn tenant_views() -> TenantViews {
    let views = TenantViews::new(&tests::views_config().await).unwrap();
    views.prepare().await.unwrap();
    views
}

async fn titles(views: &TenantViews, of: &str, group: ListGroup) -> Vec<String> {
    let page = views.list_aggregates::<Proposal>(&tenant(of), &group, 10, None).await.unwrap();
    assert_eq!((page.total, page.has_more), (page.items.len() as u64, false));
    let title =
        |kept: projections::tenant_views::StoredAggregate<Proposal>| kept.state.content().unwrap().title.to_string();
    page.items.into_iter().map(|(_, _, kept)| title(kept)).collect()
}

/// What a generation holds and what the log says, compared as `medhub verify` does.
async fn is_as_the_log_says(views: &TenantViews, events: &[RawEnvelope]) {
    for scope in [VerifyScope::all_buckets(), VerifyScope::Totals] {
        let mut fold = Projection::fold(views, &scope);
        for event in events {
            fold.apply_event(event).unwrap();
        }
        let (mut wanted, mut held) = (fold.expected_rows(), Projection::read_back(views, &scope).await.unwrap());
        wanted.sort();
        held.sort();
        assert_eq!(held, wanted, "{scope:?}");
        assert!(!held.is_empty());
        // The same by their keys instead of by a scan.
        let keys: Vec<_> = held.iter().cloned().map(RowKey::from).collect();
        let mut scan = Projection::scan_store(views, ScopeSelection::new([&scope])).unwrap();
        let again = scan.read_rows(&keys).await.unwrap();
        assert!(held.iter().all(|row| again.contains(row)), "{again:?}");
    }
}

#[tokio::test]
async fn what_tenants_own_is_shown_once_however_often_it_comes() {
    let events = worked();
    for way in 0..3 {
        let views = tenant_views().await;
        match way {
            0 => apply(&views, &events).await,
            1 => apply_live(&views, &events).await,
            _ => apply_with_repetitions(&views, &events).await,
        }
        is_as_the_log_says(&views, &events).await;
        assert_eq!(titles(&views, "acme", ListGroup::all()).await, ["Lifts 3", "Lifts 2", "Lifts 1"]);
        assert_eq!(titles(&views, "acme", ListGroup::named("draft")).await, ["Lifts 3", "Lifts 2"]);
        assert_eq!(titles(&views, "acme", ListGroup::named("withdrawn")).await, ["Lifts 1"]);
        assert_eq!(titles(&views, "acme", ListGroup::opportunity(&id("036:W1"))).await.len(), 3);
        let kept = views.get::<Proposal>(&tenant("acme"), &number(1)).await.unwrap().unwrap();
        assert_eq!((kept.version, kept.state.phase(), kept.created_by.as_str()), (2, LifecyclePhase::Withdrawn, "ann"));
        assert!(kept.created_at < kept.updated_at);
        let gone = views.get::<Resource>(&tenant("acme"), &number(7)).await.unwrap().unwrap();
        assert_eq!(gone.state, Resource::Deleted);
        assert_eq!(views.count_aggregates::<Resource>(&tenant("acme"), &ListGroup::all()).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn no_tenant_sees_what_another_one_owns() {
    let views = tenant_views().await;
    apply(&views, &worked()).await;
    assert_eq!(titles(&views, "other", ListGroup::all()).await, ["Beds"]);
    assert_eq!(titles(&views, "nobody", ListGroup::all()).await, Vec::<String>::new());
    for (of, what) in [("other", 2), ("nobody", 1)] {
        assert!(views.get::<Proposal>(&tenant(of), &number(what)).await.unwrap().is_none(), "{of}");
    }
    // A cursor of one tenant's list is nothing but a place in time in another's.
    let first = views.list_aggregates::<Proposal>(&tenant("acme"), &ListGroup::all(), 1, None).await.unwrap();
    let behind = &first.items[0].1;
    let foreign =
        views.list_aggregates::<Proposal>(&tenant("other"), &ListGroup::all(), 10, Some(behind)).await.unwrap();
    assert!(foreign.items.is_empty() && foreign.total == 1, "what is newer does not come behind it");
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_keeps_its_places_while_it_grows_and_shrinks() {
    let (views, mut events) = (tenant_views().await, worked());
    apply(&views, &events).await;
    let acme = tenant("acme");
    let page = async |after: Option<&ListCursor>| {
        let page = views.list_aggregates::<Proposal>(&acme, &ListGroup::named("draft"), 1, after).await.unwrap();
        (page.items.into_iter().next(), page.has_more)
    };
    let (first, more) = page(None).await;
    let (first_id, cursor, _) = first.unwrap();
    assert!(more && first_id == number(3));

    let known = events.len();
    let withdraw = ProposalCommand::Withdraw { reason: WithdrawalReason::try_new("x").unwrap(), stamp: stamp() };
    record::<Proposal>(&mut events, "acme", 3, 8, withdraw);
    record::<Proposal>(&mut events, "acme", 9, 9, draft("Newest"));
    apply(&views, &events[known..]).await;

    let (second, more) = page(Some(&cursor)).await;
    assert!(!more && second.unwrap().0 == number(2), "the entry that the cursor names has left the list");
    is_as_the_log_says(&views, &events).await;
}

#[tokio::test]
async fn a_missing_event_is_noticed_and_one_that_was_given_up_is_passed_over() {
    let (views, events) = (tenant_views().await, worked());
    let withdrawn = events.iter().position(|event| event.event_type == "proposal.withdrawn").unwrap();
    let change = TenantViews::project(&events[withdrawn]).unwrap();
    let gap = views.apply(&change).await;
    assert!(matches!(gap, Err(ProjectionError::Poison(_))), "{gap:?}");

    Projection::skip_event(&views, &events[0]).await.unwrap();
    views.apply(&change).await.unwrap();
    assert!(Projection::is_applied(&views, &change[0]).await.unwrap());
    let odd = RawEnvelope { payload: r#"{"type":"evaporated"}"#.to_owned(), ..events[0].clone() };
    assert!(matches!(TenantViews::project(&odd), Err(ProjectionError::Poison(_))));
    assert!(TenantViews::project(&history()[0]).unwrap().is_empty(), "opportunities are nobody's");
}

#[tokio::test]
async fn a_generation_that_is_lost_or_discarded_takes_nothing_in() {
    let views = tenant_views().await;
    apply(&views, &worked()).await;
    Projection::discard(&views).await.unwrap();
    assert_eq!(Projection::read_back(&views, &VerifyScope::all_buckets()).await.unwrap(), []);
    let late = views.apply(&TenantViews::project(&worked()[0]).unwrap()).await;
    assert!(matches!(late, Err(ProjectionError::Unavailable(_))), "{late:?}");
}
