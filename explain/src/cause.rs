//! What can stop a packet: the promise behind each cause, and what helps.
//!
//! A cause is also a wish: a walk can be repeated with it lifted, and what then arrives shows that
//! it was this one.

use std::net::Ipv4Addr;

use crate::ruleset::Hook;
use crate::snapshot::{LinkId, Snapshot};

/// One reason, at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// A link is down.
    Down(LinkId),
    /// A link has no carrier, and what it stands on does not say why.
    NoCarrier(LinkId),
    /// A macvlan child and its parent's machine.
    Apart(LinkId),
    /// Macvlan children that do not switch between themselves.
    Siblings(LinkId, String),
    /// A macvlan child hears its own address only.
    OwnAddressOnly(LinkId),
    /// A passthru child takes all of its parent's unicast.
    Passthru(LinkId),
    /// A source child hears nobody who is not on its list.
    NotListed(LinkId),
    /// Children without a queue lose broadcast from outside.
    NoQueue(LinkId),
    /// A dummy swallows what is sent.
    Dummy(LinkId),
    /// A bridge port that does not forward.
    PortState(LinkId),
    /// Two isolated ports.
    Isolated(LinkId),
    /// A port does not send back out of itself.
    NoHairpin(LinkId),
    /// A port gets no broadcast.
    NoBroadcast(LinkId),
    /// A port gets no unicast to unknown addresses.
    NoFlood(LinkId),
    /// A locked port does not believe the sender.
    Locked(LinkId),
    /// A pinned entry sends the address elsewhere.
    Pinned(LinkId, String),
    /// Nobody here takes frames of that VLAN.
    NoVlan(LinkId, u16),
    /// A firewall drops it: namespace, hook, chain, rule's handle, whether on a bridge.
    Filter(usize, Hook, String, Option<u64>, bool),
    /// No route.
    NoRoute(usize, Ipv4Addr),
    /// A route that forbids.
    Forbidden(usize, String, String),
    /// A namespace does not route what comes in there.
    NoForwarding(LinkId),
    /// The reverse path filter.
    ReversePath(LinkId, Ipv4Addr),
    /// A packet that claims to come from the receiver.
    Martian(LinkId, Ipv4Addr),
    /// A host does not answer pings.
    EchoIgnored(usize),
    /// A host does not answer ARP for that address there.
    ArpIgnored(LinkId),
    /// A neighbour entry names an Ethernet address that is not the neighbour's.
    Neighbour(LinkId, Ipv4Addr, String),
}

/// What is known of a cause beyond its name.
pub(crate) struct Told {
    /// What happens, in one sentence.
    pub(crate) why: String,
    /// Whether drivers are made so, or somebody set it up.
    pub(crate) design: bool,
    /// The suite's rule and a case filter that proves it.
    pub(crate) rule: Option<&'static str>,
    /// What helps, the safest first: words, then a command.
    pub(crate) remedies: Vec<(String, String)>,
    /// What is often tried and does not help.
    pub(crate) no_remedy: Option<&'static str>,
}

