//! One frame of a case's own making, and what became of it at every host: for what a grid's frames
//! do not have (lengths, tags, foreign sources, unknown destinations).
//!
//! The frame is sent just before the three rounds of a grid of its kind (see `frame`), so what is
//! missing of it is proved by them as the grid's own cells are. Nothing is proved about links that
//! are in no host.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hairpin_model::grid::{Direction, Sighting, path};
use hairpin_model::{Error, Mac};

use etherparse::PacketBuilder;

use super::decode::{ETHERTYPE, payload};
use super::flaw::Flaw;
use super::icmpv6::solicited_mac;
use super::membership::{Message, group_mac};
use super::session;
use super::solicitation;
use crate::sys::Kind;

/// A VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its ethertype: 0x8100, or 0x88a8 for a provider's.
    pub protocol: u16,
    /// The VLAN, 0 for a tag that only has a priority.
    pub id: u16,
    /// The priority, 0 to 7.
    pub priority: u8,
    /// Whether it may be dropped first.
    pub drop_eligible: bool,
}

impl Tag {
    /// A customer's tag of that VLAN.
    pub const fn vlan(id: u16) -> Self {
        Self { protocol: 0x8100, id, priority: 0, drop_eligible: false }
    }

    /// With that priority.
    #[must_use]
    pub const fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// May be dropped first.
    #[must_use]
    pub const fn drop_eligible(mut self) -> Self {
        self.drop_eligible = true;
        self
    }

    /// With a provider's ethertype.
    #[must_use]
    pub const fn provider(mut self) -> Self {
        self.protocol = 0x88a8;
        self
    }

    fn control(self) -> u16 {
        u16::from(self.priority) << 13 | u16::from(self.drop_eligible) << 12 | self.id
    }

    pub(super) fn read((protocol, control): (u16, u16)) -> Self {
        Self {
            protocol,
            id: control & 0x0fff,
            priority: control.to_be_bytes()[0] >> 5,
            drop_eligible: control & 0x1000 != 0,
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provider = if self.protocol == 0x8100 { "" } else { "provider " };
        write!(f, "{provider}vlan {}", self.id)?;
        if self.priority > 0 {
            write!(f, " priority {}", self.priority)?;
        }
        f.write_str(if self.drop_eligible { " dei" } else { "" })
    }
}

/// A frame to be sent as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shot {
    to: Mac,
    from: Option<Mac>,
    tags: Vec<Tag>,
    bytes: usize,
    bypass: bool,
    /// What it says to be, if not one of our own frames.
    ethertype: Option<u16>,
    /// The priority that the sender's kernel is told (`SO_PRIORITY`).
    urgency: u8,
    /// What it carries.
    content: Content,
    /// What is wrong with the datagram.
    flaw: Option<Flaw>,
    /// The session of PPPoE that the datagram is in.
    session: Option<u16>,
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    /// Nothing but what is known as ours.
    Ours,
    /// A datagram: its sender and its group.
    Datagram((IpAddr, IpAddr)),
    /// ARP: operation, sender and target.
    Arp((u16, Ipv4Addr, Ipv4Addr)),
    /// A question for a neighbour of IPv6: sender and target.
    Solicitation((Ipv6Addr, Ipv6Addr)),
    /// A message about memberships.
    Message(Message),
}

/// The shortest frame of ours: its header, and what it is known by.
const SHORTEST: usize = 14 + 12;

impl Shot {
    /// To that address, from the sender's own, as short as Ethernet has them (60 bytes).
    pub const fn to(mac: Mac) -> Self {
        Self {
            to: mac,
            from: None,
            tags: Vec::new(),
            bytes: 60,
            bypass: false,
            ethertype: None,
            urgency: 0,
            content: Content::Ours,
            flaw: None,
            session: None,
        }
    }

    fn with(content: Content, to: Mac) -> Self {
        Self { content, ..Self::to(to) }
    }

    /// ARP to all: 1 asks for the target, 2 tells of the sender. Sender and target being the same,
    /// it is gratuitous (RFC 5944, 4.6).
    pub fn arp(operation: u16, sender: Ipv4Addr, target: Ipv4Addr) -> Self {
        Self::with(Content::Arp((operation, sender, target)), Mac::BROADCAST)
    }

    /// Asks for the neighbour with that address, as if the sender had the other.
    pub fn solicitation(sender: Ipv6Addr, target: Ipv6Addr) -> Self {
        Self::with(Content::Solicitation((sender, target)), solicited_mac(target))
    }

    /// A UDP datagram to an IP group, as if that address had sent it. Both are of one family.
    pub fn datagram(from: IpAddr, group: IpAddr) -> Self {
        Self::with(Content::Datagram((from, group)), group_mac(group))
    }

