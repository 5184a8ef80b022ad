//! Every manifest fits the schema of its kind, the kinds of operators included.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::{
    list_files,
    rendered_overlays::{OVERLAYS, overlay, render_kustomization, run_check},
    workspace,
};

#[test]
fn manifests_fit_the_schemas_of_their_kinds() {
    let mut files: Vec<PathBuf> = OVERLAYS.iter().map(|name| overlay(name).file.clone()).collect();
    files.extend(list_files("deploy/gitops", ".yaml"));
    let report = run_check("schemas", &files);
    assert_eq!(report["problems"], Value::Array(vec![]));
    // No registry has the schemas of CloudNativePG.
    assert_eq!(report["unchecked"], serde_json::json!(["Cluster", "ObjectStore", "ScheduledBackup"]));
    assert!(report["checked"].as_u64().unwrap() > 300, "{report}");
}

#[test]
fn a_wrong_value_and_an_unknown_field_are_noticed() {
    let rendered = fs::read_to_string(&overlay("prod").file).unwrap();
    let planted = [
        ("failureThreshold: 6", "failureThreshold: six", "failureThreshold must be integer"),
        ("maxEjectionPercent:", "maxEjectedPercent:", "'\"maxEjectedPercent\"' does not exist"),
        ("progressDeadlineAbort:", "progressDeadlineAborts:", "'\"progressDeadlineAborts\"' does not exist"),
        ("pollingInterval:", "polingInterval:", "'\"polingInterval\"' does not exist"),
        ("volumeClaimTemplates:", "volumeClaims:", "'\"volumeClaims\"' does not exist"),
    ];
    let broken = planted.iter().fold(rendered, |text, (right, wrong, _)| text.replacen(right, wrong, 1));
    let file = overlay("prod").file.with_file_name("broken.yaml");
    fs::write(&file, broken).unwrap();
    let report = run_check("schemas", &[&file]);
    for (_, wrong, problem) in planted {
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
