//! The promises that explanations name, as the suite has them: a test holds the two alike.
//!
//! The suite's rules are in a program of their own, which need not be on the machine that is
//! explained. Knows nothing of causes.

use hairpin_model::{Source, Strength};

/// A rule of the suite, as far as an explanation tells of it.
pub struct Promise {
    /// The rule's id.
    pub id: &'static str,
    /// What it promises, in one sentence.
    pub promise: &'static str,
    /// Who promises it, and how strongly that binds.
    pub source: Source,
}

/// The promise of that rule, if explanations name it.
pub fn promise(id: &str) -> Option<&'static Promise> {
    PROMISES.iter().find(|promise| promise.id == id)
}

/// All of them, by id.
pub const PROMISES: &[Promise] = &[
    Promise {
        id: "bridge.device.a-port-forwards-in-one-state",
        promise: "a port forwards and takes frames in the forwarding state only; while \
                  disabled or listening it learns nothing, while learning it does",
        source: Source {
            cite: "IEEE 802.1D, 8.4; br_handle_frame and should_deliver",
            strength: Strength::Standard,
        },
    },
    Promise {
        id: "bridge.docker.br-netfilter-drops-on-one-bridge-too",
        promise: "while br_netfilter hands bridged packets to the IP firewall, FORWARD DROP \
                  cuts hosts on one bridge apart as well; with its switch at 0 they reach each \
                  other",
        source: Source {
            cite: "ip-sysctl.rst, bridge-nf-call-iptables",
            strength: Strength::Documented,
        },
    },
    Promise {
        id: "bridge.docker.forward-drop-cuts-bridges-apart",
        promise: "with the FORWARD policy at DROP, as Docker sets it, nothing passes between \
                  bridges; on one bridge everything still does, while bridged packets stay out \
                  of the firewall",
        source: Source {
            cite: "Docker: packet filtering and firewalls; nft(8)",
            strength: Strength::Documented,
        },
    },
    Promise {
        id: "bridge.docker.other-bridge-needs-routing",
        promise: "hosts on different bridges of one machine reach each other at layer 3, by \
                  way of their gateways, only while the machine routes",
        source: Source {
            cite: "ip-sysctl.rst, ip_forward and forwarding",
            strength: Strength::Documented,
        },
    },
    Promise {
        id: "bridge.flooding.a-bridge-that-is-down-forwards-nothing",
        promise: "a bridge that is down takes its ports' frames and forwards none; up again it \
                  does",
        source: Source {
            cite: "observed on 6.1 and 6.18; br_stp_disable_bridge and br_handle_frame",
            strength: Strength::Observed,
        },
    },
    Promise {
        id: "bridge.learning.a-sticky-entry-stays",
        promise: "a sticky entry stays at its port wherever its address is seen; the frame \
                  that was seen elsewhere passes",
        source: Source {
            cite: "bridge(8), fdb add sticky; commit 435f2e7cc0b7",
            strength: Strength::Documented,
        },
    },
    Promise {
        id: "bridge.port.flood-off-stops-unknown-unicast-only",
        promise: "a port with flood off gets unicast only for addresses that were learned on \
                  it; broadcast and multicast still go there",
        source: Source { cite: "bridge(8), flood", strength: Strength::Documented },
    },
    Promise {
        id: "bridge.port.group-flood-off-stops-its-own-kind",
        promise: "bcast_flood off keeps broadcast from a port, mcast_flood off unregistered \
                  multicast; neither touches the other, nor unicast",
        source: Source {
            cite: "bridge(8), bcast_flood and mcast_flood",
            strength: Strength::Documented,
        },
    },
    Promise {
        id: "bridge.port.hairpin-sends-back",
        promise: "a frame leaves again by the port it came in by only while hairpin is on \
                  there",
        source: Source {
            cite: "bridge(8), hairpin; IEEE 802.1Q reflective relay",
            strength: Strength::Standard,
        },
    },
    Promise {
        id: "bridge.port.isolated-ports-stay-apart",
        promise: "nothing passes between two isolated ports; either reaches those that are \
                  not, and they it",
        source: Source { cite: "bridge(8), isolated", strength: Strength::Documented },
    },
    Promise {
        id: "bridge.port.locked-drops-unknown-senders",
        promise: "a locked port takes frames only from addresses that are pinned to it",
        source: Source { cite: "bridge(8), locked", strength: Strength::Documented },
    },
    Promise {
        id: "docker.mtu.the-sender-is-told",
        promise: "a packet of exactly the MTU of the way passes; of one that is a byte longer and must \
                  not be cut the sender is told that it is too big",
        source: Source {
            cite: "RFC 1191, 4; RFC 4443, 3.2; RFC 8201",
            strength: Strength::Standard,
        },
    },
    Promise {
        id: "docker.published.loopback-needs-masquerade-not-hairpin",
        promise: "containers reach a port that their own network publishes only if what is sent back \
                  into the network is masqueraded (a container does not answer itself otherwise, and \
                  over IPv4 does not even hear); while packets are routed and not bridged, the bridge \
                  port's hairpin has no part in it",
        source: Source {
            cite: "RFC 4787, 6 (hairpinning); net/bridge/br_forward.c, should_deliver",
            strength: Strength::Code,
        },
    },
    Promise {
        id: "macvlan.delivery.only-its-own-address",
        promise: "a child takes unicast for its own address only, as its own; its parent sees \
                  what is for nobody as somebody else's; broadcast comes once to each",
        source: Source {
            cite: "macvlan_handle_frame, drivers/net/macvlan.c",
            strength: Strength::Code,
        },
    },
    Promise {
        id: "macvlan.life.carrier-is-the-parents",
        promise: "a child has carrier while its parent has: it goes with the far end of the \
                  cable or with the parent and comes back with it",
        source: Source {
            cite: "macvlan_device_event and netif_stacked_transfer_operstate",
            strength: Strength::Code,
        },
    },
    Promise {
        id: "macvlan.parent.apart-unless-reflected",
        promise: "no child talks to its parent's machine, nor that to it: their frames leave \
                  by the wire; only a switch that reflects them brings the two together",
        source: Source {
            cite: "the article, \"no mode can talk to eth0\", true of plain switches; \
                  macvlan_queue_xmit, drivers/net/macvlan.c",
            strength: Strength::Code,
        },
    },
    Promise {
        id: "macvlan.passthru.parent-hears-no-unicast",
        promise: "a passthru child takes every unicast frame that comes in, also those to the \
                  parent's own address: the machine itself is cut off until the child is gone",
        source: Source {
            cite: "macvlan_handle_frame, drivers/net/macvlan.c",
            strength: Strength::Code,
        },
    },
    Promise {
        id: "macvlan.private.siblings-stay-apart",
        promise: "private siblings do not talk; they reach the network outside, and it them",
        source: Source { cite: "ip-link(8), macvlan mode private", strength: Strength::Documented },
    },
    Promise {
        id: "macvlan.queue.none-loses-broadcast-from-outside",
        promise: "where no child asks for a queue, broadcast from outside reaches the parent \
                  only, which counts it as dropped; what siblings send each other needs none; \
                  a child that asks for one has it all back",
        source: Source {
            cite: "macvlan_broadcast_enqueue and macvlan_compute_filter, drivers/net/macvlan.c",
            strength: Strength::Code,
        },
    },
    Promise {
        id: "macvlan.source.hears-listed-senders-only",
        promise: "a source child hears nothing from outside with an empty list, and with a \
                  list the senders on it; it may send to anybody",
        source: Source { cite: "ip-link(8), macvlan mode source", strength: Strength::Documented },
    },
    Promise {
        id: "macvlan.vepa.siblings-need-reflection",
        promise: "vepa siblings talk only by way of a switch that sends frames back out of the \
                  port they came in by; without one their frames leave by the parent and are \
                  lost",
        source: Source {
            cite: "ip-link(8), macvlan mode vepa; IEEE 802.1Q reflective relay",
            strength: Strength::Documented,
        },
    },
    Promise {
        id: "nat.port.dropped-alone",
        promise: "a rule that drops one TCP or UDP port in FORWARD drops it without a word, \
                  and no other port",
        source: Source { cite: "nft(8), drop", strength: Strength::Documented },
    },
    Promise {
        id: "veth.carrier-while-both-are-up",
        promise: "an end has carrier while both ends are up, and loses it as soon as either \
                  goes down",
        source: Source {
            cite: "veth_open and veth_close, drivers/net/veth.c; veth(4)",
            strength: Strength::Code,
        },
    },
    Promise {
        id: "vlan.takes-its-own-id-only",
        promise: "a VLAN's link takes the frames that bear its id, without their tag, and no \
                  others: those without a tag and with a priority only stay with the link \
                  below",
        source: Source {
            cite: "IEEE 802.1Q, 6.7; vlan_do_receive, net/8021q/vlan_core.c",
            strength: Strength::Standard,
        },
    },
];
