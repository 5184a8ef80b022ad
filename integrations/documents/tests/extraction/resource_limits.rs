//! Processes and temporary files of an extraction are limited, and kernels that cannot confine it are noticed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use documents::{
    ExtractedText, ExtractionConfig, ExtractionFailure, ExtractionFailureKind, ExtractionLimits, ExtractionProcess,
    ExtractionProgram, FaultOrigin, check_confinement,
};
use nix::{errno::Errno, libc};
use tempfile::TempDir;

use crate::{
    config_with,
    confinement::write_script,
    extraction_program,
    pdf_builder::{image_pdf, text_pdf},
};

/// Reads a scanned page with a script in the place of tesseract.
async fn run_script(script: &str) -> Result<ExtractedText, ExtractionFailure> {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("bin")).unwrap();
    let program = folder.path().join("bin/tesseract");
    write_script(&program, script);
    let file = folder.path().join("scan.pdf");
    fs::write(&file, image_pdf(100, &[0; 10_000])).unwrap();
    // Temporary files are as large as the image of a page, 24 MB.
    let limits = ExtractionLimits { max_file_bytes: 1 << 20, ..ExtractionLimits::default() };
    let config = ExtractionConfig { tesseract: program, ..config_with(limits) };
    ExtractionProcess::new(extraction_program(), config).extract(&file, "scan.pdf").await
}

/// Scripts end by themselves after a minute, and then the file has no text.
async fn expect_excess(script: &str, expected: &str) {
    let failure = run_script(script).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.kind.origin()),
        (ExtractionFailureKind::ResourcesExceeded, FaultOrigin::File),
        "{failure}"
    );
    assert!(failure.reason.contains(expected), "{failure}");
}

#[tokio::test]
async fn a_file_that_starts_many_processes_or_writes_many_files_is_stopped() {
    let processes = "#!/bin/sh\nfor i in $(seq 60); do sleep 60 & done; wait\n";
    let files = "#!/bin/sh\nfor i in $(seq 60); do : > $TMPDIR/$i; done; sleep 60\n";
    let bytes = "#!/bin/sh\nfor i in 1 2 3; do head -c 20000000 /dev/urandom > $TMPDIR/$i; done; sleep 60\n";
    tokio::join!(
        expect_excess(processes, "more than 32 processes"),
        expect_excess(files, "more than 16 temporary files"),
        expect_excess(bytes, "bytes of temporary files"),
    );
}

#[tokio::test]
async fn the_folder_takes_plain_files_only() {
    let script = "#!/bin/sh\nmkdir $TMPDIR/d 2>/dev/null && echo folder\nln -s / $TMPDIR/l 2>/dev/null && echo link\n\
                  mkfifo $TMPDIR/p 2>/dev/null && echo pipe\n: > $TMPDIR/f && echo file\n";
    assert_eq!(run_script(script).await.unwrap().pages[0].text, "file");
}

/// A program that starts another one as on a kernel that lacks a system call, and hands its last argument over.
fn without_call(call: libc::c_long, program: &Path) -> ExtractionProgram {
    let script = format!(
        "my $filter = pack('SCCL', 0x20, 0, 0, 0) . pack('SCCL', 0x15, 0, 1, {call}) \
                    . pack('SCCL', 6, 0, 0, 0x50000 | {missing}) . pack('SCCL', 6, 0, 0, 0x7fff0000); \
         my $program = pack('S x6 P', 4, $filter); \
         syscall({prctl}, 38, 1, 0, 0, 0) == 0 or die $!; \
         syscall({prctl}, 22, 2, $program) == 0 or die $!; exec @ARGV or die $!",
        missing = Errno::ENOSYS as i32,
        prctl = libc::SYS_prctl,
    );
    ExtractionProgram::new("/usr/bin/perl".into(), ["-e".into(), script.into(), program.into()])
}

#[tokio::test]
async fn a_kernel_without_landlock_reads_files_unless_confinement_is_required() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("rfp.pdf");
    fs::write(&file, text_pdf(&[vec!["The contractor shall deliver."]])).unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_extract_text"));
    let old_kernel = without_call(libc::SYS_landlock_create_ruleset, &program);
    let config = config_with(ExtractionLimits::default());
    let extract = async |program: &ExtractionProgram, config: &ExtractionConfig| {
        ExtractionProcess::new(program.clone(), config.clone()).extract(&file, "rfp.pdf").await
    };
    assert_eq!(extract(&old_kernel, &config).await.unwrap().pages.len(), 1);
    let required = ExtractionConfig { require_confinement: true, ..config.clone() };
    assert_eq!(extract(&extraction_program(), &required).await.unwrap().pages.len(), 1);
    let failure = extract(&old_kernel, &required).await.unwrap_err();
    assert_eq!(failure.kind.origin(), FaultOrigin::Service, "{failure}");
    assert!(failure.reason.contains("the kernel has no Landlock"), "{failure}");
    // Without a filter of system calls no file is read at all.
    let failure = extract(&without_call(libc::SYS_seccomp, &program), &config).await.unwrap_err();
    assert_eq!(failure.kind.origin(), FaultOrigin::Service, "{failure}");
    assert!(failure.reason.contains("forbidding system calls"), "{failure}");
}

#[test]
fn this_kernel_confines_and_the_check_leaves_the_process_as_it_was() {
    let checked = check_confinement();
    let names: Vec<_> = checked.iter().map(|status| status.name).collect();
    assert_eq!(names, ["landlock", "seccomp"]);
    assert!(checked.iter().all(|status| status.problem.is_none()), "{checked:?}");
    assert!(std::net::TcpListener::bind("127.0.0.1:0").is_ok() && fs::read_dir("/proc").is_ok());
}
