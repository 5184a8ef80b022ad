//! Rules that every pod keeps: rights, probes, resources, images; and how a release proceeds.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::shared_product;

use super::rendered_overlays::{OVERLAYS, PodTemplate, RenderedOverlay, describe, items, overlay, text};

/// Images that write below their root when they start.
const WRITABLE_ROOTS: [&str; 2] = ["apache/kafka", "clickhouse/clickhouse-server"];

/// What a container breaks; empty if nothing.
fn broken_rules(pod: &PodTemplate<'_>, container: &Value) -> Vec<String> {
    let mut broken = vec![];
    let mut require = |holds: bool, rule: &str| {
        if !holds {
            broken.push(format!("{}, container {}: {rule}", pod.owner, text(&container["name"])));
        }
    };
    let (rights, user) = (&container["securityContext"], &pod.template["spec"]["securityContext"]);
    require(user["runAsNonRoot"] == true && user["runAsUser"].as_u64().is_some_and(|id| id > 0), "runs as root");
    require(user["seccompProfile"]["type"] == "RuntimeDefault", "has no seccomp profile");
    require(rights["allowPrivilegeEscalation"] == false, "may gain rights");
    require(rights["capabilities"]["drop"] == json!(["ALL"]), "keeps capabilities");
    let image = text(&container["image"]);
    let writes = WRITABLE_ROOTS.iter().any(|name| image.starts_with(name)) && pod.owner.starts_with("StatefulSet");
    require(writes || rights["readOnlyRootFilesystem"] == true, "may write its root");
    require(pod.template["spec"]["automountServiceAccountToken"] == false, "has a token of the cluster");
    let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    require(!tag.is_empty() && tag != "latest", "has no fixed image");
    let resources = &container["resources"];
    let sizes = [&resources["requests"]["cpu"], &resources["requests"]["memory"], &resources["limits"]["memory"]];
    require(sizes.iter().all(|size| !size.is_null()), "has no sizes");
    broken
}

fn all_broken_rules(rendered: &RenderedOverlay) -> Vec<String> {
    let pods = rendered.pod_templates();
    pods.iter()
        .flat_map(|pod| pod.containers().into_iter().flat_map(|container| broken_rules(pod, container)))
        .collect()
}

