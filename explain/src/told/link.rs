//! What stops frames at a link.

use super::{Names, Told, config};
use crate::cause::Cause;

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
