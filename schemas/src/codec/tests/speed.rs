//! Measures the speed of the codec; prints it and asserts nothing, because the machine may be busy.

use super::*;

/// Calls per second of processor time; the best of three rounds, since other processes may disturb a round.
fn per_second(mut call: impl FnMut()) -> f64 {
    const CALLS: u32 = 20_000;
    let round = |_| {
        let start = processor_seconds();
        (0..CALLS).for_each(|_| call());
        f64::from(CALLS) / (processor_seconds() - start)
    };
    (0..3).map(round).fold(0.0, f64::max)
}

/// The processor time of this thread in seconds.
fn processor_seconds() -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = schedule.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

#[test]
fn the_speed_of_a_typical_event_is_measured() {
    let event = typical_event();
    let json = serde_json::to_string(&event).unwrap();
    let (schema, avro) = (schema_of(&event), encode_event(&event, &json));
    let decoder = EventDecoder::parse(schema.json).unwrap();
    let mut into = Vec::with_capacity(2 * json.len());
    let encoding = per_second(|| {
        into.clear();
        schema.encode(&json, &mut into).unwrap();
    });
    let decoding = per_second(|| assert!(decoder.decode_to_json(&avro).is_ok()));
    println!(
        "{} bytes of JSON, {} of Avro: {encoding:.0} events/s encoded, {decoding:.0} events/s decoded",
        json.len(),
        avro.len(),
    );
}
