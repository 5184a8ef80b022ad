//! The workflow of each service: it runs for changes of files that exist, every crate of the product belongs to a
//! service, and it deploys the images that the manifests name.

use std::{collections::BTreeSet, fs, path::Path, sync::LazyLock};

use serde_json::Value;

use super::{
    list_files,
    rendered_overlays::{items, run_check, text},
    workspace,
};

/// Members of the workspace that no image has.
const WITHOUT_SERVICE: [&str; 6] =
    ["bench", "synthetic", "deploy/local", "deploy/local/engines", "deploy/local/program", "tests"];

/// The workflows of services, by name.
static SERVICE_WORKFLOWS: LazyLock<Vec<(String, Value)>> = LazyLock::new(|| {
    let files = list_files(".github/workflows", ".yaml");
    let documents = run_check("documents", &files);
    let names = files.iter().map(|file| file.file_stem().unwrap().to_string_lossy().into_owned());
    let is_service = |(name, workflow): &(String, Value)| {
        text(&workflow["jobs"][name.as_str()]["uses"]) == "./.github/workflows/service.yaml"
    };
    names.zip(items(&documents).cloned()).filter(is_service).collect()
});

fn workspace_members() -> BTreeSet<String> {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    manifest["workspace"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_role_and_the_migration_have_a_workflow() {
    let names: Vec<_> = SERVICE_WORKFLOWS.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["api", "migrate", "processes", "projections", "registry", "relay", "work"]);
}

#[test]
fn path_filters_name_what_exists_and_leave_no_crate_out() {
    let mut covered = BTreeSet::new();
    for (name, workflow) in &*SERVICE_WORKFLOWS {
        assert_eq!(workflow["on"]["push"]["paths"], workflow["on"]["pull_request"]["paths"], "{name}");
        let paths: Vec<_> = items(&workflow["on"]["push"]["paths"]).map(text).collect();
        assert!(paths.contains(&format!(".github/workflows/{name}.yaml").as_str()), "{name} does not run for itself");
        for path in paths {
            let path = path.trim_end_matches("/**");
            assert!(workspace().join(path).exists(), "{name} runs for {path}, which does not exist");
            covered.insert(path.to_owned());
        }
    }
    let members = workspace_members();
    let uncovered: Vec<_> = members.iter().filter(|member| !covered.contains(*member)).map(String::as_str).collect();
    let mut expected = WITHOUT_SERVICE;
    expected.sort_unstable();
    assert_eq!(uncovered, expected);
}

#[test]
fn workflows_test_crates_and_deploy_images_that_exist() {
    let packages: BTreeSet<_> = workspace_members()
        .iter()
        .map(|member| {
            let manifest = fs::read_to_string(workspace().join(member).join("Cargo.toml")).unwrap();
            let manifest: toml::Table = manifest.parse().unwrap();
            manifest["package"]["name"].as_str().unwrap().to_owned()
        })
        .collect();
    let overlay = Path::new("deploy/kubernetes/overlays/staging/kustomization.yaml");
    let staging = run_check("documents", &[workspace().join(overlay)])[0].clone();
    let mut images: BTreeSet<_> = items(&staging["images"]).map(|image| text(&image["name"]).to_owned()).collect();
    for (name, workflow) in &*SERVICE_WORKFLOWS {
        let inputs = &workflow["jobs"][name.as_str()]["with"];
        for package in text(&inputs["packages"]).split_whitespace().filter(|word| *word != "-p") {
            assert!(packages.contains(package), "{name} tests {package}");
        }
        let target = text(&inputs["target"]);
        assert_eq!(target == "medhub-work", name == "work", "{name} builds {target}");
        for image in text(&inputs["images"]).split_whitespace() {
            assert!(images.remove(image), "{name} deploys {image}, which is no image of the manifests or another's");
        }
    }
    assert_eq!(images, BTreeSet::new(), "no workflow deploys these");
}
