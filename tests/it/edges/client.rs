//! A frontend's client in TypeScript, with types that are made of the schema and of its own documents.

use std::{path::Path, process::Command};
use tests::{run_to_end, shared_product};

#[tokio::test]
async fn a_typed_client_asks_changes_and_hears() {
    // The programs name companies that no other test has.
    let http = shared_product().await.http().to_owned();
    let outputs = tokio::task::spawn_blocking(move || {
        // A copy, so that nothing is made between the sources.
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
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::copy(source.join(file), target).unwrap();
        }
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/schema.graphql");
        let here = |program: &str| {
            let mut command = Command::new(program);
            command.current_dir(&folder).env("MEDHUB_SCHEMA", &schema);
            command
        };
        run_to_end(here("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]));
        run_to_end(here("npm").args(["run", "check"]));
        (
            run_to_end(here("node").args(["out/main.js", &http])),
            run_to_end(here("node").args(["out/together.js", &http])),
        )
    });
    let (typed, together) = outputs.await.unwrap();
    assert!(typed.contains("everything holds") && together.contains("written together"), "{typed} {together}");
}
