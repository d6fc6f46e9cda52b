//! What stops frames at a link.

use super::{Names, Told, config};
use crate::cause::{Cause, Word};
use crate::snapshot::LinkId;

impl Cause {
    pub(super) fn link(&self, names: &Names<'_>) -> Told {
        match self {
            Self::Down(link) => {
                let rule = match names.0.link(*link).map(|link| &link.kind) {
                    Some(crate::snapshot::Kind::Veth) => Some("veth.carrier-while-both-are-up"),
                    Some(crate::snapshot::Kind::Bridge(_)) => {
                        Some("bridge.flooding.a-bridge-that-is-down-forwards-nothing")
                    }
                    _ => None,
                };
                let above = !names.0.above(*link).is_empty();
                let rule = if above
                    && rule != Some("bridge.flooding.a-bridge-that-is-down-forwards-nothing")
                {
                    Some("macvlan.life.carrier-is-the-parents")
                } else {
                    rule
                };
                config(format!("{} is down", names.link(*link)), rule).remedy(
                    "bring it up",
                    format!("{}ip link set {} up", names.within(link.0), names.bare(*link)),
                )
            }
            Self::NoCarrier(link) => config(format!("{} has no carrier", names.link(*link)), None)
                .remedy(
                    "plug it in: for a card the cable, for a bridge a port that is up",
                    format!("{}ip link show {}", names.within(link.0), names.bare(*link)),
                ),
            Self::TooLong(link, bytes, word) => too_long(names, *link, *bytes, *word),
            Self::NoVlan(link, id) => config(
                format!(
                    "frames come to {} with VLAN {id}, and no link there takes that VLAN",
                    names.link(*link)
                ),
                Some("vlan.takes-its-own-id-only"),
            )
            .remedy(
                "add the VLAN",
                format!(
                    "{}ip link add link {} name {1}.{id} type vlan id {id}",
                    names.within(link.0),
                    names.bare(*link)
                ),
            ),
            _ => unreachable!("told elsewhere"),
        }
    }
}

fn too_long(names: &Names<'_>, link: LinkId, bytes: u32, word: Word) -> Told {
    let mtu = names.0.link(link).map_or(0, |link| link.mtu);
    let (what, rule) = match word {
        Word::Own => ("the sender is told at once, `Message too long`".to_owned(), None),
        Word::Icmp => (
            format!(
                "{} sends the sender word by ICMP (IPv4: fragmentation needed, IPv6: packet too big) with \
                 that MTU",
                names.space(link.0)
            ),
            Some("docker.mtu.the-sender-is-told"),
        ),
        Word::None => ("it is lost, and nobody is told".to_owned(), None),
    };
    let why =
        format!("{} takes packets of {mtu} bytes, and not of {bytes}: {what}", names.link(link));
    let set = |link: LinkId, bytes: u32| {
        format!("{}ip link set {} mtu {bytes}", names.within(link.0), names.bare(link))
    };
    config(why, rule)
        .remedy(
            "have senders send no longer packets: their links' MTU",
            format!("ip link set LINK mtu {mtu}"),
        )
        .remedy("or give that link the MTU, and what it is plugged into", set(link, bytes))
}
