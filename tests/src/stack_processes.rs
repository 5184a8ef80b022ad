//! The processes of a stack, as the kernel reports them.

use std::fs;

use medhub_local::process::ProcessIdentity;

use crate::TestStack;

/// All processes of a stack with their children.
pub fn list_processes(stack: &TestStack) -> Vec<ProcessIdentity> {
    let state = stack.state();
    let live_processes = state.live_processes();
    let children = live_processes.iter().flat_map(|process| process.child_pids()).filter_map(ProcessIdentity::from_pid);
    live_processes.iter().copied().chain(children).chain([state.supervisor]).collect()
}

/// The processes that are still alive.
pub fn filter_running(processes: &[ProcessIdentity]) -> Vec<ProcessIdentity> {
    processes.iter().copied().filter(|process| process.is_running()).collect()
}

/// The command lines of all processes of the machine that contain `text`.
pub fn find_command_lines(text: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(text)).collect()
}
