//! Tests of an opportunity: given events, when a command, then events or a refusal.

mod closing;
mod invariants;
mod resource_links;
mod stored_form;

use chrono::{DateTime, Utc};
use cqrs_es::test::TestFramework;

use super::*;
use crate::value::{AuditStamp, UserId};

type OpportunityScenario = TestFramework<Opportunity>;

#[test]
fn the_first_notice_discovers_the_opportunity() {
    let notice = notice("n1", 3);
    OpportunityScenario::with(())
        .given_no_previous_events()
        .when(record(&notice))
        .then_expect_events(vec![first(&notice)]);
}

#[test]
fn an_award_notice_as_the_first_one_discovers_and_awards() {
    let notice = with_award(notice("n1", 3), "W1");
    OpportunityScenario::with(())
        .given_no_previous_events()
        .when(record(&notice))
        .then_expect_events(vec![first(&notice), awarded("n1", "W1")]);
}

#[test]
fn the_same_notice_again_changes_nothing() {
    let notice = with_award(notice("n1", 3), "W1");
    OpportunityScenario::with(())
        .given(vec![first(&notice), awarded("n1", "W1")])
        .when(record(&notice))
        .then_expect_events(vec![]);
}

#[test]
fn a_later_notice_amends() {
    let (earlier, mut later) = (notice("n1", 3), notice("n2", 4));
    later.details.title = "Patient lifts, revised".into();
    OpportunityScenario::with(())
        .given(vec![first(&earlier)])
        .when(record(&later))
        .then_expect_events(vec![amended(&later, AmendmentStanding::Current)]);
}

#[test]
fn an_amendment_with_another_deadline_also_records_deadline_changed() {
    let (mut earlier, mut later) = (notice("n1", 3), notice("n2", 4));
    earlier.details.response_deadline = Some(march(20));
    later.details.response_deadline = Some(march(27));
    OpportunityScenario::with(()).given(vec![first(&earlier)]).when(record(&later)).then_expect_events(vec![
        amended(&later, AmendmentStanding::Current),
        OpportunityEvent::DeadlineChanged {
            notice_id: later.notice_id.clone(),
            from: Some(march(20)),
            to: Some(march(27)),
            posted_at: Some(later.posted_at),
        },
    ]);
}

#[test]
fn an_earlier_notice_that_arrives_late_only_completes_the_history() {
    let (current, late) = (notice("n2", 9), notice("n1", 3));
    OpportunityScenario::with(())
        .given(vec![first(&current)])
        .when(record(&late))
        .then_expect_events(vec![amended(&late, AmendmentStanding::Earlier)]);
    let state = fold_events(vec![first(&current), amended(&late, AmendmentStanding::Earlier)]);
    let record = state.record().unwrap();
    assert_eq!(record.notice_id, current.notice_id);
    assert_eq!(record.first_posted_at, late.posted_at);
    assert_eq!(record.notice_count(), 2);
}

#[test]
fn a_source_without_a_field_does_not_erase_it() {
    let mut csv = notice("n1", 3);
    csv.details.naics = Some(NaicsCode::try_new("339113").unwrap());
    let mut text = notice("n1", 3);
    text.source = NoticeSource::SamText;
    text.details.description = Some("Six patient lifts.".into());
    let mut merged = text.clone();
    merged.details.naics.clone_from(&csv.details.naics);
    OpportunityScenario::with(()).given(vec![first(&csv)]).when(record(&text)).then_expect_events(vec![
        OpportunityEvent::Amended {
            filing: NoticeFiling::from_notice(&text),
            standing: AmendmentStanding::Current,
            details: Arc::new(merged.details),
        },
    ]);
}

#[test]
fn another_source_with_nothing_new_changes_nothing() {
    let csv = with_award(notice("n1", 3), "W1");
    let mut text = csv.clone();
    text.source = NoticeSource::SamText;
    text.award = Some(Award { awardee: None, ..award("W1") });
    OpportunityScenario::with(())
        .given(vec![first(&csv), awarded("n1", "W1")])
        .when(record(&text))
        .then_expect_events(vec![]);
}

#[test]
fn a_second_award_of_the_same_solicitation_is_another_award() {
    let (one, two) = (with_award(notice("n1", 3), "W1"), with_award(notice("n2", 3), "W2"));
    OpportunityScenario::with(())
        .given(vec![first(&one), awarded("n1", "W1")])
        .when(record(&two))
        .then_expect_events(vec![amended(&two, AmendmentStanding::Current), awarded("n2", "W2")]);
}

#[test]
fn discovering_again_with_the_same_notice_changes_nothing() {
    let notice = notice("n1", 3);
    OpportunityScenario::with(())
        .given(vec![first(&notice)])
        .when(OpportunityCommand::Discover(Box::new(notice)))
        .then_expect_events(vec![]);
}

#[test]
fn discovering_a_recorded_opportunity_with_another_notice_is_refused() {
    OpportunityScenario::with(())
        .given(vec![first(&notice("n1", 3))])
        .when(OpportunityCommand::Discover(Box::new(notice("n2", 4))))
        .then_expect_error(OpportunityError::AlreadyDiscovered);
}

