//! Mail of an inbox: requested once, attempted once at a time, never again after an attempt of unknown outcome.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn mail_id(number: u128) -> MailId {
    MailId::new(Uuid::from_u128(number))
}

fn attempt(number: u128) -> MailAttemptId {
    MailAttemptId::new(Uuid::from_u128(number))
}

fn preferences(unsubscribed: &[MailCategory]) -> MailPreferences {
    MailPreferences {
        address: MailAddress::try_new("ann@clinic.example").unwrap(),
        time_zone: TimeZoneName::try_new("America/New_York").unwrap(),
        digest_hour: DigestHour::try_new(7).unwrap(),
        unsubscribed: unsubscribed.iter().copied().collect(),
    }
}

fn change(unsubscribed: &[MailCategory]) -> InboxCommand {
    InboxCommand::ChangeMailPreferences { preferences: preferences(unsubscribed), stamp: stamp(0) }
}

fn changed(unsubscribed: &[MailCategory]) -> InboxEvent {
    InboxEvent::MailPreferencesChanged { preferences: preferences(unsubscribed), stamp: stamp(0) }
}

fn requested(number: u128) -> InboxEvent {
    let mail = RequestedMail {
        mail_id: mail_id(number),
        category: MailCategory::Opportunities,
        notification_id: Some(id(number)),
        digest: None,
    };
    InboxEvent::MailRequested { mail, stamp: stamp(0) }
}

fn digest(day: u32) -> RequestedMail {
    let item = DigestItem {
        title: NotificationTitle::try_new("Patient lifts").unwrap(),
        search: NotificationTitle::try_new("lifts").unwrap(),
        link: NotificationLink::try_new("/opportunities/1").unwrap(),
    };
    RequestedMail {
        mail_id: mail_id(900 + u128::from(day)),
        category: MailCategory::DailyDigest,
        notification_id: None,
        digest: Some(DailyDigest {
            date: NaiveDate::from_ymd_opt(2026, 3, day).unwrap(),
            covered_until: minute(i64::from(day)),
            items: vec![item],
            more: 0,
        }),
    }
}

fn request_digest(mail: RequestedMail) -> InboxCommand {
    InboxCommand::RequestDigest { mail: Box::new(mail), stamp: stamp(0) }
}

fn start(number: u128, attempt_number: u128) -> InboxCommand {
    start_despite(None, number, attempt_number)
}

fn start_despite(obstacle: Option<SuppressionCause>, number: u128, attempt_number: u128) -> InboxCommand {
    InboxCommand::StartMailAttempt {
        mail_id: mail_id(number),
        attempt_id: attempt(attempt_number),
        obstacle,
        stamp: stamp(0),
    }
}

fn attempted(number: u128, attempt_number: u128) -> InboxEvent {
    InboxEvent::MailAttempted {
        mail_id: mail_id(number),
        attempt_id: attempt(attempt_number),
        address: preferences(&[]).address,
        stamp: stamp(0),
    }
}

fn note(text: &str) -> MailNote {
    MailNote::try_new(text).unwrap()
}

fn record(number: u128, attempt_number: u128, outcome: MailOutcome) -> InboxCommand {
    InboxCommand::RecordMailOutcome {
        mail_id: mail_id(number),
        attempt_id: attempt(attempt_number),
        outcome,
        stamp: stamp(0),
    }
}

fn accepted() -> MailOutcome {
    MailOutcome::Sent { answer: note("250 queued") }
}

fn failure(failure: MailFailure) -> MailOutcome {
    MailOutcome::Failed { failure, reason: note("450 busy") }
}

fn sent(number: u128) -> InboxEvent {
    InboxEvent::MailSent { mail_id: mail_id(number), answer: note("250 queued"), stamp: stamp(0) }
}

fn failed(number: u128, failure: MailFailure) -> InboxEvent {
    InboxEvent::MailFailed { mail_id: mail_id(number), failure, reason: note("450 busy"), stamp: stamp(0) }
}

fn suppressed(number: u128, cause: SuppressionCause) -> InboxEvent {
    InboxEvent::MailSuppressed { mail_id: mail_id(number), cause, stamp: stamp(0) }
}

/// A user with an address, one notification and its mail.
fn given(more: &[InboxEvent]) -> Vec<InboxEvent> {
    [&[changed(&[]), notified(1, 0), requested(1)], more].concat()
}

#[test]
fn a_notification_requests_a_mail_once_the_user_has_named_an_address() {
    expect_events(&[], notify(1, 0), vec![notified(1, 0)]);
    expect_events(&[changed(&[])], notify(1, 0), vec![notified(1, 0), requested(1)]);
    expect_events(&given(&[]), notify(1, 5), vec![]);
    expect_events(&[changed(&[MailCategory::Opportunities])], notify(1, 0), vec![notified(1, 0)]);
}

