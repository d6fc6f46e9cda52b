//! Messages by which hosts, routers and bridges speak of memberships: IGMP (RFC 2236, RFC 3376) and
//! MLD (RFC 2710, RFC 3810), written as a case wants them, also such as no kernel would send.
//!
//! Only writes them; what a bridge makes of one is read in its table of memberships.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::checksum::Sum16BitWords;
use hairpin_model::{Family, Mac};

use crate::octets::octets;

/// What a member says of the senders that it wants to hear (RFC 3376, 4.2.12; RFC 3810, 5.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// These alone, as an answer.
    IsInclude = 1,
    /// All but these, as an answer.
    IsExclude = 2,
    /// From now on these alone; of none: it leaves.
    ToInclude = 3,
    /// From now on all but these; of none: it joins.
    ToExclude = 4,
    /// These, too.
    Allow = 5,
    /// These no longer.
    Block = 6,
}

/// A message about memberships.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    from: IpAddr,
    to: IpAddr,
    body: Vec<u8>,
    sound: bool,
    /// The protocol, if it is not IGMP or ICMPv6.
    protocol: Option<u8>,
}

const IGMP_QUERY: u8 = 0x11;
const IGMP_OLD_REPORT: u8 = 0x12;
const IGMP_REPORT: u8 = 0x16;
const IGMP_LEAVE: u8 = 0x17;
const IGMP_RECORDS: u8 = 0x22;
const MLD_QUERY: u8 = 130;
const MLD_REPORT: u8 = 131;
const MLD_DONE: u8 = 132;
const MLD_RECORDS: u8 = 143;
const PIM: u8 = 103;

/// Who speaks unless it is said: MLD asks for a link-local address.
const SPEAKER: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(192, 0, 2, 99), Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99));

impl Message {
    /// Asks after all groups: IGMPv3 or MLDv2, to be answered at once.
    pub fn query(family: Family) -> Self {
        match family {
            Family::V4 => Self::new(
                Ipv4Addr::new(224, 0, 0, 1).into(),
                [&[IGMP_QUERY, 0, 0, 0][..], &[0; 4], &[2, 125, 0, 0]].concat(),
            ),
            Family::V6 => Self::new(
                Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
                [&[MLD_QUERY, 0, 0, 0, 0, 0, 0, 0][..], &[0; 16], &[2, 125, 0, 0]].concat(),
            ),
        }
    }

    /// Asks after one group: IGMPv2 or MLDv1, to be answered within so many tenths of a second.
    pub fn query_of(group: IpAddr, tenths: u8) -> Self {
        Self::plain(group, group, (IGMP_QUERY, tenths), (MLD_QUERY, u16::from(tenths) * 100))
    }

    /// Is a member: IGMPv2 or MLDv1.
    pub fn report(group: IpAddr) -> Self {
        Self::plain(group, group, (IGMP_REPORT, 0), (MLD_REPORT, 0))
    }

    /// Is a member: IGMPv1 (RFC 1112).
    pub fn old_report(group: Ipv4Addr) -> Self {
        let group = group.into();
        Self::plain(group, group, (IGMP_OLD_REPORT, 0), (MLD_REPORT, 0))
    }

