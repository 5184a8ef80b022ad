//! The program exists and explains itself. Having a test here makes `cargo test --workspace` build the program that the
//! end-to-end tests run.

use std::process::Command;

#[test]
fn help_names_the_first_commands_that_a_newcomer_needs() {
    let output = Command::new(env!("CARGO_BIN_EXE_medhub-local")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for command in ["demo", "up", "doctor", "fetch", "status", "stop", "medhub"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in:\n{help}");
    }
    assert!(output.status.success());
}
