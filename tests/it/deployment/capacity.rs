//! What overlays ask for: the node and the costs of `mvp`, and the connections to Postgres of each.

use std::fs;

use tests::most_postgres_connections;

use super::{
    rendered_overlays::{OVERLAYS, PodTemplate, RenderedOverlay, items, overlay, text},
    workspace,
};

const GIBIBYTE: f64 = 1_073_741_824.0;

/// A quantity of Kubernetes: cores, or bytes.
fn parse_quantity(quantity: &str) -> f64 {
    let units = [("Mi", GIBIBYTE / 1024.0), ("Gi", GIBIBYTE), ("m", 0.001)];
    let unit = units.iter().find(|(unit, _)| quantity.ends_with(unit));
    let (number, factor) = unit.map_or((quantity, 1.0), |(unit, factor)| (quantity.trim_end_matches(unit), *factor));
    number.parse::<f64>().unwrap_or_else(|_| panic!("{quantity} is no quantity")) * factor
}

/// How much the pods that always run have of a resource, as in `requests` and `cpu`.
fn sum_of(rendered: &RenderedOverlay, bound: &str, resource: &str) -> f64 {
    let runs = |pod: &PodTemplate<'_>| pod.owner.starts_with("Deployment") || pod.owner.starts_with("StatefulSet");
    let pods = rendered.pod_templates();
    let of_pod = |pod: &PodTemplate<'_>| -> f64 {
        let containers = items(&pod.template["spec"]["containers"]);
        let one: f64 = containers.map(|container| parse_quantity(text(&container["resources"][bound][resource]))).sum();
        one * pod.resource["spec"]["replicas"].as_f64().unwrap()
    };
    pods.iter().filter(|pod| runs(pod)).map(of_pod).sum()
}

