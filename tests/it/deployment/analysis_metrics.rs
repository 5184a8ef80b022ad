//! Queries that judge releases and scale processes name metrics that exist, and the table of metrics is complete.

use std::{collections::BTreeSet, fs, path::Path};

use tests::MetricTable;

use super::{
    metric_query::MetricQuery,
    prometheus_rules::recorded_names,
    rendered_overlays::{OVERLAYS, items, overlay, text},
    workspace,
};

/// All queries for Prometheus in an overlay.
fn prometheus_queries(name: &str) -> Vec<String> {
    let analyses = overlay(name).of_kind("AnalysisTemplate").flat_map(|template| items(&template["spec"]["metrics"]));
    let of_analyses = analyses.map(|metric| text(&metric["provider"]["prometheus"]["query"]));
    let triggers = overlay(name).of_kind("ScaledObject").flat_map(|object| items(&object["spec"]["triggers"]));
    let of_triggers = triggers.map(|trigger| text(&trigger["metadata"]["query"]));
    of_analyses.chain(of_triggers).filter(|query| !query.is_empty()).map(str::to_owned).collect()
}

#[test]
fn metrics_of_analyses_and_of_scaling_exist() {
    let (table, recorded) = (MetricTable::read(), recorded_names());
    for name in OVERLAYS {
        let queries = prometheus_queries(name);
        assert_eq!(queries.is_empty(), matches!(name, "dev" | "mvp"), "{name}");
        for query in queries {
            let parsed = MetricQuery::parse(&query);
            assert!(!parsed.series.is_empty(), "{query}");
            assert_eq!(parsed.find_problems(&table, &recorded), Vec::<String>::new(), "{name}: {query}");
        }
    }
}

/// The metrics that the program records, by the macros in its sources.
fn recorded_metrics() -> BTreeSet<String> {
    let mut metrics = BTreeSet::new();
    for entry in fs::read_dir(workspace()).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        if folder.is_dir() && !name.starts_with('.') && !["target", "tests", "deploy"].contains(&name.as_str()) {
            collect_metrics(&folder, &mut metrics);
        }
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
fn the_table_has_exactly_the_metrics_that_the_program_records() {
    let documented: BTreeSet<_> = MetricTable::read().names().map(str::to_owned).collect();
    assert_eq!(documented, recorded_metrics());
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
