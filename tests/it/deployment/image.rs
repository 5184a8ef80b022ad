//! The Dockerfile: Hadolint's rules, and the same versions as in the rest of the repository.

use std::{fs, process::Command};

use tests::fetch_artifact;

use super::workspace;

const DOCKERFILE: &str = "deploy/container/Dockerfile";

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap()
}

/// What Hadolint prints of a Dockerfile.
fn lint(path: &std::path::Path) -> String {
    let hadolint = fetch_artifact("hadolint").unwrap().join("hadolint");
    let output =
        Command::new(hadolint).args(["--no-color", "--failure-threshold", "style"]).arg(path).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_linter_has_nothing_to_say() {
    assert_eq!(lint(&workspace().join(DOCKERFILE)), "");

    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("Dockerfile");
    fs::write(&broken, read(DOCKERFILE).replace("WORKDIR /src", "RUN cd /src")).unwrap();
    assert!(lint(&broken).contains("DL3003"), "{}", lint(&broken));
}

#[test]
fn packages_have_the_versions_of_the_local_stack() {
    let (dockerfile, pinned) = (read(DOCKERFILE), read("deploy/local/src/artifact/pinned_artifacts.rs"));
    let is_package = |word: &&str| word.contains("==") || (word.contains('@') && !word.starts_with('"'));
    let packages: Vec<_> = dockerfile
        .lines()
        .filter(|line| line.contains("pip download") || line.contains("for package in"))
        .flat_map(|line| line.split_whitespace().map(|word| word.trim_end_matches(';')))
        .filter(is_package)
        .collect();
    assert_eq!(packages.len(), 5, "{packages:?}");
    for package in packages {
        assert!(
            pinned.contains(&format!("spec: \"{package}\"")),
            "the local stack uses another version than {package}"
        );
    }
}

#[test]
fn the_image_has_the_compiler_of_the_workspace() {
    let version = read("Cargo.toml").lines().find_map(|line| line.strip_prefix("rust-version = ").map(str::to_owned));
    let argument = format!("ARG RUST_VERSION={}", version.unwrap().trim_matches('"'));
    assert!(read(DOCKERFILE).lines().any(|line| line == argument), "{argument} is missing");
}

#[test]
fn final_stages_run_as_a_user_without_rights() {
    let dockerfile = read(DOCKERFILE);
    let stages: Vec<_> = dockerfile.split("\nFROM ").filter(|stage| stage.contains("\nENTRYPOINT ")).collect();
    assert_eq!(stages.len(), 2);
    for stage in stages {
        assert!(stage.contains("\nUSER 65532:65532\n"), "{stage}");
    }
}
