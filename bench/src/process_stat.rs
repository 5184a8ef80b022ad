//! CPU time of other processes, and of the whole machine, from `/proc`.

use std::{ffi::OsStr, fs, path::Path, time::Duration};

/// How many words of a command line of `medhub` are part of a program's name: one program has many roles.
const NAMED_WORDS: usize = 2;

/// The fields of `/proc/<pid>/stat` that are used.
pub(crate) struct ProcessStat {
    /// Name of the program.
    pub(crate) name: String,
    /// Id of the parent.
    pub(crate) parent: u32,
    /// CPU time of the process and of its ended children, in ticks.
    ticks: u64,
}

/// Duration of the ticks in which the kernel counts CPU time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTicks {
    per_second: u64,
}

impl CpuTicks {
    /// Returns `None` if the system does not count in ticks.
    pub(crate) fn detect() -> Option<Self> {
        let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
        Some(Self { per_second: u64::try_from(ticks).ok().filter(|&ticks| ticks > 0)? })
    }

    /// Returns the CPU time of processes.
    pub(crate) fn sum_cpu_time(self, stats: impl Iterator<Item = ProcessStat>) -> Duration {
        self.to_duration(stats.map(|stat| stat.ticks).sum())
    }

    /// Returns how long the machine's cores were busy since its start; `None` if it is not known.
    pub(crate) fn machine_busy_time(self) -> Option<Duration> {
        parse_busy_ticks(&fs::read_to_string("/proc/stat").ok()?).map(|ticks| self.to_duration(ticks))
    }

    fn to_duration(self, ticks: u64) -> Duration {
        Duration::from_millis(ticks * 1_000 / self.per_second)
    }
}

/// Reads the figures of a process; `None` if it does not exist.
pub(crate) fn read_process_stat(pid: u32) -> Option<ProcessStat> {
    parse_process_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// A process of this machine.
pub(crate) struct ListedProcess {
    pub(crate) id: u32,
    /// Name of its program; for `medhub` with the words of its command, such as `medhub-local engine clickhouse`.
    pub(crate) program_name: String,
    pub(crate) stat: ProcessStat,
}

/// Lists the processes of this machine; none where there is no `/proc`.
pub(crate) fn list_processes() -> impl Iterator<Item = ListedProcess> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| {
        let stat = read_process_stat(id)?;
        let command_line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        // A program that was started as `/proc/self/exe` is named `exe`.
        let file = fs::read_link(format!("/proc/{id}/exe")).ok().filter(|_| stat.name == "exe");
        let file = file.as_deref().and_then(Path::file_name).and_then(OsStr::to_str);
        let program_name = build_program_name(file.unwrap_or(&stat.name), &command_line);
        Some(ListedProcess { id, program_name, stat })
    })
}

fn build_program_name(name: &str, command_line: &[u8]) -> String {
    if !name.starts_with("medhub") {
        return name.to_owned();
    }
    let arguments = command_line.split(|byte| *byte == 0).skip(1).filter_map(|bytes| std::str::from_utf8(bytes).ok());
    let is_word = |text: &&str| text.starts_with(char::is_alphabetic) && text.chars().all(char::is_alphanumeric);
    let words: Vec<&str> = std::iter::once(name).chain(arguments.filter(is_word).take(NAMED_WORDS)).collect();
    words.join(" ")
}

fn parse_process_stat(text: &str) -> Option<ProcessStat> {
    // The name is in parentheses and may contain any character; the numbers follow the last closing one.
    let (name, numbers) = text.rsplit_once(')')?;
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    let number = |index: usize| numbers.get(index).and_then(|text| text.parse::<u64>().ok());
    Some(ProcessStat {
        name: name.split_once('(')?.1.to_owned(),
        parent: u32::try_from(number(1)?).ok()?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
    })
}

/// Sums up user, nice, system, irq, softirq and steal of the line of all cores.
fn parse_busy_ticks(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|text| text.parse().ok()).collect();
    let busy = [0, 1, 2, 5, 6, 7].map(|index| ticks.get(index).copied());
    busy.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_many_roles_is_named_with_its_command() {
        let line = b"medhub-local\0engine\0clickhouse\0--listen\x00127.0.0.1:1\0";
        assert_eq!(build_program_name("medhub-local", line), "medhub-local engine clickhouse");
        assert_eq!(build_program_name("medhub-local", b"medhub-local\0--data\0/tmp/x\0up\0"), "medhub-local up");
        assert_eq!(build_program_name("java", b"java\0kafka\0"), "java");
    }

    #[test]
    fn ticks_are_read_from_the_files_of_the_kernel() {
        let stat = parse_process_stat("7 (a) b) S 3 7 7 0 -1 0 0 0 0 0 10 20 30 40 20 0").unwrap();
        assert_eq!((stat.name.as_str(), stat.parent, stat.ticks), ("a) b", 3, 100));
        assert_eq!(parse_busy_ticks("cpu  1 2 4 100 200 8 16 32 0 0\ncpu0 1 1\n"), Some(63));
        assert_eq!(parse_busy_ticks("intr 1\n"), None);
    }
}
