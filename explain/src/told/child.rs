//! What stops frames at macvlan children, their parents and dummies.

use super::{Names, Told, config, design};
use crate::cause::Cause;
use crate::snapshot::{Kind, LinkId};

impl Cause {
    pub(super) fn child(&self, names: &Names<'_>) -> Told {
        match self {
            Self::Apart(parent) => design(
                format!(
                    "{} is the parent of a macvlan child: what a child sends leaves by the wire and never \
                     enters its parent's own stack, nor the other way round",
                    names.link(*parent)
                ),
                "macvlan.parent.apart-unless-reflected",
            )
            .remedy(
                "give the machine a child of its own, and route to the container through it",
                format!(
                    "{}ip link add shim0 link {} type macvlan mode bridge && {0}ip link set shim0 up && {0}ip \
                     route add CONTAINER dev shim0",
                    names.within(parent.0),
                    names.bare(*parent)
                ),
            )
            .remedy(
                "or put the container on a bridge network instead, where its machine is its gateway",
                "docker network create --driver bridge bridged".into(),
            )
            .not("promiscuous mode, iptables rules, IP forwarding"),
            Self::Siblings(parent, mode, one, other) => {
                siblings(names, *parent, mode, [*one, *other])
            }
            Self::OwnAddressOnly(parent, child) => own_address(names, *parent, *child),
            Self::Passthru(parent, child) => passthru(names, *parent, *child),
            Self::NotListed(child, sender) => config(
                format!("{} has source mode and hears listed senders only", names.link(*child)),
                Some("macvlan.source.hears-listed-senders-only"),
            )
            .remedy(
                "list the sender",
                format!(
                    "{}ip link set {} type {} macaddr add {sender}",
                    names.within(child.0),
                    names.bare(*child),
                    names.kind(*child)
                ),
            ),
            Self::NoQueue(child) => config(
                format!("{} has no queue for broadcast from outside, so it hears no ARP request", names.link(*child)),
                Some("macvlan.queue.none-loses-broadcast-from-outside"),
            )
            .remedy(
                "give it its queue back",
                format!(
                    "{}ip link set {} type {} bcqueuelen 1000",
                    names.within(child.0),
                    names.bare(*child),
                    names.kind(*child)
                ),
            ),
            Self::Dummy(link) => dummy(names, *link),
            _ => unreachable!("told elsewhere"),
        }
    }
}

fn siblings(names: &Names<'_>, parent: LinkId, mode: &str, two: [LinkId; 2]) -> Told {
    let vepa = mode == "vepa";
    let rule = if vepa {
        "macvlan.vepa.siblings-need-reflection"
    } else {
        "macvlan.private.siblings-stay-apart"
    };
    let told = design(
        format!(
            "children of {} with mode {mode} do not switch between themselves{}",
            names.link(parent),
            if vepa { "; a plain switch does not send their frames back" } else { "" }
        ),
        rule,
    );
    let is_bridge = |id: &LinkId| match names.0.link(*id).map(|link| &link.kind) {
        Some(Kind::Macvlan(child) | Kind::Macvtap(child)) => child.mode == "bridge",
        _ => false,
    };
    let switch = |id: LinkId| {
        let (within, name, kind) = (names.within(id.0), names.bare(id), names.kind(id));
        format!("{within}ip link set {name} type {kind} mode bridge")
    };
    let commands: Vec<String> = two.into_iter().filter(|id| !is_bridge(id)).map(switch).collect();
    let words = if commands.len() == 2 {
        "switch both children to bridge mode"
    } else {
        "switch the child that has another mode to bridge mode"
    };
    told.remedy(words, commands.join(" && ")).not(if vepa {
        "promiscuous mode"
    } else {
        "a switch that reflects, promiscuous mode"
    })
}

fn own_address(names: &Names<'_>, parent: LinkId, child: LinkId) -> Told {
    let told = design(
        format!(
            "a macvlan child takes unicast to its own Ethernet address only; what is behind {} (a bridge, a \
             VM) has another",
            names.link(child)
        ),
        "macvlan.delivery.only-its-own-address",
    )
    .not("promiscuous mode of the child");
    let bridge =
        names.0.link(child).and_then(|link| link.port).map(|(bridge, _)| (child.0, bridge));
    let others = names.0.above(parent).into_iter().filter(|id| *id != child).count();
    let Some(bridge) = bridge.filter(|_| others == 0) else { return told };
    // The mode of a child that is there cannot become passthru.
    let (inside, name) = (names.within(child.0), names.bare(child));
    told.remedy(
        "let the child alone have the parent: make it anew with mode passthru",
        format!(
            "{inside}ip link del {name} && {}ip link add link {} name {name} netns {} type {} mode passthru \
             && {inside}ip link set {name} master {} up",
            names.within(parent.0),
            names.bare(parent),
            names.netns(child.0),
            names.kind(child),
            names.bare(bridge)
        ),
    )
}

fn passthru(names: &Names<'_>, parent: LinkId, child: LinkId) -> Told {
    let told = design(
        format!("a passthru child takes all unicast of its parent {}", names.link(parent)),
        "macvlan.passthru.parent-hears-no-unicast",
    );
    let Some(net) = names.0.link(parent).and_then(|link| link.addresses.first()) else {
        return told;
    };
    told.remedy(
        "move the parent's address to the child",
        format!(
            "{}ip address del {net} dev {} && {}ip address add {net} dev {}",
            names.within(parent.0),
            names.bare(parent),
            names.within(child.0),
            names.bare(child)
        ),
    )
}

fn dummy(names: &Names<'_>, link: LinkId) -> Told {
    let told = design(format!("{} is a dummy, which swallows what is sent", names.link(link)), "");
    let wire = |found: &&crate::snapshot::Link| {
        found.kind == Kind::Card && !found.loopback && found.up && found.carrier
    };
    match names.0.spaces[link.0].links.iter().find(wire) {
        Some(card) => told.remedy(
            "use a parent with a wire",
            format!("docker network create -d macvlan -o parent={} wired", card.name),
        ),
        None => told,
    }
}
