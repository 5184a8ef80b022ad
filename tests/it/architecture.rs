//! Dependencies point one way: between crates, and between the folders of a crate.

mod module_graph;

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use self::module_graph::ModuleGraph;

/// Which packages of ours a package may use. Anything not listed is forbidden.
const ALLOWED_DEPENDENCIES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("engine_kinds", &[]),
    ("telemetry", &[]),
    ("engine_security", &[]),
    ("redis_connections", &["domain", "engine_security"]),
    ("schemas", &["domain", "engine_security"]),
    ("commands", &["domain", "telemetry"]),
    ("collaboration", &["domain", "commands", "redis_connections"]),
    ("eventstore", &["domain", "engine_security", "schemas", "telemetry"]),
    ("projections", &["domain", "engine_security", "redis_connections", "schemas", "telemetry"]),
    ("objects", &["domain"]),
    ("processes", &["domain", "commands", "projections", "telemetry"]),
    ("task_workers", &["domain", "commands", "projections", "telemetry"]),
    ("document_analysis", &["domain", "commands", "documents", "objects", "task_workers"]),
    ("proposal_generation", &["domain", "commands", "projections", "task_workers", "language_models"]),
    ("saved_search_matching", &["domain", "processes", "projections"]),
    ("mail", &["domain", "commands", "projections", "telemetry"]),
    ("scheduled_jobs", &["domain"]),
    ("documents", &[]),
    ("language_models", &["domain"]),
    ("sam_gov", &["domain", "commands", "synthetic"]),
    ("synthetic", &["domain", "commands", "sam_gov"]),
    (
        "api",
        &[
            "domain",
            "schemas",
            "commands",
            "collaboration",
            "engine_kinds",
            "engine_security",
            "eventstore",
            "mail",
            "objects",
            "projections",
            "processes",
            "proposal_generation",
            "redis_connections",
            "saved_search_matching",
            "task_workers",
            "telemetry",
        ],
    ),
    (
        "bench",
        &["documents", "domain", "schemas", "commands", "eventstore", "projections", "api", "sam_gov", "synthetic"],
    ),
    (
        "server",
        &[
            "domain",
            "document_analysis",
            "engine_kinds",
            "engine_security",
            "schemas",
            "commands",
            "collaboration",
            "eventstore",
            "language_models",
            "projections",
            "processes",
            "proposal_generation",
            "saved_search_matching",
            "task_workers",
            "telemetry",
            "objects",
            "mail",
            "scheduled_jobs",
            "api",
            "bench",
            "sam_gov",
            "synthetic",
            "documents",
        ],
    ),
    ("medhub-engines", &[]),
    ("medhub-local", &["engine_kinds", "engine_security", "medhub-engines"]),
    ("medhub-local-program", &["server", "medhub-local"]),
    (
        "tests",
        &[
            "domain",
            "document_analysis",
            "documents",
            "schemas",
            "commands",
            "collaboration",
            "eventstore",
            "projections",
            "objects",
            "processes",
            "proposal_generation",
            "saved_search_matching",
            "task_workers",
            "language_models",
            "mail",
            "scheduled_jobs",
            "sam_gov",
            "synthetic",
            "medhub-local",
        ],
    ),
];

