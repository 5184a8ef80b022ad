//! The rules of Prometheus: valid, about metrics that exist, with a test and a section of a runbook for each alert.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
    sync::LazyLock,
};

use serde_json::Value;
use tests::{MetricTable, fetch_artifact};

use super::{
    list_files,
    metric_query::MetricQuery,
    rendered_overlays::{items, overlay, run_check, text},
    workspace,
};

const RULES: &str = "deploy/observability/prometheus/rules";
const RULE_TESTS: &str = "deploy/observability/prometheus/tests";
const RULES_FOR_KUBERNETES: &str = "deploy/observability/prometheus/prometheus-rules.yaml";

/// All rules, of all files.
static RULE_LIST: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let files = run_check("documents", &list_files(RULES, ".yaml"));
    let groups = items(&files).flat_map(|file| items(&file["groups"]));
    groups.flat_map(|group| items(&group["rules"])).cloned().collect()
});

/// The names under which rules record.
pub(super) fn recorded_names() -> BTreeSet<String> {
    RULE_LIST.iter().filter_map(|rule| rule["record"].as_str()).map(str::to_owned).collect()
}

fn alerts() -> impl Iterator<Item = (&'static str, &'static Value)> {
    RULE_LIST.iter().filter_map(|rule| Some((rule["alert"].as_str()?, rule)))
}

/// Prometheus' own tool: the installed one, or the one of the machine's package registry.
fn promtool() -> PathBuf {
    let installed = Command::new("promtool").arg("--version").output();
    if installed.is_ok_and(|output| output.status.success()) {
        return "promtool".into();
    }
    fetch_artifact("promtool").unwrap().join("promtool")
}

fn run_promtool(arguments: &[&str], files: &[PathBuf]) -> Result<(), String> {
    let output = Command::new(promtool()).args(arguments).args(files).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&printed).into_owned()) }
}

#[test]
fn rules_and_the_configuration_of_prometheus_are_valid() {
    run_promtool(&["check", "rules"], &list_files(RULES, ".yaml")).unwrap();
    let config = workspace().join("deploy/compose/prometheus.yaml");
    run_promtool(&["check", "config", "--syntax-only"], &[config]).unwrap();
}

#[test]
fn alerts_fire_on_what_they_are_for() {
    run_promtool(&["test", "rules"], &list_files(RULE_TESTS, ".yaml")).unwrap();
}

#[test]
fn a_rule_that_does_what_no_test_expects_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for (part, source) in [("rules", RULES), ("tests", RULE_TESTS)] {
        fs::create_dir(folder.path().join(part)).unwrap();
        let text = fs::read_to_string(workspace().join(source).join("alerts.yaml")).unwrap();
        fs::write(folder.path().join(part).join("alerts.yaml"), text.replace("rate5m > 0.05", "rate5m > 0.5")).unwrap();
    }
    let error = run_promtool(&["test", "rules"], &[folder.path().join("tests/alerts.yaml")]).unwrap_err();
    assert!(error.contains("HighErrorRate"), "{error}");
}

#[test]
fn rules_name_metrics_and_labels_that_exist() {
    let (table, recorded) = (MetricTable::read(), recorded_names());
    assert!(RULE_LIST.len() > 40 && recorded.len() > 20, "{recorded:?}");
    for rule in RULE_LIST.iter() {
        let problems = MetricQuery::parse(text(&rule["expr"])).find_problems(&table, &recorded);
        assert_eq!(problems, Vec::<String>::new(), "{rule}");
    }
}

/// The alerts that a test of promtool expects to fire.
fn tested_alerts() -> BTreeSet<String> {
    let files = run_check("documents", &list_files(RULE_TESTS, ".yaml"));
    let tests = items(&files).flat_map(|file| items(&file["tests"]));
    let expected = tests.flat_map(|test| items(&test["alert_rule_test"]));
    let firing = expected.filter(|expected| items(&expected["exp_alerts"]).len() > 0);
    firing.map(|expected| text(&expected["alertname"]).to_owned()).collect()
}

/// The part of a link behind `#`: words of the heading.
fn anchor(heading: &str) -> String {
    let words = heading.to_lowercase();
    words.split_whitespace().collect::<Vec<_>>().join("-")
}

#[test]
fn each_alert_has_a_test_a_severity_and_a_section_of_a_runbook() {
    let tested = tested_alerts();
    let mut sections: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in list_files("docs/runbooks", ".md") {
        let page = fs::read_to_string(&file).unwrap();
        let headings = page.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
        sections.insert(format!("docs/runbooks/{}", file.file_name().unwrap().to_str().unwrap()), headings);
    }
    let mut linked = BTreeSet::new();
    for (name, rule) in alerts() {
        assert!(tested.contains(name), "no test expects {name}");
        assert!(matches!(text(&rule["labels"]["severity"]), "page" | "ticket"), "{name}");
        assert!(!text(&rule["annotations"]["summary"]).is_empty(), "{name}");
        let runbook = text(&rule["annotations"]["runbook"]);
        let (page, section) = runbook.split_once('#').unwrap_or_else(|| panic!("{name} links {runbook}"));
        assert!(sections.get(page).is_some_and(|headings| headings.contains(section)), "{name} links {runbook}");
        linked.insert(section.to_owned());
    }
    assert_eq!(sections["docs/runbooks/alerts.md"], linked, "each section of the page is about an alert");
}

/// The resource for Prometheus' operator that has all rules.
fn rules_for_kubernetes() -> String {
    let mut resource = "# The files of rules/ as Prometheus' operator wants them. Written by MEDHUB_RECORD=1 cargo test --workspace --test it recorded\n\
        apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: medhub\nspec:\n  groups:\n"
        .to_owned();
    for file in list_files(RULES, ".yaml") {
        let rules = fs::read_to_string(file).unwrap();
        let (_, groups) = rules.split_once("\ngroups:\n").unwrap();
        for line in groups.lines() {
            let indentation = if line.is_empty() { "" } else { "  " };
            resource.extend([indentation, line, "\n"]);
        }
    }
    resource
}

#[test]
fn rules_for_kubernetes_are_recorded() {
    let file = workspace().join(RULES_FOR_KUBERNETES);
    if std::env::var_os("MEDHUB_RECORD").is_some() {
        fs::write(&file, rules_for_kubernetes()).unwrap();
    }
    let advice = "write it again: MEDHUB_RECORD=1 cargo test --workspace --test it recorded";
    assert!(
        fs::read_to_string(&file).unwrap() == rules_for_kubernetes(),
        "{RULES_FOR_KUBERNETES} is outdated; {advice}"
    );
    for name in ["mvp", "staging", "prod"] {
        let rendered = overlay(name).find("PrometheusRule", "medhub").unwrap();
        let rules = items(&rendered["spec"]["groups"]).flat_map(|group| items(&group["rules"]));
        assert_eq!(rules.count(), RULE_LIST.len(), "{name}");
        assert_eq!(rendered["metadata"]["namespace"], "app-layer");
    }
}
