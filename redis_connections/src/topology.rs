//! The primaries of a cluster, for what is about all keys.

use std::{collections::HashMap, fmt};

use redis::{ErrorKind, RedisError, RedisResult, Value};

/// A primary of a cluster, or the one server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrimaryNode {
    /// Host and port; `None` for the one server.
    pub(crate) address: Option<(String, u16)>,
}

/// Which primaries a cluster has. Another one than before means that slots may have moved in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTopology {
    /// All primaries with slots.
    pub primaries: Vec<PrimaryNode>,
    /// Increases whenever a slot moves to another primary.
    epoch: u64,
}

impl PrimaryNode {
    pub(crate) const ONLY: Self = Self { address: None };

    /// Reads the address by which the library names a node, e.g. `127.0.0.1:6379`.
    pub(crate) fn from_address(address: Value) -> RedisResult<Self> {
        let text: String = redis::from_redis_value(address)?;
        let parsed = text.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
        let invalid = || RedisError::from((ErrorKind::UnexpectedReturnType, "a node without an address", text.clone()));
        Ok(Self { address: Some(parsed.ok_or_else(invalid)?) })
    }
}

impl fmt::Display for PrimaryNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Some((host, port)) => write!(f, "{host}:{port}"),
            None => f.write_str("the server"),
        }
    }
}

impl ClusterTopology {
    /// That of one server.
    pub(crate) fn of_server() -> Self {
        Self { primaries: vec![PrimaryNode::ONLY], epoch: 0 }
    }

    /// Reads the answers of all known primaries to `CLUSTER INFO`. An error if slots are not served, or a primary is not
    /// among them.
    pub(crate) fn from_answers(answers: Vec<(PrimaryNode, Value)>) -> RedisResult<Self> {
        let known = u64::try_from(answers.len()).unwrap_or(u64::MAX);
        let (mut primaries, mut epoch) = (vec![], 0);
        for (primary, answer) in answers {
            let info: String = redis::from_redis_value(answer)?;
            let fields: HashMap<_, _> = info.lines().filter_map(|line| line.trim().split_once(':')).collect();
            let number = |name: &str| fields.get(name).and_then(|text| text.parse::<u64>().ok());
            let is_complete = fields.get("cluster_state") == Some(&"ok") && number("cluster_size") == Some(known);
            if !is_complete {
                let detail = format!("{primary} knows others than the {known} primaries that answer");
                return Err(RedisError::from((
                    ErrorKind::ClusterConnectionNotFound,
                    "the cluster is changing",
                    detail,
                )));
            }
            epoch = epoch.max(number("cluster_current_epoch").unwrap_or_default());
            primaries.push(primary);
        }
        primaries.sort();
        Ok(Self { primaries, epoch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(port: u16, state: &str, size: usize, epoch: u64) -> (PrimaryNode, Value) {
        let info = format!("cluster_state:{state}\r\ncluster_size:{size}\r\ncluster_current_epoch:{epoch}\r\n");
        (PrimaryNode { address: Some(("h".to_owned(), port)) }, Value::BulkString(info.into_bytes()))
    }

    #[test]
    fn a_topology_is_complete_and_changes_with_the_epoch() {
        let read = |answers| ClusterTopology::from_answers(answers);
        let whole = read(vec![answer(2, "ok", 2, 5), answer(1, "ok", 2, 6)]).unwrap();
        assert_eq!(whole, read(vec![answer(1, "ok", 2, 6), answer(2, "ok", 2, 6)]).unwrap());
        assert_ne!(whole, read(vec![answer(1, "ok", 2, 7), answer(2, "ok", 2, 6)]).unwrap());
        assert_eq!(whole.primaries.iter().map(ToString::to_string).collect::<Vec<_>>(), ["h:1", "h:2"]);
        for answers in [vec![answer(1, "ok", 2, 6)], vec![answer(1, "fail", 1, 6)]] {
            assert!(read(answers).unwrap_err().to_string().contains("the cluster is changing"));
        }
    }
}
