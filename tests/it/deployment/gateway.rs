//! Kong's declarative configuration: its plugins and their settings, routes that the program serves, and values from outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::LazyLock,
};

use reqwest::Method;
use serde_json::Value;
use tests::shared_product;

use super::{
    compose_file::read_compose_file,
    rendered_overlays::{OVERLAYS, items, overlay, run_check, text},
    workspace,
};

const ROUTES_FILE: &str = "deploy/kubernetes/base/gateway/files/kong.yaml";
const OPENID_CONNECT_FILE: &str = "deploy/kubernetes/components/openid-connect/openid-connect.plugins";

/// The settings of each plugin that Kong 3 has, as far as they are used here.
const PLUGIN_SETTINGS: [(&str, &[&str]); 9] = [
    ("rate-limiting", &["second", "minute", "hour", "limit_by", "header_name", "policy", "fault_tolerant"]),
    ("request-size-limiting", &["allowed_payload_size", "size_unit", "require_content_length"]),
    ("ip-restriction", &["allow", "deny", "status", "message"]),
    (
        "jwt",
        &[
            "key_claim_name",
            "claims_to_verify",
            "uri_param_names",
            "cookie_names",
            "header_names",
            "anonymous",
            "run_on_preflight",
            "maximum_expiration",
        ],
    ),
    ("cors", &["origins", "methods", "headers", "exposed_headers", "credentials", "max_age", "preflight_continue"]),
    ("correlation-id", &["header_name", "generator", "echo_downstream"]),
    (
        "prometheus",
        &["per_consumer", "status_code_metrics", "latency_metrics", "bandwidth_metrics", "upstream_health_metrics"],
    ),
    ("opentelemetry", &["traces_endpoint", "resource_attributes", "propagation", "sampling_rate", "headers"]),
    (
        "openid-connect",
        &[
            "issuer",
            "auth_methods",
            "bearer_token_param_type",
            "audience_required",
            "consumer_claim",
            "consumer_optional",
            "anonymous",
            "hide_credentials",
        ],
    ),
];

const ENTITY_FIELDS: [(&str, &[&str]); 5] = [
    ("root", &["_format_version", "_transform", "services", "consumers", "plugins"]),
    ("service", &["name", "url", "connect_timeout", "read_timeout", "write_timeout", "retries", "routes", "plugins"]),
    (
        "route",
        &["name", "paths", "methods", "protocols", "strip_path", "request_buffering", "response_buffering", "plugins"],
    ),
    ("consumer", &["username", "custom_id", "jwt_secrets", "plugins"]),
    ("plugin", &["name", "config"]),
];

/// Kong's configuration with the plugins that the component `openid-connect` appends.
fn gateway_config() -> &'static Value {
    static CONFIG: LazyLock<Value> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kong.yaml");
        let read = |path: &str| fs::read_to_string(workspace().join(path)).unwrap();
        fs::write(&file, read(ROUTES_FILE) + &read(OPENID_CONNECT_FILE)).unwrap();
        run_check("documents", &[file])[0].clone()
    });
    &CONFIG
}

fn unknown_fields(entity: &str, value: &Value, problems: &mut Vec<String>) {
    let (_, known) = ENTITY_FIELDS.iter().find(|(name, _)| *name == entity).unwrap();
    let fields = value.as_object().unwrap().keys();
    problems.extend(fields.filter(|field| !known.contains(&field.as_str())).map(|field| format!("{entity}: {field}")));
    for plugin in items(&value["plugins"]) {
        let name = text(&plugin["name"]);
        let Some((_, settings)) = PLUGIN_SETTINGS.iter().find(|(known, _)| *known == name) else {
            problems.push(format!("plugin: {name}"));
            continue;
        };
        let used = plugin["config"].as_object().unwrap().keys();
        problems.extend(
            used.filter(|setting| !settings.contains(&setting.as_str())).map(|setting| format!("{name}: {setting}")),
        );
        if entity != "plugin" {
            unknown_fields("plugin", plugin, problems);
        }
    }
}

fn find_problems(config: &Value) -> Vec<String> {
    let mut problems = vec![];
    unknown_fields("root", config, &mut problems);
    for service in items(&config["services"]) {
        unknown_fields("service", service, &mut problems);
        for route in items(&service["routes"]) {
            unknown_fields("route", route, &mut problems);
        }
    }
    for consumer in items(&config["consumers"]) {
        unknown_fields("consumer", consumer, &mut problems);
    }
    let consumers: Vec<_> = items(&config["consumers"]).map(|consumer| &consumer["username"]).collect();
    let anonymous =
        items(&config["plugins"]).map(|plugin| &plugin["config"]["anonymous"]).filter(|name| !name.is_null());
    problems.extend(anonymous.filter(|name| !consumers.contains(name)).map(|name| format!("no consumer is {name}")));
    problems
}

