//! Detects a server that evicts keys when it is full.

use std::collections::HashMap;

use super::RedisClient;
use crate::QueryError;

/// The policy under which a full server refuses writes and evicts nothing.
const NO_EVICTION: &str = "noeviction";

impl RedisClient {
    /// Returns a warning if the server evicts keys when it is full: an evicted state cannot be distinguished from one
    /// that was never written.
    pub(crate) async fn eviction_warning(&self) -> Result<Option<String>, QueryError> {
        let mut pipeline = redis::pipe();
        for section in ["memory", "stats"] {
            pipeline.cmd("INFO").arg(section);
        }
        let sections: (String, String) = self.run_pipeline(&pipeline).await?;
        Ok(describe_eviction(&[sections.0, sections.1].concat()))
    }
}

fn describe_eviction(info: &str) -> Option<String> {
    let fields: HashMap<_, _> = info.lines().filter_map(|line| line.trim().split_once(':')).collect();
    let policy = fields.get("maxmemory_policy").filter(|policy| **policy != NO_EVICTION)?;
    let limit = fields.get("maxmemory").filter(|bytes| **bytes != "0")?;
    let evicted = fields.get("evicted_keys").copied().unwrap_or("0");
    Some(format!(
        "Redis evicts keys when it is full (maxmemory-policy={policy}, maxmemory={limit} bytes, {evicted} evicted so \
         far): evicted opportunities, visits and figures are lost; set maxmemory-policy to {NO_EVICTION} and raise \
         maxmemory; if keys were evicted, run `medhub rebuild views workspace`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(policy: &str, limit: &str) -> String {
        format!("# Memory\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n# Stats\r\nevicted_keys:7\r\n")
    }

    #[test]
    fn the_warning_about_evictions_names_the_policy() {
        for policy in ["allkeys-lru", "volatile-ttl", "allkeys-random"] {
            let warning = describe_eviction(&info(policy, "14680064")).unwrap();
            assert!(warning.contains(policy) && warning.contains("7 evicted"), "{warning}");
        }
    }

    #[test]
    fn a_server_without_evictions_or_without_a_limit_gives_no_warning() {
        assert_eq!(describe_eviction(&info(NO_EVICTION, "14680064")), None);
        assert_eq!(describe_eviction(&info("allkeys-lru", "0")), None);
        assert_eq!(describe_eviction("# Memory\r\n"), None);
    }
}
