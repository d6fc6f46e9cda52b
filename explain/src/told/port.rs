//! What stops frames at the ports of a bridge.

use super::{Names, Told, config};
use crate::cause::Cause;
use crate::snapshot::LinkId;

impl Cause {
    pub(super) fn port(&self, names: &Names<'_>) -> Told {
        let set = |link: LinkId, words: &str| {
            format!("{}bridge link set dev {} {words}", names.within(link.0), names.bare(link))
        };
        match self {
            Self::PortState(port) => config(
                format!("port {} does not forward: its state is not forwarding", names.link(*port)),
                Some("bridge.device.a-port-forwards-in-one-state"),
            )
            .remedy("let it forward (with STP on, mend the tree instead)", set(*port, "state 3")),
            Self::Isolated(port) => config(
                format!(
                    "ports of one bridge that are isolated do not reach each other; {} is one",
                    names.link(*port)
                ),
                Some("bridge.port.isolated-ports-stay-apart"),
            )
            .remedy("end the isolation of one of the two", set(*port, "isolated off"))
            .not("firewall rules: isolated frames never get to one"),
            Self::NoHairpin(port) => config(
                format!(
                    "a bridge does not send a frame back out of the port it came in by, {}",
                    names.link(*port)
                ),
                Some("bridge.port.hairpin-sends-back"),
            )
            .remedy("let that port reflect", set(*port, "hairpin on")),
            Self::NoBroadcast(port) => config(
                format!(
                    "port {} gets no broadcast, so nobody behind it hears an ARP request",
                    names.link(*port)
                ),
                Some("bridge.port.group-flood-off-stops-its-own-kind"),
            )
            .remedy("flood broadcast to it again", set(*port, "bcast_flood on")),
            Self::NoMulticast(port) => config(
                format!(
                    "port {} gets no multicast, so nobody behind it is asked for an IPv6 neighbour",
                    names.link(*port)
                ),
                Some("bridge.port.group-flood-off-stops-its-own-kind"),
            )
            .remedy("flood multicast to it again", set(*port, "mcast_flood on")),
            Self::NoFlood(port) => config(
                format!(
                    "port {} gets no unicast to addresses that the bridge has not learned",
                    names.link(*port)
                ),
                Some("bridge.port.flood-off-stops-unknown-unicast-only"),
            )
            .remedy("let the bridge learn there", set(*port, "learning on"))
            .remedy("or flood to it again", set(*port, "flood on")),
            Self::Locked(port, sender) => config(
                format!(
                    "port {} is locked and drops senders that the bridge has no entry for",
                    names.link(*port)
                ),
                Some("bridge.port.locked-drops-unknown-senders"),
            )
            .remedy(
                "enter the sender",
                format!(
                    "{}bridge fdb add {sender} dev {} master static",
                    names.within(port.0),
                    names.bare(*port)
                ),
            )
            .remedy("or unlock the port", set(*port, "locked off")),
            Self::Pinned(port, mac) => config(
                format!("an entry that does not move says that {mac} is at {}", names.link(*port)),
                Some("bridge.learning.a-sticky-entry-stays"),
            )
            .remedy(
                "take the entry away",
                format!(
                    "{}bridge fdb del {mac} dev {} master",
                    names.within(port.0),
                    names.bare(*port)
                ),
            ),
            _ => unreachable!("told elsewhere"),
        }
    }
}
