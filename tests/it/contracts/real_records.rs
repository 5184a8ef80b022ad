//! The events of the real records of March 2026 match their schemas.

use std::{collections::HashMap, fs::File};

use cqrs_es::DomainEvent;
use domain::opportunity::{Opportunity, OpportunityCommand, OpportunityEvent};
use sam_gov::{SourceEncoding, SourceFormat, open_source, read_notices};
use schemas::{catalog::find_schema, codec::EventDecoder};
use tests::{notice_import::find_real_records, run_beside_others};

/// The events of a file of records; `None` if the file is absent. Takes a turn because it keeps a core busy, without
/// engines.
fn read_events(name: &str, format: SourceFormat) -> Option<Vec<OpportunityEvent>> {
    run_beside_others();
    let file = File::open(find_real_records(name)?).unwrap();
    let mut states: HashMap<_, Opportunity> = HashMap::new();
    let mut events = vec![];
    for row in read_notices(open_source(file).unwrap(), format, SourceEncoding::Auto).unwrap() {
        let notice = row.unwrap().outcome.unwrap();
        let state = states.entry(notice.opportunity_id()).or_default();
        for event in state.decide(OpportunityCommand::RecordNotice(Box::new(notice))).unwrap() {
            state.evolve(event.clone());
            events.push(event);
        }
    }
    Some(events)
}

fn assert_round_trip(events: &[OpportunityEvent]) -> usize {
    let mut bytes = 0;
    let mut decoders = HashMap::new();
    for event in events {
        let json = serde_json::to_string(event).unwrap();
        let schema = find_schema(&event.event_type(), &event.event_version()).unwrap();
        let mut avro = vec![];
        schema.encode(&json, &mut avro).unwrap_or_else(|misfit| panic!("{misfit}\n{json}"));
        let decoder = decoders.entry(schema.event_type).or_insert_with(|| EventDecoder::parse(schema.json).unwrap());
        assert_eq!(decoder.decode_to_json(&avro).unwrap(), json);
        bytes += avro.len();
    }
    bytes
}

#[test]
fn every_event_of_the_real_csv_survives_a_round_trip_unchanged() {
    let Some(events) = read_events("notices_full47_2026-03.csv", SourceFormat::Csv) else { return };
    assert!(events.len() > 6_000, "{}", events.len());
    println!("{} events, {} bytes of Avro", events.len(), assert_round_trip(&events));
}

#[test]
fn every_event_of_the_real_text_survives_a_round_trip_unchanged() {
    let Some(events) = read_events("notices_text_2026-03.ndjson.gz", SourceFormat::Ndjson) else { return };
    assert!(events.len() > 30_000, "{}", events.len());
    println!("{} events, {} bytes of Avro", events.len(), assert_round_trip(&events));
}
