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

/// Variables beside `MEDHUB__…`: the engines' addresses, the object store's key, and providers' keys, which settings name.
const OTHER_VARIABLES: [&str; 10] = [
    "DATABASE_URL",
    "SCHEMA_REGISTRY_URL",
    "KAFKA_BROKERS",
    "CLICKHOUSE_URL",
    "QDRANT_URL",
    "REDIS_URL",
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
    program_services(&compose).iter().map(launch).collect()
}

fn run_product(args: &[&str], variables: &BTreeMap<String, String>) -> Output {
    Command::new(medhub_local()).arg("product").args(args).env_clear().envs(variables).output().unwrap()
}

/// Why the program does not accept this launch; `None` if it does.
fn find_problem(launch: &ProgramLaunch) -> Option<String> {
    let unknown =
        launch.variables.keys().find(|name| !name.starts_with("MEDHUB__") && !OTHER_VARIABLES.contains(&name.as_str()));
    if let Some(name) = unknown {
        return Some(format!("{}: the program does not read {name}", launch.name));
    }
    let config = run_product(&["config"], &launch.variables);
    if !config.status.success() {
        return Some(format!("{}: {}", launch.name, String::from_utf8_lossy(&config.stderr)));
    }
    let args: Vec<_> = launch.args.iter().map(String::as_str).chain(["--help"]).collect();
    let help = run_product(&args, &BTreeMap::new());
    (!help.status.success()).then(|| format!("{}: {}", launch.name, String::from_utf8_lossy(&help.stderr)))
}

#[test]
fn the_program_accepts_every_command_and_every_setting() {
    let mut launches = compose_launches();
    for name in OVERLAYS {
        let of_overlay = overlay(name).program_launches();
        assert_eq!(of_overlay.len(), 8, "{name}");
        launches.extend(of_overlay);
    }
    let problems: Vec<_> = launches.iter().filter_map(find_problem).collect();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn a_role_and_settings_that_do_not_exist_are_noticed() {
    let launch = |role: &str, name: &str, value: &str| ProgramLaunch {
        name: "planted".to_owned(),
        args: ["serve", "--role", role].map(str::to_owned).to_vec(),
        variables: BTreeMap::from([(name.to_owned(), value.to_owned())]),
    };
    let problem = |planted: ProgramLaunch| find_problem(&planted).unwrap_or_default();
    assert_eq!(problem(launch("api", "MEDHUB__KAFKA__REPLICATION", "3")), "");
    assert!(problem(launch("edge", "MEDHUB__KAFKA__REPLICATION", "3")).contains("invalid value 'edge'"));
    assert!(problem(launch("api", "MEDHUB__KAFKA__SASL_USER", "medhub")).contains("unknown setting kafka.sasl_user"));
    assert!(problem(launch("api", "MEDHUB__KAFKA__REPLICATION", "three")).contains("kafka.replication"));
    assert!(problem(launch("api", "POSTGRES_URL", "x")).contains("does not read POSTGRES_URL"));
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
