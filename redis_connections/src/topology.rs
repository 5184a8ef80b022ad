//! The primaries of a cluster, for operations on all keys.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use redis::{ErrorKind, RedisError, RedisResult, Value};

use crate::slot::SLOTS;

/// A primary of a cluster, or the one server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrimaryNode {
    /// Host and port; `None` for the one server.
    pub(crate) address: Option<(String, u16)>,
}

/// Which primaries a cluster has, with their slots. Another one than before means that slots may have moved in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTopology {
    /// All primaries with slots.
    pub primaries: Vec<PrimaryNode>,
    /// The first and the last slot of each range of each primary.
    slots: BTreeMap<PrimaryNode, Vec<(u16, u16)>>,
    /// Increases when a primary fails over, but not for every slot that moves.
    epoch: u64,
}

impl PrimaryNode {
    pub(crate) const ONLY: Self = Self { address: None };

    /// Parses the address that the library names a node by, e.g. `127.0.0.1:6379`.
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
    /// The topology of one server.
    pub(crate) fn for_single_server() -> Self {
        Self { primaries: vec![PrimaryNode::ONLY], slots: BTreeMap::new(), epoch: 0 }
    }

    /// Reads the answers of all known primaries to `CLUSTER INFO` and `CLUSTER NODES`. An error if slots are not served or
    /// are moving, or a primary is not among them.
    pub(crate) fn from_answers(
        infos: Vec<(PrimaryNode, Value)>,
        nodes: Vec<(PrimaryNode, Value)>,
    ) -> RedisResult<Self> {
        let known = u64::try_from(infos.len()).unwrap_or(u64::MAX);
        let mut epoch = 0;
        for (primary, answer) in infos {
            let info: String = redis::from_redis_value(answer)?;
            let fields: HashMap<_, _> = info.lines().filter_map(|line| line.trim().split_once(':')).collect();
            let number = |name: &str| fields.get(name).and_then(|text| text.parse::<u64>().ok());
            let is_complete = fields.get("cluster_state") == Some(&"ok") && number("cluster_size") == Some(known);
            if !is_complete {
                return Err(changing_error(format!("{primary} knows others than the {known} primaries that answer")));
            }
            epoch = epoch.max(number("cluster_current_epoch").unwrap_or_default());
        }
        let mut slots = BTreeMap::new();
        for (primary, answer) in nodes {
            let answer: String = redis::from_redis_value(answer)?;
            let own = parse_own_slots(&answer).ok_or_else(|| {
                changing_error(format!("a slot is moving, or was not moved completely, at {primary}"))
            })?;
            slots.insert(primary, own);
        }
        let ranges = slots.values().flatten();
        let served: usize = ranges.map(|(first, last)| usize::from(last.saturating_sub(*first)) + 1).sum();
        if served != usize::from(SLOTS) {
            return Err(changing_error(format!("the primaries that answer have {served} slots of {SLOTS}")));
        }
        Ok(Self { primaries: slots.keys().cloned().collect(), slots, epoch })
    }
}

fn changing_error(detail: String) -> RedisError {
    RedisError::from((ErrorKind::ClusterConnectionNotFound, "the cluster is changing", detail))
}

/// The ranges of slots of the node that gave this answer to `CLUSTER NODES`; `None` if one of its slots is moving.
fn parse_own_slots(answer: &str) -> Option<Vec<(u16, u16)>> {
    let is_own = |line: &&str| {
        let flags = line.split(' ').nth(2).unwrap_or_default();
        flags.split(',').any(|flag| flag == "myself")
    };
    let own = answer.lines().find(is_own)?;
    // The id, the address, and six further fields are before the slots.
    own.split_whitespace().skip(8).map(parse_range).collect()
}

/// `None` for a slot that is moving, such as `[93->-ID]` or `[77-<-ID]`.
fn parse_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(port: u16) -> PrimaryNode {
        PrimaryNode { address: Some(("h".to_owned(), port)) }
    }

    fn info(port: u16, state: &str, size: usize, epoch: u64) -> (PrimaryNode, Value) {
        let info = format!("cluster_state:{state}\r\ncluster_size:{size}\r\ncluster_current_epoch:{epoch}\r\n");
        (primary(port), Value::BulkString(info.into_bytes()))
    }

    fn nodes(port: u16, slots: &str) -> (PrimaryNode, Value) {
        let answer = format!(
            "b h:9@19 master - 0 1 2 connected 0-16383\n\
             a h:{port}@1{port},name myself,master - 0 1 2 connected {slots}\n"
        );
        (primary(port), Value::BulkString(answer.into_bytes()))
    }

    #[test]
    fn a_topology_is_complete_and_changes_with_the_epoch_and_the_slots() {
        let read = |infos, first: &str, second: &str| {
            ClusterTopology::from_answers(infos, vec![nodes(2, second), nodes(1, first)])
        };
        let infos = |epoch| vec![info(2, "ok", 2, 5), info(1, "ok", 2, epoch)];
        let whole = read(infos(6), "0-99", "100-16383").unwrap();
        assert_eq!(whole, read(vec![info(1, "ok", 2, 6), info(2, "ok", 2, 6)], "0-99", "100-16383").unwrap());
        assert_ne!(whole, read(infos(7), "0-99", "100-16383").unwrap());
        assert_ne!(whole, read(infos(6), "0-98", "99 100-16383").unwrap());
        assert_eq!(whole.primaries.iter().map(ToString::to_string).collect::<Vec<_>>(), ["h:1", "h:2"]);
        for unstable in [
            read(vec![info(1, "ok", 2, 6)], "0-99", "100-16383"),
            read(vec![info(2, "ok", 2, 6), info(1, "fail", 2, 6)], "0-99", "100-16383"),
            read(infos(6), "0-98", "100-16383"),
            read(infos(6), "0-100", "100-16383"),
            read(infos(6), "0-99 [99->-b]", "100-16383"),
            read(infos(6), "0-99", "100-16383 [99-<-a]"),
        ] {
            assert!(unstable.unwrap_err().to_string().contains("the cluster is changing"));
        }
    }
}
