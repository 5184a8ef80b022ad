//! The baseline: pgbench with the least equivalent work and as many clients.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use api::config::EngineConfig;
use secrecy::ExposeSecret;
use sqlx::{PgPool, postgres::PgConnectOptions};
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::{AppendBenchError, workload::SampleEvents};
use crate::{BenchFigures, cpu_time};

/// The table of events without its triggers.
const CREATE_TABLE: &str = "create table raw_events (like events including all)";

/// Describes the baseline in the report.
pub(super) const DESCRIPTION: &str = "pgbench -M prepared -j 2, autocommit: select the stream, insert one event, into \
                                      a table like events without triggers";

/// A prepared run of pgbench.
pub(super) struct PgbenchRunner {
    program: PathBuf,
    clients: usize,
    options: PgConnectOptions,
    password: Option<String>,
    script: String,
}

/// Result of a run: its figures, and the mean latency of an event in milliseconds.
pub(super) struct PgbenchRun {
    pub(super) figures: BenchFigures,
    pub(super) mean_ms: f64,
}

impl PgbenchRunner {
    /// Finds the program and creates its table.
    pub(super) async fn prepare(
        config: &EngineConfig,
        pool: &PgPool,
        options: &PgConnectOptions,
        clients: usize,
        sample: &SampleEvents,
    ) -> Result<Self, AppendBenchError> {
        let program = find_pgbench().ok_or(AppendBenchError::NoPgbench)?;
        sqlx::raw_sql(CREATE_TABLE)
            .execute(pool)
            .await
            .map_err(|source| AppendBenchError::Database { doing: "creating pgbench's table", source })?;
        let url = url::Url::parse(config.postgres.url.expose_secret()).ok();
        let password = url.and_then(|url| url.password().map(str::to_owned));
        Ok(Self { program, clients, options: options.clone(), password, script: build_script(sample) })
    }

    /// Runs pgbench for `duration`.
    pub(super) async fn run(&self, duration: Duration) -> Result<PgbenchRun, AppendBenchError> {
        let cpu_before = cpu_time::children_cpu_time();
        let clients = self.clients.to_string();
        let seconds = duration.as_secs().max(1).to_string();
        let port = self.options.get_port().to_string();
        let mut command = Command::new(&self.program);
        command.args(["-n", "-M", "prepared", "-j", "2", "-c", &clients, "-T", &seconds, "-f", "-"]);
        command.args(["-h", self.options.get_host(), "-p", &port, "-U", self.options.get_username()]);
        command.arg(self.options.get_database().unwrap_or_default());
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let run_error = |source| AppendBenchError::RunPgbench { program: self.program.clone(), source };
        let mut child = command.spawn().map_err(run_error)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(self.script.as_bytes()).await.map_err(run_error)?;
        }
        let output = child.wait_with_output().await.map_err(run_error)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let outcome = parse_summary(&text).filter(|_| output.status.success());
        let Some((pairs, pairs_per_s, latency_ms)) = outcome else {
            let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(AppendBenchError::Pgbench { status: output.status, stderr });
        };
        let elapsed = Duration::from_secs_f64(pairs / pairs_per_s);
        let cpu = cpu_time::children_cpu_time().saturating_sub(cpu_before);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count that pgbench printed")]
        let events = (pairs * EVENTS_PER_SCRIPT) as u64;
        Ok(PgbenchRun {
            figures: BenchFigures::new(events, elapsed, cpu, None),
            mean_ms: latency_ms / EVENTS_PER_SCRIPT,
        })
    }
}

const EVENTS_PER_SCRIPT: f64 = 2.0;

/// Builds the script of the workload's pair of commands: discover an opportunity (its stream is empty), then amend it
/// (its stream has one event). Each select and each insert is a round trip, as for any client that decides between the
/// two; the insert commits itself, which is faster than `begin` and `commit` around both.
fn build_script(sample: &SampleEvents) -> String {
    let step = |sequence: u32, event_type: &str, payload: &str| {
        let (payload, metadata) = (quote_json(payload), quote_json(&sample.metadata));
        format!(
            "select sequence, event_type, event_version, payload from raw_events where aggregate_type = 'opportunity' \
             and aggregate_id = 'k' || :id order by sequence;\n\
             insert into raw_events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
             metadata) values ('opportunity', 'k' || :id, {sequence}, '{event_type}', '1.0', {payload}, {metadata});\n"
        )
    };
    let discover = step(1, "opportunity.discovered", &sample.discovered);
    let amend = step(2, "opportunity.amended", &sample.amended);
    format!("\\set id random(1, 9000000000000000000)\n{discover}{amend}")
}

/// Quotes JSON as a literal for pgbench, which treats `:name` as a variable even inside quotes: a space after the colon
/// prevents that, and hardly changes the length.
fn quote_json(json: &str) -> String {
    let mut literal = String::from("'");
    let mut after_colon = false;
    for letter in json.chars() {
        if after_colon && (letter.is_alphanumeric() || letter == '_') {
            literal.push(' ');
        }
        if letter == '\'' {
            literal.push('\'');
        }
        literal.push(letter);
        after_colon = letter == ':';
    }
    literal.push('\'');
    literal
}

/// Parses the number of transactions, the transactions per second, and the mean latency in milliseconds.
fn parse_summary(text: &str) -> Option<(f64, f64, f64)> {
    let number = |prefix: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(prefix))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let tps = number("tps = ").filter(|&tps| tps > 0.0)?;
    Some((number("number of transactions actually processed: ")?, tps, number("latency average = ")?))
}

/// Finds the program on `PATH`, otherwise the newest version of Debian's packages.
fn find_pgbench() -> Option<PathBuf> {
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    debian.reverse();
    std::env::split_paths(&path).chain(debian).map(|folder| folder.join("pgbench")).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_pgbench_is_parsed() {
        let text = "number of clients: 64\nnumber of transactions actually processed: 52327\n\
                    latency average = 9.722 ms\ntps = 6582.732953 (without initial connection time)\n";
        assert_eq!(parse_summary(text), Some((52_327.0, 6_582.732_953, 9.722)));
        assert_eq!(parse_summary("tps = 0.000000 (without initial connection time)\n"), None);
    }

    #[test]
    fn a_quoted_payload_contains_no_pgbench_variable() {
        assert_eq!(quote_json(r#"{"at":"12:30:00","it's":true}"#), r#"'{"at":"12: 30: 00","it''s": true}'"#);
    }
}