    /// Is none any more: IGMPv2 or MLDv1.
    pub fn leave(group: IpAddr) -> Self {
        let routers = match group {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::new(224, 0, 0, 2)),
            IpAddr::V6(_) => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2).into(),
        };
        Self::plain(routers, group, (IGMP_LEAVE, 0), (MLD_DONE, 0))
    }

    /// Says which senders it wants to hear: IGMPv3 or MLDv2, one record.
    pub fn record(record: Record, group: IpAddr, sources: &[IpAddr]) -> Self {
        let (to, kind): (IpAddr, _) = match group {
            IpAddr::V4(_) => (Ipv4Addr::new(224, 0, 0, 22).into(), IGMP_RECORDS),
            IpAddr::V6(_) => (Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16).into(), MLD_RECORDS),
        };
        let count = u8::try_from(sources.len()).unwrap_or(u8::MAX);
        let mut body = vec![kind, 0, 0, 0, 0, 0, 0, 1, record as u8, 0, 0, count];
        body.extend(octets(group));
        body.extend(sources.iter().take(usize::from(count)).flat_map(|source| octets(*source)));
        Self::new(to, body)
    }

    /// Says hello as routers of PIM do (RFC 7761, 4.3.1).
    pub fn router_hello(family: Family) -> Self {
        let to: IpAddr = match family {
            Family::V4 => Ipv4Addr::new(224, 0, 0, 13).into(),
            Family::V6 => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xd).into(),
        };
        Self { protocol: Some(PIM), ..Self::new(to, vec![0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105]) }
    }

    /// As if of that address.
    #[must_use]
    pub fn from(mut self, speaker: IpAddr) -> Self {
        self.from = speaker;
        self
    }

    /// With a check sum that is wrong.
    #[must_use]
    pub const fn unsound(mut self) -> Self {
        self.sound = false;
        self
    }

    /// Whether it is IGMP, and not MLD.
    pub const fn is_ipv4(&self) -> bool {
        self.to.is_ipv4()
    }

    fn new(to: IpAddr, body: Vec<u8>) -> Self {
        let from = if to.is_ipv4() { SPEAKER.0.into() } else { SPEAKER.1.into() };
        Self { from, to, body, sound: true, protocol: None }
    }

    /// One of the old versions, which have a fixed form: type, and the time for an answer.
    fn plain(to: IpAddr, group: IpAddr, igmp: (u8, u8), mld: (u8, u16)) -> Self {
        let mut body =
            if group.is_ipv4() { vec![igmp.0, igmp.1, 0, 0] } else { vec![mld.0, 0, 0, 0] };
        if group.is_ipv6() {
            body.extend(mld.1.to_be_bytes());
            body.extend([0, 0]);
        }
        body.extend(octets(group));
        Self::new(to, body)
    }

    /// What it is called.
    pub(super) fn name(&self) -> &'static str {
        match (self.protocol, self.body.first()) {
            (Some(_), _) => "a router's hello",
            (None, Some(&(IGMP_QUERY | MLD_QUERY))) => "a query",
            (None, Some(&(IGMP_LEAVE | MLD_DONE))) => "a leave",
            _ => "a report",
        }
    }

    /// The Ethernet group that it is for.
    pub(super) fn group(&self) -> Mac {
        group_mac(self.to)
    }

    /// Ethertype and packet.
    pub(super) fn packet(&self) -> Vec<u8> {
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => self.ipv4(from, to),
            _ => self.ipv6(),
        }
    }

    /// The frame in which a link with that address sends it.
    pub(crate) fn frame(&self, own: Mac) -> Vec<u8> {
        let mut frame = self.group().0.to_vec();
        frame.extend(own.0);
        frame.extend(self.packet());
        frame.resize(frame.len().max(60), 0);
        frame
    }

    /// Ethertype, header with the router alert option (RFC 2113), message.
    fn ipv4(&self, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
        const HEADER: usize = 24;
        let length = u16::try_from(HEADER + self.body.len()).unwrap_or_default().to_be_bytes();
        let protocol = self.protocol.unwrap_or(2);
        let mut header = vec![0x46, 0xc0, length[0], length[1], 0, 0, 0x40, 0, 1, protocol, 0, 0];
        header.extend(from.octets());
        header.extend(to.octets());
        header.extend([0x94, 4, 0, 0]);
        let sum = checksum(Sum16BitWords::new().add_slice(&header));
        header[10..12].copy_from_slice(&sum);
        [&[0x08, 0x00], &header[..], &self.summed(Sum16BitWords::new())].concat()
    }

    /// Ethertype, header, the router alert option (RFC 2711), message.
    fn ipv6(&self) -> Vec<u8> {
        let protocol = self.protocol.unwrap_or(58);
        let option = [protocol, 0, 5, 2, 0, 0, 1, 0];
        let long = |length: usize| u16::try_from(length).unwrap_or_default().to_be_bytes();
        let length = long(option.len() + self.body.len());
        let addresses = [octets(self.from), octets(self.to)].concat();
        let pseudo = Sum16BitWords::new().add_slice(&addresses);
        let pseudo = pseudo.add_2bytes(long(self.body.len())).add_2bytes([0, protocol]);
        let header = [0x60, 0, 0, 0, length[0], length[1], 0, 1];
        [&[0x86, 0xdd], &header[..], &addresses, &option, &self.summed(pseudo)].concat()
    }

    /// The message with its check sum, which is in the same place in both families.
    fn summed(&self, before: Sum16BitWords) -> Vec<u8> {
        let mut body = self.body.clone();
        let sum = checksum(before.add_slice(&body));
        body[2..4].copy_from_slice(&sum);
        if !self.sound {
            body[3] ^= 1;
        }
        body
    }
}