impl Cause {
    /// Whether the packet is gone for certain, and nothing can be told of what would come after.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::NoRoute(..) | Self::Forbidden(..))
    }

    /// Tells of the cause in a machine's own names.
    pub(crate) fn told(&self, snapshot: &Snapshot) -> Told {
        let names = Names(snapshot);
        match self {
            Self::Apart(_)
            | Self::Siblings(..)
            | Self::OwnAddressOnly(_)
            | Self::Passthru(_)
            | Self::NotListed(_)
            | Self::NoQueue(_)
            | Self::Dummy(_) => self.child(&names),
            Self::PortState(_)
            | Self::Isolated(_)
            | Self::NoHairpin(_)
            | Self::NoBroadcast(_)
            | Self::NoFlood(_)
            | Self::Locked(_)
            | Self::Pinned(..) => self.port(&names),
            Self::Down(_) | Self::NoCarrier(_) | Self::NoVlan(..) => self.link(&names),
            _ => self.packet(&names),
        }
    }

    fn child(&self, names: &Names<'_>) -> Told {
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
                     route add CONTAINER/32 dev shim0",
                    names.within(parent.0),
                    names.bare(*parent)
                ),
            )
            .remedy("or put the container on a bridge network", "docker network create NAME".into())
            .not("promiscuous mode, iptables rules, IP forwarding"),
            Self::Siblings(parent, mode) => {
                let vepa = mode == "vepa";
                let rule = if vepa { "macvlan.vepa.siblings-need-reflection" } else { "macvlan.private.siblings-stay-apart" };
                let told = design(
                    format!(
                        "children of {} with mode {mode} do not switch between themselves{}",
                        names.link(*parent),
                        if vepa { "; a plain switch does not send their frames back" } else { "" }
                    ),
                    rule,
                );
                told.remedy(
                    "switch both children to bridge mode",
                    "ip link set CHILD type macvlan mode bridge".into(),
                )
                .not(if vepa { "promiscuous mode" } else { "a switch that reflects, promiscuous mode" })
            }
            Self::OwnAddressOnly(parent) => design(
                format!(
                    "a macvlan child takes unicast to its own Ethernet address only; what is behind a child of {} \
                     (a bridge, a VM) has another",
                    names.link(*parent)
                ),
                "macvlan.delivery.only-its-own-address",
            )
            .remedy(
                "make the parent itself a bridge port instead of a macvlan parent",
                format!("{}ip link set {} master BRIDGE", names.within(parent.0), names.bare(*parent)),
            )
            .remedy("or let one child alone have the parent", "ip link add CHILD link PARENT type macvlan mode passthru".into())
            .not("promiscuous mode of the child"),
            Self::Passthru(parent) => design(
                format!("a passthru child takes all unicast of its parent {}", names.link(*parent)),
                "macvlan.passthru.parent-hears-no-unicast",
            )
            .remedy("use the child's address instead of the parent's", "ip address add ADDRESS dev CHILD".into()),
            Self::NotListed(child) => config(
                format!("{} has source mode and hears listed senders only", names.link(*child)),
                Some("macvlan.source.hears-listed-senders-only"),
            )
            .remedy(
                "list the sender",
                format!("{}ip link set {} type macvlan macaddr add MAC", names.within(child.0), names.bare(*child)),
            ),
            Self::NoQueue(child) => config(
                format!("{} has no queue for broadcast from outside, so it hears no ARP request", names.link(*child)),
                Some("macvlan.queue.none-loses-broadcast-from-outside"),
            )
            .remedy(
                "give it its queue back",
                format!("{}ip link set {} type macvlan bcqueuelen 1000", names.within(child.0), names.bare(*child)),
            ),
            Self::Dummy(link) => {
                design(format!("{} is a dummy, which swallows what is sent", names.link(*link)), "")
                    .remedy("use a parent with a wire", "docker network create -d macvlan -o parent=NIC NAME".into())
            }
            _ => unreachable!("told elsewhere"),
        }
    }

    fn port(&self, names: &Names<'_>) -> Told {
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
            Self::NoFlood(port) => config(
                format!(
                    "port {} gets no unicast to addresses that the bridge has not learned",
                    names.link(*port)
                ),
                Some("bridge.port.flood-off-stops-unknown-unicast-only"),
            )
            .remedy("let the bridge learn there", set(*port, "learning on"))
            .remedy("or flood to it again", set(*port, "flood on")),
            Self::Locked(port) => config(
                format!(
                    "port {} is locked and drops senders that the bridge has no entry for",
                    names.link(*port)
                ),
                Some("bridge.port.locked-drops-unknown-senders"),
            )
            .remedy(
                "enter the sender",
                format!(
                    "{}bridge fdb add MAC dev {} master static",
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

    fn link(&self, names: &Names<'_>) -> Told {
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

    fn packet(&self, names: &Names<'_>) -> Told {
        match self {
            Self::Filter(space, hook, chain, handle, bridged) => names.filter(*space, *hook, chain, *handle, *bridged),
            Self::NoRoute(space, to) => config(
                format!("{} has no route to {to}", names.space(*space)),
                Some("bridge.docker.other-bridge-needs-routing"),
            )
            .remedy(
                "add a route by way of a router that both know",
                format!("{}ip route add {to}/32 via ROUTER", names.within(*space)),
            ),
            Self::Forbidden(space, kind, to) => {
                config(format!("a route of {} says {kind} {to}", names.space(*space)), None)
                    .remedy("take the route away", format!("{}ip route del {kind} {to}", names.within(*space)))
            }
            Self::NoForwarding(link) => config(
                format!("{} does not route what comes in by {}", names.space(link.0), names.bare(*link)),
                Some("bridge.docker.other-bridge-needs-routing"),
            )
            .remedy("let it route", format!("{}sysctl -w net.ipv4.ip_forward=1", names.within(link.0))),
            Self::ReversePath(link, from) => config(
                format!(
                    "the reverse path filter of {}: what comes from {from} is expected by another link",
                    names.link(*link)
                ),
                None,
            )
            .remedy("mend the route back", format!("{}ip route get {from}", names.within(link.0)))
            .remedy("or be content with any route back", format!("{}sysctl -w net.ipv4.conf.{}.rp_filter=2", names.within(link.0), names.bare(*link))),
            Self::Martian(link, from) => config(
                format!("{from} is an address of {} itself, so it drops what comes from there", names.space(link.0)),
                None,
            )
            .remedy("give each host an address of its own", format!("{}ip address show", names.within(link.0))),
            Self::EchoIgnored(space) => {
                config(format!("{} answers no pings", names.space(*space)), None)
                    .remedy("let it answer", format!("{}sysctl -w net.ipv4.icmp_echo_ignore_all=0", names.within(*space)))
            }
            Self::ArpIgnored(link) => config(
                format!("arp_ignore of {} has it not answer for addresses of other links", names.link(*link)),
                None,
            )
            .remedy("let it answer", format!("{}sysctl -w net.ipv4.conf.{}.arp_ignore=0", names.within(link.0), names.bare(*link))),
            Self::Neighbour(link, ip, mac) => config(
                format!("{} holds {mac} for {ip}, and that is not where {ip} is", names.link(*link)),
                None,
            )
            .remedy("forget the entry", format!("{}ip neigh del {ip} dev {}", names.within(link.0), names.bare(*link))),
            _ => unreachable!("told elsewhere"),
        }
    }
}

fn design(why: String, rule: &'static str) -> Told {
    let rule = Some(rule).filter(|rule| !rule.is_empty());
    Told { why, design: true, rule, remedies: Vec::new(), no_remedy: None }
}

fn config(why: String, rule: Option<&'static str>) -> Told {
    Told { why, design: false, rule, remedies: Vec::new(), no_remedy: None }
}

impl Told {
    fn remedy(mut self, words: &str, command: String) -> Self {
        self.remedies.push((words.to_owned(), command));
        self
    }

    fn not(mut self, words: &'static str) -> Self {
        self.no_remedy = Some(words);
        self
    }
}

/// The names of a machine's things.
struct Names<'s>(&'s Snapshot);

impl Names<'_> {
    fn link(&self, id: LinkId) -> String {
        self.0.name(id)
    }

    fn bare(&self, id: LinkId) -> String {
        self.0.link(id).map_or_else(|| format!("#{}", id.1), |link| link.name.clone())
    }

    fn space(&self, at: usize) -> &str {
        &self.0.spaces[at].name
    }

    /// What to put before a command for it to be run there.
    fn within(&self, at: usize) -> String {
        let space = &self.0.spaces[at];
        match (at, space.name.strip_prefix("pid:"), space.name.strip_prefix("/run/netns/")) {
            (0, ..) => String::new(),
            (_, Some(pid), _) => format!("nsenter -t {pid} -n "),
            (_, _, Some(name)) => format!("ip netns exec {name} "),
            _ => format!("nsenter --net={} ", space.name),
        }
    }

    fn filter(
        &self,
        at: usize,
        hook: Hook,
        chain: &str,
        handle: Option<u64>,
        bridged: bool,
    ) -> Told {
        let by = handle
            .map_or("its policy".to_owned(), |handle| format!("its rule with handle {handle}"));
        let on = if bridged { " (bridged packets go there since br_netfilter is on)" } else { "" };
        let why =
            format!("the {hook} hook of {} drops it: chain `{chain}`, by {by}{on}", self.space(at));
        let rule = match (bridged, hook, handle) {
            (true, ..) => "bridge.docker.br-netfilter-drops-on-one-bridge-too",
            (_, Hook::Forward, None) => "bridge.docker.forward-drop-cuts-bridges-apart",
            _ => "nat.port.dropped-alone",
        };
        let within = self.within(at);
        let mut told = config(why, Some(rule));
        if bridged {
            let off = format!("{within}sysctl -w net.bridge.bridge-nf-call-iptables=0");
            told = told.remedy("keep bridged packets out of the IP firewall", off);
        }
        let look = format!("{within}nft -a list chain {chain}");
        let told = told.remedy("read the chain, and let this pair pass before the drop", look);
        told.remedy(
            "an accept for the one pair",
            format!("{within}nft insert rule {chain} ip saddr A ip daddr B accept"),
        )
    }
}
