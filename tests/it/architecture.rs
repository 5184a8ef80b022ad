//! Dependencies point one way: `domain` knows nobody, siblings do not see each other, `api` composes them.

use std::process::Command;

use serde_json::{Value, json};

/// Which packages of ours a package may use. Anything not listed is forbidden.
const ALLOWED_DEPENDENCIES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("schemas", &["domain"]),
    ("commands", &["domain"]),
    ("collaboration", &["domain", "commands"]),
    ("eventstore", &["domain", "schemas"]),
    ("projections", &["domain", "schemas"]),
    ("api", &["domain", "schemas", "commands", "collaboration", "eventstore", "projections"]),
    ("medhub-engines", &[]),
    ("medhub-local", &["medhub-engines"]),
    ("medhub-local-program", &["api", "medhub-local"]),
    ("tests", &["domain", "schemas", "commands", "collaboration", "eventstore", "projections", "medhub-local"]),
];

/// The arrows that are not allowed, as `from -> to`, and the packages nobody listed.
fn violations(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let name = |package: &Value| package["name"].as_str().unwrap_or_default().to_owned();
    let ours: Vec<_> = packages.iter().map(name).collect();
    let mut found = Vec::new();
    for package in &packages {
        let from = name(package);
        let Some((_, allowed)) = ALLOWED_DEPENDENCIES.iter().find(|(listed, _)| *listed == from) else {
            found.push(format!("{from} is not listed"));
            continue;
        };
        let dependencies = package["dependencies"].as_array().cloned().unwrap_or_default();
        for to in dependencies.iter().map(name).filter(|to| ours.contains(to)) {
            if !allowed.contains(&to.as_str()) {
                found.push(format!("{from} -> {to}"));
            }
        }
    }
    found
}

#[test]
fn packages_use_only_what_they_may() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(metadata["packages"].as_array().map(Vec::len), Some(ALLOWED_DEPENDENCIES.len()));
    assert_eq!(violations(&metadata), Vec::<String>::new());
}

#[test]
fn a_forbidden_arrow_is_noticed() {
    let planted = json!({ "packages": [
        { "name": "domain", "dependencies": [{ "name": "api" }, { "name": "serde" }] },
        { "name": "api", "dependencies": [{ "name": "domain" }] },
        { "name": "smuggled", "dependencies": [] },
    ]});
    assert_eq!(violations(&planted), ["domain -> api", "smuggled is not listed"]);
}
