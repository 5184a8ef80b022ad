//! Every manifest fits the schema of its kind, the kinds of operators included.

use std::{fs, path::PathBuf, sync::LazyLock};

use serde_json::Value;

use super::{
    list_files,
    rendered_overlays::{OVERLAYS, overlay, render_kustomization, run_check},
    workspace,
};

/// What must be noticed: a text, what it becomes, and the problem that this is.
const MISTAKES: [(&str, &str, &str); 5] = [
    ("failureThreshold: 6", "failureThreshold: six", "failureThreshold must be integer"),
    ("maxEjectionPercent:", "maxEjectedPercent:", "'\"maxEjectedPercent\"' does not exist"),
    ("progressDeadlineAbort:", "progressDeadlineAborts:", "'\"progressDeadlineAborts\"' does not exist"),
    ("pollingInterval:", "polingInterval:", "'\"polingInterval\"' does not exist"),
    ("volumeClaimTemplates:", "volumeClaims:", "'\"volumeClaims\"' does not exist"),
];

/// The report on all manifests, and that on one with mistakes. Both are of one run, since it takes seconds to begin.
static REPORTS: LazyLock<[Value; 2]> = LazyLock::new(|| {
    let mut files: Vec<PathBuf> = OVERLAYS.iter().map(|name| overlay(name).file.clone()).collect();
    files.extend(list_files("deploy/gitops", ".yaml"));
    files.extend([PathBuf::from("--"), write_mistakes()]);
    let Value::Array(reports) = run_check("schemas", &files) else { panic!("no reports") };
    reports.try_into().unwrap()
});

fn write_mistakes() -> PathBuf {
    let rendered = fs::read_to_string(&overlay("prod").file).unwrap();
    let broken = MISTAKES.iter().fold(rendered, |text, (right, wrong, _)| text.replacen(right, wrong, 1));
    let file = overlay("prod").file.with_file_name("broken.yaml");
    fs::write(&file, broken).unwrap();
    file
}

#[test]
fn manifests_fit_the_schemas_of_their_kinds() {
    let [report, _] = &*REPORTS;
    assert_eq!(report["problems"], Value::Array(vec![]));
    // No registry has the schemas of CloudNativePG.
    assert_eq!(report["unchecked"], serde_json::json!(["Cluster", "ObjectStore", "ScheduledBackup"]));
    assert!(report["checked"].as_u64().unwrap() > 300, "{report}");
}

#[test]
fn a_wrong_value_and_an_unknown_field_are_noticed() {
    let [_, report] = &*REPORTS;
    for (_, wrong, problem) in MISTAKES {
        assert!(report["problems"].to_string().replace("\\\"", "\"").contains(problem), "{wrong}: {report}");
    }
}

#[test]
fn a_kustomization_that_names_a_missing_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kustomization.yaml"), "resources: [missing.yaml]\n").unwrap();
    let error = render_kustomization(folder.path()).unwrap_err();
    assert!(error.contains("missing.yaml"), "{error}");
}

#[test]
fn workflows_and_their_expressions_are_valid() {
    let files = list_files(".github/workflows", ".yaml");
    assert!(files.len() > 5);
    assert_eq!(run_check("workflows", &files), Value::Array(vec![]));

    let planted = tempfile::tempdir().unwrap();
    let broken = planted.path().join("service.yaml");
    let service = fs::read_to_string(workspace().join(".github/workflows/service.yaml")).unwrap();
    fs::write(&broken, service.replace("inputs.packages", "inputs.package")).unwrap();
    let problems = run_check("workflows", &[&broken]).to_string();
    assert!(problems.contains("\\\"package\\\" is not defined"), "{problems}");
}