#[test]
fn an_attempt_is_recorded_before_the_mail_is_sent_and_its_outcome_after() {
    expect_events(&given(&[]), start(1, 10), vec![attempted(1, 10)]);
    let running = given(&[attempted(1, 10)]);
    expect_events(&running, record(1, 10, accepted()), vec![sent(1)]);
    expect_events(&running, record(1, 10, failure(MailFailure::Refused)), vec![failed(1, MailFailure::Refused)]);
    // Of an attempt that is not in progress.
    expect_events(&running, record(1, 11, accepted()), vec![]);
    expect_events(&given(&[]), record(1, 10, accepted()), vec![]);
}

#[test]
fn a_mail_that_was_sent_or_given_up_is_never_attempted_again() {
    for end in [
        sent(1),
        failed(1, MailFailure::Refused),
        failed(1, MailFailure::Unknown),
        failed(1, MailFailure::Abandoned),
        failed(1, MailFailure::Bounced),
    ] {
        expect_events(&given(&[attempted(1, 10), end.clone()]), start(1, 11), vec![]);
        expect_events(&given(&[attempted(1, 10), end]), notify(1, 5), vec![]);
    }
}

#[test]
fn a_postponed_mail_is_attempted_again() {
    let postponed = given(&[attempted(1, 10), failed(1, MailFailure::Postponed)]);
    expect_events(&postponed, start(1, 11), vec![attempted(1, 11)]);
    let mut inbox = state_after(&postponed);
    inbox.evolve(attempted(1, 11));
    let open = inbox.mail_state().find_open(mail_id(1)).unwrap();
    assert_eq!((open.attempts, open.attempt), (2, Some(attempt(11))));
}

#[test]
fn an_attempt_without_an_outcome_is_not_repeated() {
    let running = given(&[attempted(1, 10)]);
    // The same attempt again changes nothing: its program was not sure that it was recorded.
    expect_events(&running, start(1, 10), vec![]);
    let unknown = InboxEvent::MailFailed {
        mail_id: mail_id(1),
        failure: MailFailure::Unknown,
        reason: MailNote::from_program("an earlier attempt has no outcome on record"),
        stamp: stamp(0),
    };
    expect_events(&running, start(1, 11), vec![unknown.clone()]);
    expect_events(&[running, vec![unknown]].concat(), start(1, 12), vec![]);
}

#[test]
fn a_mail_that_is_no_longer_wanted_is_suppressed() {
    let unsubscribed = InboxEvent::MailUnsubscribed { category: MailCategory::Opportunities, stamp: stamp(0) };
    for (event, cause) in [
        (unsubscribed, SuppressionCause::Unsubscribed),
        (dismissed(1, 1), SuppressionCause::Handled),
        (read(&[1], 1), SuppressionCause::Handled),
    ] {
        expect_events(&given(&[event]), start(1, 10), vec![suppressed(1, cause)]);
    }
    for cause in [SuppressionCause::NotAMember, SuppressionCause::Unsubscribed] {
        expect_events(&given(&[]), start_despite(Some(cause), 1, 10), vec![suppressed(1, cause)]);
    }
}

#[test]
fn a_mail_that_waited_for_days_is_suppressed() {
    let later = |days: i64| InboxCommand::StartMailAttempt {
        mail_id: mail_id(1),
        attempt_id: attempt(10),
        obstacle: None,
        stamp: stamp(days * 24 * 60),
    };
    let begun = InboxEvent::MailAttempted {
        mail_id: mail_id(1),
        attempt_id: attempt(10),
        address: preferences(&[]).address,
        stamp: stamp(3 * 24 * 60),
    };
    expect_events(&given(&[]), later(3), vec![begun]);
    let expired =
        InboxEvent::MailSuppressed { mail_id: mail_id(1), cause: SuppressionCause::Expired, stamp: stamp(4 * 24 * 60) };
    expect_events(&given(&[]), later(4), vec![expired]);
}

#[test]
fn an_address_that_bounced_receives_nothing_until_the_preferences_change() {
    let bounced = given(&[notified(2, 0), requested(2), attempted(1, 10), failed(1, MailFailure::Bounced)]);
    assert!(state_after(&bounced).mail_state().has_bounced());
    expect_events(&bounced, start(2, 11), vec![suppressed(2, SuppressionCause::Bounced)]);
    expect_events(&bounced, notify(3, 0), vec![notified(3, 0)]);
    // Confirming the same address counts as a change.
    expect_events(&bounced, change(&[]), vec![changed(&[])]);
    let changed = [bounced, vec![changed(&[])]].concat();
    expect_events(&changed, notify(3, 0), vec![notified(3, 0), requested(3)]);
    expect_events(&changed, change(&[]), vec![]);
}

