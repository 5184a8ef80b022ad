//! The output of a command.

use std::process::Output;

use serde_json::Value;

/// Standard output and then standard error, as text.
pub fn output_text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Standard output, parsed as one JSON value per line.
///
/// # Panics
/// If a line is not JSON.
pub fn json_lines(output: &Output) -> Vec<Value> {
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
}