#[test]
fn containers_have_few_rights_fixed_images_and_sizes() {
    for name in OVERLAYS {
        assert_eq!(all_broken_rules(overlay(name)), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_container_with_rights_is_noticed() {
    let container =
        json!({ "name": "planted", "image": "medhub", "securityContext": { "readOnlyRootFilesystem": true } });
    let template = json!({ "spec": { "containers": [container], "securityContext": { "runAsUser": 0 } } });
    let resource = json!({ "kind": "Deployment" });
    let pod = PodTemplate { owner: "Deployment planted".to_owned(), resource: &resource, template: &template };
    assert_eq!(broken_rules(&pod, &container).len(), 7);
}

#[test]
fn every_server_has_probes_and_one_that_serves_waits_before_it_ends() {
    for name in OVERLAYS {
        for pod in overlay(name)
            .pod_templates()
            .iter()
            .filter(|pod| pod.owner.starts_with("Deployment") || pod.owner.starts_with("StatefulSet"))
        {
            for container in items(&pod.template["spec"]["containers"]) {
                for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                    assert!(container[probe].is_object(), "{} of {name} has no {probe}", pod.owner);
                    let port = text(&container[probe]["httpGet"]["port"]);
                    let known = items(&container["ports"]).any(|known| known["name"] == port);
                    assert!(port.is_empty() || known, "{} of {name} is probed at {port}", pod.owner);
                }
            }
        }
        for server in ["medhub-api", "medhub-registry", "kong"] {
            let container =
                &overlay(name).find("Deployment", server).unwrap()["spec"]["template"]["spec"]["containers"][0];
            assert!(container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64() > Some(0), "{server} of {name}");
        }
    }
}

#[tokio::test]
async fn probes_of_the_program_are_answered_by_the_program() {
    let product = shared_product().await;
    let mut paths = vec![];
    for pod in overlay("prod").pod_templates() {
        for container in items(&pod.template["spec"]["containers"]).filter(|container| container["name"] == "medhub") {
            paths.extend(
                ["startupProbe", "livenessProbe", "readinessProbe"]
                    .map(|probe| text(&container[probe]["httpGet"]["path"]).to_owned()),
            );
        }
    }
    paths.retain(|path| !path.is_empty());
    paths.sort();
    paths.dedup();
    assert_eq!(paths, ["/health", "/ready"]);
    // What the monitors of pods read.
    let monitor = overlay("mvp").find("PodMonitor", "medhub").unwrap();
    paths.push(text(&monitor["spec"]["podMetricsEndpoints"][0]["path"]).to_owned());
    for path in paths {
        let response = reqwest::get(format!("{}{path}", product.http())).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
}

/// The number that Argo CD orders resources by.
fn sync_wave(resource: &Value) -> i64 {
    text(&resource["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]).parse().unwrap_or_default()
}

#[test]
fn a_release_begins_with_the_migration_and_ends_with_the_processes() {
    for name in OVERLAYS {
        let wave = |kind: &str, resource: &str| sync_wave(overlay(name).find(kind, resource).unwrap());
        let waves = [
            wave("StatefulSet", "kafka"),
            wave("Deployment", "medhub-registry"),
            wave("Job", "medhub-migrate"),
            wave("Deployment", "medhub-relay"),
            wave("Deployment", "medhub-projections"),
            wave("Deployment", "medhub-api"),
            wave("Deployment", "medhub-processes"),
        ];
        assert!(waves.is_sorted_by(|before, after| before < after), "{name}: {waves:?}");
    }
}

#[test]
fn production_survives_the_loss_of_a_node_and_of_a_zone() {
    for name in ["staging", "prod"] {
        let rendered = overlay(name);
        for deployment in rendered.of_kind("Deployment") {
            let spec = &deployment["spec"]["template"]["spec"];
            let keys: Vec<_> =
                items(&spec["topologySpreadConstraints"]).map(|spread| text(&spread["topologyKey"])).collect();
            assert_eq!(keys, ["topology.kubernetes.io/zone", "kubernetes.io/hostname"], "{}", describe(deployment));
            assert!(spec["affinity"]["podAntiAffinity"].is_object(), "{}", describe(deployment));
            let app = &deployment["spec"]["selector"]["matchLabels"]["app"];
            let budget = rendered
                .of_kind("PodDisruptionBudget")
                .any(|budget| budget["spec"]["selector"]["matchLabels"]["app"] == *app);
            assert!(budget, "{} has no disruption budget", describe(deployment));
        }
        assert_eq!(rendered.find("StatefulSet", "kafka").unwrap()["spec"]["replicas"], 3);
    }
    assert_eq!(overlay("prod").find("Cluster", "postgres").unwrap()["spec"]["instances"], 3);
}

#[test]
fn rollouts_take_their_pods_from_deployments_and_go_back_on_errors() {
    for name in ["staging", "prod"] {
        let rendered = overlay(name);
        let mut strategies = BTreeMap::new();
        for rollout in rendered.of_kind("Rollout") {
            let source = text(&rollout["spec"]["workloadRef"]["name"]);
            assert_eq!(rendered.find("Deployment", source).unwrap()["spec"]["replicas"], 0, "{source}");
            let (strategy, settings) = rollout["spec"]["strategy"].as_object().unwrap().iter().next().unwrap();
            strategies.insert(source, strategy.as_str());
            let templates =
                items(&settings["analysis"]["templates"]).chain(items(&settings["postPromotionAnalysis"]["templates"]));
            let names: Vec<_> = templates.map(|template| text(&template["templateName"])).collect();
            assert!(names.contains(&"error-rate"), "{source}: {names:?}");
            for template in names.iter().chain(
                items(&settings["prePromotionAnalysis"]["templates"])
                    .map(|template| text(&template["templateName"]))
                    .collect::<Vec<_>>()
                    .iter(),
            ) {
                assert!(rendered.find("AnalysisTemplate", template).is_some(), "{source} uses {template}");
            }
        }
        assert_eq!(strategies, BTreeMap::from([("medhub-api", "canary"), ("medhub-registry", "blueGreen")]));
        let weights: Vec<_> =
            items(&rendered.find("Rollout", "medhub-api").unwrap()["spec"]["strategy"]["canary"]["steps"])
                .filter_map(|step| step["setWeight"].as_u64())
                .collect();
        assert_eq!(weights, [10, 50, 100]);
        assert_eq!(
            rendered.find("HorizontalPodAutoscaler", "medhub-api").unwrap()["spec"]["scaleTargetRef"]["kind"],
            "Rollout"
        );
    }
}
