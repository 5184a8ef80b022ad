//! PostgreSQL: the machine's server programs, or else an npm package's.

use std::{
    cmp::Reverse,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::{EngineProgram, EngineSettings, LaunchSpec, ProgramOrigin};
use crate::{
    artifact::POSTGRES,
    folder,
    process::{ProcessIdentity, UnprivilegedUser, find_on_path, is_executable, read_output, wait_until_ended},
    program_version::{major_version, parse_version},
    service_port::{AllocatedPorts, ServicePort},
};

/// The name of the local superuser and of the database.
pub(super) const USER_AND_DATABASE: &str = "medhub";

/// Required for `xid8` and the lock functions that the event store uses.
const OLDEST_POSTGRES_VERSION: u32 = 14;

const SERVER_SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    // The fence also covers prepared appends; Postgres refuses those by default, and tests need them.
    "max_prepared_transactions=64",
    "shared_buffers=128MB",
    "effective_cache_size=1GB",
    "max_wal_size=2GB",
    "wal_compression=on",
    "random_page_cost=1.1",
    "jit=off",
    "log_min_messages=warning",
    "log_checkpoints=off",
];

pub(super) fn choose_program(settings: &EngineSettings) -> anyhow::Result<EngineProgram> {
    let data_version = fs::read_to_string(settings.folder("postgres").join("PG_VERSION")).ok();
    let data_version = data_version.as_deref().and_then(|text| major_version(text.trim()));
    let mut programs = if settings.cache.use_system { find_installed() } else { Vec::new() };
    let package = EngineProgram {
        path: POSTGRES.folder(&settings.cache).join("native/bin"),
        ..EngineProgram::from_artifact(&POSTGRES, settings)
    };
    programs.push(package);
    match data_version {
        None => programs.into_iter().next(),
        Some(data_version) => {
            programs.into_iter().find(|program| major_version(&program.version) == Some(data_version))
        }
    }
    .with_context(|| {
        format!(
            "the data folder {} was made by PostgreSQL {}, and no server of that version was found: install it, or \
             choose another folder with --data",
            settings.folder("postgres").display(),
            data_version.unwrap_or_default()
        )
    })
}

/// Returns the server programs on `PATH`, then the programs of Debian's packages, newest first.
fn find_installed() -> Vec<EngineProgram> {
    let on_path = find_on_path("postgres").and_then(|program| fs::canonicalize(program).ok());
    let mut folders: Vec<PathBuf> = on_path.iter().filter_map(|program| Some(program.parent()?.to_owned())).collect();
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort_by_key(|folder| {
        Reverse(folder.parent().and_then(Path::file_name).and_then(|name| name.to_str()?.parse::<u32>().ok()))
    });
    folders.extend(debian);
    folders.into_iter().filter_map(inspect_folder).collect()
}

fn inspect_folder(folder: PathBuf) -> Option<EngineProgram> {
    let complete = is_executable(&folder.join("postgres")) && is_executable(&folder.join("initdb"));
    let version = complete.then(|| parse_version(&read_output(&folder.join("postgres"), &["--version"])?)).flatten()?;
    (major_version(&version)? >= OLDEST_POSTGRES_VERSION).then_some(EngineProgram {
        origin: ProgramOrigin::System,
        version,
        path: folder,
        artifacts: Vec::new(),
        java: None,
    })
}

pub(super) async fn prepare_launch(
    choice: &EngineProgram,
    settings: &EngineSettings,
    ports: &AllocatedPorts,
) -> anyhow::Result<LaunchSpec> {
    let data = settings.folder("postgres");
    let user = UnprivilegedUser::find_if_root()?;
    if let Some(user) = &user {
        folder::check_reachable(&data, user)?;
        folder::check_reachable(&choice.path.join("postgres"), user)?;
    }
    if data.join("PG_VERSION").exists() {
        stop_leftover_server(&data).await?;
    } else {
        initialize_folder(choice, &data, user.as_ref()).await?;
    }
    let port = ports.number(ServicePort::Postgres)?.to_string();
    let mut launch = LaunchSpec::new(choice.path.join("postgres")).args(["-D".into(), data.into_os_string()]);
    launch = launch.args(["-p", &port]);
    for setting in SERVER_SETTINGS {
        launch = launch.args(["-c", setting]);
    }
    // A killed server loses nothing without it: the system has what it has written.
    launch = launch.args(["-c", if settings.is_temporary { "fsync=off" } else { "fsync=on" }]);
    // SIGINT is a fast shutdown. SIGQUIT ends the server and its children at once; the next start recovers.
    Ok(LaunchSpec { run_as: user, stop_signal: Signal::SIGINT, orphan_signal: Signal::SIGQUIT, ..launch })
}

/// Creates the database in a temporary folder and renames it, so that the data folder is always complete.
///
/// Nothing is synced to the disk, which would take several times as long: only if the machine crashes before the system has written
/// the files by itself, within half a minute, would they be incomplete. The server syncs what it writes.
async fn initialize_folder(choice: &EngineProgram, data: &Path, user: Option<&UnprivilegedUser>) -> anyhow::Result<()> {
    let staging = data.with_extension("new");
    for stale in [data, staging.as_path()] {
        if stale.exists() {
            fs::remove_dir_all(stale).with_context(|| format!("removing the unfinished {}", stale.display()))?;
        }
    }
    fs::create_dir(&staging).with_context(|| format!("making {}", staging.display()))?;
    fs::set_permissions(&staging, fs::Permissions::from_mode(0o700))?;
    if let Some(user) = user {
        chown(&staging, Some(user.uid), Some(user.gid)).context("changing the owner of the database's folder")?;
    }
    let mut initdb = Command::new(choice.path.join("initdb"));
    initdb.arg("-D").arg(&staging).args(["-U", USER_AND_DATABASE, "--auth=trust", "--encoding=UTF8", "--locale=C"]);
    initdb.arg("--no-sync");
    run_program(&mut initdb, user, None).await?;
    let mut single = Command::new(choice.path.join("postgres"));
    single.args(["--single", "-F"]).arg("-D").arg(&staging).arg("postgres");
    run_program(&mut single, user, Some(&format!("create database {USER_AND_DATABASE}\n"))).await?;
    fs::rename(&staging, data).with_context(|| format!("moving the database to {}", data.display()))
}

async fn run_program(
    command: &mut Command,
    user: Option<&UnprivilegedUser>,
    input: Option<&str>,
) -> anyhow::Result<()> {
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("running {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.unwrap_or_default().as_bytes()).await.with_context(|| format!("writing to {program}"))?;
    }
    let output = child.wait_with_output().await.with_context(|| format!("waiting for {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    bail!("{program} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())
}

/// Stops a server that a killed stack left on this folder. Its lock file names the pid; the command line is compared
/// too, because another process may have that pid now.
async fn stop_leftover_server(data: &Path) -> anyhow::Result<()> {
    let lock = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&lock) else { return Ok(()) };
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
    let runs_on_folder = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("postgres") && line.contains(&*data.to_string_lossy())
    };
    if let Some(server) = pid.filter(runs_on_folder).and_then(ProcessIdentity::from_pid) {
        tracing::warn!(process.pid = server.pid, "stopping a postgres that an earlier stack left running");
        server.send_signal(Signal::SIGQUIT);
        wait_until_ended(&[server]).await;
    }
    match fs::remove_file(&lock) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing the stale {}", lock.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
