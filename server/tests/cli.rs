//! Tests the command line of the program: arguments, output and exit codes. They need no engine.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

/// Addresses where no engine listens, so that a test cannot reach a running engine by accident.
const UNREACHABLE_ENGINES: [(&str, &str); 6] = [
    ("DATABASE_URL", "postgres://medhub:s3cr3t@127.0.0.1:1/medhub"),
    ("KAFKA_BROKERS", "127.0.0.1:1"),
    ("CLICKHOUSE_URL", "http://medhub:s3cr3t@127.0.0.1:1"),
    ("QDRANT_URL", "http://127.0.0.1:1"),
    ("REDIS_URL", "redis://:s3cr3t@127.0.0.1:1"),
    ("SCHEMA_REGISTRY_URL", "http://medhub:s3cr3t@127.0.0.1:1"),
];

fn medhub(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medhub"));
    command.env_clear().envs(UNREACHABLE_ENGINES).args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    medhub(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A temporary folder of one test, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("medhub-cli-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn help_lists_every_command_on_standard_output() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    let help = stdout(&output);
    let commands = "migrate serve import generate status doctor replay tail bench recover schemas config sdl";
    for command in commands.split(' ') {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is missing in\n{help}");
    }
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_usage_error_exits_with_2_and_is_printed_to_standard_error() {
    for args in [&["frobnicate"][..], &["generate"], &["generate", "--rows", "0"], &["serve", "--role", "none"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(stdout(&output), "", "{args:?}");
        assert!(stderr(&output).starts_with("error: "), "{args:?}");
    }
}

#[test]
fn the_error_of_an_unknown_context_or_event_type_lists_the_known_ones() {
    for command in ["replay", "tail"] {
        let context = stderr(&run(&[command, "--context", "opportunites"]));
        assert!(context.contains("[possible values: opportunities, proposals, documents"), "{context}");
        let kind = stderr(&run(&[command, "--type", "opportunity.lost"]));
        assert!(kind.contains("opportunity.discovered") && kind.contains("opportunity.awarded"), "{kind}");
    }
}

#[test]
fn the_error_of_an_invalid_time_shows_the_format() {
    let output = run(&["replay", "--since", "yesterday"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("2026-03-03T12:00:00Z"), "{}", stderr(&output));
}

#[test]
fn config_shows_the_settings_in_force_without_passwords() {
    let output = medhub(&["config"]).env("MEDHUB__HTTP__LISTEN", "127.0.0.1:4711").output().unwrap();
    let shown = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(shown.contains("listen = \"127.0.0.1:4711\""), "{shown}");
    assert!(shown.contains("postgres://medhub:***@127.0.0.1:1/medhub"), "{shown}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
}

#[test]
fn the_environment_overrides_the_settings_file() {
    let folder = Folder::new("settings");
    let file = folder.file("medhub.toml", b"[http]\nlisten = \"127.0.0.1:1111\"\nmax_depth = 7\n");
    let output = medhub(&["config", "--config", &file]).env("MEDHUB__HTTP__LISTEN", "127.0.0.1:2222").output().unwrap();
    let shown = stdout(&output);
    assert!(shown.contains("listen = \"127.0.0.1:2222\""), "{shown}");
    assert!(shown.contains("max_depth = 7"), "{shown}");
}

#[test]
fn the_error_of_an_unknown_setting_names_it() {
    let output = medhub(&["config"]).env("MEDHUB__HTTP__LISTN", "x").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("unknown setting http.listn"), "{}", stderr(&output));
}

#[test]
fn generate_writes_a_header_and_the_requested_rows() {
    let output = run(&["generate", "--rows", "10"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let mut rows = csv_records(&stdout(&output));
    assert_eq!(rows.remove(0).len(), 47);
    assert_eq!(rows.len(), 10);
    assert!(rows.iter().all(|row| row.len() == 47));
}

#[test]
fn the_same_seed_writes_the_same_bytes_to_a_file() {
    let folder = Folder::new("seed");
    let file = folder.file("notices.csv", b"");
    assert!(run(&["generate", "--rows", "50", "--seed", "7", "--out", &file]).status.success());
    assert_eq!(fs::read_to_string(&file).unwrap(), stdout(&run(&["generate", "--rows", "50", "--seed", "7"])));
}

#[test]
fn a_source_that_cannot_be_imported_is_refused_with_the_reason() {
    let folder = Folder::new("sources");
    let empty = folder.file("empty.csv", b"");
    let wrong = folder.file("wrong.csv", b"a,b,c\n1,2,3\n");
    let missing = folder.0.join("missing.csv");
    let directory = folder.0.to_str().unwrap();
    for (source, reason) in
        [(missing.to_str().unwrap(), "No such file"), (directory, "a directory"), (&empty, "empty"), (&wrong, "header")]
    {
        let output = run(&["import", source]);
        assert_eq!(output.status.code(), Some(1), "{source}: {}", stderr(&output));
        assert!(stderr(&output).contains(reason), "{source}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{source}");
    }
}

#[test]
fn empty_standard_input_is_refused() {
    let mut child =
        medhub(&["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("empty"), "{}", stderr(&output));
}

#[test]
fn sdl_prints_the_committed_schema() {
    assert_eq!(stdout(&run(&["sdl"])), include_str!("../../api/schema.graphql"));
}

/// Splits CSV into records and fields; separators in quotes are part of a field.
fn csv_records(text: &str) -> Vec<Vec<String>> {
    let mut records = vec![vec![String::new()]];
    let mut quoted = false;
    for character in text.trim_end().chars() {
        let record = records.last_mut().unwrap();
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(String::new()),
            '\n' if !quoted => records.push(vec![String::new()]),
            other => record.last_mut().unwrap().push(other),
        }
    }
    records
}