#[test]
fn a_manual_amendment_changes_only_the_given_fields() {
    let original = notice("n1", 3);
    let mut expected = original.clone();
    expected.source = NoticeSource::Manual;
    expected.posted_at = march(8);
    expected.details.title = "Patient lifts, ceiling mounted".into();
    OpportunityScenario::with(())
        .given(vec![first(&original)])
        .when(amend(8, "Patient lifts, ceiling mounted"))
        .then_expect_events(vec![amended(&expected, AmendmentStanding::Current)]);
}

#[test]
fn an_amendment_with_the_recorded_values_changes_nothing() {
    let original = notice("n1", 3);
    OpportunityScenario::with(())
        .given(vec![first(&original)])
        .when(amend(8, &original.details.title))
        .then_expect_events(vec![]);
}

#[test]
fn amending_an_undiscovered_opportunity_is_refused() {
    OpportunityScenario::with(())
        .given_no_previous_events()
        .when(amend(8, "x"))
        .then_expect_error(OpportunityError::NotDiscovered);
}

#[test]
fn awarding_an_undiscovered_opportunity_is_refused() {
    OpportunityScenario::with(())
        .given_no_previous_events()
        .when(OpportunityCommand::Award(AwardOpportunity { award: award("W1") }))
        .then_expect_error(OpportunityError::NotDiscovered);
}

#[test]
fn a_manual_award_with_the_number_of_a_recorded_one_changes_nothing() {
    let notice = with_award(notice("n1", 3), "W1");
    OpportunityScenario::with(())
        .given(vec![first(&notice), awarded("n1", "W1")])
        .when(OpportunityCommand::Award(AwardOpportunity { award: award("W1") }))
        .then_expect_events(vec![]);
}

#[test]
fn awarded_cents_is_the_sum_of_all_awards() {
    let notice = notice("n1", 3);
    let state = fold_events(vec![first(&notice), awarded("n1", "W1"), awarded("n2", "W2")]);
    assert_eq!(state.record().unwrap().awarded_cents(), Some(2_000_000));
}

fn fold_events(events: Vec<OpportunityEvent>) -> Opportunity {
    let mut state = Opportunity::default();
    for event in events {
        state.evolve(event);
    }
    state
}

fn record(notice: &Notice) -> OpportunityCommand {
    OpportunityCommand::RecordNotice(Box::new(notice.clone()))
}

fn amend(day: u32, title: &str) -> OpportunityCommand {
    OpportunityCommand::Amend(Box::new(AmendOpportunity {
        title: Some(title.to_owned()),
        ..AmendOpportunity::unchanged(march(day))
    }))
}

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::try_new("ann").unwrap(), at: march(9) }
}

fn cancel() -> OpportunityCommand {
    let reason = Some(CancellationReason::try_new("no funds").unwrap());
    OpportunityCommand::Cancel { reason, stamp: stamp() }
}

fn archive() -> OpportunityCommand {
    OpportunityCommand::Archive { stamp: stamp() }
}

fn cancelled() -> OpportunityEvent {
    let reason = Some(CancellationReason::try_new("no funds").unwrap());
    OpportunityEvent::Cancelled { reason, stamp: stamp() }
}

fn archived() -> OpportunityEvent {
    OpportunityEvent::Archived { stamp: stamp() }
}

fn first(notice: &Notice) -> OpportunityEvent {
    OpportunityEvent::Discovered {
        filing: NoticeFiling::from_notice(notice),
        details: Arc::new(notice.details.clone()),
    }
}

fn amended(notice: &Notice, standing: AmendmentStanding) -> OpportunityEvent {
    let details = Arc::new(notice.details.clone());
    OpportunityEvent::Amended { filing: NoticeFiling::from_notice(notice), standing, details }
}

fn awarded(key: &str, number: &str) -> OpportunityEvent {
    OpportunityEvent::Awarded { key: key.to_owned(), award: award(number) }
}

fn award(number: &str) -> Award {
    Award {
        number: Some(number.to_owned()),
        date: Some(march(2).date_naive()),
        amount: Some(UsdCents(1_000_000)),
        awardee: Some("Ridgeway Mobility LLC".to_owned()),
    }
}

fn with_award(notice: Notice, number: &str) -> Notice {
    Notice { award: Some(award(number)), ..notice }
}

fn notice(id: &str, day: u32) -> Notice {
    Notice {
        notice_id: NoticeId::try_new(id).unwrap(),
        source: NoticeSource::SamCsv,
        posted_at: march(day),
        details: NoticeDetails {
            solicitation_number: Some("36C10G26R0005".into()),
            psc: Some("6530".into()),
            active: Some(true),
            ..NoticeDetails::new(
                "Patient lifts".into(),
                NoticeType::try_new("Solicitation").unwrap(),
                Agency::from_name("VETERANS AFFAIRS, DEPARTMENT OF").unwrap(),
            )
        },
        award: None,
    }
}

fn march(day: u32) -> DateTime<Utc> {
    format!("2026-03-{day:02}T12:00:00Z").parse().unwrap()
}
