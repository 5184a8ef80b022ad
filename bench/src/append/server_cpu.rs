//! CPU time of a Postgres server on this machine.

use std::{fs, time::Duration};

use sqlx::PgPool;

use crate::process_stat::{CpuTicks, ProcessStat, read_process_stat};

/// A server whose processes are visible in `/proc`.
#[derive(Debug, Clone, Copy)]
pub(super) struct PostgresServer {
    postmaster: u32,
    ticks: CpuTicks,
}

impl PostgresServer {
    /// Finds the server behind `pool`; `None` if it runs on another machine.
    pub(super) async fn from_pool(pool: &PgPool) -> Option<Self> {
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(pool).await.ok()?;
        let is_postgres = |stat: &ProcessStat| stat.name.contains("postgres");
        let backend = read_process_stat(u32::try_from(backend).ok()?).filter(is_postgres)?;
        read_process_stat(backend.parent).filter(is_postgres)?;
        Some(Self { postmaster: backend.parent, ticks: CpuTicks::detect()? })
    }

    /// Returns the CPU time so far of all processes of the server.
    pub(super) fn cpu_time(self) -> Duration {
        let processes = fs::read_dir("/proc").map_or_else(|_| Vec::new(), |entries| entries.flatten().collect());
        let stats = processes.iter().filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = read_process_stat(pid)?;
            (pid == self.postmaster || stat.parent == self.postmaster).then_some(stat)
        });
        self.ticks.sum_cpu_time(stats)
    }
}
