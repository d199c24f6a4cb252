//! Addresses as those who count them see them.

use std::net::{IpAddr, Ipv6Addr};

/// Whom an address belongs to, for limits: an IPv4 address, or a network of IPv6.
///
/// An IPv4 address written as an IPv6 one is the IPv4 address. One subscriber has at least a /64 and may use any address
/// in it, so that limits by single IPv6 addresses would be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AddressKey([u8; 16]);

impl AddressKey {
    pub(super) fn new(address: IpAddr, ipv6_prefix: u8) -> Self {
        match address.to_canonical() {
            // As mapped addresses, which no network of canonical IPv6 addresses contains.
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().octets()),
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(ipv6_prefix.min(128))).unwrap_or(0);
                Self(Ipv6Addr::from_bits(address.to_bits() & mask).octets())
            }
        }
    }
}

/// What one subscriber is given.
pub(super) const IPV6_PREFIX: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> AddressKey {
        AddressKey::new(address.parse().expect("an address"), IPV6_PREFIX)
    }

    #[test]
    fn who_is_the_same() {
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_ne!(key("192.0.2.1"), key("::192.0.2.1"));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::1"), key("::"));
    }

    #[test]
    fn networks_of_other_sizes() {
        let address: IpAddr = "2001:db8:1:2::1".parse().expect("an address");
        let other: IpAddr = "2001:db8:1:3::1".parse().expect("an address");
        assert_eq!(AddressKey::new(address, 48), AddressKey::new(other, 48));
        assert_ne!(AddressKey::new(address, 128), AddressKey::new("2001:db8:1:2::2".parse().expect("one"), 128));
        assert_eq!(AddressKey::new(address, 0), AddressKey::new("::".parse().expect("one"), 0));
        assert_eq!(AddressKey::new(address, 255), AddressKey::new(address, 128), "there are no more bits");
    }
}
