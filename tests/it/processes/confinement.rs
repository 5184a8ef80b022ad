//! A worker on a kernel that cannot confine the process which reads files.

use std::fs::File;

use tests::{WAIT_TIMEOUT, document_work_settings, eventually, output_text, shared_product};
use tokio::process::Command;

/// A worker whose kernel has no Landlock: a filter of system calls takes it away.
async fn worker_without_landlock() -> Command {
    let product = shared_product().await;
    let worker = product.medhub_command(&["serve", "--role", "work"]);
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/it/processes/without_landlock.py"));
    command.arg(worker.get_program()).args(worker.get_args());
    command.envs(product.variables()).envs(document_work_settings(1)).kill_on_drop(true);
    command.env("MEDHUB__HTTP__LISTEN", "127.0.0.1:0").env("MEDHUB__GRPC__LISTEN", "127.0.0.1:0");
    command
}

#[tokio::test]
async fn a_worker_that_requires_confinement_does_not_start_without_it() {
    let mut worker = worker_without_landlock().await;
    worker.env("MEDHUB__EXTRACTION__REQUIRE_CONFINEMENT", "true");
    let output = tokio::time::timeout(WAIT_TIMEOUT, worker.output()).await.expect("the process ends").unwrap();
    let text = output_text(&output);
    assert!(!output.status.success() && text.contains("the kernel has no Landlock"), "{text}");
}

#[tokio::test]
async fn a_worker_warns_at_its_start_that_files_are_less_confined() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.log");
    let log = File::create(&path).unwrap();
    let mut worker = worker_without_landlock().await;
    worker.stdout(log.try_clone().unwrap()).stderr(log);
    let mut worker = worker.spawn().unwrap();
    eventually(async || {
        let text = std::fs::read_to_string(&path).unwrap();
        let is_warned = text.contains("files are read with less confinement") && text.contains("landlock");
        if is_warned { Ok(()) } else { Err(text) }
    })
    .await;
    worker.kill().await.unwrap();
}