#[test]
fn a_late_bounce_of_an_earlier_address_does_not_block_the_new_one() {
    let moved = MailPreferences { address: MailAddress::try_new("ann@new.example").unwrap(), ..preferences(&[]) };
    let moved = InboxEvent::MailPreferencesChanged { preferences: moved, stamp: stamp(0) };
    let events = given(&[attempted(1, 10), moved, failed(1, MailFailure::Bounced)]);
    assert!(!state_after(&events).mail_state().has_bounced());
    expect_events(&events, notify(2, 0), vec![notified(2, 0), requested(2)]);
}

/// Inboxes are stored in Redis, by earlier releases, too.
#[test]
fn stored_inboxes_have_the_mail_under_mailbox() {
    let inbox = state_after(&[changed(&[]), notified(1, 0), requested(1)]);
    let stored = serde_json::to_value(&inbox).unwrap();
    let keys: Vec<_> = stored.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(BTreeSet::from_iter(keys), BTreeSet::from(["gone", "kept", "mailbox"]));
    assert_eq!(stored["mailbox"]["preferences"]["address"], json!("ann@clinic.example"));
    assert_eq!(serde_json::from_value::<Inbox>(stored).unwrap(), inbox);
}

#[test]
fn unsubscribing_is_idempotent_and_ends_with_new_preferences() {
    let stop = InboxCommand::UnsubscribeMail { category: MailCategory::Opportunities, stamp: stamp(0) };
    let stopped = InboxEvent::MailUnsubscribed { category: MailCategory::Opportunities, stamp: stamp(0) };
    expect_events(&[], stop.clone(), vec![]);
    expect_events(&[changed(&[])], stop.clone(), vec![stopped.clone()]);
    expect_events(&[changed(&[]), stopped.clone()], stop, vec![]);
    expect_events(&[changed(&[]), stopped.clone()], notify(1, 0), vec![notified(1, 0)]);
    expect_events(&[changed(&[]), stopped, changed(&[])], notify(1, 0), vec![notified(1, 0), requested(1)]);
}

#[test]
fn there_is_one_digest_a_day() {
    let requested_digest = |day| InboxEvent::MailRequested { mail: digest(day), stamp: stamp(0) };
    expect_events(&[], request_digest(digest(9)), vec![]);
    expect_events(&[changed(&[])], request_digest(digest(9)), vec![requested_digest(9)]);
    expect_events(&[changed(&[MailCategory::DailyDigest])], request_digest(digest(9)), vec![]);
    let had_one = [changed(&[]), requested_digest(9)];
    for earlier in [8, 9] {
        let other_id = RequestedMail { mail_id: mail_id(77), ..digest(earlier) };
        expect_events(&had_one, request_digest(other_id), vec![]);
    }
    expect_events(&had_one, request_digest(digest(10)), vec![requested_digest(10)]);
    let mut counted = digest(10);
    counted.digest.as_mut().unwrap().items.clear();
    expect_events(&had_one, request_digest(counted.clone()), vec![]);
    counted.digest.as_mut().unwrap().more = 5_000;
    let counted_event = InboxEvent::MailRequested { mail: counted.clone(), stamp: stamp(0) };
    expect_events(&had_one, request_digest(counted), vec![counted_event]);
    let last = state_after(&had_one).mail_state().last_digest().unwrap();
    assert_eq!((last.date, last.covered_until), (NaiveDate::from_ymd_opt(2026, 3, 9).unwrap(), minute(9)));
}

#[test]
fn the_number_of_waiting_mails_is_limited() {
    let mut events = vec![changed(&[])];
    for number in 0..MAX_OPEN_MAILS as u128 {
        events.extend([notified(number, 0), requested(number)]);
    }
    expect_events(&events, notify(500, 0), vec![notified(500, 0), suppressed(500, SuppressionCause::TooMany)]);
}

#[test]
fn addresses_hours_and_zones_are_checked() {
    for good in ["ann@clinic.example", " a.b+c@x-y.example ", "ann@localhost"] {
        assert_eq!(MailAddress::try_new(good).unwrap().as_str(), good.trim());
    }
    for bad in [
        "",
        "ann",
        "@clinic.example",
        "ann@",
        "ann@clinic..example",
        "ann@clinic.example, bob@clinic.example",
        "<ann@clinic.example>",
        "ann@clinic.example\r\nBcc: eve@evil.example",
        "ann@eve@clinic.example",
        "änn@clinic.example",
        &format!("{}@clinic.example", "a".repeat(250)),
    ] {
        assert!(MailAddress::try_new(bad).is_err(), "{bad:?}");
    }
    assert!(DigestHour::try_new(23).is_ok() && DigestHour::try_new(24).is_err());
    assert!(TimeZoneName::try_new("America/Port-au-Prince").is_ok() && TimeZoneName::try_new("../etc").is_err());
}

