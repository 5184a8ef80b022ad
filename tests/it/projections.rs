//! The read models on real engines: twice the same events is once, a replay from zero equals live, and one sick store
//! delays nobody else.

mod analytics;
mod dead_letter;
mod field;
mod live;
mod memory;
mod rebuild;
mod search;
mod sick_sink;
mod views;
mod worker;
mod workspace;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use domain::{
    envelope::{Metadata, PUBLIC_TENANT, RawRecorded},
    opportunity::{
        Agency, Award, Cents, Facts, Naics, Notice, NoticeId, NoticeSource, NoticeType, Opportunity,
        OpportunityCommand, OpportunityId, SetAside,
    },
};
use projections::{
    analytics::{Analytics, AnalyticsConfig},
    runtime::Projection,
    search::{Search, SearchConfig, StaticModel},
    views::{Views, ViewsConfig},
};
use uuid::Uuid;

/// What happened to three opportunities: a wheelchair purchase that is amended, completed by an earlier notice and
/// awarded twice; a drydock repair with an award; and valves that nobody has won.
fn history() -> Vec<RawRecorded> {
    let mut log = Log::default();
    let award =
        |number: &str, cents| Award { number: Some(number.to_owned()), amount: Some(Cents(cents)), ..Award::default() };
    let wheelchairs = notice("w1", "VETERANS AFFAIRS, DEPARTMENT OF", "W-1", "6530--Wheelchairs", "6530", 3);
    let ship = notice("s1", "HOMELAND SECURITY, DEPARTMENT OF", "S-1", "DRYDOCK: USCGC RAZORBILL", "J998", 4);
    let valves = notice("v1", "DEPT OF DEFENSE", "V-1", "48--VALVE,CHECK", "4820", 5);
    log.take_in(wheelchairs.clone());
    log.take_in(Notice { award: Some(award("SHIP", 81_930_000)), ..ship });
    log.take_in(valves);
    let mut amended = notice("w2", "VETERANS AFFAIRS, DEPARTMENT OF", "W-1", "6530--Wheelchairs and lifts", "6530", 6);
    amended.facts.response_deadline = Some(march(20));
    log.take_in(Notice { award: Some(award("CHAIR-1", 100)), ..amended });
    log.take_in(notice("w0", "VETERANS AFFAIRS, DEPARTMENT OF", "W-1", "6530--Wheelchairs (sources)", "6530", 1));
    let last = notice("w3", "VETERANS AFFAIRS, DEPARTMENT OF", "W-1", "6530--Wheelchairs and lifts", "6530", 7);
    log.take_in(Notice { award: Some(award("CHAIR-2", 11)), ..last });
    log.events
}

const WHEELCHAIRS: &str = "036:W1";
const SHIP: &str = "070:S1";
const VALVES: &str = "097:V1";

fn march(day: u32) -> DateTime<Utc> {
    format!("2026-03-{day:02}T12:00:00.5Z").parse().unwrap()
}

pub(crate) fn notice(id: &str, agency: &str, number: &str, title: &str, psc: &str, day: u32) -> Notice {
    let facts = Facts {
        title: title.to_owned(),
        notice_type: NoticeType::try_new("Solicitation").unwrap(),
        agency: Agency::from_name(agency).unwrap(),
        solicitation_number: Some(number.to_owned()),
        base_type: None,
        sub_tier: None,
        office: None,
        set_aside: (psc == "6530").then(|| SetAside::try_new("SDVOSBC").unwrap()),
        naics: Naics::try_new(if psc == "6530" { "339113" } else { "336611" }).ok(),
        psc: Some(psc.to_owned()),
        response_deadline: None,
        archive_on: None,
        active: Some(true),
        place: None,
        description: Some(format!("What notice {id} is about.")),
        link: None,
    };
    let notice_id = NoticeId::try_new(id).unwrap();
    Notice { notice_id, source: NoticeSource::SamCsv, posted_at: march(day), facts, award: None }
}

/// A log in memory, filled by the domain's own decisions.
#[derive(Default)]
struct Log {
    states: HashMap<OpportunityId, (Opportunity, u64)>,
    events: Vec<RawRecorded>,
}

impl Log {
    fn take_in(&mut self, notice: Notice) {
        let id = notice.opportunity_id();
        let (state, sequence) = self.states.entry(id.clone()).or_default();
        for event in state.decide(OpportunityCommand::RecordNotice(Box::new(notice))).unwrap() {
            *sequence += 1;
            let position = self.events.len() as u64 + 1;
            self.events.push(RawRecorded {
                position,
                event_id: Uuid::from_u128(u128::from(position)),
                tenant_id: PUBLIC_TENANT.to_owned(),
                aggregate_type: "opportunity".to_owned(),
                aggregate_id: id.to_string(),
                sequence: *sequence,
                event_type: event.event_type(),
                event_version: event.event_version(),
                // Far from now, so that no time to live has passed for it.
                recorded_at: "2099-03-01T00:00:00Z".parse().unwrap(),
                metadata: Metadata { tenant_id: PUBLIC_TENANT.to_owned(), ..Metadata::default() },
                payload: serde_json::to_string(&event).unwrap(),
            });
            state.evolve(event);
        }
    }
}

/// Projects and applies events as one batch.
async fn apply<P: Projection>(projection: &P, events: &[RawRecorded]) {
    let changes: Vec<_> = events.iter().flat_map(|event| P::project(event).unwrap()).collect();
    projection.apply(&changes).await.unwrap();
}

/// Delivers events one by one, as they would trickle in.
async fn apply_live<P: Projection>(projection: &P, events: &[RawRecorded]) {
    for event in events {
        apply(projection, std::slice::from_ref(event)).await;
    }
}

/// Delivers events as a broker may: a batch again, then from some earlier place on.
async fn apply_with_repetitions<P: Projection>(projection: &P, events: &[RawRecorded]) {
    let middle = events.len() / 2;
    apply(projection, &events[..middle]).await;
    apply(projection, &events[..middle]).await;
    apply(projection, &events[middle - 2..]).await;
    apply_live(projection, events).await;
    apply(projection, &[events, events].concat()).await;
}

fn unique() -> String {
    format!("t_{}", Uuid::new_v4().simple())
}

/// A migrated database of the test's own.
async fn analytics() -> Analytics {
    let url = tests::engines().await.url("CLICKHOUSE_URL");
    let config = AnalyticsConfig { url, database: unique(), ..AnalyticsConfig::default() };
    let analytics = Analytics::new(&config).unwrap();
    analytics.migrate().await.unwrap();
    analytics
}

/// A migrated collection of the test's own.
async fn search() -> Search {
    let stack = tests::engines().await;
    let config = SearchConfig { url: stack.url("QDRANT_URL"), collection_prefix: unique(), ..SearchConfig::default() };
    let model = StaticModel::load(&PathBuf::from(stack.url("MEDHUB__EMBEDDING__MODEL_DIR"))).unwrap();
    let search = Search::new(&config, Arc::new(model)).unwrap();
    search.migrate().await.unwrap();
    search
}

/// A generation under keys of the test's own.
async fn views() -> Views {
    let views = Views::new(&views_config().await).unwrap();
    views.prepare().await.unwrap();
    views
}

async fn views_config() -> ViewsConfig {
    let url = tests::engines().await.url("REDIS_URL");
    ViewsConfig { url, key_prefix: format!("{}:", unique()), ..ViewsConfig::default() }
}

fn id(text: &str) -> OpportunityId {
    OpportunityId::parse(text).unwrap()
}
