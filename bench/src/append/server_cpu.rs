//! CPU time of a Postgres server on this machine.

use std::{fs, time::Duration};

use sqlx::PgPool;

/// A server whose processes are visible in `/proc`.
#[derive(Debug, Clone, Copy)]
pub(super) struct PostgresServer {
    postmaster: u32,
    ticks_per_second: u64,
}

/// The fields of `/proc/<pid>/stat` that are used.
struct ProcessStat {
    parent: u32,
    /// CPU time of the process and of its ended children, in ticks.
    ticks: u64,
    is_postgres: bool,
}

impl PostgresServer {
    /// Finds the server behind `pool`; `None` if it runs on another machine.
    pub(super) async fn from_pool(pool: &PgPool) -> Option<Self> {
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(pool).await.ok()?;
        let backend = read_process_stat(u32::try_from(backend).ok()?).filter(|stat| stat.is_postgres)?;
        read_process_stat(backend.parent).filter(|stat| stat.is_postgres)?;
        let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
        Some(Self { postmaster: backend.parent, ticks_per_second: u64::try_from(ticks).ok().filter(|&t| t > 0)? })
    }

    /// Returns the CPU time so far of all processes of the server.
    pub(super) fn cpu_time(self) -> Duration {
        let processes = fs::read_dir("/proc").map_or_else(|_| Vec::new(), |entries| entries.flatten().collect());
        let stats = processes.iter().filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = read_process_stat(pid)?;
            (pid == self.postmaster || stat.parent == self.postmaster).then_some(stat.ticks)
        });
        Duration::from_millis(stats.sum::<u64>() * 1_000 / self.ticks_per_second)
    }
}

fn read_process_stat(pid: u32) -> Option<ProcessStat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may contain any character; the numbers follow the last closing one.
    let (name, numbers) = text.rsplit_once(')')?;
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    let number = |index: usize| numbers.get(index).and_then(|text| text.parse::<u64>().ok());
    Some(ProcessStat {
        parent: u32::try_from(number(1)?).ok()?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        is_postgres: name.contains("postgres"),
    })
}
