//! The dashboards of metrics: written by their script, and about metrics and labels that exist.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;
use tests::MetricTable;

use super::{
    list_files,
    metric_query::MetricQuery,
    prometheus_rules::recorded_names,
    rendered_overlays::{items, overlay, text},
    workspace,
};

const FOLDER: &str = "deploy/observability/grafana/dashboards";

/// About ClickHouse, and kept by hand.
const ENGAGEMENT: &str = "engagement.json";

#[test]
fn dashboards_are_those_that_the_script_writes() {
    let written = tempfile::tempdir().unwrap();
    let script = workspace().join("deploy/observability/grafana/write-dashboards.mjs");
    let status = Command::new("node").arg(script).arg(written.path()).status().unwrap();
    assert!(status.success());
    let mut names = vec![];
    for file in list_files(FOLDER, ".json") {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name != ENGAGEMENT {
            let expected = fs::read_to_string(written.path().join(&name)).unwrap_or_default();
            let advice =
                "run: node deploy/observability/grafana/write-dashboards.mjs deploy/observability/grafana/dashboards";
            assert!(fs::read_to_string(&file).unwrap() == expected, "{name} is outdated; {advice}");
            names.push(name);
        }
    }
    assert_eq!(fs::read_dir(written.path()).unwrap().count(), names.len(), "{names:?}");

    // The same files are in the cluster, where Grafana looks for them.
    let in_cluster = overlay("prod").find("ConfigMap", "medhub-dashboards").unwrap();
    assert_eq!(in_cluster["metadata"]["labels"]["grafana_dashboard"], "1");
    let keys: BTreeSet<_> = in_cluster["data"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, names.into_iter().collect());
}

/// The labels in a legend: `{{kind}} {{outcome}}`.
fn legend_labels(legend: &str) -> Vec<String> {
    legend.split("{{").skip(1).filter_map(|part| part.split("}}").next()).map(str::to_owned).collect()
}

#[test]
fn dashboards_name_metrics_and_labels_that_exist() {
    let (table, recorded) = (MetricTable::read(), recorded_names());
    let mut uids = BTreeSet::new();
    for file in list_files(FOLDER, ".json") {
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert!(uids.insert(text(&dashboard["uid"]).to_owned()), "{}", file.display());
        if file.ends_with(ENGAGEMENT) {
            continue;
        }
        let panels = items(&dashboard["panels"]);
        assert!(panels.len() >= 8, "{}", file.display());
        for panel in panels {
            for target in items(&panel["targets"]) {
                let query = text(&target["expr"]);
                let parsed = MetricQuery::parse(query);
                assert!(!parsed.series.is_empty(), "{query}");
                let place = format!("{}: {}: {query}", file.display(), panel["title"]);
                assert_eq!(parsed.find_problems(&table, &recorded), Vec::<String>::new(), "{place}");
                for label in legend_labels(text(&target["legendFormat"])) {
                    assert!(
                        query.contains(&label) || ["app", "instance"].contains(&label.as_str()),
                        "{label} in {place}"
                    );
                }
            }
        }
    }
}
