//! Queries by which releases are judged and processes are scaled: metrics of ours that they name exist in the program.

use std::{collections::BTreeSet, fs, path::Path};

use super::{
    rendered_overlays::{OVERLAYS, items, overlay, text},
    workspace,
};

/// Metrics of the mesh's sidecars, which are not ours.
const MESH_METRICS: [&str; 2] = ["istio_requests_total", "istio_request_duration_milliseconds_bucket"];

/// All queries for Prometheus in an overlay.
fn prometheus_queries(name: &str) -> Vec<String> {
    let analyses = overlay(name).of_kind("AnalysisTemplate").flat_map(|template| items(&template["spec"]["metrics"]));
    let of_analyses = analyses.map(|metric| text(&metric["provider"]["prometheus"]["query"]));
    let triggers = overlay(name).of_kind("ScaledObject").flat_map(|object| items(&object["spec"]["triggers"]));
    let of_triggers = triggers.map(|trigger| text(&trigger["metadata"]["query"]));
    of_analyses.chain(of_triggers).filter(|query| !query.is_empty()).map(str::to_owned).collect()
}

/// The metrics that a query names: words with a prefix, since functions and labels have none.
fn metric_names(query: &str) -> BTreeSet<String> {
    let words = query.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
    words.filter(|word| word.starts_with("medhub_") || word.starts_with("istio_")).map(str::to_owned).collect()
}

/// The metrics that the program records, by their names in its sources.
fn recorded_metrics() -> BTreeSet<String> {
    let mut metrics = BTreeSet::new();
    for folder in ["api", "eventstore", "projections", "processes", "task_workers", "scheduled_jobs", "integrations"] {
        collect_metrics(&workspace().join(folder), &mut metrics);
    }
    metrics
}

fn collect_metrics(path: &Path, metrics: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect_metrics(&entry.unwrap().path(), metrics);
        }
    } else if path.extension().is_some_and(|ending| ending == "rs") {
        let source = fs::read_to_string(path).unwrap();
        for macro_name in ["gauge!(", "counter!(", "histogram!("] {
            let calls = source.split(macro_name).skip(1).filter_map(|call| call.trim_start().strip_prefix('"'));
            metrics.extend(calls.filter_map(|call| call.split('"').next()).map(str::to_owned));
        }
    }
}

#[test]
fn metrics_of_analyses_and_of_scaling_exist() {
    let recorded = recorded_metrics();
    assert!(recorded.contains("medhub_projection_up") && !recorded.contains("medhub_nothing"), "{recorded:?}");
    for name in OVERLAYS {
        let queries = prometheus_queries(name);
        assert_eq!(queries.is_empty(), matches!(name, "dev" | "mvp"), "{name}");
        for query in queries {
            let names = metric_names(&query);
            assert!(!names.is_empty(), "{query}");
            let unknown: Vec<_> = names
                .iter()
                .filter(|name| !recorded.contains(*name) && !MESH_METRICS.contains(&name.as_str()))
                .collect();
            assert!(unknown.is_empty(), "{name}: {unknown:?} in {query}");
        }
    }
}

#[test]
fn queries_select_applications_that_exist() {
    for name in ["staging", "prod"] {
        for query in prometheus_queries(name) {
            let application = query.split("app=\"").nth(1).unwrap().split('"').next().unwrap();
            let exists = application == "{{args.app}}" || overlay(name).find("Deployment", application).is_some();
            assert!(exists, "{query}");
        }
    }
}

#[test]
fn the_names_in_a_query_are_found() {
    let query = "max(max by (projection) (medhub_a_total{app=\"x\"})) / rate(istio_b[2m])";
    assert_eq!(metric_names(query), BTreeSet::from(["istio_b".to_owned(), "medhub_a_total".to_owned()]));
}
