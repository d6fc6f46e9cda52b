//! The conformance suite: one program, one module an area.
//!
//! | area | about |
//! |---|---|
//! | [`host`] | processes that share one namespace |
//! | [`bridge`] | Docker's default networks, and the flags of a bridge port |
//! | [`docker`] | Docker-style networks: policies, published ports, addresses, neighbours |
//! | [`ipvlan`] | children that share their parent's address |
//! | [`vlan`] | links that stand for one VLAN |
//! | [`veth`] | the cable that every lab is made of |
//! | [`nat`] | published ports, masquerading, rules that speak of ports |
//! | [`underlay`] | switch ports that do not take every address |
//! | [`macvtap`] | children whose frames come out of a file |
//! | [`measure`] | what each kind of network costs: figures, no cases |
//! | [`macvlan`] | children, siblings, parents and the switch outside, mode by mode |

mod bonds;
mod bridge;
mod counted;
mod docker;
mod filtered;
mod host;
mod ipvlan;
mod looped;
mod macvlan;
mod macvtap;
mod measure;
mod moved;
mod nat;
mod segments;
mod underlay;
mod veth;
mod vlan;

hairpin_harness::suite!(
    host::RULES,
    bridge::docker::RULES,
    bridge::access::RULES,
    bridge::answers::RULES,
    bridge::asking::RULES,
    bridge::binding::RULES,
    bridge::bonded::RULES,
    bridge::byhand::RULES,
    bridge::byvlan::RULES,
    bridge::device::RULES,
    bridge::election::RULES,
    bridge::entries::RULES,
    bridge::external::RULES,
    bridge::files::RULES,
    bridge::flooding::RULES,
    bridge::flush::RULES,
    bridge::followed::RULES,
    bridge::given::RULES,
    bridge::groups::RULES,
    bridge::hooks::RULES,
    bridge::hosts::RULES,
    bridge::instances::RULES,
    bridge::learning::RULES,
    bridge::listeners::RULES,
    bridge::netfilter::RULES,
    bridge::messages::RULES,
    bridge::notices::RULES,
    bridge::older::RULES,
    bridge::own::RULES,
    bridge::packets::RULES,
    bridge::port::RULES,
    bridge::probes::RULES,
    bridge::provider::RULES,
    bridge::querier::RULES,
    bridge::ranges::RULES,
    bridge::reports::RULES,
    bridge::requests::RULES,
    bridge::routers::RULES,
    bridge::senders::RULES,
    bridge::settings::RULES,
    bridge::snooping::RULES,
    bridge::stations::RULES,
    bridge::suppression::RULES,
    bridge::sysfs::RULES,
    bridge::tagged::RULES,
    bridge::tree::RULES,
    bridge::tunnels::RULES,
    bridge::time::RULES,
    bridge::topology::RULES,
    bridge::vlan::RULES,
    bridge::ways::RULES,
    bridge::whole::RULES,
    bridge::wishes::RULES,
    docker::advertised::RULES,
    docker::flux::RULES,
    docker::mtu::RULES,
    docker::policy::RULES,
    docker::published::RULES,
    docker::restart::RULES,
    docker::shim::RULES,
    docker::twoways::RULES,
    nat::RULES,
    ipvlan::RULES,
    ipvlan::layer3::RULES,
    ipvlan::lookup::RULES,
    ipvlan::asking::RULES,
    ipvlan::birth::RULES,
    ipvlan::bonded::RULES,
    ipvlan::counters::RULES,
    ipvlan::cpus::RULES,
    ipvlan::echoes::RULES,
    ipvlan::given::RULES,
    ipvlan::groups::RULES,
    ipvlan::hooks::RULES,
    ipvlan::near::RULES,
    ipvlan::paths::RULES,
    ipvlan::tap::RULES,
    ipvlan::told::RULES,
    macvlan::address::RULES,
    macvlan::birth::RULES,
    macvlan::bonded::RULES,
    macvlan::bridge::RULES,
    macvlan::counters::RULES,
    macvlan::cpus::RULES,
    macvlan::delivery::RULES,
    macvlan::end::RULES,
    macvlan::filters::RULES,
    macvlan::ip::RULES,
    macvlan::life::RULES,
    macvlan::mixed::RULES,
    macvlan::mtu::RULES,
    macvlan::offload::RULES,
    macvlan::outside::RULES,
    macvlan::owner::RULES,
    macvlan::parent::RULES,
    macvlan::passthru::RULES,
    macvlan::private::RULES,
    macvlan::queue::RULES,
    macvlan::senders::RULES,
    macvlan::settings::RULES,
    macvlan::source::RULES,
    macvlan::vepa::RULES,
    macvtap::RULES,
    macvtap::asleep::RULES,
    macvtap::bonded::RULES,
    macvtap::limits::RULES,
    macvtap::noted::RULES,
    macvtap::offload::RULES,
    macvtap::requests::RULES,
    underlay::RULES,
    veth::RULES,
    veth::bursts::RULES,
    veth::offload::RULES,
    veth::pieces::RULES,
    veth::queues::RULES,
    veth::ring::RULES,
    veth::stamps::RULES,
    veth::xdp::RULES,
    vlan::RULES,
    vlan::below::RULES,
    vlan::bonded::RULES,
    vlan::flags::RULES,
    vlan::older::RULES,
    vlan::priority::RULES,
    vlan::registration::RULES,
    vlan::stack::RULES,
    vlan::told::RULES;
    [
        ("fixtures/expectations/bridge.toml", include_str!("../../../fixtures/expectations/bridge.toml")),
        ("fixtures/expectations/macvlan.toml", include_str!("../../../fixtures/expectations/macvlan.toml")),
        ("fixtures/expectations/veth.toml", include_str!("../../../fixtures/expectations/veth.toml")),
    ]
);
