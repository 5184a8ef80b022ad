//! Who may talk to whom: the network policies of each overlay, evaluated for every pair of pods and every port.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::rendered_overlays::{OVERLAYS, RenderedOverlay, items, overlay, text};

/// A pod, as policies see it.
struct PolicyPod {
    app: String,
    namespace: String,
    labels: BTreeMap<String, String>,
}

/// A connection between pods: from, to, port.
type PodConnection = (String, String, u64);

const PORTS: [u64; 13] = [5432, 6333, 6334, 6379, 8000, 8080, 8100, 8123, 9000, 9080, 9092, 9093, 50051];

/// What may talk to what, beside every program of ours to every engine's port.
const FURTHER_CONNECTIONS: [(&str, &str, u64); 10] = [
    ("kong", "medhub-api", 8080),
    ("kong", "medhub-api", 50051),
    ("kafka", "kafka", 9092),
    ("kafka", "kafka", 9093),
    ("postgres-base-backup", "postgres", 5432),
    ("rotate-postgres-login", "postgres", 5432),
    ("backup-clickhouse", "clickhouse", 9000),
    ("backup-qdrant", "qdrant", 6333),
    ("postgres", "postgres", 5432),
    ("postgres", "postgres", 8000),
];

const ENGINES: [(&str, u64); 7] = [
    ("postgres", 5432),
    ("kafka", 9092),
    ("clickhouse", 8123),
    ("qdrant", 6334),
    ("redis", 6379),
    ("medhub-registry", 8080),
    ("objects", 8080),
];

fn read_labels(labels: &Value) -> BTreeMap<String, String> {
    labels.as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value).to_owned())).collect()
}

fn policy_pods(rendered: &RenderedOverlay) -> Vec<PolicyPod> {
    let templates = rendered.pod_templates();
    let of_templates = templates.iter().map(|pod| PolicyPod {
        app: text(&pod.template["metadata"]["labels"]["app"]).to_owned(),
        namespace: text(&pod.resource["metadata"]["namespace"]).to_owned(),
        labels: read_labels(&pod.template["metadata"]["labels"]),
    });
    // The operator of Postgres gives its pods these labels.
    let of_cluster = rendered.of_kind("Cluster").map(|cluster| PolicyPod {
        app: "postgres".to_owned(),
        namespace: text(&cluster["metadata"]["namespace"]).to_owned(),
        labels: read_labels(&json!({ "app": "postgres", "cnpg.io/cluster": cluster["metadata"]["name"] })),
    });
    of_templates.chain(of_cluster).collect()
}

fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let has = |key: &str, value: &str| labels.get(key).is_some_and(|known| known == value);
    let equal = selector["matchLabels"].as_object().into_iter().flatten().all(|(key, value)| has(key, text(value)));
    equal
        && items(&selector["matchExpressions"]).all(|expression| {
            let key = text(&expression["key"]);
            match text(&expression["operator"]) {
                "In" => items(&expression["values"]).any(|value| has(key, text(value))),
                "Exists" => labels.contains_key(key),
                other => panic!("{other} is not evaluated here"),
            }
        })
}

/// Whether a peer of a policy of `namespace` is this pod.
fn is_peer(peer: &Value, namespace: &str, pod: &PolicyPod) -> bool {
    if peer["ipBlock"].is_object() {
        // Addresses of pods are excepted from all blocks.
        return false;
    }
    let selector = &peer["namespaceSelector"];
    let of_namespace = if selector.is_null() {
        pod.namespace == namespace
    } else {
        let labels = BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), pod.namespace.clone())]);
        selects(selector, &labels)
    };
    of_namespace && selects(&peer["podSelector"], &pod.labels)
}

