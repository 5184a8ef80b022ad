//! The files of `deploy/`, as far as tools can check them without a cluster: manifests, image, compose file, gateway, workflows; and
//! that what they say of the program is true of it.

mod analysis_metrics;
mod capacity;
mod compose_file;
mod dashboards;
mod gateway;
mod image;
mod manifest_schemas;
mod metric_query;
mod network_policies;
mod pod_rules;
mod program_settings;
mod prometheus_rules;
mod rendered_overlays;
mod service_workflows;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The files of a folder of the repository with this ending, sorted.
fn list_files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files
}
