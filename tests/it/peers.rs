//! The peers of the benchmarks: their runner loads each of them, every version is pinned, and the page of benchmarks
//! names each peer in its pinned version. Nothing is fetched or measured.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs `run.py --list` of a folder of peers.
fn list_peers(folder: &Path) -> Output {
    let mut python = Command::new("python3");
    // Caches must not land in a source folder.
    python.env("PYTHONDONTWRITEBYTECODE", "1").arg(folder.join("run.py")).arg("--list").output().unwrap()
}

/// The peers that no row of a table on the page names in backticks beside their version.
fn missing_peers<'a>(peers: &'a str, page: &str) -> Vec<&'a str> {
    let is_named = |peer: &&str| {
        let (name, version) = peer.split_once(' ').unwrap();
        let folder = format!("`{name}`");
        page.lines().any(|line| line.starts_with('|') && line.contains(&folder) && line.contains(version))
    };
    peers.lines().filter(|peer| !is_named(peer)).collect()
}

#[test]
fn every_peer_is_on_the_page_of_benchmarks_in_its_pinned_version() {
    let folder = workspace().join("bench/peers");
    let output = list_peers(&folder);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let peers = String::from_utf8(output.stdout).unwrap();
    let entries = fs::read_dir(&folder).unwrap().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir() && entry.file_name() != "harness").count();
    assert!(folders > 5, "{folders}");
    assert_eq!(peers.lines().count(), folders, "a folder has no peer.py: {peers}");
    let page = fs::read_to_string(workspace().join("docs/benchmarks.md")).unwrap();
    assert_eq!(missing_peers(&peers, &page), Vec::<&str>::new());
}

#[test]
fn another_version_and_a_sentence_do_not_name_a_peer() {
    let page = "| `one` 1.0 | 5 |\nThe peer `two` 2.0 is in no table.\n| `three` 3.0 | 6 |";
    assert_eq!(missing_peers("one 1.0\ntwo 2.0\nthree 3.1", page), ["two 2.0", "three 3.1"]);
}

#[test]
fn a_version_that_is_not_pinned_is_refused() {
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(workspace().join("bench/peers")).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    let folder = copy.path().join("peers");
    assert!(list_peers(&folder).status.success());
    let package = folder.join("emmett/package.json");
    let pinned = fs::read_to_string(&package).unwrap();
    fs::write(&package, pinned.replacen("\"pg\": \"", "\"pg\": \"^", 1)).unwrap();
    let output = list_peers(&folder);
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("emmett does not pin ^"), "{message}");
}
