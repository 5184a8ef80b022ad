//! Output of the command line: results to standard output, messages and errors to standard error.

use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Exit code after SIGPIPE, by convention of the shell: the reader of standard output has exited.
const BROKEN_PIPE_EXIT_CODE: u8 = 128 + 13;

/// Writes a result to standard output, with a line break at its end, and flushes.
///
/// # Errors
/// When standard output cannot be written to, for example because its reader has exited.
pub(super) fn print_result(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Writes a message to standard error.
pub(super) fn print_message(text: &str) {
    // A closed standard error cannot be reported anywhere.
    let _closed = writeln!(io::stderr(), "{text}");
}

/// Prints help or a usage error.
pub(super) fn print_usage(usage: &clap::Error) -> ExitCode {
    match usage.print() {
        Ok(()) => ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2)),
        Err(_closed) => ExitCode::from(BROKEN_PIPE_EXIT_CODE),
    }
}

/// Prints the error of a command, then each cause on its own line. A broken pipe is not printed.
pub(super) fn print_failure(error: &anyhow::Error) -> ExitCode {
    let is_broken_pipe = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe);
    if is_broken_pipe {
        return ExitCode::from(BROKEN_PIPE_EXIT_CODE);
    }
    print_message(&format_error_chain(error));
    ExitCode::FAILURE
}

fn format_error_chain(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Some libraries repeat the cause in their own message.
        if !last.ends_with(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause.replace('\n', "\n           "));
        }
        last = cause;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_printed_once_on_its_own_line() {
        let error =
            anyhow::anyhow!("connection refused").context("connecting: connection refused").context("importing");
        assert_eq!(format_error_chain(&error), "error: importing\n  because: connecting: connection refused");
    }
}
