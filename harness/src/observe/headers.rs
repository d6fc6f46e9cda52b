//! What the headers of a frame say that a journey tells: addresses, VLANs, TTL, ports.

use std::net::IpAddr;

use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};
use hairpin_model::Mac;
use hairpin_model::journey::Headers;

/// The headers of a frame, with the VLAN tag that the kernel keeps beside it; nothing for what is no
/// frame.
pub(super) fn headers(frame: &[u8], tag: Option<(u16, u16)>) -> Option<Headers> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let mac = |at: usize| Some(Mac(*frame.get(at..)?.first_chunk()?));
    let (ip, ttl) = network(packet.net.as_ref());
    let inner = packet.link_exts.iter().filter_map(|ext| match ext {
        LinkExtSlice::Vlan(tag) => Some(tag.vlan_identifier().value()),
        _ => None,
    });
    let beside = tag.map(|(_, control)| control & 0x0fff);
    Some(Headers {
        from: mac(6)?,
        to: mac(0)?,
        vlan: beside.into_iter().chain(inner).collect(),
        ip,
        ttl,
        ports: packet.transport.as_ref().and_then(ports),
    })
}

fn network(net: Option<&NetSlice<'_>>) -> (Option<(IpAddr, IpAddr)>, Option<u8>) {
    match net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let addresses = (header.source_addr().into(), header.destination_addr().into());
            (Some(addresses), Some(header.ttl()))
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let addresses = (header.source_addr().into(), header.destination_addr().into());
            (Some(addresses), Some(header.hop_limit()))
        }
        Some(NetSlice::Arp(_)) | None => (None, None),
    }
}

fn ports(transport: &TransportSlice<'_>) -> Option<(u16, u16)> {
    match transport {
        TransportSlice::Udp(udp) => Some((udp.source_port(), udp.destination_port())),
        TransportSlice::Tcp(tcp) => Some((tcp.source_port(), tcp.destination_port())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const B: [u8; 6] = [2, 0, 0, 0, 0, 2];

    #[test]
    fn tags_beside_and_within_a_frame_are_told_from_the_outside_in() {
        let builder = etherparse::PacketBuilder::ethernet2(A, B)
            .single_vlan(20.try_into().unwrap())
            .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 63)
            .udp(1024, 80);
        let mut frame = Vec::new();
        builder.write(&mut frame, b"x").unwrap();
        let told = headers(&frame, Some((0x88a8, 0xe00a))).unwrap();
        let expected = "02:00:00:00:00:01 > 02:00:00:00:00:02, VLAN 10, VLAN 20, \
                        192.0.2.1 > 192.0.2.2, port 1024 > 80, TTL 63";
        assert_eq!(told.to_string(), expected);
    }

    #[test]
    fn a_frame_without_ip_has_its_addresses() {
        let told = headers(&super::super::decode::frame(Mac(B), Mac(A), 7), None).unwrap();
        assert_eq!(told.to_string(), "02:00:00:00:00:01 > 02:00:00:00:00:02");
        assert_eq!(headers(&[], None), None);
    }
}
