//! Tests the program's help text. Because of this test `cargo test --workspace` builds the program, which the
//! end-to-end tests run.

use std::process::Command;

#[test]
fn help_lists_the_basic_commands() {
    let output = Command::new(env!("CARGO_BIN_EXE_medhub-local")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for command in ["demo", "up", "doctor", "fetch", "status", "stop", "medhub"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in:\n{help}");
    }
    assert!(output.status.success());
}
