//! The program accepts what its containers are started with: each command line and each setting is given to the real program.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tests::medhub_local;

use super::{
    compose_file::{program_services, read_compose_file},
    rendered_overlays::{OVERLAYS, RenderedOverlay, items, overlay, text},
};

/// Variables beside `MEDHUB__…`: the engines' and the collector's addresses, the object store's key, and providers' keys, which
/// settings name.
const OTHER_VARIABLES: [&str; 12] = [
    "DATABASE_URL",
    "SCHEMA_REGISTRY_URL",
    "KAFKA_BROKERS",
    "CLICKHOUSE_URL",
    "QDRANT_URL",
    "REDIS_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_METRICS_EXPORTER",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
];

/// Stands for a secret: long enough for all of them.
const SECRET: &str = "placeholder0of0at0least0thirty0two0characters";

/// How a container starts the program.
struct ProgramLaunch {
    name: String,
    args: Vec<String>,
    variables: BTreeMap<String, String>,
}

impl RenderedOverlay {
    /// Every container of the program.
    fn program_launches(&self) -> Vec<ProgramLaunch> {
        let mut launches = vec![];
        for pod in self.pod_templates() {
            for container in
                items(&pod.template["spec"]["containers"]).filter(|container| container["name"] == "medhub")
            {
                let mut variables = BTreeMap::new();
                for source in items(&container["envFrom"]) {
                    variables.extend(self.read_source(source));
                }
                launches.push(ProgramLaunch {
                    name: pod.owner.clone(),
                    args: items(&container["args"]).map(|arg| text(arg).to_owned()).collect(),
                    variables,
                });
            }
        }
        launches
    }

    /// The variables of a config map or a secret; a secret from outside has placeholders.
    fn read_source(&self, source: &Value) -> BTreeMap<String, String> {
        if let Some(name) = source["configMapRef"]["name"].as_str() {
            let map = self.find("ConfigMap", name).unwrap_or_else(|| panic!("there is no config map {name}"));
            return map["data"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(key, value)| (key.clone(), text(value).to_owned()))
                .collect();
        }
        let name = text(&source["secretRef"]["name"]);
        if let Some(secret) = self.find("Secret", name) {
            let data = secret["data"].as_object().unwrap();
            return data.iter().map(|(key, value)| (key.clone(), decode_base64(text(value)))).collect();
        }
        let secret = self.of_kind("ExternalSecret").find(|secret| secret["spec"]["target"]["name"] == name);
        let spec = &secret.unwrap_or_else(|| panic!("there is no secret {name}"))["spec"];
        match spec["target"]["template"]["data"].as_object() {
            Some(template) => {
                template.iter().map(|(key, value)| (key.clone(), fill_template(text(value), spec))).collect()
            }
            None => items(&spec["data"]).map(|item| (text(&item["secretKey"]).to_owned(), SECRET.to_owned())).collect(),
        }
    }
}

/// Replaces what a template takes from the store of secrets.
fn fill_template(template: &str, spec: &Value) -> String {
    let keys: BTreeSet<_> = items(&spec["data"]).map(|item| text(&item["secretKey"])).collect();
    let mut filled = template.to_owned();
    for key in keys {
        filled = filled.replace(&format!("{{{{ .{key} }}}}"), SECRET);
    }
    assert!(!filled.contains("{{"), "{template} has a key that is not fetched");
    filled
}

fn decode_base64(encoded: &str) -> String {
    // Kustomize breaks the lines of long values.
    let joined: String = encoded.split_whitespace().collect();
    String::from_utf8(STANDARD.decode(joined).unwrap()).unwrap()
}

fn compose_launches() -> Vec<ProgramLaunch> {
    let compose = read_compose_file();
    let launch = |(name, service): &(&str, &Value)| ProgramLaunch {
        name: (*name).to_owned(),
        args: items(&service["command"]).map(|arg| text(arg).to_owned()).collect(),
        variables: service["environment"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), text(value).to_owned()))
            .collect(),
    };
    program_services(compose).iter().map(launch).collect()
}

fn run_product(args: &[&str], variables: &BTreeMap<String, String>) -> Output {
    Command::new(medhub_local()).arg("product").args(args).env_clear().envs(variables).output().unwrap()
}

/// Why the program does not accept these settings; `None` if it does.
fn find_setting_problem(variables: &BTreeMap<String, String>) -> Option<String> {
    let is_unknown = |name: &&String| !name.starts_with("MEDHUB__") && !OTHER_VARIABLES.contains(&name.as_str());
    if let Some(name) = variables.keys().find(is_unknown) {
        return Some(format!("the program does not read {name}"));
    }
    let config = run_product(&["config"], variables);
    (!config.status.success()).then(|| String::from_utf8_lossy(&config.stderr).into_owned())
}

