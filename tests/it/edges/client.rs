//! A frontend's client in TypeScript, with types generated from the schema and from its own documents.

use std::{fs, path::Path, process::Command};
use tests::{run_program, shared_product};

/// Installs the packages of the lock file, unless an earlier run has installed the same ones.
fn install_packages(folder: &Path, mut npm: Command) {
    let lock = fs::read(folder.join("package-lock.json")).unwrap();
    let marker = folder.join("installed-package-lock.json");
    if folder.join("node_modules").is_dir() && fs::read(&marker).is_ok_and(|installed| installed == lock) {
        return;
    }
    let _absent_at_first = fs::remove_file(&marker);
    run_program(npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]));
    fs::write(&marker, lock).unwrap();
}

#[tokio::test]
async fn a_typed_client_queries_mutates_and_subscribes() {
    // The programs use names of companies that no other test uses.
    let http = shared_product().await.http().to_owned();
    let outputs = tokio::task::spawn_blocking(move || {
        // A copy, so that no generated file lands among the sources.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("client");
        for file in [
            "package.json",
            "package-lock.json",
            "codegen.ts",
            "tsconfig.json",
            "src/client.ts",
            "src/main.ts",
            "src/together.ts",
        ] {
            let target = folder.join(file);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(source.join(file), target).unwrap();
        }
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/schema.graphql");
        let command_in_folder = |program: &str| {
            let mut command = Command::new(program);
            command.current_dir(&folder).env("MEDHUB_SCHEMA", &schema);
            command
        };
        install_packages(&folder, command_in_folder("npm"));
        run_program(command_in_folder("npm").args(["run", "check"]));
        (
            run_program(command_in_folder("node").args(["out/main.js", &http])),
            run_program(command_in_folder("node").args(["out/together.js", &http])),
        )
    });
    let (typed, together) = outputs.await.unwrap();
    assert!(typed.contains("all checks passed") && together.contains("all edits merged"), "{typed} {together}");
}
