//! Client addresses, as rate limits count them: an IPv4 address, or a /64 network of IPv6, since one client can use all
//! of its 2^64 addresses.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

/// The address that a rate limit is counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientAddress(String);

impl ClientAddress {
    /// Returns the address of a client that is connected directly.
    pub(crate) fn from_peer(peer: IpAddr) -> Self {
        match peer.to_canonical() {
            IpAddr::V4(address) => Self(address.to_string()),
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Self(format!("{}/64", Ipv6Addr::from(network)))
            }
        }
    }

    /// Returns the address of the client of a request, from `X-Forwarded-For` if a trusted proxy sets it, otherwise
    /// from the
    /// socket.
    pub fn from_request(headers: &HeaderMap, connected: Option<SocketAddr>, trusts_forwarded: bool) -> Self {
        // The proxy appends the address that it sees, to the list or as another header; everything before it is the
        // client's claim.
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back().filter(|_| trusts_forwarded);
        let forwarded = forwarded.and_then(|list| parse_forwarded(list.to_str().ok()?.rsplit(',').next()?.trim()));
        forwarded.or_else(|| connected.map(|at| at.ip())).map_or_else(|| Self("unknown".to_owned()), Self::from_peer)
    }

    /// Parses an address, for tests.
    #[cfg(test)]
    pub(crate) fn from_text(text: &str) -> Self {
        Self::from_peer(text.parse().unwrap())
    }

    /// Canonical text of the address or network.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Parses an address as proxies write it: bare, in brackets, or with a port.
fn parse_forwarded(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|at| at.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded_address(lines: &[&str], trusts: bool) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let peer = SocketAddr::from(([192, 0, 2, 7], 1234));
        ClientAddress::from_request(&headers, Some(peer), trusts).as_str().to_owned()
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let one = ClientAddress::from_text("2001:db8:1:2:a::1");
        assert_eq!(one.as_str(), "2001:db8:1:2::/64");
        assert_eq!(one, ClientAddress::from_text("2001:db8:1:2:ffff::2"));
        assert_ne!(one, ClientAddress::from_text("2001:db8:1:3::1"));
        assert_eq!(ClientAddress::from_text("::ffff:192.0.2.7").as_str(), "192.0.2.7");
    }

    #[test]
    fn only_the_address_that_the_proxy_appends_is_used() {
        assert_eq!(forwarded_address(&["198.51.100.1"], false), "192.0.2.7");
        assert_eq!(forwarded_address(&["1.1.1.1, 198.51.100.1"], true), "198.51.100.1");
        assert_eq!(forwarded_address(&["1.1.1.1", "198.51.100.1"], true), "198.51.100.1", "appended as another header");
        assert_eq!(forwarded_address(&["198.51.100.1:4711"], true), "198.51.100.1");
        assert_eq!(forwarded_address(&["\"[2001:db8::1]:4711\""], true), "2001:db8::/64");
        assert_eq!(forwarded_address(&["unknown"], true), "192.0.2.7");
        assert_eq!(forwarded_address(&[], true), "192.0.2.7");
    }
}
