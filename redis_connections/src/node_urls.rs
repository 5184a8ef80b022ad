//! The address of `Redis` in the settings: a URL, and for a cluster further nodes after commas.

use engine_security::setting_variable;

/// Why an address cannot be used. It names no user and no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedisAddress {
    /// Several nodes without the setting for a cluster.
    #[error(
        "the address names several servers, which only a cluster has: set {} to true",
        setting_variable("redis.cluster")
    )]
    SeveralServers,
    /// A further node that is not `host:port`.
    #[error("node {0} of the address is not a host and a port (host:6379); only the first one is a whole URL")]
    InvalidNode(usize),
    /// A database other than 0, or a socket of this machine.
    #[error("a cluster has only database 0, and no sockets: the address ends after the port")]
    Database,
}

/// Checks the form of an address.
///
/// # Errors
/// [`InvalidRedisAddress`] says what is wrong.
pub fn check_address(address: &str, is_cluster: bool) -> Result<(), InvalidRedisAddress> {
    node_urls(address, is_cluster).map(drop)
}

/// The URLs of the nodes: the first one gives scheme, user and password to all.
pub(crate) fn node_urls(address: &str, is_cluster: bool) -> Result<Vec<String>, InvalidRedisAddress> {
    let mut parts = address.split(',');
    let first = parts.next().unwrap_or_default();
    if !is_cluster {
        // A comma may also be in a password.
        let is_list = parts.clone().next().is_some() && !address.rsplit(',').next().unwrap_or_default().contains('@');
        return if is_list { Err(InvalidRedisAddress::SeveralServers) } else { Ok(vec![address.to_owned()]) };
    }
    let (scheme, rest) = first.split_once("://").ok_or(InvalidRedisAddress::InvalidNode(1))?;
    let (credentials, host) = match rest.rsplit_once('@') {
        Some((credentials, host)) => (format!("{credentials}@"), host),
        None => (String::new(), rest),
    };
    let has_database = |host: &str| !matches!(host.split_once('/'), None | Some((_, "" | "0")));
    if !matches!(scheme.to_ascii_lowercase().as_str(), "redis" | "rediss") || has_database(host) {
        return Err(InvalidRedisAddress::Database);
    }
    let mut urls = vec![format!("{scheme}://{credentials}{host}")];
    for (index, node) in parts.enumerate() {
        let node = node.trim().trim_end_matches('/');
        let has_port =
            node.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !has_port || node.contains(['/', '@', '?']) {
            return Err(InvalidRedisAddress::InvalidNode(index + 2));
        }
        urls.push(format!("{scheme}://{credentials}{node}"));
    }
    Ok(urls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_one_address_and_a_cluster_several() {
        for (address, is_cluster, urls) in [
            ("redis://h:1/2", false, vec!["redis://h:1/2"]),
            ("redis://:a,b@h:1", false, vec!["redis://:a,b@h:1"]),
            ("redis://u:p@h:1", true, vec!["redis://u:p@h:1"]),
            (
                "rediss://u:p@h:1,i:2, [::1]:3/",
                true,
                vec!["rediss://u:p@h:1", "rediss://u:p@i:2", "rediss://u:p@[::1]:3"],
            ),
            ("redis://h:1/0", true, vec!["redis://h:1/0"]),
        ] {
            let expected: Vec<String> = urls.into_iter().map(str::to_owned).collect();
            assert_eq!(node_urls(address, is_cluster), Ok(expected), "{address}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        use InvalidRedisAddress::{Database, InvalidNode, SeveralServers};
        for (address, is_cluster, problem) in [
            ("redis://:s3cret@h:1,i:2", false, SeveralServers),
            ("redis://h:1/2", true, Database),
            ("unix:///tmp/redis", true, Database),
            ("h:1", true, InvalidNode(1)),
            ("redis://:s3cret@h:1,i", true, InvalidNode(2)),
            ("redis://:s3cret@h:1,i:2,redis://:s3cret@j:3", true, InvalidNode(3)),
        ] {
            let found = check_address(address, is_cluster).unwrap_err();
            assert_eq!(found, problem, "{address}");
            assert!(!found.to_string().contains("s3cret"), "{found}");
        }
        assert!(SeveralServers.to_string().contains("MEDHUB__REDIS__CLUSTER"));
    }
}
