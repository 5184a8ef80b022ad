//! The compose file: its syntax, and what it mounts and waits for.

use std::{fs, path::Path, sync::LazyLock};

use serde_json::Value;

use super::{
    rendered_overlays::{items, run_check, text},
    workspace,
};

const COMPOSE_FILE: &str = "deploy/compose/compose.yaml";

/// The services that run the program.
pub(super) fn program_services(compose: &Value) -> Vec<(&str, &Value)> {
    let services = compose["services"].as_object().unwrap().iter();
    services.map(|(name, service)| (name.as_str(), service)).filter(|(_, service)| runs_program(service)).collect()
}

fn runs_program(service: &Value) -> bool {
    text(&service["image"]).starts_with("medhub")
}

/// The compose file, with its references resolved.
pub(super) fn read_compose_file() -> &'static Value {
    static COMPOSE: LazyLock<Value> =
        LazyLock::new(|| run_check("documents", &[workspace().join(COMPOSE_FILE)])[0].clone());
    &COMPOSE
}

#[test]
fn the_compose_file_is_valid() {
    assert_eq!(run_check("compose", &[workspace().join(COMPOSE_FILE)]), Value::Array(vec![]));

    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("compose.yaml");
    let compose = fs::read_to_string(workspace().join(COMPOSE_FILE)).unwrap();
    fs::write(&broken, compose.replace("condition: service_healthy", "condition: healthy")).unwrap();
    let problems = run_check("compose", &[&broken]).to_string();
    assert!(problems.contains("depends_on/postgres/condition"), "{problems}");
}

#[test]
fn mounted_files_exist_and_awaited_services_can_become_ready() {
    let compose = read_compose_file();
    let folder = workspace().join("deploy/compose");
    for (name, service) in compose["services"].as_object().unwrap() {
        for volume in items(&service["volumes"]).map(text) {
            let source = volume.split(':').next().unwrap();
            let exists = if source.starts_with('.') {
                folder.join(source).exists()
            } else {
                compose["volumes"].as_object().unwrap().contains_key(source)
            };
            assert!(exists, "{name} mounts {source}");
        }
        for (awaited, condition) in service["depends_on"].as_object().into_iter().flatten() {
            let other = &compose["services"][awaited];
            assert!(other.is_object(), "{name} waits for {awaited}");
            let has_check = other["healthcheck"].is_object();
            assert!(
                condition["condition"] != "service_healthy" || has_check,
                "{name} waits for the health of {awaited}"
            );
        }
    }
}

#[test]
fn every_role_runs_and_every_port_is_of_this_machine_only() {
    let compose = read_compose_file();
    let mut roles: Vec<_> = program_services(compose).iter().map(|(name, _)| *name).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["api", "migrate", "processes", "projections", "registry", "relay", "work"]);
    for (name, service) in program_services(compose) {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        let dockerfile = Path::new(text(&service["build"]["context"])).join(text(&service["build"]["dockerfile"]));
        assert!(workspace().join("deploy/compose").join(dockerfile).exists(), "{name}");
    }
    let ports = compose["services"].as_object().unwrap().values().flat_map(|service| items(&service["ports"]));
    let open: Vec<_> = ports.map(text).filter(|port| !port.starts_with("127.0.0.1:")).collect();
    assert_eq!(open, Vec::<&str>::new());
}
