//! Tests of the cached flags, on a log in memory.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::DateTime;
use cqrs_es::DomainEvent;
use domain::{
    context::BoundedContext,
    envelope::{EventMetadata, RawEnvelope},
    feature_flag::{FeatureFlagEvent, FlagDescription, FlagReason, FlagVariants},
    log_reader::{LogBatchReader, LogFuture, LogRange},
    value::{AuditStamp, UserId},
};
use serde_json::json;
use uuid::Uuid;

use super::*;

/// The events of flags in memory.
#[derive(Default)]
struct FlagLog {
    events: std::sync::Mutex<Vec<RawEnvelope>>,
    is_down: AtomicBool,
    loads: AtomicU64,
}

impl FlagLog {
    fn append(&self, key: &str, event: &FeatureFlagEvent) {
        self.append_raw(key, &event.event_type(), &serde_json::to_string(event).unwrap());
    }

    fn append_raw(&self, key: &str, event_type: &str, payload: &str) {
        let mut events = self.events.lock().unwrap();
        let sequence = events.iter().filter(|event| event.aggregate_id == key).count() as u64 + 1;
        let position = events.len() as u64 + 1;
        events.push(RawEnvelope {
            position,
            event_id: Uuid::nil(),
            tenant_id: "public".to_owned(),
            aggregate_type: FeatureFlag::TYPE.to_owned(),
            aggregate_id: key.to_owned(),
            sequence,
            event_type: event_type.to_owned(),
            event_version: "1.0".to_owned(),
            recorded_at: DateTime::UNIX_EPOCH,
            metadata: EventMetadata { user_id: "ann".to_owned(), ..EventMetadata::default() },
            payload: payload.to_owned(),
        });
        events.sort_by(|a, b| (&a.aggregate_id, a.sequence).cmp(&(&b.aggregate_id, b.sequence)));
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.is_down.load(Ordering::Relaxed) { Err(StoreError::Unavailable("down".into())) } else { Ok(()) }
    }
}

impl LogReader for FlagLog {
    fn incarnation(&self) -> LogFuture<'_, Uuid> {
        Box::pin(async { Ok(Uuid::nil()) })
    }

    fn load_fence(&self) -> LogFuture<'_, u64> {
        Box::pin(async { Ok(0) })
    }

    fn count_after(&self, _: u64, _: &'static [BoundedContext], _: u64) -> LogFuture<'_, u64> {
        Box::pin(async { Ok(0) })
    }

    fn load_after(&self, _: u64, _: u64, _: u32) -> LogFuture<'_, Vec<RawEnvelope>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn load_stream<'a>(&'a self, _: &'a str, _: &'a str, _: u64, _: u32) -> LogFuture<'a, Vec<RawEnvelope>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn count_type<'a>(&'a self, aggregate_type: &'a str) -> LogFuture<'a, u64> {
        assert_eq!(aggregate_type, "feature_flag");
        Box::pin(async {
            self.check()?;
            Ok(self.events.lock().unwrap().len() as u64)
        })
    }

    fn load_type<'a>(&'a self, _: &'a str, (id, sequence): (&'a str, u64), _: u32) -> LogFuture<'a, Vec<RawEnvelope>> {
        Box::pin(async move {
            self.loads.fetch_add(1, Ordering::Relaxed);
            let events = self.events.lock().unwrap();
            let rest = events.iter().filter(|event| (event.aggregate_id.as_str(), event.sequence) > (id, sequence));
            // Small pages, so that streams are cut.
            Ok(rest.take(2).cloned().collect())
        })
    }

    fn read_batches(&self, _: LogRange) -> LogFuture<'_, Box<dyn LogBatchReader>> {
        Box::pin(async { Err(StoreError::Conflict) })
    }
}

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::try_new("ann").unwrap(), at: DateTime::UNIX_EPOCH }
}

fn defined() -> FeatureFlagEvent {
    let description = FlagDescription::try_new("Printing").unwrap();
    FeatureFlagEvent::Defined { description, variants: FlagVariants::plain(), enabled: false, stamp: stamp() }
}

fn switched(enabled: bool) -> FeatureFlagEvent {
    FeatureFlagEvent::Switched { enabled, reason: FlagReason::try_new("a trial").unwrap(), stamp: stamp() }
}

fn acme() -> TenantId {
    TenantId::try_new("acme").unwrap()
}