    /// A datagram with a flaw.
    #[must_use]
    pub const fn flawed(mut self, flaw: Flaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    /// A datagram in a session of PPPoE (RFC 2516).
    #[must_use]
    pub const fn session(mut self, number: u16) -> Self {
        self.session = Some(number);
        self
    }

    /// A message about memberships.
    pub fn message(message: &Message) -> Self {
        Self::with(Content::Message(message.clone()), message.group())
    }

    /// To all.
    pub const fn broadcast() -> Self {
        Self::to(Mac::BROADCAST)
    }

    /// With that address as its source.
    #[must_use]
    pub const fn from(mut self, mac: Mac) -> Self {
        self.from = Some(mac);
        self
    }

    /// With a tag, outside of those that it has.
    #[must_use]
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.insert(0, tag);
        self
    }

    /// That many bytes long: header and tags counted, the check sum not. At least 26, and 4 for
    /// each tag.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Past the link's transmit queue (`PACKET_QDISC_BYPASS`).
    #[must_use]
    pub const fn bypassing_the_queue(mut self) -> Self {
        self.bypass = true;
        self
    }

    /// Of that ethertype. Its payload stays one of ours.
    #[must_use]
    pub const fn ethertype(mut self, ethertype: u16) -> Self {
        self.ethertype = Some(ethertype);
        self
    }

    /// With that priority within the sender's kernel (`SO_PRIORITY`, 0 to 6): no tag has it unless
    /// a link puts it there.
    #[must_use]
    pub const fn urgency(mut self, urgency: u8) -> Self {
        self.urgency = urgency;
        self
    }

    pub(super) const fn is_group(&self) -> bool {
        self.to.0[0] & 1 == 1
    }

    /// The ethertype that it is heard by.
    pub(super) const fn heard_as(&self) -> u16 {
        const fn of_ip(is_ipv4: bool) -> u16 {
            if is_ipv4 { 0x0800 } else { 0x86dd }
        }
        match (&self.content, self.session, self.ethertype) {
            (_, Some(_), _) => session::ETHERTYPE,
            (Content::Arp(_), ..) => 0x0806,
            (Content::Solicitation(_), ..) => of_ip(false),
            (_, _, Some(other)) => other,
            (Content::Datagram((from, _)), ..) => of_ip(from.is_ipv4()),
            (Content::Message(message), ..) => of_ip(message.is_ipv4()),
            (Content::Ours, ..) => ETHERTYPE,
        }
    }

    /// Whether it is sent by a socket of its own.
    pub(super) const fn is_apart(&self) -> bool {
        self.bypass || self.urgency > 0 || self.ethertype.is_some()
    }

    /// The ethertype that the sender's kernel is told, 0 for none.
    pub(super) const fn told_as(&self) -> u16 {
        match self.ethertype {
            Some(ethertype) => ethertype,
            None => 0,
        }
    }

    pub(super) const fn bypasses(&self) -> bool {
        self.bypass
    }

    pub(super) const fn urgent(&self) -> u8 {
        self.urgency
    }

    /// The frame, as it is sent with that number by a link with that address.
    pub(super) fn frame(&self, own: Mac, number: u32) -> Vec<u8> {
        let mut frame = Vec::with_capacity(self.bytes);
        frame.extend(self.to.0);
        frame.extend(self.from.unwrap_or(own).0);
        for tag in &self.tags {
            frame.extend(tag.protocol.to_be_bytes());
            frame.extend(tag.control().to_be_bytes());
        }
        frame.extend(self.body(number));
        frame
    }

    /// Ethertype and payload: what no driver changes.
    fn body(&self, number: u32) -> Vec<u8> {
        let length = self.bytes.max(SHORTEST + 4 * self.tags.len()) - 12 - 4 * self.tags.len();
        let mut body = self.heard_as().to_be_bytes().to_vec();
        match &self.content {
            Content::Datagram(addresses) => {
                let mut packet = datagram(*addresses, number);
                if let Some(flaw) = self.flaw {
                    flaw.put(&mut packet);
                }
                if let Some(session) = self.session {
                    body.extend(session::header(session, &packet));
                }
                body.extend(packet);
                return body;
            }
            Content::Solicitation(asked) => {
                body.extend(solicitation::packet(*asked, number));
                return body;
            }
            Content::Message(message) => body = message.packet(),
            Content::Arp(asked) => body.extend(arp(*asked, self.from)),
            Content::Ours => {}
        }
        body.extend(payload(number));
        // A pattern in which no two neighbours are alike.
        let fill = |at: usize| u8::try_from(at * 7 % 251).unwrap_or_default();
        body.extend((body.len()..length).map(fill));
        body
    }

