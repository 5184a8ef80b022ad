//! Processes as the kernel reports them, and a guard that ends a child when its parent dies.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    str::FromStr as _,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;
use nix::{
    sys::{
        prctl,
        signal::{self, Signal},
    },
    unistd::{self, Gid, Pid, Uid, User},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

/// Path of the running program; it stays valid after a newer build has replaced the file.
pub const CURRENT_EXE: &str = "/proc/self/exe";

/// An unprivileged user to run a program as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnprivilegedUser {
    /// Login name, for messages.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl UnprivilegedUser {
    /// The user for a program that refuses to run as root; `None` if this process is not root.
    ///
    /// # Errors
    /// If this process is root and the machine has no unprivileged user.
    pub fn find_if_root() -> anyhow::Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            if let Some(user) = User::from_name(name).with_context(|| format!("looking up the user {name}"))? {
                return Ok(Some(Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
            }
        }
        bail!("Postgres refuses to run as root, and this machine has neither a user `postgres` nor `nobody`")
    }
}

/// Identity of a process: its start time distinguishes it from a later process with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: u32,
    /// Clock ticks between the machine's start and the process's.
    pub started: u64,
}

impl ProcessIdentity {
    /// Reads the process that has this pid now; `None` if there is none, or only a zombie.
    pub fn from_pid(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields = stat_fields(&stat)?;
        (!matches!(fields.first(), Some(&"Z" | &"X"))).then_some(())?;
        Some(Self { pid, started: fields.get(19)?.parse().ok()? })
    }

    /// Whether the process is still running.
    pub fn is_running(self) -> bool {
        Self::from_pid(self.pid) == Some(self)
    }

    /// Sends a signal to the process, if it is still running.
    pub fn send_signal(self, signal: Signal) {
        if let (true, Some(pid)) = (self.is_running(), self.nix_pid()) {
            // The process may have ended meanwhile.
            let _already_ended = signal::kill(pid, signal);
        }
    }

    /// Kills the process and, if it leads a process group, the whole group.
    pub fn kill(self) {
        if let (true, Some(pid)) = (self.is_running(), self.nix_pid()) {
            let _leads_no_group = signal::killpg(pid, Signal::SIGKILL);
            let _already_ended = signal::kill(pid, Signal::SIGKILL);
        }
    }

    fn nix_pid(self) -> Option<Pid> {
        i32::try_from(self.pid).ok().map(Pid::from_raw)
    }

    /// Resident memory of the process and its children, in bytes; shared pages count once if the kernel reports them.
    pub fn memory_bytes(self) -> u64 {
        read_own_memory(self.pid) + child_pids(self.pid).into_iter().map(read_own_memory).sum::<u64>()
    }

    /// The pids of the process's direct children.
    pub fn child_pids(self) -> Vec<u32> {
        child_pids(self.pid)
    }
}

/// The fields of a `/proc/PID/stat` line after the process name, which may contain any character.
fn stat_fields(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace().collect())
}

fn child_pids(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|stat| stat_fields(&stat)?.get(1)?.parse::<u32>().ok())
            .is_some_and(|parent_pid| parent_pid == parent)
    };
    pids.filter(is_child).collect()
}

fn read_own_memory(pid: u32) -> u64 {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    field("smaps_rollup", "Pss:").or_else(|| field("status", "VmRSS:")).unwrap_or(0) * 1024
}

/// Finds a program on `PATH`.
pub fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| is_executable(candidate))
}

/// Whether `path` is a file that may be run.
pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Returns what a program prints on its standard output and standard error; `None` if it cannot be run or fails.
pub fn read_output(program: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output.status.success().then(|| {
        let both = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&both).into_owned()
    })
}

/// Arguments of the hidden `guard` command.
#[derive(Debug, Args)]
pub struct GuardCommand {
    /// The pid of the process that started this one.
    #[arg(long)]
    pub parent: u32,
    /// The signal to send to the program when that process dies.
    #[arg(long)]
    pub signal: String,
    /// Switch to this user before running the program.
    #[arg(long, requires = "gid")]
    pub uid: Option<u32>,
    /// Switch to this group before running the program.
    #[arg(long, requires = "uid")]
    pub gid: Option<u32>,
    /// The program and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub command: Vec<OsString>,
}

impl GuardCommand {
    /// Sets the parent-death signal and replaces this process with the given program.
    ///
    /// Changing the user clears the parent-death signal, so it is set afterwards. If the parent died before that, this
    /// process has another parent, and fails.
    ///
    /// # Errors
    /// If the user cannot be changed, the parent has ended, or the program cannot be run.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if let (Some(uid), Some(gid)) = (self.uid, self.gid) {
            unistd::setgroups(&[]).context("dropping root's groups")?;
            unistd::setgid(Gid::from_raw(gid)).context("switching to the unprivileged group")?;
            unistd::setuid(Uid::from_raw(uid)).context("switching to the unprivileged user")?;
        }
        let signal = Signal::from_str(&self.signal).context("reading the name of the signal")?;
        prctl::set_pdeathsig(signal).context("setting the parent-death signal")?;
        if u32::try_from(unistd::getppid().as_raw()).ok() != Some(self.parent) {
            bail!("the parent process has ended");
        }
        let Some((program, args)) = self.command.split_first() else { bail!("no program given") };
        let error = Command::new(program).args(args).exec();
        Err(error).with_context(|| format!("running {}", program.display()))
    }
}

/// Waits until the processes have ended; kills the remaining ones after ten seconds.
pub(crate) async fn wait_until_ended(processes: &[ProcessIdentity]) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while processes.iter().any(|process| process.is_running()) {
        if Instant::now() > deadline {
            for process in processes {
                process.kill();
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}