#[tokio::test]
async fn flags_follow_the_log_and_stay_when_it_is_away() {
    let log = Arc::new(FlagLog::default());
    let flags = FeatureFlags::new(log.clone(), FlagPins::default());
    assert_eq!(flags.variant("print", &acme()), VariantName::control());
    for (key, enabled) in [("print", true), ("print", false), ("print", true), ("scan", false)] {
        if enabled || key == "scan" {
            log.append(key, &defined());
        }
        log.append(key, &switched(enabled));
    }
    assert!(!flags.is_on("print", &acme()), "nothing was read yet");
    flags.refresh().await.unwrap();
    assert!(flags.is_on("print", &acme()) && !flags.is_on("scan", &acme()));
    let record = flags.list().into_iter().find(|record| record.key.as_str() == "print").unwrap();
    assert_eq!((record.version, record.changed_by.as_str()), (5, "ann"));

    log.append("print", &switched(false));
    log.is_down.store(true, Ordering::Relaxed);
    let confirmed_at = || *flags.shared.confirmed_at.read().unwrap();
    let confirmed = confirmed_at();
    assert!(flags.refresh().await.is_err() && flags.is_on("print", &acme()));
    assert_eq!(confirmed_at(), confirmed, "their age grows");
    log.is_down.store(false, Ordering::Relaxed);
    flags.refresh().await.unwrap();
    assert!(!flags.is_on("print", &acme()));
    let read = confirmed_at();
    flags.refresh().await.unwrap();
    assert!(confirmed < read && read < confirmed_at(), "also without a change");
}

#[tokio::test]
async fn flags_are_read_only_when_there_are_new_events() {
    let log = Arc::new(FlagLog::default());
    log.append("print", &defined());
    let flags = FeatureFlags::new(log.clone(), FlagPins::default());
    flags.refresh().await.unwrap();
    let loads = log.loads.load(Ordering::Relaxed);
    assert!(loads > 0);
    flags.refresh().await.unwrap();
    assert_eq!(log.loads.load(Ordering::Relaxed), loads);
}

#[tokio::test]
async fn a_flag_with_an_unreadable_event_stays_as_it_was_and_others_are_read() {
    let log = Arc::new(FlagLog::default());
    for event in [defined(), switched(true)] {
        log.append("print", &event);
        log.append("scan", &event);
    }
    let flags = FeatureFlags::new(log.clone(), FlagPins::default());
    flags.refresh().await.unwrap();
    log.append_raw("print", "feature_flag.unknown", "{}");
    log.append("print", &switched(false));
    log.append("scan", &switched(false));
    log.append_raw("new", "feature_flag.unknown", "{}");
    flags.refresh().await.unwrap();
    assert!(flags.is_on("print", &acme()) && !flags.is_on("scan", &acme()));
    assert_eq!(flags.variant("new", &acme()), VariantName::control());
    let restarted = FeatureFlags::new(log, FlagPins::default());
    restarted.refresh().await.unwrap();
    assert_eq!(restarted.list(), flags.list(), "a program that has just started has the same flags");
    assert!(restarted.is_on("print", &acme()));
}

#[tokio::test]
async fn a_pin_comes_before_the_log() {
    let log = Arc::new(FlagLog::default());
    log.append("print", &defined());
    let flags = FeatureFlags::new(log, FlagPins::try_new([("print", "on")]).unwrap());
    flags.refresh().await.unwrap();
    assert!(flags.is_on("print", &acme()));
    assert_eq!(flags.assignment("print", &acme()).reason, AssignmentReason::Pinned);
}

#[test]
fn undefined_experiments_are_listed_with_the_control() {
    let flags = FeatureFlags::pinned(FlagPins::default());
    let keys: Vec<_> = flags.list().into_iter().map(|record| record.key.to_string()).collect();
    assert_eq!(keys, ["proposal-generation.prompt", "proposal-generation.provider", "search.ranking"]);
    let assignment = flags.assignment("search.ranking", &acme());
    assert_eq!((assignment.variant.as_str(), assignment.reason), ("control", AssignmentReason::Undefined));
}

#[test]
fn pins_are_read_from_nested_settings() {
    let settings = json!({ "proposal_generation": { "prompt": "v2" }, "search.ranking": "words", "print": true });
    let pins: FlagPins = serde_json::from_value(settings).unwrap();
    let from_variables: FlagPins = serde_json::from_value(json!({ "print": "true", "scan": "false" })).unwrap();
    assert_eq!(from_variables, FlagPins::try_new([("print", "on"), ("scan", "off")]).unwrap());
    let expected = [("proposal-generation.prompt", "v2"), ("search.ranking", "words"), ("print", "on")];
    assert_eq!(pins, FlagPins::try_new(expected).unwrap());
    assert_eq!(pins.find("search.ranking").map(VariantName::as_str), Some("words"));
    let printed = serde_json::to_value(&pins).unwrap();
    assert_eq!(serde_json::from_value::<FlagPins>(printed).unwrap(), pins);
    for (bad, expected) in [
        (json!({ "search": { "ranking": "Words!" } }), "variant \"Words!\" is not lower-case letters"),
        (json!({ "Search": "words" }), "flag key \"Search\" is not"),
        (json!({ "search": 7 }), "expected the name of a variant"),
    ] {
        let error = serde_json::from_value::<FlagPins>(bad).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