    /// Whether these bytes, tags aside, are the frame as it was sent.
    pub(super) fn is(&self, own: Mac, number: u32, heard: &[u8]) -> bool {
        let sent = self.body(number);
        let addresses = [self.to.0, self.from.unwrap_or(own).0].concat();
        heard.get(..12) == Some(&addresses[..])
            && heard.get(12..).is_some_and(|body| {
                // Short frames may be padded on their way.
                body.get(..sent.len()) == Some(&sent[..])
                    && (body.len() == sent.len() || heard.len() <= 60)
            })
    }
}

/// A datagram to a group, whole: padding would be cut off on its way.
fn datagram(addresses: (IpAddr, IpAddr), number: u32) -> Vec<u8> {
    const HOPS: u8 = 8;
    const PORT: u16 = 5001;
    // So much that the shortest frame is full.
    const FILL: [u8; 8] = [0x68; 8];
    let packet = match addresses {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
        (from, to) => PacketBuilder::ipv6(mapped(from), mapped(to), HOPS),
    };
    let mut bytes = Vec::new();
    let carried = [&payload(number)[..], &FILL].concat();
    packet.udp(PORT, PORT).write(&mut bytes, &carried).expect("a vector takes all");
    bytes
}

/// An ARP message of Ethernet and IPv4 (RFC 826). Whose Ethernet address it tells is the frame's
/// affair where no other is given.
fn arp((operation, sender, target): (u16, Ipv4Addr, Ipv4Addr), from: Option<Mac>) -> Vec<u8> {
    let mut bytes = vec![0, 1, 8, 0, 6, 4];
    bytes.extend(operation.to_be_bytes());
    bytes.extend(from.unwrap_or(Mac([0; 6])).0);
    bytes.extend(sender.octets());
    bytes.extend([0; 6]);
    bytes.extend(target.octets());
    bytes
}

pub(super) fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

impl fmt::Display for Shot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Ours => write!(f, "a frame to {}", self.to)?,
            Content::Datagram((from, group)) => write!(f, "a datagram of {from} to {group}")?,
            Content::Arp((operation, sender, target)) => {
                write!(f, "ARP {operation} of {sender} for {target}")?;
            }
            Content::Solicitation((sender, target)) => {
                write!(f, "a solicitation of {sender} for {target}")?;
            }
            Content::Message(message) => f.write_str(message.name())?,
        }
        if let Some(from) = self.from {
            write!(f, " as if of {from}")?;
        }
        if let Some(flaw) = self.flaw {
            write!(f, " with a flaw ({flaw:?})")?;
        }
        if let Some(session) = self.session {
            write!(f, " in session {session}")?;
        }
        if let Some(ethertype) = self.ethertype {
            write!(f, " of ethertype {ethertype:#06x}")?;
        }
        if self.urgency > 0 {
            write!(f, " of urgency {}", self.urgency)?;
        }
        self.tags.iter().try_for_each(|tag| write!(f, " in {tag}"))?;
        if self.bytes == 60 { Ok(()) } else { write!(f, " of {} bytes", self.bytes) }
    }
}

/// One host that heard a shot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hearing {
    /// The host, or `host:link` if it was not at the link that it is reached at.
    pub at: String,
    /// The link that it came in by.
    pub link: String,
    /// For whom the receiving link took it to be.
    pub kind: Taken,
    /// How often it came.
    pub times: u32,
    /// The tag that it came with, as the link's tap saw it: the stack takes it off.
    pub tag: Option<Tag>,
    /// Whether it came as it was sent, tags aside.
    pub whole: bool,
    /// How long it was, in bytes, without its tag.
    pub bytes: usize,
}

/// For whom a link took a frame to be (`PACKET_HOST` …).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// For itself.
    Host,
    /// For all.
    Broadcast,
    /// For a group.
    Multicast,
    /// For somebody else.
    Other,
}

impl From<Kind> for Taken {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Host => Self::Host,
            Kind::Broadcast => Self::Broadcast,
            Kind::Multicast => Self::Multicast,
            Kind::OtherHost | Kind::Outgoing => Self::Other,
        }
    }
}

impl fmt::Display for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Taken::Host => "host",
            Taken::Broadcast => "broadcast",
            Taken::Multicast => "multicast",
            Taken::Other => "other",
        };
        write!(f, "{} {kind}", self.at)?;
        if let Some(tag) = self.tag {
            write!(f, " {tag}")?;
        }
        if self.times > 1 {
            write!(f, " x{}", self.times)?;
        }
        if self.whole { Ok(()) } else { write!(f, " changed ({} bytes)", self.bytes) }
    }
}