#[test]
fn the_stored_names_are_pinned_and_an_inbox_without_mail_is_stored_as_before() {
    assert_eq!(serde_json::to_value(Inbox::default()).unwrap(), json!({ "kept": [], "gone": [] }));
    assert_eq!(
        serde_json::to_value(digest(9)).unwrap(),
        json!({
            "mail_id": mail_id(909).to_string(),
            "category": "daily_digest",
            "digest": {
                "date": "2026-03-09",
                "covered_until": "2026-03-03T12:09:00Z",
                "items": [{ "title": "Patient lifts", "search": "lifts", "link": "/opportunities/1" }],
                "more": 0
            }
        })
    );
    let names = |values: &[&'static str]| values.join(" ");
    assert_eq!(
        names(&MailFailure::ALL.iter().map(|value| value.name()).collect::<Vec<_>>()),
        "postponed bounced refused unknown abandoned"
    );
    assert_eq!(
        names(&SuppressionCause::ALL.iter().map(|value| value.name()).collect::<Vec<_>>()),
        "unsubscribed bounced handled too_many expired not_a_member"
    );
    assert_eq!(
        names(&MailCategory::ALL.iter().map(|value| value.name()).collect::<Vec<_>>()),
        "opportunities documents proposals tasks system daily_digest"
    );
}

fn any_mail_command() -> impl Strategy<Value = InboxCommand> {
    let outcome = prop_oneof![
        2 => Just(accepted()),
        3 => prop::sample::select(MailFailure::ALL).prop_map(failure),
    ];
    prop_oneof![
        4 => (0_u128..4).prop_map(|number| notify(number, 0)),
        1 => (0_u128..4).prop_map(|number| dismiss(number, 0)),
        1 => Just(change(&[])),
        1 => Just(InboxCommand::UnsubscribeMail { category: MailCategory::Opportunities, stamp: stamp(0) }),
        1 => (8_u32..12).prop_map(|day| request_digest(digest(day))),
        4 => (0_u128..4, 10_u128..16).prop_map(|(number, attempt_number)| start(number, attempt_number)),
        4 => (0_u128..4, 10_u128..16, outcome).prop_map(|(number, attempt_number, end)| record(number, attempt_number, end)),
    ]
}

proptest! {
    /// Between two attempts of a mail there is always a server's answer that it was not accepted.
    #[test]
    fn a_mail_is_attempted_again_only_after_it_was_postponed(
        commands in prop::collection::vec(any_mail_command(), 0..80)
    ) {
        let mut inbox = state_after(&[changed(&[])]);
        let (mut requested_mails, mut attempted_mails, mut ended) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for command in commands {
            for event in inbox.decide(command).unwrap() {
                match &event {
                    InboxEvent::MailRequested { mail, .. } => prop_assert!(requested_mails.insert(mail.mail_id)),
                    InboxEvent::MailAttempted { mail_id, .. } => {
                        prop_assert!(requested_mails.contains(mail_id) && !ended.contains(mail_id));
                        prop_assert!(attempted_mails.insert(*mail_id), "attempted twice");
                    }
                    InboxEvent::MailFailed { mail_id, failure: MailFailure::Postponed, .. } => {
                        prop_assert!(attempted_mails.remove(mail_id));
                    }
                    InboxEvent::MailFailed { mail_id, .. } | InboxEvent::MailSent { mail_id, .. } => {
                        prop_assert!(attempted_mails.contains(mail_id) && ended.insert(*mail_id));
                    }
                    InboxEvent::MailSuppressed { mail_id, .. } => prop_assert!(ended.insert(*mail_id)),
                    InboxEvent::Notified { .. }
                    | InboxEvent::Read { .. }
                    | InboxEvent::AllRead { .. }
                    | InboxEvent::Dismissed { .. }
                    | InboxEvent::MailPreferencesChanged { .. }
                    | InboxEvent::MailUnsubscribed { .. } => {}
                }
                inbox.evolve(event);
            }
        }
        let stored = serde_json::to_string(&inbox).unwrap();
        prop_assert_eq!(serde_json::from_str::<Inbox>(&stored).unwrap(), inbox);
    }
}
