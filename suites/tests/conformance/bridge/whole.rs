//! What is asked of a bridge all at once, or is too much for one word of it.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::{LinkOption, bridge, port};
use hairpin_harness::{
    Bridge, CaseLab, Need, PortVlan, Rule, Source, Stop, Strength, Topology, check,
};

pub(crate) const RULES: &[Rule] = &[SETTINGS, PORT, VLANS, ALL];

const NEEDS: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::VlanFiltering, Need::Since(5, 10)];

fn filtering() -> Topology {
    switch_with(Bridge::default().mcast_snooping(false).vlan_filtering())
}

/// Sets all in one request, holds that each is told, and the same again with what was before.
async fn expect_all_set(
    lab: &mut CaseLab,
    link: &str,
    settings: &[(LinkOption, u64)],
) -> Result<(), Stop> {
    let mut before = Vec::new();
    for (option, value) in settings {
        let was = lab.option(link, *option).await?;
        let is_other = was.is_some_and(|was| was != *value);
        lab.claim(
            &format!("{option} was something else than {value}"),
            is_other,
            format!("{was:?}"),
        )?;
        before.push((*option, was.unwrap_or_default()));
    }
    for all in [settings, &before] {
        let done = lab.set_options(link, all).await;
        lab.expect_done("all in one request", done)?;
        for (option, value) in all {
            lab.expect_option(link, *option, *value).await?;
        }
    }
    Ok(())
}

/// Holds that p1, with all that is to be told of it, tells that it has changed.
pub(super) async fn expect_change_told(lab: &mut CaseLab) -> Result<(), Stop> {
    let notices = lab.notices("sw")?;
    lab.set_option("sw:p1", port::LEARNING, 0).await?;
    let told = lab.told_of(&notices)?;
    let is = told.iter().any(|line| line == "port p1 state 3");
    lab.claim("the port's change is told", is, format!("{told:?}"))
}

