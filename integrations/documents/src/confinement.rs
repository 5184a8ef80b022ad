//! Confines this process before it opens a stranger's file: memory, time, files, network, and access to other
//! processes. What it starts inherits all of it.

use std::{collections::BTreeMap, path::Path};

use landlock::{
    ABI, Access, AccessFs, AccessNet, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, make_bitflags, path_beneath_rules,
};
use nix::{
    libc,
    sys::resource::{Resource, setrlimit},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::{ExtractionError, ExtractionRequest};

/// The most files that each process may have open.
const MAX_OPEN_FILES: u64 = 64;

/// How long after the longest limit of time a process is killed that ignores the signal of its limit of CPU time.
const CPU_GRACE_SECONDS: u64 = 5;

/// The newest interface of Landlock that is used; older kernels restrict less.
const LANDLOCK_VERSION: ABI = ABI::V6;

/// Why files cannot be restricted.
const NO_LANDLOCK: &str = "the kernel has no Landlock (Linux 5.13 and newer have it, unless it is disabled)";

/// Folders with programs, libraries and their data.
const PROGRAM_FOLDERS: [&str; 9] =
    ["/usr", "/lib", "/lib64", "/bin", "/opt", "/nix/store", "/etc/ld.so.cache", "/dev/null", "/dev/urandom"];

/// System calls that text extraction does not need: network, other processes, and administration of the system.
const FORBIDDEN_CALLS: [libc::c_long; 39] = [
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    // Does by itself what other calls do.
    libc::SYS_io_uring_setup,
    // Signals to single threads and processes, which only Linux 6.12 lets Landlock confine. `abort` ends by an invalid
    // instruction instead.
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    // Outside of its process group a process would outlive the extraction.
    libc::SYS_setsid,
    libc::SYS_setpgid,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_by_handle_at,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_sethostname,
    libc::SYS_setpriority,
];

/// Confines this process to what the request needs.
///
/// # Errors
/// [`ExtractionError::Confinement`]: the file must not be opened then.
pub(crate) fn confine_process(request: &ExtractionRequest) -> Result<(), ExtractionError> {
    let error = |step| move |detail: String| ExtractionError::Confinement { step, detail };
    set_limits(request).map_err(|errno| errno.to_string()).map_err(error("setting limits"))?;
    let status = restrict_files(request).map_err(|cause| cause.to_string()).map_err(error("restricting files"))?;
    if request.config.require_confinement && status.ruleset == RulesetStatus::NotEnforced {
        return Err(error("restricting files")(format!("{NO_LANDLOCK}, and the setting require_confinement is on")));
    }
    forbid_calls().map_err(error("forbidding system calls"))
}

fn set_limits(request: &ExtractionRequest) -> nix::Result<()> {
    let limits = &request.config.limits;
    let largest_file = limits.largest_temporary_file();
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_NOFILE, MAX_OPEN_FILES, MAX_OPEN_FILES)?;
    setrlimit(Resource::RLIMIT_FSIZE, largest_file, largest_file)?;
    // tesseract may have more, when it reads a file of many pages.
    let longest = limits.cpu_seconds.max(limits.wall_clock_seconds).saturating_add(CPU_GRACE_SECONDS);
    setrlimit(Resource::RLIMIT_CPU, limits.cpu_seconds, longest)?;
    // The number of processes is not limited here: the system counts all processes of the user, so that other programs
    // would use up the limit, and does not apply it to root. `ExtractionWatch` counts the processes of the group.
    setrlimit(Resource::RLIMIT_AS, limits.memory_bytes, limits.memory_bytes)
}

/// Other files cannot be opened: no configuration, no secrets of the worker in `/proc`. The folder takes plain files only.
fn restrict_files(request: &ExtractionRequest) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::from_read(LANDLOCK_VERSION);
    let own = make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | MakeReg | RemoveFile | Truncate});
    let tesseract = request.config.tesseract.parent().filter(|folder| folder.is_absolute());
    let readable = PROGRAM_FOLDERS.iter().map(Path::new).chain(request.config.pdfium_dir.as_deref()).chain(tesseract);
    create_ruleset()?
        .add_rules(path_beneath_rules(readable, read))?
        .add_rules(path_beneath_rules([&request.file], read))?
        .add_rules(path_beneath_rules([&request.folder], own))?
        .restrict_self()
}

/// Rules that forbid all files, networks and signals, as far as the kernel can.
fn create_ruleset() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK_VERSION))?
        .handle_access(AccessNet::from_all(LANDLOCK_VERSION))?
        .scope(Scope::from_all(LANDLOCK_VERSION))?
        .create()
}

/// Confines the calling thread, and says what is missing; the thread can do nothing else afterwards.
pub(crate) fn try_confinement() -> [Result<(), String>; 2] {
    let files = create_ruleset().and_then(RulesetCreated::restrict_self).map_err(|error| error.to_string());
    let files = files.and_then(|status| match status.ruleset {
        RulesetStatus::NotEnforced => Err(NO_LANDLOCK.to_owned()),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    });
    [files, forbid_calls()]
}

fn forbid_calls() -> Result<(), String> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = FORBIDDEN_CALLS.iter().map(|call| (*call, vec![])).collect();
    let not_zero = || {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, 0)
            .and_then(|condition| SeccompRule::new(vec![condition]))
            .map_err(|error| error.to_string())
    };
    // Signals to the own process group are allowed: they end the extraction.
    rules.insert(libc::SYS_kill, vec![not_zero()?]);
    // Limits of this process only.
    rules.insert(libc::SYS_prlimit64, vec![not_zero()?]);
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let architecture =
        std::env::consts::ARCH.try_into().map_err(|error: seccompiler::BackendError| error.to_string())?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, architecture);
    let program: BpfProgram =
        filter.and_then(TryInto::try_into).map_err(|error: seccompiler::BackendError| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}
