//! The README's first command: it starts everything, imports notices, runs queries, and reports whether all stores
//! agree.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use tests::{medhub_local, output_text, run_with_own_engines};

#[test]
fn the_demonstration_fills_all_stores_consistently_and_answers_every_query() {
    run_with_own_engines();
    let folder = tempfile::Builder::new().prefix("medhub-demo-").tempdir().unwrap();
    // Postgres runs as another user when the tests run as root.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let mut demo = Command::new(medhub_local());
    demo.arg("--data").arg(folder.path().join("demo"));
    demo.args(["demo", "--exit", "--rows", "2000", "--visits", "50"]).stdin(Stdio::null());

    let output = demo.output().unwrap();

    // It ends with success only if all stores agree and every query was answered.
    assert!(output.status.success(), "{}", output_text(&output));
}