fn checksum(sum: Sum16BitWords) -> [u8; 2] {
    // The words were summed as this machine reads them.
    sum.ones_complement().to_ne_bytes()
}

/// The Ethernet group that an IP group is mapped to (RFC 1112, 6.4; RFC 2464, 7).
pub(super) fn group_mac(group: IpAddr) -> Mac {
    match group {
        IpAddr::V4(ip) => {
            let [_, b, c, d] = ip.octets();
            Mac([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            Mac([0x33, 0x33, a, b, c, d])
        }
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket};

    use super::*;

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const GROUP4: IpAddr = IpAddr::V4(Ipv4Addr::new(239, 129, 2, 3));
    const GROUP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0x1, 0x77));

    #[test]
    fn a_group_is_mapped_to_its_ethernet_group() {
        assert_eq!(group_mac(GROUP4).to_string(), "01:00:5e:01:02:03");
        assert_eq!(group_mac(GROUP6).to_string(), "33:33:00:01:00:77");
    }

    /// Summed with the sum that they bear, words come to nothing.
    fn is_sound(message: &Message) -> bool {
        let frame = message.frame(OWN);
        let packet = SlicedPacket::from_ethernet(&frame).expect("a whole packet");
        let (sum, body) = match packet.net.expect("of IP") {
            NetSlice::Ipv4(ip) => (Sum16BitWords::new(), ip.payload().payload.to_vec()),
            NetSlice::Ipv6(ip) => {
                let body = ip.payload().payload.to_vec();
                let header = ip.header();
                let length = u16::try_from(body.len()).unwrap().to_be_bytes();
                let addresses = [header.source(), header.destination()].concat();
                let sum = Sum16BitWords::new().add_slice(&addresses);
                (sum.add_2bytes(length).add_2bytes([0, 58]), body)
            }
            other => panic!("{other:?}"),
        };
        sum.add_slice(&body).ones_complement() == 0
    }

    #[test]
    fn messages_bear_their_check_sums() {
        for group in [GROUP4, GROUP6] {
            let family = if group.is_ipv4() { Family::V4 } else { Family::V6 };
            for message in [
                Message::query(family),
                Message::query_of(group, 10),
                Message::report(group),
                Message::leave(group),
                Message::record(Record::Allow, group, &[group]),
            ] {
                assert!(is_sound(&message), "{message:?}");
                assert!(!is_sound(&message.clone().unsound()), "{message:?}");
            }
        }
    }

    #[test]
    fn a_record_names_its_senders() {
        let sender = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let message = Message::record(Record::ToExclude, GROUP4, &[sender]);
        let told = [0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 1, 239, 129, 2, 3, 192, 0, 2, 1];
        assert_eq!(message.body, told);
    }
}