/// Whether the policies let `pod` have connections with `other` in this direction (`Ingress` or `Egress`).
fn allows(rendered: &RenderedOverlay, direction: &str, pod: &PolicyPod, other: &PolicyPod, port: u64) -> bool {
    let (rules, peers) = if direction == "Ingress" { ("ingress", "from") } else { ("egress", "to") };
    let policies = rendered.of_kind("NetworkPolicy").filter(|policy| {
        let spec = &policy["spec"];
        policy["metadata"]["namespace"] == pod.namespace
            && selects(&spec["podSelector"], &pod.labels)
            && items(&spec["policyTypes"]).any(|kind| kind == direction)
    });
    let mut restricted = false;
    let mut allowed = false;
    for policy in policies {
        restricted = true;
        allowed |= items(&policy["spec"][rules]).any(|rule| {
            let any_peer =
                rule[peers].is_null() || items(&rule[peers]).any(|peer| is_peer(peer, &pod.namespace, other));
            any_peer && (rule["ports"].is_null() || items(&rule["ports"]).any(|known| known["port"] == port))
        });
    }
    assert!(restricted, "no policy restricts {direction} of {}", pod.app);
    allowed
}

fn allowed_connections(rendered: &RenderedOverlay) -> BTreeSet<PodConnection> {
    let pods = policy_pods(rendered);
    let mut connections = BTreeSet::new();
    for from in &pods {
        for to in &pods {
            for port in PORTS {
                if allows(rendered, "Egress", from, to, port) && allows(rendered, "Ingress", to, from, port) {
                    connections.insert((from.app.clone(), to.app.clone(), port));
                }
            }
        }
    }
    connections
}

fn expected_connections(rendered: &RenderedOverlay) -> BTreeSet<PodConnection> {
    let pods = policy_pods(rendered);
    let exists = |app: &str| pods.iter().any(|pod| pod.app == app);
    let programs =
        pods.iter().filter(|pod| pod.labels.get("app.kubernetes.io/name").is_some_and(|name| name == "medhub"));
    let to_engines = programs.flat_map(|pod| ENGINES.map(|(engine, port)| (pod.app.clone(), engine.to_owned(), port)));
    let further = FURTHER_CONNECTIONS.map(|(from, to, port)| (from.to_owned(), to.to_owned(), port));
    let of_cluster = |(from, to, _): &PodConnection| {
        from != "postgres" || to != "postgres" || rendered.find("Cluster", "postgres").is_some()
    };
    to_engines.chain(further).filter(|(from, to, _)| exists(from) && exists(to)).filter(of_cluster).collect()
}

#[test]
fn pods_reach_what_they_need_and_nothing_else() {
    for name in OVERLAYS {
        assert_eq!(allowed_connections(overlay(name)), expected_connections(overlay(name)), "{name}");
    }
}

#[test]
fn a_missing_and_a_further_connection_are_noticed() {
    let rendered = overlay("mvp");
    let without = |policy: &str| RenderedOverlay {
        file: rendered.file.clone(),
        resources: rendered
            .resources
            .iter()
            .filter(|resource| resource["metadata"]["name"] != policy)
            .cloned()
            .collect(),
    };
    let connection = ("kong".to_owned(), "medhub-api".to_owned(), 8080);
    assert!(!allowed_connections(&without("gateway-to-api")).contains(&connection));
    assert!(allowed_connections(rendered).contains(&connection));

    let open = json!({ "kind": "NetworkPolicy", "metadata": { "name": "open", "namespace": "data-layer" },
        "spec": { "podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}] } });
    let mut opened = without("none");
    opened.resources.push(open);
    assert_ne!(allowed_connections(&opened), expected_connections(&opened));
}

#[test]
fn both_namespaces_deny_by_default_and_the_mesh_does_too() {
    for name in OVERLAYS {
        for namespace in ["app-layer", "data-layer"] {
            let of_namespace = |resource: &&Value| resource["metadata"]["namespace"] == namespace;
            let nothing = json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] });
            let mut policies = overlay(name).of_kind("NetworkPolicy").filter(of_namespace);
            assert!(policies.any(|policy| policy["spec"] == nothing), "{namespace} of {name}");
            if matches!(name, "staging" | "prod") {
                let peers: Vec<_> = overlay(name).of_kind("PeerAuthentication").filter(of_namespace).collect();
                let is_strict = |peer: &&Value| peer["spec"]["mtls"]["mode"] == "STRICT";
                assert!(!peers.is_empty() && peers.iter().all(is_strict), "{namespace} of {name}: {peers:?}");
                let mut rules = overlay(name).of_kind("AuthorizationPolicy").filter(of_namespace);
                assert!(rules.any(|policy| policy["spec"] == json!({})), "the mesh in {namespace} of {name}");
            }
        }
    }
}
