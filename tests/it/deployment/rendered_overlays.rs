//! The overlays as `kubectl kustomize` renders them, and the tools that check files. Both are prepared once.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::LazyLock,
};

use serde_json::Value;
use tests::fetch_artifact;

use super::workspace;

/// All overlays.
pub(super) const OVERLAYS: [&str; 4] = ["dev", "mvp", "staging", "prod"];

/// The kinds whose pods are of a template.
const KINDS_WITH_PODS: [&str; 4] = ["Deployment", "StatefulSet", "Job", "CronJob"];

const FOLDER_PREFIX: &str = "manifest-checks-";

static RENDERED: LazyLock<BTreeMap<&str, RenderedOverlay>> =
    LazyLock::new(|| OVERLAYS.into_iter().map(|name| (name, RenderedOverlay::render(name))).collect());

static CHECKS_FOLDER: LazyLock<PathBuf> = LazyLock::new(prepare_checks_folder);

/// An overlay's resources.
pub(super) struct RenderedOverlay {
    /// The file that holds them.
    pub(super) file: PathBuf,
    /// Each of them.
    pub(super) resources: Vec<Value>,
}

/// A resource with pods.
pub(super) struct PodTemplate<'a> {
    /// Kind and name, as messages have them.
    pub(super) owner: String,
    /// The resource.
    pub(super) resource: &'a Value,
    /// The template of its pods.
    pub(super) template: &'a Value,
}

/// Returns an overlay.
pub(super) fn overlay(name: &str) -> &'static RenderedOverlay {
    &RENDERED[name]
}

impl RenderedOverlay {
    fn render(name: &str) -> Self {
        let folder = workspace().join("deploy/kubernetes/overlays").join(name);
        let file = CHECKS_FOLDER.join(format!("{name}.yaml"));
        fs::write(&file, render_kustomization(&folder).unwrap()).unwrap();
        let Value::Array(resources) = run_check("documents", &[&file]) else { panic!("{name} has no documents") };
        Self { file, resources }
    }

    /// The resources of a kind.
    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.resources.iter().filter(move |resource| resource["kind"] == kind)
    }

    /// The resource with this kind and name.
    pub(super) fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.of_kind(kind).find(|resource| resource["metadata"]["name"] == name)
    }

    /// All templates of pods.
    pub(super) fn pod_templates(&self) -> Vec<PodTemplate<'_>> {
        let with_pods = KINDS_WITH_PODS.into_iter().flat_map(|kind| self.of_kind(kind));
        with_pods
            .map(|resource| {
                let spec = &resource["spec"];
                let spec = if resource["kind"] == "CronJob" { &spec["jobTemplate"]["spec"] } else { spec };
                PodTemplate { owner: describe(resource), resource, template: &spec["template"] }
            })
            .collect()
    }
}

impl PodTemplate<'_> {
    /// The containers, init containers first.
    pub(super) fn containers(&self) -> Vec<&Value> {
        let spec = &self.template["spec"];
        [&spec["initContainers"], &spec["containers"]].into_iter().flat_map(items).collect()
    }
}

/// Kind and name of a resource.
pub(super) fn describe(resource: &Value) -> String {
    format!("{} {}", text(&resource["kind"]), text(&resource["metadata"]["name"]))
}

/// The text of a value; empty if it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of an array; none if it is absent.
pub(super) fn items(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// Runs `kubectl kustomize`.
pub(super) fn render_kustomization(folder: &Path) -> Result<Vec<u8>, String> {
    let kubectl = fetch_artifact("kubectl").unwrap().join("kubectl");
    let output = Command::new(kubectl).arg("kustomize").arg(folder).output().unwrap();
    if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Runs a command of `tests/manifest_checks/main.mjs` and returns what it prints.
pub(super) fn run_check(command: &str, files: &[impl AsRef<Path>]) -> Value {
    let mut node = Command::new("node");
    node.arg("main.mjs").arg(command).args(files.iter().map(AsRef::as_ref)).current_dir(&*CHECKS_FOLDER);
    let output = node.output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What this process leaves behind is removed by the next one: nothing tells it when its last test ends.
fn remove_folders_of_ended_processes(parent: &Path) {
    for entry in fs::read_dir(parent).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(FOLDER_PREFIX);
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _removed_by_another = fs::remove_dir_all(entry.path());
        }
    }
}

/// A folder with the scripts and a link to the packages that they use.
fn prepare_checks_folder() -> PathBuf {
    let packages = fetch_artifact("manifest-checker").unwrap().join("node_modules");
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    remove_folders_of_ended_processes(parent);
    let folder = parent.join(format!("{FOLDER_PREFIX}{}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    for script in fs::read_dir(workspace().join("tests/manifest_checks")).unwrap() {
        let script = script.unwrap().path();
        if script.is_file() {
            fs::copy(&script, folder.join(script.file_name().unwrap())).unwrap();
        }
    }
    symlink(packages, folder.join("node_modules")).unwrap();
    folder
}