/// What became of a shot.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    /// Who heard it, in the order of the topology's hosts.
    pub heard: Vec<Hearing>,
    /// The error number with which the sender's kernel refused it.
    pub refused: Option<i32>,
    /// Where the taps saw it, oldest first.
    pub seen: Vec<Sighting>,
    /// The tag that it had at each of these.
    pub(super) tags: Vec<Option<Tag>>,
    /// Who did not hear it, and what proves that; or why nothing does.
    pub(super) missing: Vec<(String, Result<String, String>)>,
}

impl Fate {
    /// Whether all that is not said to have heard it is proved not to have.
    pub fn proved(&self) -> Result<(), Error> {
        let unproved =
            self.missing.iter().find_map(|(host, proof)| Some((host, proof.as_ref().err()?)));
        match unproved {
            None => Ok(()),
            Some((host, why)) => Err(Error::new(
                format!("whether `{host}` heard the frame is inconclusive: {why}"),
                "a shot",
                "give the sender and that host a working pair each, for the controls",
            )),
        }
    }

    /// Tells of each that heard it with which tag it came.
    pub(super) fn add_tags(&mut self) {
        for hearing in &mut self.heard {
            let seen = self.seen.iter().zip(&self.tags);
            let mut came = seen.filter(|(sighting, _)| {
                sighting.link == hearing.link && sighting.direction == Direction::In
            });
            hearing.tag = came.next().and_then(|(_, tag)| *tag);
        }
    }

    /// The tag that it had when it left by a link, `sw:p1`; `None` if it had none or never did.
    pub fn tag_leaving(&self, link: &str) -> Option<Tag> {
        let seen = self.seen.iter().zip(&self.tags);
        let mut left = seen.filter(|(s, _)| s.link == link && s.direction == Direction::Out);
        left.next().and_then(|(_, tag)| *tag)
    }

    /// The way that it took: `c1:c0> p:p0> e:e0<`.
    pub fn path(&self) -> String {
        path(&self.seen)
    }
}

impl fmt::Display for Fate {
    /// Who heard it: `c1 host, e other`; `nobody`; or the error with which it was refused.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(errno) = self.refused {
            return write!(f, "refused {:?}", nix::errno::Errno::from_raw(errno));
        }
        if self.heard.is_empty() {
            return f.write_str("nobody");
        }
        let words: Vec<String> = self.heard.iter().map(ToString::to_string).collect();
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    #[test]
    fn a_shot_is_as_long_as_it_was_asked_to_be() {
        for bytes in [60, 61, 1514, 1518] {
            let tagged = Shot::to(B).tag(Tag::vlan(5)).bytes(bytes);
            assert_eq!(tagged.frame(A, 1).len(), bytes);
            assert_eq!(Shot::to(B).bytes(bytes).frame(A, 1).len(), bytes);
        }
        assert_eq!(Shot::to(B).bytes(0).frame(A, 1).len(), SHORTEST);
    }

    #[test]
    fn a_datagram_is_known_by_its_number() {
        use super::super::decode::{Heard, hear, number_in};
        let pairs = [("192.0.2.1", "239.1.2.3"), ("2001:db8::1", "ff0e::77")];
        for (from, group) in pairs {
            let shot = Shot::datagram(from.parse().unwrap(), group.parse().unwrap());
            let frame = shot.frame(A, 9);
            assert!(frame.len() >= 60, "{} bytes", frame.len());
            assert_eq!(number_in(&frame), Some(9));
            assert_eq!(hear(&frame), Some(Heard::Frame(9)));
            assert!(shot.is(A, 9, &frame));
        }
    }

    #[test]
    fn a_question_is_known_by_its_number() {
        use super::super::decode::{Heard, hear, number_in};
        let (sender, target) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let shot = Shot::arp(1, sender, target).from(B);
        let frame = shot.frame(A, 9);
        assert_eq!(frame.len(), 60);
        assert_eq!(number_in(&frame), Some(9));
        assert!(shot.is(A, 9, &frame));
        assert_eq!(hear(&frame), Some(Heard::Frame(9)));
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let shot = Shot::to(B).bytes(100);
        let mut heard = shot.frame(A, 7);
        assert!(shot.is(A, 7, &heard));
        assert!(!shot.is(A, 7, &heard[..99]));
        heard[99] ^= 1;
        assert!(!shot.is(A, 7, &heard));
    }

    #[test]
    fn a_tag_is_read_as_it_was_written() {
        let tag = Tag::vlan(4094).priority(5).drop_eligible();
        assert_eq!(Tag::read((0x8100, tag.control())), tag);
        assert_eq!(tag.to_string(), "vlan 4094 priority 5 dei");
        assert_eq!(Tag::vlan(1).provider().to_string(), "provider vlan 1");
    }
}
