//! How fast the codec is; printed, not judged, because the machine may be busy.

use std::time::Instant;

use super::*;

#[test]
fn the_speed_of_a_typical_event_is_measured() {
    const EVENTS: u32 = 20_000;
    let event = typical();
    let json = serde_json::to_string(&event).unwrap();
    let (schema, avro) = (schema_of(&event), encoded(&event, &json));
    let decoder = Decoder::parse(schema.json).unwrap();
    let mut into = Vec::with_capacity(2 * json.len());
    let began = Instant::now();
    for _ in 0..EVENTS {
        into.clear();
        schema.encode(&json, &mut into).unwrap();
    }
    let encoding = began.elapsed();
    let began = Instant::now();
    for _ in 0..EVENTS {
        decoder.to_json(&avro).unwrap();
    }
    let decoding = began.elapsed();
    let per_second = |time: std::time::Duration| f64::from(EVENTS) / time.as_secs_f64();
    println!(
        "{} bytes of JSON, {} of Avro: {:.0} events/s encoded, {:.0} events/s decoded",
        json.len(),
        avro.len(),
        per_second(encoding),
        per_second(decoding)
    );
}