/// Why the program does not accept this command; `None` if it does.
fn find_command_problem(args: &[String]) -> Option<String> {
    let args: Vec<_> = args.iter().map(String::as_str).chain(["--help"]).collect();
    let help = run_product(&args, &BTreeMap::new());
    (!help.status.success()).then(|| String::from_utf8_lossy(&help.stderr).into_owned())
}

/// The variables of all launches, which have the same values wherever they occur.
fn join_variables(launches: &[ProgramLaunch]) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::new();
    for launch in launches {
        for (name, value) in &launch.variables {
            let known = joined.entry(name.clone()).or_insert_with(|| value.clone());
            assert_eq!(known, value, "{name} of {}", launch.name);
        }
    }
    joined
}

#[test]
fn the_program_accepts_every_command_and_every_setting() {
    let mut commands = BTreeSet::new();
    let of_overlays = OVERLAYS.map(|name| (name, overlay(name).program_launches(), 8));
    for (name, launches, count) in of_overlays.into_iter().chain([("compose", compose_launches(), 7)]) {
        assert_eq!(launches.len(), count, "{name}");
        assert_eq!(find_setting_problem(&join_variables(&launches)), None, "{name}");
        commands.extend(launches.into_iter().map(|launch| launch.args));
    }
    assert_eq!(commands.len(), 8, "{commands:?}");
    for command in commands {
        assert_eq!(find_command_problem(&command), None, "{command:?}");
    }
}

#[test]
fn a_role_and_settings_that_do_not_exist_are_noticed() {
    let command = |role: &str| ["serve", "--role", role].map(str::to_owned);
    assert!(find_command_problem(&command("edge")).unwrap().contains("invalid value 'edge'"));
    let problem = |name: &str, value: &str| {
        find_setting_problem(&BTreeMap::from([(name.to_owned(), value.to_owned())])).unwrap_or_default()
    };
    assert_eq!(problem("MEDHUB__KAFKA__REPLICATION", "3"), "");
    assert!(problem("MEDHUB__KAFKA__REPLICAS", "3").contains("unknown setting kafka.replicas"));
    assert!(problem("MEDHUB__KAFKA__REPLICATION", "three").contains("kafka.replication"));
    assert!(problem("POSTGRES_URL", "x").contains("does not read POSTGRES_URL"));
}

#[test]
fn each_container_has_the_secrets_of_its_engines() {
    let needs: [(&str, &[&str]); 7] = [
        ("Deployment medhub-api", &["DATABASE_URL", "CLICKHOUSE_URL", "REDIS_URL", "AWS_ACCESS_KEY_ID"]),
        ("Deployment medhub-relay", &["DATABASE_URL", "KAFKA_BROKERS", "MEDHUB__REGISTRY__LOGIN"]),
        (
            "Deployment medhub-projections",
            &["DATABASE_URL", "CLICKHOUSE_URL", "REDIS_URL", "QDRANT_URL", "MEDHUB__REGISTRY__LOGIN"],
        ),
        (
            "Deployment medhub-processes",
            &["DATABASE_URL", "KAFKA_BROKERS", "MEDHUB__REGISTRY__LOGIN", "MEDHUB__MAIL__UNSUBSCRIBE_SECRET"],
        ),
        ("Deployment medhub-work", &["DATABASE_URL", "QDRANT_URL", "REDIS_URL", "AWS_SECRET_ACCESS_KEY"]),
        ("Deployment medhub-registry", &["DATABASE_URL", "MEDHUB__REGISTRY__LOGIN"]),
        ("Job medhub-migrate", &["DATABASE_URL", "CLICKHOUSE_URL", "SCHEMA_REGISTRY_URL", "MEDHUB__REGISTRY__LOGIN"]),
    ];
    for name in OVERLAYS {
        let launches = overlay(name).program_launches();
        for (container, variables) in needs {
            let launch = launches.iter().find(|launch| launch.name == container).unwrap();
            let missing: Vec<_> = variables.iter().filter(|name| !launch.variables.contains_key(**name)).collect();
            assert!(missing.is_empty(), "{container} of {name} lacks {missing:?}");
        }
        let relay = launches.iter().find(|launch| launch.name == "Deployment medhub-relay").unwrap();
        assert!(
            !relay.variables.contains_key("MEDHUB__ADMIN__TOKEN"),
            "the relay of {name} has a secret that it does not need"
        );
    }
}

#[test]
fn only_the_development_overlay_lets_anybody_sign_in() {
    for name in OVERLAYS {
        let development = overlay(name)
            .program_launches()
            .iter()
            .any(|launch| launch.variables.get("MEDHUB__AUTH__DEVELOPMENT_LOGIN").is_some_and(|value| value == "true"));
        assert_eq!(development, name == "dev", "{name}");
    }
}
