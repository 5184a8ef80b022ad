//! `stack.json` in the data folder: what runs, where, and the variables that clients need to reach it.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{folder::ProcessLock, process::ProcessIdentity, service_port::ServicePort};

/// One stack, as other programs see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackState {
    /// The `medhub-local` that supervises it.
    pub supervisor: ProcessIdentity,
    /// Whether all engines, external ones included, and the product if it runs have answered.
    pub ready: bool,
    /// Ports by service; they remain after a stop, so that the next start uses them again.
    pub ports: BTreeMap<ServicePort, u16>,
    /// Environment variables that make a program use this stack.
    pub variables: BTreeMap<String, String>,
    /// The product's HTTP address, if it runs.
    pub http: Option<String>,
    /// Child processes by name.
    pub processes: BTreeMap<String, ProcessState>,
}

/// One child process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessState {
    /// The process; `None` between its end and a restart.
    pub identity: Option<ProcessIdentity>,
    /// The version that the program reports, or the pinned one.
    pub version: String,
    /// The program's file.
    pub program: PathBuf,
    /// Number of restarts.
    pub restarts: u32,
}

impl StackState {
    /// The state file of a data folder.
    pub fn file_path(data: &Path) -> PathBuf {
        data.join("stack.json")
    }

    /// The lock file that a running stack holds.
    pub fn lock_path(data: &Path) -> PathBuf {
        data.join("stack.lock")
    }

    /// Reads the last state written for a data folder, whether the stack still runs or not.
    pub fn read_last(data: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::file_path(data)).ok()?).ok()
    }

    /// Reads the state of the stack that runs on a data folder now.
    ///
    /// # Errors
    /// If no stack runs on it.
    pub fn read_running(data: &Path) -> anyhow::Result<Self> {
        let held = ProcessLock::is_held(&Self::lock_path(data));
        held.then(|| Self::read_last(data)).flatten().with_context(|| {
            format!(
                "no stack runs on {}: start one with `medhub-local up`, or name its folder with --data",
                data.display()
            )
        })
    }

    /// All running processes of the stack except the supervisor.
    pub fn live_processes(&self) -> Vec<ProcessIdentity> {
        self.processes.values().filter_map(|process| process.identity).filter(|process| process.is_running()).collect()
    }
}

/// The state of the stack that this process supervises; every change is on disk before it returns.
#[derive(Debug)]
pub struct StackStateFile {
    file: PathBuf,
    stack: Mutex<StackState>,
}

impl StackStateFile {
    /// Opens the state file and writes a first state.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn open(data: &Path, stack: StackState) -> anyhow::Result<Self> {
        let state_file = Self { file: StackState::file_path(data), stack: Mutex::new(stack) };
        state_file.update(|_| {})?;
        Ok(state_file)
    }

    /// Changes the state and writes it atomically.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn update(&self, change: impl FnOnce(&mut StackState)) -> anyhow::Result<()> {
        let mut stack = self.stack.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut stack);
        let temporary_file = self.file.with_extension("json.new");
        write_private(&temporary_file, &serde_json::to_vec_pretty(&*stack)?)
            .with_context(|| format!("writing {}", temporary_file.display()))?;
        fs::rename(&temporary_file, &self.file).with_context(|| format!("replacing {}", self.file.display()))
    }

    /// A copy of the state.
    pub fn state(&self) -> StackState {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Writes a file that only its owner may read: the URL of an external engine may contain a password.
fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(content)
}
