//! The schema registry as its clients use it: Confluent's API, one id per schema, and no loss of acknowledged schemas.

mod access;
mod concurrent_clients;
mod confluent_client;
mod medhub_commands;
mod refused_requests;
mod registry_process;
mod responses;

use serde_json::{Value, json};

use self::registry_process::RegistryProcess;

/// The schema of a record with these fields.
fn record_schema(name: &str, fields: &Value) -> String {
    json!({ "type": "record", "name": name, "namespace": "medhub.test", "fields": fields }).to_string()
}

/// The schema of a record with one field of this type.
fn one_field_schema(name: &str, kind: &str) -> String {
    record_schema(name, &json!([{ "name": "value", "type": kind }]))
}

fn schema_body(schema: &str) -> Value {
    json!({ "schema": schema })
}