/// The arrows that are not allowed, as `from -> to`, and the packages that are not listed.
fn find_violations(metadata: &Value) -> Vec<String> {
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

fn read_metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn packages_use_only_what_they_may() {
    let metadata = read_metadata();
    assert_eq!(metadata["packages"].as_array().map(Vec::len), Some(ALLOWED_DEPENDENCIES.len()));
    assert_eq!(find_violations(&metadata), Vec::<String>::new());
}

#[test]
fn a_forbidden_arrow_is_noticed() {
    let planted = json!({ "packages": [
        { "name": "domain", "dependencies": [{ "name": "api" }, { "name": "serde" }] },
        { "name": "api", "dependencies": [{ "name": "domain" }] },
        { "name": "smuggled", "dependencies": [] },
    ]});
    assert_eq!(find_violations(&planted), ["domain -> api", "smuggled is not listed"]);
}

/// The folders of a crate in layers: a folder uses folders of later layers only.
const FOLDER_LAYERS: &[(&str, &[&[&str]])] = &[
    (
        "api",
        &[
            &["routes"],
            &["readiness"],
            &["graphql", "rest", "grpc"],
            &["http"],
            &["generation_slots", "tenant_commands"],
            &["consistency", "pagination"],
            &["auth"],
            &["app_context"],
            &["consistency_wait", "opportunity_lists"],
            &["admission_queue", "config"],
        ],
    ),
    (
        "projections",
        &[
            &["read_models"],
            &[
                "opportunity_analytics",
                "opportunity_lists",
                "opportunity_search",
                "opportunity_views",
                "change_feed",
                "response_cache",
            ],
            &["tenant_views"],
            &["storage"],
            &["runtime"],
            &[
                "error",
                "experiment_statistics",
                "listed_opportunity",
                "opportunity_criteria",
                "point_in_time",
                "selection_stats",
            ],
        ],
    ),
    (
        "server",
        &[
            &["cli"],
            &["serve"],
            &["jobs"],
            &["schema_registry"],
            &["engine_clients"],
            &["connection_advice"],
            &["config", "file_limit"],
        ],
    ),
];

/// The arrows between top folders that lead to an earlier layer or stay in one.
fn find_layer_violations(graph: &ModuleGraph, layers: &[&[&str]]) -> Vec<String> {
    let layer = |name: &str| layers.iter().position(|layer| layer.contains(&name));
    let top = graph.arrows().into_iter().filter(|(parent, ..)| parent.is_empty());
    let wrong = top.filter(|(_, from, to)| match (layer(from), layer(to)) {
        (Some(from), Some(to)) => from >= to,
        (None, _) | (_, None) => true,
    });
    wrong.map(|(_, from, to)| format!("{from} -> {to}")).collect()
}

/// The crates of the workspace with their root files.
fn crate_roots() -> Vec<(String, std::path::PathBuf)> {
    let metadata = read_metadata();
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let targets = |package: Value| {
        let targets = package["targets"].as_array().cloned().unwrap_or_default();
        let root = targets.iter().find(|target| target["kind"][0] == "lib");
        let path = root.and_then(|target| target["src_path"].as_str()).map(Into::into);
        path.map(|path| (package["name"].as_str().unwrap_or_default().to_owned(), path))
    };
    packages.into_iter().filter_map(targets).collect()
}

#[test]
fn no_folders_use_each_other() {
    let roots = crate_roots();
    assert!(roots.len() > 10, "{roots:?}");
    let circles = |(name, root): (String, std::path::PathBuf)| {
        ModuleGraph::read(&root).folder_circles().into_iter().map(move |circle| format!("{name}/{circle}"))
    };
    assert_eq!(roots.into_iter().flat_map(circles).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn folders_use_later_layers_only() {
    for (name, root) in crate_roots() {
        if let Some((_, layers)) = FOLDER_LAYERS.iter().find(|(layered, _)| *layered == name) {
            assert_eq!(find_layer_violations(&ModuleGraph::read(&root), layers), Vec::<String>::new(), "{name}");
        }
    }
}

/// Writes the sources of a small crate and reads its modules.
fn planted_graph(files: &[(&str, &str)]) -> ModuleGraph {
    let folder = tempfile::tempdir().unwrap();
    for (path, source) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        fs::write(path, source).unwrap();
    }
    ModuleGraph::read(&folder.path().join("lib.rs"))
}

#[test]
fn a_circle_of_folders_is_noticed_also_behind_a_re_export_and_over_a_third_one() {
    let graph = planted_graph(&[
        ("lib.rs", "mod one; mod two; mod three; pub use two::inner::Thing;"),
        ("one.rs", "mod inner;"),
        ("one/inner.rs", "use crate::Thing; pub struct Mine(Thing);"),
        ("two.rs", "pub mod inner;"),
        ("two/inner.rs", "pub struct Thing(super::super::three::inner::Third);"),
        ("three.rs", "pub mod inner;"),
        ("three/inner.rs", "pub fn third() { crate::one::inner::run(); }"),
    ]);
    assert_eq!(graph.folder_circles(), [": one <-> three <-> two"]);
}

#[test]
fn tests_and_arrows_in_one_direction_are_no_circle() {
    let graph = planted_graph(&[
        ("lib.rs", "mod one; mod two;"),
        ("one.rs", "mod inner; use crate::two::inner::Thing;"),
        ("one/inner.rs", "pub struct Mine; use super::Thing;"),
        ("two.rs", "pub mod inner;"),
        ("two/inner.rs", "pub struct Thing; #[cfg(test)] mod tests { use crate::one::inner::Mine; }"),
    ]);
    assert_eq!(graph.folder_circles(), Vec::<String>::new());
    assert_eq!(find_layer_violations(&graph, &[&["one"], &["two"]]), Vec::<String>::new());
    assert_eq!(find_layer_violations(&graph, &[&["two"], &["one"]]), ["one -> two"]);
}
