//! What the child process can reach, and how it ends.

use std::{
    fmt::Write as _,
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use documents::{
    ExtractionConfig, ExtractionFailureKind, ExtractionLimits, ExtractionProcess, ExtractionProgram, ExtractionRequest,
    FaultOrigin,
};
use nix::{
    errno::Errno,
    libc,
    sys::{signal::killpg, stat::Mode},
    unistd::{Pid, mkfifo},
};
use tempfile::TempDir;

use crate::{config_with, extraction_program, pdf_builder::image_pdf};

pub(crate) fn write_script(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// A script in the place of tesseract tries what an attacker would try, and what it prints becomes the text.
#[tokio::test]
async fn what_reads_a_file_reaches_neither_network_nor_secrets_nor_other_processes() {
    let folder = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "hunter2").unwrap();
    fs::create_dir(folder.path().join("bin")).unwrap();
    let program = folder.path().join("bin/tesseract");
    let script = format!(
        "#!/bin/bash\n\
         echo \"variables: $(compgen -e | sort | tr '\\n' ' ')\"\n\
         (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo 'network: yes' || echo 'network: no'\n\
         cat {secret} 2>/dev/null || echo 'secret: no'\n\
         cat /proc/{pid}/environ >/dev/null 2>&1 && echo 'environment: yes' || echo 'environment: no'\n\
         kill -0 {pid} 2>/dev/null && echo 'signals: yes' || echo 'signals: no'\n\
         echo \"limits: $(ulimit -v) $(ulimit -c) $(ulimit -t) $(ulimit -n)\"\n\
         echo \"folder: $PWD\"\n",
        port = listener.local_addr().unwrap().port(),
        secret = secret.display(),
        pid = std::process::id(),
    );
    write_script(&program, &script);
    let file = folder.path().join("scan.pdf");
    fs::write(&file, image_pdf(100, &[0; 10_000])).unwrap();
    let config = ExtractionConfig { tesseract: program, ..config_with(ExtractionLimits::default()) };
    let text = ExtractionProcess::new(extraction_program(), config).extract(&file, "scan.pdf").await.unwrap();
    let lines: Vec<&str> = text.pages[0].text.lines().collect();
    let variables = lines[0].strip_prefix("variables: ").unwrap();
    for variable in variables.split_whitespace() {
        let known = [
            "LC_ALL",
            "MIMALLOC_ARENA_EAGER_COMMIT",
            "MIMALLOC_ARENA_RESERVE",
            "OLDPWD",
            "OMP_THREAD_LIMIT",
            "PATH",
            "PWD",
            "SHLVL",
            "TMPDIR",
            "_",
        ];
        assert!(known.contains(&variable), "{variable}");
    }
    assert_eq!(lines[1..5], ["network: no", "secret: no", "environment: no", "signals: no"]);
    assert_eq!(lines[5], "limits: 1048576 0 30 64");
    let temporary = lines[6].strip_prefix("folder: ").unwrap();
    assert!(temporary.contains("medhub-extraction-") && !Path::new(temporary).exists(), "{temporary}");
}

/// Signals to other processes of the extraction stand for those to strangers, which new kernels forbid by Landlock, too.
#[tokio::test]
async fn what_reads_a_file_cannot_leave_its_group_nor_signal_or_limit_single_processes() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("bin")).unwrap();
    let program = folder.path().join("bin/tesseract");
    let calls = [
        ("kill", libc::SYS_kill, "getppid(), 0"),
        ("tkill", libc::SYS_tkill, "getppid(), 0"),
        ("tgkill", libc::SYS_tgkill, "getppid(), getppid(), 0"),
        ("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, "getppid(), 0, $info"),
        ("rt_tgsigqueueinfo", libc::SYS_rt_tgsigqueueinfo, "getppid(), getppid(), 0, $info"),
        ("prlimit64", libc::SYS_prlimit64, "getppid(), 7, 0, $info"),
        ("setsid", libc::SYS_setsid, ""),
        ("setpgid", libc::SYS_setpgid, "0, 0"),
        ("own prlimit64", libc::SYS_prlimit64, "0, 7, 0, $info"),
    ];
    // The information on a signal says that it is from a queue.
    let mut script = "#!/usr/bin/perl\nmy $info = pack('l3 x116', 0, 0, -1);\n".to_owned();
    for (name, number, arguments) in calls {
        let call = format!("syscall({number}, {arguments})");
        writeln!(script, "print '{name}: ', {call} == -1 ? 'error ' . ($! + 0) : 'done', \"\\n\";").unwrap();
    }
    write_script(&program, &script);
    let file = folder.path().join("scan.pdf");
    fs::write(&file, image_pdf(100, &[0; 10_000])).unwrap();
    let config = ExtractionConfig { tesseract: program, ..config_with(ExtractionLimits::default()) };
    let text = ExtractionProcess::new(extraction_program(), config).extract(&file, "scan.pdf").await.unwrap();
    let forbidden = format!("error {}", Errno::EPERM as i32);
    let outcome = |(name, ..): &(&str, _, _)| {
        let outcome = if *name == "own prlimit64" { "done" } else { forbidden.as_str() };
        format!("{name}: {outcome}")
    };
    assert_eq!(text.pages[0].text.lines().collect::<Vec<_>>(), calls.iter().map(outcome).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_page_that_takes_character_recognition_too_long_is_the_files_fault() {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("tesseract");
    write_script(&program, "#!/bin/sh\nwhile :; do :; done\n");
    let file = folder.path().join("scan.pdf");
    fs::write(&file, image_pdf(100, &[0; 10_000])).unwrap();
    let limits = ExtractionLimits { ocr_page_cpu_seconds: 1, ..ExtractionLimits::default() };
    let config = ExtractionConfig { tesseract: program, ..config_with(limits) };
    let failure = ExtractionProcess::new(extraction_program(), config).extract(&file, "scan.pdf").await.unwrap_err();
    assert_eq!((failure.kind, failure.kind.origin()), (ExtractionFailureKind::Damaged, FaultOrigin::File));
    let expected = "character recognition failed at page 1: reading the image takes more than 1 seconds of computing";
    assert_eq!(failure.reason, expected);
}

fn shell(script: &str) -> ExtractionProgram {
    ExtractionProgram::new("/bin/sh".into(), ["-c".into(), script.into()])
}

async fn run_shell(script: &str) -> documents::ExtractionFailure {
    let limits = ExtractionLimits { wall_clock_seconds: 1, max_text_bytes: 10_000, ..ExtractionLimits::default() };
    let config = ExtractionConfig { limits, ..ExtractionConfig::default() };
    ExtractionProcess::new(shell(script), config).extract(Path::new("/dev/null"), "rfp.pdf").await.unwrap_err()
}

#[tokio::test]
async fn a_process_that_does_not_end_is_killed_with_all_that_it_started() {
    let folder = TempDir::new().unwrap();
    let group = folder.path().join("group");
    let started = Instant::now();
    let failure = run_shell(&format!("echo $$ > {}; sleep 60 & wait", group.display())).await;
    assert_eq!(failure.kind, ExtractionFailureKind::TimeExceeded);
    assert_eq!(failure.reason, "reading the file was not finished after 1 seconds; split it");
    assert_eq!(failure.kind.origin(), FaultOrigin::File, "another attempt would take as long");
    assert!(started.elapsed() < Duration::from_secs(3));
    let group = Pid::from_raw(fs::read_to_string(group).unwrap().trim().parse().unwrap());
    // The killed `sleep` may be waiting for init to reap it.
    let deadline = Instant::now() + Duration::from_secs(5);
    while killpg(group, None) != Err(Errno::ESRCH) {
        assert!(Instant::now() < deadline, "{group} is alive");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn ends_without_a_report_are_distinguished() {
    let failure = run_shell("yes").await;
    assert_eq!(failure.kind, ExtractionFailureKind::TooLarge);
    assert_eq!(run_shell("kill -SEGV $$").await.kind, ExtractionFailureKind::MemoryExceeded);
    assert_eq!(run_shell("kill -XCPU $$").await.kind, ExtractionFailureKind::CpuTimeExceeded);
    let failure = run_shell("kill -KILL $$").await;
    assert_eq!(
        (failure.kind, failure.reason.as_str()),
        (ExtractionFailureKind::Interrupted, "the extraction was ended by SIGKILL")
    );
    let failure = run_shell("echo broken >&2; exit 3").await;
    assert_eq!(failure.reason, "the extraction ended with exit status: 3: broken");
    let missing =
        ExtractionProcess::new(ExtractionProgram::new("/nonexistent".into(), []), ExtractionConfig::default());
    let failure = missing.extract(Path::new("/dev/null"), "rfp.pdf").await.unwrap_err();
    assert!(failure.reason.starts_with("the extraction cannot be started: "), "{failure}");
}

#[tokio::test]
async fn missing_tools_are_named_with_the_package_that_has_them() {
    let file = TempDir::new().unwrap();
    let path = file.path().join("scan.pdf");
    fs::write(&path, image_pdf(100, &[0; 10_000])).unwrap();
    let config = ExtractionConfig { tesseract: "no-such-program".into(), ..config_with(ExtractionLimits::default()) };
    let failure = ExtractionProcess::new(extraction_program(), config).extract(&path, "scan.pdf").await.unwrap_err();
    assert_eq!(failure.kind, ExtractionFailureKind::ToolMissing);
    assert!(failure.reason.contains("install the Debian package tesseract-ocr"), "{failure}");
    let config = ExtractionConfig::default();
    let failure = ExtractionProcess::new(extraction_program(), config).extract(&path, "scan.pdf").await.unwrap_err();
    assert_eq!(failure.kind, ExtractionFailureKind::ToolMissing);
    assert!(failure.reason.contains("the PyPI package pypdfium2"), "{failure}");
}

/// The file is a pipe without a writer, so that the process waits; then its parent's end of standard input closes.
#[test]
fn the_child_process_ends_with_its_parent() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("pipe");
    mkfifo(&file, Mode::S_IRWXU).unwrap();
    let request = ExtractionRequest {
        file,
        file_name: "rfp.pdf".to_owned(),
        folder: folder.path().to_owned(),
        config: ExtractionConfig::default(),
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_extract_text"));
    command.arg(serde_json::to_string(&request).unwrap()).stdin(Stdio::piped());
    let mut child = std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn().unwrap();
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}