const SETTINGS: Rule = Rule {
    id: "bridge.whole.many-settings-in-one-request",
    promise: "a request that bears many settings of a bridge sets each of them",
    source: Source {
        cite: "ip-link(8), type bridge; br_changelink",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn many_settings_in_one_request() {
    check(&SETTINGS, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        let settings = [
            (bridge::FORWARD_DELAY, 1100),
            (bridge::HELLO_TIME, 300),
            (bridge::MAX_AGE, 1900),
            (bridge::AGEING_TIME, 20_000),
            (bridge::PRIORITY, 0x3000),
            (bridge::VLAN_PROTOCOL, 0x88a8),
            (bridge::DEFAULT_PVID, 7),
            (bridge::VLAN_STATS, 1),
            (bridge::GROUP_FWD_MASK, 0x4000),
            (bridge::GROUP_ADDRESS, 0x0180_c200_000d),
            (bridge::MCAST_ROUTER, 2),
            (bridge::MCAST_SNOOPING, 1),
            (bridge::MCAST_QUERY_USE_IFADDR, 1),
            (bridge::MCAST_QUERIER, 1),
            (bridge::MCAST_HASH_MAX, 300),
            (bridge::MCAST_LAST_MEMBER_COUNT, 3),
            (bridge::MCAST_STARTUP_QUERY_COUNT, 4),
            (bridge::MCAST_LAST_MEMBER_INTERVAL, 200),
            (bridge::MCAST_MEMBERSHIP_INTERVAL, 20_100),
            (bridge::MCAST_QUERIER_INTERVAL, 20_200),
            (bridge::MCAST_QUERY_INTERVAL, 10_300),
            (bridge::MCAST_QUERY_RESPONSE_INTERVAL, 900),
            (bridge::MCAST_STARTUP_QUERY_INTERVAL, 3_200),
            (bridge::MCAST_STATS, 1),
            (bridge::MCAST_IGMP_VERSION, 3),
            (bridge::MCAST_MLD_VERSION, 2),
            (bridge::NF_CALL_IPTABLES, 1),
            (bridge::NF_CALL_IP6TABLES, 1),
            (bridge::NF_CALL_ARPTABLES, 1),
        ];
        expect_all_set(&mut lab, "sw:br", &settings).await
    });
}

const PORT: Rule = Rule {
    id: "bridge.whole.many-settings-of-a-port-in-one-request",
    promise: "a request that bears many settings of a port sets each of them",
    source: Source { cite: "ip-link(8), bridge_slave; br_setport", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[test]
fn many_settings_of_a_port_in_one_request() {
    check(&PORT, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        let settings = [
            (port::STATE, 2),
            (port::PRIORITY, 9),
            (port::COST, 77),
            (port::HAIRPIN, 1),
            (port::GUARD, 1),
            (port::ROOT_BLOCK, 1),
            (port::FAST_LEAVE, 1),
            (port::LEARNING, 0),
            (port::UNICAST_FLOOD, 0),
            (port::PROXYARP, 1),
            (port::PROXYARP_WIFI, 1),
            (port::VLAN_TUNNEL, 1),
            (port::MCAST_ROUTER, 2),
            (port::MCAST_FLOOD, 0),
            (port::MCAST_TO_UCAST, 1),
            (port::BCAST_FLOOD, 0),
            (port::GROUP_FWD_MASK, 0x4000),
            (port::NEIGH_SUPPRESS, 1),
            (port::ISOLATED, 1),
        ];
        expect_all_set(&mut lab, "sw:p2", &settings).await
    });
}

const VLANS: Rule = Rule {
    id: "bridge.whole.many-vlans-are-told-whole",
    promise: "a bridge, or a port, that is in many VLANs, none of them beside another, is told whole",
    source: Source {
        cite: "br_get_link_af_size_filtered and br_fill_ifvlaninfo, net/bridge/br_netlink.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// Many VLANs, none of them beside another.
fn apart() -> impl Iterator<Item = u16> {
    (101..=499).step_by(2)
}

/// Makes a link a member of each of them.
async fn join_apart(lab: &mut CaseLab, link: &str) -> Result<(), Stop> {
    for id in apart() {
        lab.add_vlan(link, PortVlan::tagged(id)).await?;
    }
    Ok(())
}

#[test]
fn many_vlans_are_told_whole() {
    check(&VLANS, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        for link in ["sw:br", "sw:p1"] {
            join_apart(&mut lab, link).await?;
            let lines: Vec<String> = apart().map(|id| id.to_string()).collect();
            let mut all = vec!["1 pvid untagged"];
            all.extend(lines.iter().map(String::as_str));
            lab.expect_lines(link, lab.vlans(link).await?, &all)?;
            let told = lab.vlan_ranges(link).await;
            let seen = told.as_ref().map_or_else(ToString::to_string, |all| format!("{all:?}"));
            lab.claim(&format!("{link}'s are told as ranges, too"), told.is_ok(), seen)?;
            lab.expect_lines(link, told.unwrap_or_default(), &all)?;
            let done = lab.delete_vlan(link, 101).await;
            lab.expect_done("it leaves one", done)?;
        }
        expect_change_told(&mut lab).await
    });
}

const ALL: Rule = Rule {
    id: "bridge.whole.vlans-of-all-links-at-once",
    promise: "who asks for the VLANs of all links is told those of each bridge and each port, whole, and \
              of each bridge what is of it as a whole",
    source: Source {
        cite: "br_vlan_rtm_dump and br_vlan_dump_dev, net/bridge/br_vlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::VlanFiltering, Need::Since(5, 15)],
};

#[test]
fn vlans_of_all_links_at_once() {
    check(&ALL, async |case| {
        let other = Bridge::default().mcast_snooping(false).vlan_filtering();
        let lan = filtering().bridge_with("sw:other", other).host("o").cable("sw:p4", "o:eth0");
        let mut lab = case.lab(&lan.port("sw:p4", "other")).await?;
        for link in ["sw:br", "sw:p1", "sw:p4"] {
            join_apart(&mut lab, link).await?;
        }
        let many = |link: &'static str| apart().map(move |id| format!("{link} {id}"));
        let one = ["br", "p1", "p2", "p3", "other", "p4"];
        let one = one.iter().map(|link| format!("{link} 1 pvid untagged"));
        let each = one.chain(["br", "p1", "p4"].into_iter().flat_map(many)).collect();
        expect_same(&lab, "VLANs", lab.all_vlan_ranges("sw")?, each)?;
        let whole = ["br", "other"].into_iter().flat_map(|bridge| {
            [1].into_iter().chain(apart()).map(move |id| format!("{bridge} {id} global"))
        });
        expect_same(&lab, "of bridges", lab.all_global_vlan_ranges("sw")?, whole.collect())
    });
}

/// Holds that both are the same lines, in whatever order.
fn expect_same(
    lab: &CaseLab,
    what: &str,
    mut seen: Vec<String>,
    mut wanted: Vec<String>,
) -> Result<(), Stop> {
    seen.sort_unstable();
    wanted.sort_unstable();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    lab.expect_lines(what, seen, &wanted)
}
