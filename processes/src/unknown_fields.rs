//! Fields of stored states that a newer release has added.
//!
//! While two releases run side by side, an instance that the newer one has led may get its next input from the older one.
//! Refusing such states would park events of every instance that is led during a roll-out, until an operator redrives
//! them. Dropping the fields would lose what the newer release has decided. So the older release decides as if they were
//! absent, which a newer release has to expect anyway of states from before it, and leaves them in the next state.
//! Fields of one variant of a state are not left in another one. Fields within the elements of a list are the exception: which element of the next state they would belong to is not
//! known, so such a state is refused.

use serde::de::Error as _;
use serde_json::{Error, Value};

/// The fields that name the variant of a state or of a part of it.
const TAGS: [&str; 2] = ["status", "type"];

/// Copies the fields of `stored` that this release does not know into `next`. `known` is `stored` as this release reads
/// and writes it.
///
/// # Errors
/// When elements of a list that `next` has too have unknown fields.
pub(crate) fn carry_unknown_fields(stored: &Value, known: &Value, next: &mut Value) -> Result<(), Error> {
    match (stored, known, next) {
        (Value::Object(stored), Value::Object(known), Value::Object(next)) => {
            // Another variant may have a field of that name and of another type.
            if TAGS.iter().any(|tag| known.get(*tag) != next.get(*tag)) {
                return Ok(());
            }
            for (name, value) in stored {
                match (known.get(name), next.get_mut(name)) {
                    (Some(known), Some(next)) => carry_unknown_fields(value, known, next)?,
                    (None, None) => {
                        next.insert(name.clone(), value.clone());
                    }
                    // The process has changed or dropped a field that it knows.
                    (Some(_), None) | (None, Some(_)) => {}
                }
            }
            Ok(())
        }
        (Value::Array(stored), Value::Array(known), Value::Array(_)) => {
            match stored.iter().zip(known).find_map(|(stored, known)| find_unknown_field(stored, known)) {
                None => Ok(()),
                Some(name) => {
                    Err(Error::custom(format!("a list has elements with the field {name} of a newer release")))
                }
            }
        }
        _ => Ok(()),
    }
}

fn find_unknown_field<'a>(stored: &'a Value, known: &Value) -> Option<&'a str> {
    match (stored, known) {
        (Value::Object(stored), Value::Object(known)) => {
            stored.iter().find_map(|(name, value)| match known.get(name) {
                Some(known) => find_unknown_field(value, known),
                // May be left out when it is written.
                None if is_empty(value) => None,
                None => Some(name.as_str()),
            })
        }
        (Value::Array(stored), Value::Array(known)) => {
            stored.iter().zip(known).find_map(|(stored, known)| find_unknown_field(stored, known))
        }
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn carried(stored: &Value, known: &Value, mut next: Value) -> Value {
        carry_unknown_fields(stored, known, &mut next).unwrap();
        next
    }

    #[test]
    fn fields_of_a_newer_release_stay_in_the_next_state() {
        let stored = json!({ "status": "open", "count": 1, "score": 7, "search": { "name": "a", "colour": "red" } });
        let known = json!({ "status": "open", "count": 1, "search": { "name": "a" } });
        let next = json!({ "status": "open", "count": 2, "search": { "name": "b" } });
        let expected = json!({ "status": "open", "count": 2, "search": { "name": "b", "colour": "red" }, "score": 7 });
        assert_eq!(carried(&stored, &known, next), expected);
    }

    #[test]
    fn fields_that_the_process_has_dropped_do_not_come_back() {
        let stored = json!({ "status": "running", "stage": { "name": "text", "pages": 3 }, "note": "x" });
        let known = json!({ "status": "running", "stage": { "name": "text" }, "note": "x" });
        assert_eq!(carried(&stored, &known, json!({ "status": "finished" })), json!({ "status": "finished" }));
        let written = json!({ "status": "running", "note": "written" });
        assert_eq!(carried(&json!({ "note": "old" }), &json!({}), written.clone()), written);
    }

    #[test]
    fn fields_are_not_carried_into_another_variant() {
        let stored = json!({ "status": "running", "stage": "text", "result": 7 });
        let known = json!({ "status": "running", "stage": "text" });
        assert_eq!(carried(&stored, &known, json!({ "status": "finished" })), json!({ "status": "finished" }));
        let (stored, known) = (json!({ "part": { "type": "a", "x": 1 } }), json!({ "part": { "type": "a" } }));
        assert_eq!(carried(&stored, &known, json!({ "part": { "type": "b" } })), json!({ "part": { "type": "b" } }));
    }

    #[test]
    fn a_list_whose_elements_have_unknown_fields_is_refused_while_it_is_used() {
        let stored = json!({ "parts": [{ "id": 1 }, { "id": 2, "weight": 5 }] });
        let known = json!({ "parts": [{ "id": 1 }, { "id": 2 }] });
        let refused = carry_unknown_fields(&stored, &known, &mut json!({ "parts": [] })).unwrap_err();
        assert_eq!(refused.to_string(), "a list has elements with the field weight of a newer release");
        assert_eq!(carried(&stored, &known, json!({ "done": true })), json!({ "done": true }));
        let absent = json!({ "parts": [{ "id": 1, "weight": null }] });
        let known = json!({ "parts": [{ "id": 1 }] });
        assert_eq!(carried(&absent, &known, known.clone()), known);
    }
}
