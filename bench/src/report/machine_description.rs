//! The machine that a benchmark ran on.

use std::{fs, thread};

use serde::{Deserialize, Serialize};

/// Memory may differ by this share between two starts of one machine.
const MEMORY_TOLERANCE: f64 = 0.03;

/// Processor, memory and system of a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineDescription {
    /// Cores that this process may use.
    pub cores: usize,
    /// Model of the processor; empty if it is not known.
    pub processor: String,
    /// Memory in MiB; 0 if it is not known.
    pub memory_mib: u64,
    /// Name and version of the kernel.
    pub kernel: String,
    /// Mean number of processes that ran or wanted to run in the minute before the start; `None` if it is not known. A
    /// figure of a busy machine says little.
    pub load_at_start: Option<f64>,
}

impl MachineDescription {
    /// Describes this machine.
    pub fn detect() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        Self {
            cores: thread::available_parallelism().map_or(0, usize::from),
            processor: find_value(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            memory_mib: parse_memory_mib(&read("/proc/meminfo")).unwrap_or_default(),
            kernel: format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim()).trim().to_owned(),
            load_at_start: read("/proc/loadavg").split_whitespace().next().and_then(|load| load.parse().ok()),
        }
    }

    /// Describes how `other` differs from this machine; `None` if figures of both may be compared. The kernel and the
    /// load may differ.
    pub fn find_difference(&self, other: &Self) -> Option<String> {
        if self.cores != other.cores {
            return Some(format!("{} cores and {} cores", self.cores, other.cores));
        }
        if self.processor != other.processor {
            return Some(format!("processor {:?} and {:?}", self.processor, other.processor));
        }
        let (smaller, larger) = (self.memory_mib.min(other.memory_mib), self.memory_mib.max(other.memory_mib));
        #[expect(clippy::cast_precision_loss, reason = "sizes of memory are far below 2^52 MiB")]
        let is_same = (larger - smaller) as f64 <= larger as f64 * MEMORY_TOLERANCE;
        (!is_same).then(|| format!("{} MiB and {} MiB of memory", self.memory_mib, other.memory_mib))
    }
}

/// Returns the value of the first line `name : value`.
fn find_value(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn parse_memory_mib(meminfo: &str) -> Option<u64> {
    let total = find_value(meminfo, "MemTotal")?;
    let kib: u64 = total.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_processor_are_read_from_the_files_of_the_kernel() {
        assert_eq!(parse_memory_mib("MemTotal:       24689876 kB\nMemFree: 1 kB\n"), Some(24_111));
        assert_eq!(parse_memory_mib("MemFree: 1 kB\n"), None);
        let cpuinfo = "processor\t: 0\nmodel name\t: A Processor: B\n\nprocessor\t: 1\n";
        assert_eq!(find_value(cpuinfo, "model name").as_deref(), Some("A Processor: B"));
    }

    #[test]
    fn machines_differ_in_cores_processor_and_memory_only() {
        let machine = MachineDescription {
            cores: 2,
            processor: "A".to_owned(),
            memory_mib: 24_000,
            kernel: "linux 6.1".to_owned(),
            load_at_start: Some(0.1),
        };
        let restarted = MachineDescription {
            memory_mib: 23_900,
            kernel: "linux 6.2".to_owned(),
            load_at_start: None,
            ..machine.clone()
        };
        assert_eq!(machine.find_difference(&restarted), None);
        let others = [
            MachineDescription { cores: 4, ..machine.clone() },
            MachineDescription { processor: "B".to_owned(), ..machine.clone() },
            MachineDescription { memory_mib: 12_000, ..machine.clone() },
        ];
        for other in others {
            assert!(machine.find_difference(&other).is_some(), "{other:?}");
        }
    }
}
