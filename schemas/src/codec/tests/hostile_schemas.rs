//! Tests of small schemas whose values would be exponentially large.

use super::*;
use crate::fixture::doubling::{doubling_schema, record};

#[test]
fn decoding_records_without_bytes_is_bounded() {
    let decoder = EventDecoder::parse(&doubling_schema(40, &json!([])).to_string()).unwrap();
    let mismatch = decoder.decode_to_json(&[]).unwrap_err();
    assert!(mismatch.reason.contains("more values than its bytes"), "{mismatch}");
}

#[test]
fn defaults_that_double_at_each_level_are_refused() {
    let leaf = record("x0", &json!([{ "name": "n", "type": "int", "default": 0 }]));
    let schema = (1..=18).fold(leaf, |below, at| {
        let name = below["name"].clone();
        let pair = record(&format!("z{at}"), &json!([{ "name": "a", "type": below }, { "name": "b", "type": name }]));
        record(&format!("x{at}"), &json!([{ "name": "p", "type": pair, "default": { "a": {}, "b": {} } }]))
    });
    let mismatch = EventDecoder::parse(&schema.to_string()).unwrap_err();
    assert!(mismatch.reason.contains("more than 16384 bytes"), "{mismatch}");
}