#[test]
fn plugins_and_entities_have_the_fields_that_kong_knows() {
    let config = gateway_config();
    assert_eq!(find_problems(config), Vec::<String>::new());

    let planted = config
        .to_string()
        .replace("limit_by", "limitby")
        .replace("strip_path", "strippath")
        .replace("everybody-else\",\"hide", "nobody\",\"hide");
    let problems = find_problems(&serde_json::from_str(&planted).unwrap());
    for problem in ["rate-limiting: limitby", "route: strippath", "no consumer is \"nobody\""] {
        assert!(problems.iter().any(|known| known == problem), "{problem}: {problems:?}");
    }
}

#[test]
fn the_gateway_has_every_plugin_that_was_asked_for() {
    let config = gateway_config();
    let routes = items(&config["services"]).flat_map(|service| items(&service["routes"]));
    let entities = routes.chain(items(&config["consumers"])).chain([config]);
    let used: BTreeSet<_> =
        entities.flat_map(|entity| items(&entity["plugins"])).map(|plugin| text(&plugin["name"])).collect();
    for plugin in ["cors", "rate-limiting", "jwt", "openid-connect", "ip-restriction", "prometheus"] {
        assert!(used.contains(plugin), "{plugin}: {used:?}");
    }
}

#[tokio::test]
async fn every_route_leads_to_a_path_of_the_program() {
    let config = gateway_config();
    let product = shared_product().await;
    // What stands behind a prefix, for an example of each.
    let examples = BTreeMap::from([
        ("/together/", "/together/none"),
        ("/api/v1/", "/api/v1/openapi.json"),
        ("/assets/", "/assets/none"),
        ("~/$", "/"),
    ]);
    let client = tests::new_http_client();
    let mut asked = 0;
    for route in items(&config["services"][0]["routes"]) {
        for path in items(&route["paths"]).map(text) {
            // Served with a secret for its links only, which this product lacks.
            if path == mail::UNSUBSCRIBE_PATH {
                continue;
            }
            let example = examples.get(path).copied().unwrap_or(path);
            for method in items(&route["methods"]).map(text).filter(|method| *method == "GET" || *method == "POST") {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                if path == "/api/v1/" && method == Method::POST {
                    continue;
                }
                let response =
                    client.request(method.clone(), format!("{}{example}", product.http())).send().await.unwrap();
                let status = response.status();
                assert_ne!(status, 405, "{method} {example}");
                let answer = response.text().await.unwrap();
                assert!(!answer.contains("there is no such path"), "{method} {example}: {status}");
                asked += 1;
            }
        }
    }
    assert!(asked > 10);
}

#[test]
fn the_route_of_grpc_names_the_service() {
    let proto = fs::read_to_string(workspace().join("api/proto/tasks.proto")).unwrap();
    let word_after = |keyword: &str| {
        let line = proto.lines().find_map(|line| line.strip_prefix(keyword)).unwrap();
        line.trim().trim_end_matches(['{', ';']).trim().to_owned()
    };
    let path = format!("/{}.{}/", word_after("package"), word_after("service"));
    let config = gateway_config();
    assert_eq!(config["services"][1]["routes"][0]["paths"], serde_json::json!([path]));
}

#[test]
fn every_placeholder_has_a_value_in_each_overlay_and_in_the_compose_file() {
    let config = gateway_config().to_string();
    let names: BTreeSet<_> =
        config.split("${").skip(1).map(|rest| rest.split('}').next().unwrap().to_owned()).collect();
    assert!(names.contains("API_HOST") && names.contains("TOKEN_PUBLIC_KEY"), "{names:?}");
    let compose = read_compose_file();
    let environment = compose["services"]["kong"]["environment"].as_object().unwrap();
    let missing: Vec<_> = names.iter().filter(|name| !environment.contains_key(*name)).collect();
    assert!(missing.is_empty(), "the compose file lacks {missing:?}");
    assert!(compose["services"][text(&environment["API_HOST"])].is_object());
    for name in OVERLAYS {
        let rendered = overlay(name);
        let settings = rendered
            .of_kind("ConfigMap")
            .find(|map| text(&map["metadata"]["name"]).starts_with("kong-settings-"))
            .unwrap();
        let values = settings["data"].as_object().unwrap();
        let missing: Vec<_> =
            names.iter().filter(|name| *name != "TOKEN_PUBLIC_KEY" && !values.contains_key(*name)).collect();
        assert!(missing.is_empty(), "{name} lacks {missing:?}");
        let (service, namespace) = text(&values["API_HOST"]).split_once('.').unwrap();
        let found = rendered.find("Service", service).unwrap();
        assert!(namespace.starts_with(&format!("{}.", text(&found["metadata"]["namespace"]))), "{namespace}");
        let ports: Vec<_> = items(&found["spec"]["ports"]).filter_map(|port| port["port"].as_u64()).collect();
        assert_eq!(ports, [8080, 50051]);
    }
}
