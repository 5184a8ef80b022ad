//! Detects servers that would lose or refuse what is written to them.

use std::collections::HashMap;

use engine_security::setting_variable;

use super::{RedisClient, errors::unavailable_error};
use crate::QueryError;

/// The policy under which a full server refuses writes and evicts nothing.
const NO_EVICTION: &str = "noeviction";

/// The lowest version, as major and minor number, that has all commands of the scripts.
const LOWEST_VERSION: (u32, u32) = (6, 2);

/// The fields of a server's `INFO`.
type ServerInfo<'a> = HashMap<&'a str, &'a str>;

impl RedisClient {
    /// Warnings about every server: it is too old, evicts keys when it is full, has fewer replicas than the settings ask for,
    /// or is a node of a cluster that the settings do not mention. Each says what to do.
    pub(crate) async fn server_warnings(&self) -> Result<Vec<String>, QueryError> {
        let answers = self.connection().query_primaries(&redis::cmd("INFO")).await.map_err(unavailable_error)?;
        let mut warnings = vec![];
        for (primary, answer) in answers {
            let text: String = redis::from_redis_value(answer).map_err(|error| unavailable_error(error.into()))?;
            let info = parse_info(&text);
            let server = if self.is_cluster() { primary.to_string() } else { "Redis".to_owned() };
            warnings.extend(describe_version(&server, &info));
            warnings.extend(describe_eviction(&server, &info));
            warnings.extend(describe_missing_replicas(&server, &info, self.acknowledging_replicas()));
            if !self.is_cluster() && info.get("cluster_enabled") == Some(&"1") {
                warnings.extend(self.cluster_warning().await?);
            }
        }
        Ok(warnings)
    }

    async fn cluster_warning(&self) -> Result<Option<String>, QueryError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("CLUSTER").arg("INFO");
        let (text,): (String,) = self.run_pipeline(&pipeline).await?;
        Ok(describe_unmentioned_cluster(&parse_info(&text)))
    }
}

fn parse_info(text: &str) -> ServerInfo<'_> {
    text.lines().filter_map(|line| line.trim().split_once(':')).collect()
}

fn describe_version(server: &str, info: &ServerInfo<'_>) -> Option<String> {
    let version = info.get("redis_version")?;
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    let found = (numbers.next()??, numbers.next()??);
    let (major, minor) = LOWEST_VERSION;
    (found < LOWEST_VERSION).then(|| {
        format!("{server} has version {version}, which lacks commands that read models are written with: use {major}.{minor} or later")
    })
}

fn describe_eviction(server: &str, info: &ServerInfo<'_>) -> Option<String> {
    let policy = info.get("maxmemory_policy").filter(|policy| **policy != NO_EVICTION)?;
    let limit = info.get("maxmemory").filter(|bytes| **bytes != "0")?;
    let evicted = info.get("evicted_keys").copied().unwrap_or("0");
    Some(format!(
        "{server} evicts keys when it is full (maxmemory-policy={policy}, maxmemory={limit} bytes, {evicted} evicted so \
         far): evicted opportunities, visits and figures are lost; set maxmemory-policy to {NO_EVICTION} and raise \
         maxmemory; if keys were evicted, run `medhub rebuild views workspace`"
    ))
}

fn describe_missing_replicas(server: &str, info: &ServerInfo<'_>, wanted: u32) -> Option<String> {
    let replicas: u32 = info.get("connected_slaves")?.parse().ok()?;
    (replicas < wanted).then(|| {
        format!(
            "{server} has {replicas} replicas, but {wanted} have to acknowledge every write, so that none counts: add \
             replicas, or lower {}",
            setting_variable("redis.acknowledging_replicas")
        )
    })
}

/// A node that has all slots can be used as one server.
fn describe_unmentioned_cluster(info: &ServerInfo<'_>) -> Option<String> {
    let primaries: u32 = info.get("cluster_size")?.parse().ok()?;
    (primaries > 1).then(|| {
        format!(
            "Redis is one of {primaries} primaries of a cluster, and refuses keys of the others: set {} to true",
            setting_variable("redis.cluster")
        )
    })
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
            let warning = describe_eviction("Redis", &parse_info(&info(policy, "14680064"))).unwrap();
            assert!(warning.contains(policy) && warning.contains("7 evicted"), "{warning}");
        }
    }

    #[test]
    fn a_server_that_is_too_old_is_named_with_its_version() {
        for (version, is_too_old) in [("6.0.16", true), ("5.2.1", true), ("6.2.5", false), ("8.2.0", false)] {
            let text = format!("# Server\r\nredis_version:{version}\r\n");
            let warning = describe_version("Redis", &parse_info(&text));
            assert_eq!(warning.is_some_and(|warning| warning.contains(version)), is_too_old, "{version}");
        }
    }

    #[test]
    fn a_server_without_evictions_or_without_a_limit_gives_no_warning() {
        for text in [info(NO_EVICTION, "14680064"), info("allkeys-lru", "0"), "# Memory\r\n".to_owned()] {
            assert_eq!(describe_eviction("Redis", &parse_info(&text)), None, "{text}");
        }
    }

    #[test]
    fn missing_replicas_and_an_unmentioned_cluster_are_named_with_the_setting() {
        let info = parse_info("connected_slaves:1\r\ncluster_size:3\r\n");
        assert_eq!(describe_missing_replicas("h:1", &info, 1), None);
        let warning = describe_missing_replicas("h:1", &info, 2).unwrap();
        assert!(
            warning.starts_with("h:1 has 1") && warning.contains("MEDHUB__REDIS__ACKNOWLEDGING_REPLICAS"),
            "{warning}"
        );
        assert!(describe_unmentioned_cluster(&info).unwrap().contains("MEDHUB__REDIS__CLUSTER"));
        assert_eq!(describe_unmentioned_cluster(&parse_info("cluster_size:1\r\n")), None);
    }
}
