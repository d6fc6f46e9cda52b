//! What routers and neighbours of IPv6 tell unasked (RFC 4861), written as a case wants it.

use std::net::Ipv6Addr;

use hairpin_model::{Error, Mac};

use super::membership::group_mac;
use super::{endpoints, icmpv6, place};
use crate::lab::Lab;
use crate::sys::PacketSocket;

/// Something to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advert {
    /// A router's: addresses are to be made of this network, of 64 bits.
    Router(Ipv6Addr),
    /// A neighbour's: it has this address.
    Neighbour(Ipv6Addr),
}

/// All nodes of the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

impl Advert {
    /// Type, code, room for the check sum, and what follows.
    fn body(self, own: Mac) -> Vec<u8> {
        match self {
            Self::Router(network) => {
                // Hop limit, no flags, lifetime half an hour, nothing of reachability; prefix,
                // to be used on the link and for addresses, an hour each.
                let mut body = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
                body.extend([3, 4, 64, 0xc0]);
                body.extend([3600_u32.to_be_bytes(), 3600_u32.to_be_bytes(), [0; 4]].concat());
                body.extend(network.octets());
                body
            }
            Self::Neighbour(address) => {
                // To be taken though another is known.
                let mut body = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
                body.extend(address.octets());
                body.extend([2, 1]);
                body.extend(own.0);
                body
            }
        }
    }

    fn frame(self, own: Mac) -> Vec<u8> {
        let from = match self {
            Self::Router(_) => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99),
            Self::Neighbour(address) => address,
        };
        let packet = icmpv6::packet(from, ALL_NODES, self.body(own));
        [&group_mac(ALL_NODES.into()).0[..], &own.0, &[0x86, 0xdd], &packet].concat()
    }
}

/// Has a host tell it to all on its link.
pub(crate) async fn advertise(lab: &Lab, from: &str, advert: Advert) -> Result<(), Error> {
    let hosts = endpoints(lab).await?;
    let host = &hosts[place(lab, &hosts, from)?];
    let _pinned = super::Pinned::here();
    let sent = lab.nodes()[host.node]
        .ns
        .enter(|| PacketSocket::open(0, 0)?.send(host.index, &advert.frame(host.mac)));
    sent.map_err(|error| super::ears::broken("send an advertisement", &error))
}

#[cfg(test)]
mod tests {
    use etherparse::{SlicedPacket, TransportSlice};

    use super::*;

    #[test]
    fn adverts_are_whole_and_bear_their_check_sums() {
        let own = Mac([2, 0, 0, 0, 0, 1]);
        let network = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);
        for (advert, kind) in [(Advert::Router(network), 134), (Advert::Neighbour(network), 136)] {
            let frame = advert.frame(own);
            let packet = SlicedPacket::from_ethernet(&frame).expect("a whole packet");
            let Some(TransportSlice::Icmpv6(icmp)) = packet.transport else { panic!("{advert:?}") };
            assert_eq!(icmp.type_u8(), kind);
            assert!(icmpv6::is_sound(&frame[14..]), "{advert:?}");
            assert_eq!(frame[..12], [0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1]);
        }
    }
}