/// The cells of the table of costs.
fn cost_rows() -> Vec<Vec<String>> {
    let page = fs::read_to_string(workspace().join("docs/deployment.md")).unwrap();
    let section = page.split("\n## What `mvp` costs\n").nth(1).expect("docs/deployment.md has the costs");
    let table =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    table.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn parse_price(cell: &str) -> f64 {
    cell.replace([',', '*'], "").parse().unwrap_or_else(|_| panic!("{cell} is no price"))
}

#[test]
fn the_costs_of_the_smallest_overlay_add_up_and_stay_below_the_limit() {
    let mut rows = cost_rows();
    let total = rows.pop().unwrap();
    assert!(rows.len() > 6);
    let mut sum = 0.0;
    for row in &rows {
        let [item, basis, price, quantity, monthly] = row.as_slice() else { panic!("{row:?} has other cells") };
        assert!(!basis.is_empty(), "{item} has no basis");
        let expected = parse_price(price) * parse_price(quantity);
        assert!((expected - parse_price(monthly)).abs() < 0.006, "{item}: {expected}");
        sum += parse_price(monthly);
    }
    assert!((sum - parse_price(&total[4])).abs() < 0.006, "the sum is {sum:.2}");
    assert!(sum < 800.0, "{sum}");
}

#[test]
fn the_node_of_the_smallest_overlay_is_large_enough() {
    let rendered = overlay("mvp");
    // The node of the table, less what its system and the operators take.
    let row = cost_rows().into_iter().find(|row| row[0].starts_with("Node")).unwrap();
    assert!(row[0].contains("8 vCPU, 32 GiB"), "{row:?}");
    let (cores, memory) = (8.0 - 2.5, (32.0 - 4.0) * GIBIBYTE);
    let (asked_cores, asked_memory) = (sum_of(rendered, "requests", "cpu"), sum_of(rendered, "requests", "memory"));
    assert!(asked_cores < cores && asked_memory < memory, "{asked_cores} cores, {} GiB", asked_memory / GIBIBYTE);
    // Nothing is killed for want of memory when all pods are at their limits.
    let limits = sum_of(rendered, "limits", "memory");
    assert!(limits <= memory, "{} GiB", limits / GIBIBYTE);
    let of_sets = rendered.of_kind("StatefulSet").map(|set| &set["spec"]["volumeClaimTemplates"][0]);
    let claims = of_sets.chain(rendered.of_kind("PersistentVolumeClaim"));
    let volumes: f64 =
        claims.map(|claim| parse_quantity(text(&claim["spec"]["resources"]["requests"]["storage"]))).sum();
    let row = cost_rows().into_iter().find(|row| row[0].starts_with("Volumes")).unwrap();
    // The rest is the node's own volume and Prometheus' volume.
    assert!((volumes / GIBIBYTE + 70.0 - parse_price(&row[3])).abs() < 0.1, "{} GiB", volumes / GIBIBYTE);
}

/// Maximum connections of one process of any role.
fn connections_of_a_process(rendered: &RenderedOverlay) -> u32 {
    let settings =
        rendered.of_kind("ConfigMap").find(|map| text(&map["metadata"]["name"]).starts_with("medhub-settings-"));
    let data = &settings.unwrap()["data"];
    let number = |name: &str| text(&data[name]).parse::<u32>().unwrap();
    most_postgres_connections(number("MEDHUB__POSTGRES__MAX_CONNECTIONS"), number("MEDHUB__LISTS__MAX_CONNECTIONS"))
}

/// The largest number of processes, while a release replaces them.
fn largest_number_of_processes(rendered: &RenderedOverlay) -> u64 {
    let names =
        ["medhub-api", "medhub-registry", "medhub-relay", "medhub-projections", "medhub-work", "medhub-processes"];
    let largest = |name: &&str| {
        let scaler = rendered.find("HorizontalPodAutoscaler", name).map(|scaler| &scaler["spec"]["maxReplicas"]);
        let object = rendered.find("ScaledObject", name).map(|object| &object["spec"]["maxReplicaCount"]);
        let rollout = rendered.find("Rollout", name).map(|rollout| &rollout["spec"]["replicas"]);
        let fixed = &rendered.find("Deployment", name).unwrap()["spec"]["replicas"];
        let replicas = scaler.or(object).or(rollout).unwrap_or(fixed).as_u64().unwrap();
        let blue_green =
            rendered.find("Rollout", name).is_some_and(|rollout| rollout["spec"]["strategy"]["blueGreen"].is_object());
        if blue_green { 2 * replicas } else { replicas + 1 }
    };
    // The migration and the nightly comparison are the others.
    names.iter().map(largest).sum::<u64>() + 2
}

fn connections_of_postgres(rendered: &RenderedOverlay) -> u64 {
    if let Some(cluster) = rendered.find("Cluster", "postgres") {
        return text(&cluster["spec"]["postgresql"]["parameters"]["max_connections"]).parse().unwrap();
    }
    let settings =
        rendered.of_kind("ConfigMap").find(|map| text(&map["metadata"]["name"]).starts_with("postgres-settings-"));
    let file = text(&settings.unwrap()["data"]["postgresql.conf"]);
    file.lines().find_map(|line| line.strip_prefix("max_connections = ")).unwrap().parse().unwrap()
}

#[test]
fn postgres_has_connections_for_all_processes_at_their_largest_number() {
    for name in OVERLAYS {
        let rendered = overlay(name);
        let needed = largest_number_of_processes(rendered) * u64::from(connections_of_a_process(rendered));
        // Some remain for operators, backups and the rotation.
        assert!(needed + 20 <= connections_of_postgres(rendered), "{name}: {needed}");
    }
}

#[test]
fn no_more_workers_run_than_topics_have_partitions() {
    for name in ["staging", "prod"] {
        let rendered = overlay(name);
        let settings =
            rendered.of_kind("ConfigMap").find(|map| text(&map["metadata"]["name"]).starts_with("medhub-settings-"));
        let partitions: u64 = text(&settings.unwrap()["data"]["MEDHUB__KAFKA__PARTITIONS"]).parse().unwrap();
        let largest =
            rendered.find("ScaledObject", "medhub-projections").unwrap()["spec"]["maxReplicaCount"].as_u64().unwrap();
        assert!(largest <= partitions, "{name}: {largest}");
    }
}
