//! Ports at which a bridge speaks for others, or takes a note of who would speak: proxy ARP, neighbour
//! suppression message by message, locked ports that note who knocks, reserved groups that teach.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use hairpin_fixtures::switch::switch;
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Bridge, CaseLab, Errno, Error, Family, Fdb, Mac, Need, Rule, Shot, Source, Stop, Strength,
    Topology, check, options::LinkOption,
};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[KNOCKS, RESERVED, NO_FLOOD, SPEAKS, SPARED, OWN];

/// An address that no link of the topology has.
const ROAMER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x15]);

const KNOCKS: Rule = Rule {
    id: "bridge.access.who-knocks-is-noted-and-kept-out",
    promise: "a locked port with mab notes an unknown sender as a locked entry and keeps it out; the \
              entry made by hand lets it in; one that is known elsewhere is kept out and stays there; \
              without mab locked entries are gone; mab without locked is refused",
    source: Source {
        cite: "bridge(8), mab; a35ec8e38cdd (bridge: Add MAC Authentication Bypass support)",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(6, 2)],
};

/// Holds what the bridge knows of the address that roams, leaving out VLANs, which a port has though
/// they are not kept apart.
async fn expect_noted(lab: &CaseLab, when: &str, lines: &[&str]) -> Result<(), Stop> {
    let entries = lab
        .fdb("sw")
        .await?
        .into_iter()
        .filter(|entry| entry.mac == ROAMER && entry.vlan.is_none());
    let lines_seen = entries.map(|entry| entry.to_string().replace(&format!("{ROAMER} "), ""));
    lab.expect_lines(when, lines_seen, lines)
}

#[test]
fn who_knocks_is_noted_and_kept_out() {
    check(&KNOCKS, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let a = lab.mac("a:eth0");
        lab.add_fdb("sw:p1", a, Fdb::STATIC).await?;
        let done = lab.set_option("sw:p1", port::MAB, 1).await;
        lab.expect_refusal("mab without locked", done, Errno::EINVAL)?;
        let on = [(port::LOCKED, 1), (port::MAB, 1)];
        lab.set_options("sw:p1", &on).await?;
        lab.expect_option("sw:p1", port::MAB, 1).await?;
        lab.expect_option("sw:p2", port::MAB, 0).await?;
        let done = lab.set_option("sw:p1", port::LOCKED, 0).await;
        lab.expect_refusal("unlocked with mab", done, Errno::EINVAL)?;
        let knock = Shot::broadcast().from(ROAMER);
        for _ in 0..2 {
            lab.expect_shot("a", &knock, "nobody").await?;
            expect_noted(&lab, "knocked", &["p1 locked"]).await?;
        }
        lab.add_fdb("sw:p1", ROAMER, Fdb::STATIC).await?;
        expect_noted(&lab, "made by hand", &["p1 static"]).await?;
        lab.expect_shot("a", &knock, "b broadcast, c broadcast, sw broadcast").await?;
        lab.delete_fdb("sw:p1", ROAMER, None).await?;
        lab.expect_shot("a", &knock, "nobody").await?;
        lab.expect_shot("b", &knock, "a broadcast, c broadcast, sw broadcast").await?;
        expect_noted(&lab, "let in elsewhere", &["p2"]).await?;
        lab.expect_shot("a", &knock, "nobody").await?;
        expect_noted(&lab, "known elsewhere", &["p2"]).await?;
        lab.flush_fdb("sw:p2").await?;
        lab.expect_shot("a", &knock, "nobody").await?;
        expect_noted(&lab, "noted again", &["p1 locked"]).await?;
        lab.set_option("sw:p1", port::MAB, 0).await?;
        expect_noted(&lab, "without mab", &[]).await?;
        lab.expect_shot("a", &knock, "nobody").await?;
        expect_noted(&lab, "not noted without mab", &[]).await
    });
}

const RESERVED: Rule = Rule {
    id: "bridge.access.reserved-groups-teach-unless-told",
    promise: "the sender of a frame that stays on its link (LLDP) is learned as any other, and is \
              not where the bridge is told so or its port learns nothing",
    source: Source {
        cite: "ip-link(8), no_linklocal_learn; __br_handle_local_finish",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn reserved_groups_teach_unless_told() {
    check(&RESERVED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let lldp = Shot::to(Mac([0x01, 0x80, 0xc2, 0, 0, 0x0e])).from(ROAMER);
        let told = |on| (bridge::SWITCHES, bridge::switch(0, on));
        for (at, (option, value), learned) in [
            ("sw:br", told(false), true),
            ("sw:br", told(true), false),
            ("sw:br", told(false), true),
            ("sw:p1", (port::LEARNING, 0), false),
            ("sw:p1", (port::LEARNING, 1), true),
        ] {
            lab.set_option(at, option, value).await?;
            lab.flush_fdb("sw:p1").await?;
            lab.shoot("a", &lldp).await?.proved()?;
            let lines: &[&str] = if learned { &["p1"] } else { &[] };
            expect_noted(&lab, &format!("{option} {value:x}"), lines).await?;
        }
        Ok(())
    });
}

const NO_FLOOD: Rule = Rule {
    id: "bridge.access.a-proxy-port-is-not-flooded",
    promise: "a port at which the bridge answers ARP for all gets no frame that is flooded, and what \
              is for an address that is known there",
    source: Source {
        cite: "bridge(8), proxy_arp; 958501163ddd (bridge: Add support for IEEE 802.11 Proxy ARP)",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_proxy_port_is_not_flooded() {
    check(&NO_FLOOD, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let a = lab.mac("a:eth0");
        lab.add_fdb("sw:p1", a, Fdb::STATIC).await?;
        lab.set_option("sw:p1", port::PROXYARP, 1).await?;
        lab.expect_shot("b", &Shot::to(ROAMER), "c other").await?;
        lab.expect_shot("b", &Shot::to(a), "a host").await?;
        lab.set_option("sw:p1", port::PROXYARP, 0).await?;
        lab.set_option("sw:p1", port::PROXYARP_WIFI, 1).await?;
        lab.expect_shot("b", &Shot::to(ROAMER), "a other, c other").await?;
        Ok(())
    });
}

/// The switch with addresses at its hosts, and one that the bridge itself knows.
fn lan() -> Topology {
    let lan = Topology::new("known")
        .host("a")
        .host("b")
        .host("c")
        .host("sw")
        .bridge_with("sw:br", Bridge::default().mcast_snooping(false))
        .address("sw:br", "192.0.2.9/24")
        .address("sw:br", "2001:db8::9/64");
    [("a", "p1", 1), ("b", "p2", 2), ("c", "p3", 3)].iter().fold(lan, |lan, (host, port, last)| {
        let (port, link) = (format!("sw:{port}"), format!("{host}:eth0"));
        lan.cable(&*port, &*link)
            .port(&*port, "br")
            .address(&*link, &format!("192.0.2.{last}/24"))
            .address(&*link, &format!("2001:db8::{last}/64"))
    })
}

/// An address that nobody has, and that a bridge is to know at some Ethernet address.
pub(super) fn known(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, 77).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77).into(),
    }
}

/// Has a host want to speak with an address, and so ask for it.
pub(super) fn wish(lab: &CaseLab, host: &str, ip: IpAddr) -> Result<(), Error> {
    let any = if ip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let sent = lab.inside(host, || UdpSocket::bind(any)?.send_to(b"?", (ip, 9)).map(drop))?;
    sent.map_err(|error| Error::new(format!("cannot send to {ip}: {error}"), host, ""))
}

const SPEAKS: Rule = Rule {
    id: "bridge.access.the-bridge-answers-for-whom-it-knows",
    promise: "a bridge that knows a neighbour, and by which port it is reached, answers for it: at a \
              port with proxy ARP, and for one behind a port with proxy ARP for wireless or with \
              neighbour suppression; the asker gets the neighbour's Ethernet address",
    source: Source {
        cite: "bridge(8), proxy_arp, proxy_arp_wifi and neigh_suppress; br_arp_send and br_nd_send",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::proxy(Family::V4, "sw:p1", port::PROXYARP)]
#[case::wireless(Family::V4, "sw:p2", port::PROXYARP_WIFI)]
#[case::suppressed_v4(Family::V4, "sw:p2", port::NEIGH_SUPPRESS)]
#[case::suppressed_v6(Family::V6, "sw:p2", port::NEIGH_SUPPRESS)]
fn the_bridge_answers_for_whom_it_knows(
    #[case] family: Family,
    #[case] at: &str,
    #[case] option: LinkOption,
) {
    check(&SPEAKS, async |case| {
        let mut lab = case.lab(&lan()).await?;
        let ip = known(family);
        lab.add_fdb("sw:p2", ROAMER, Fdb::STATIC).await?;
        lab.add_neighbour("sw:br", ip, ROAMER).await?;
        lab.set_option(at, option, 1).await?;
        wish(&lab, "a", ip)?;
        lab.expect_neighbour("a", ip, ROAMER).await
    });
}

const SPARED: Rule = Rule {
    id: "bridge.access.a-suppressed-port-is-spared",
    promise: "a port with neighbour suppression is spared gratuitous ARP and questions for the \
              bridge's own address or a known neighbour's; it gets questions for others, and answers; \
              what it asks itself leaves by all ports; other ports get all",
    source: Source {
        cite: "bridge(8), neigh_suppress; br_do_proxy_suppress_arp, net/bridge/br_arp_nd_proxy.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

const fn v4(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, last)
}

#[test]
fn a_suppressed_port_is_spared() {
    check(&SPARED, async |case| {
        let mut lab = case.lab(&lan()).await?;
        lab.add_fdb("sw:p3", ROAMER, Fdb::STATIC).await?;
        lab.add_neighbour("sw:br", v4(77).into(), ROAMER).await?;
        let gratuitous = Shot::arp(1, v4(1), v4(1)).from(lab.mac("a:eth0"));
        let all = "b broadcast, c broadcast, sw broadcast";
        lab.expect_shot("a", &gratuitous, all).await?;
        lab.set_option("sw:p2", port::NEIGH_SUPPRESS, 1).await?;
        let spared = "c broadcast, sw broadcast";
        let asks = |operation, target| {
            Shot::arp(operation, v4(1), target).from(Mac([0x02, 0x68, 0x70, 0xff, 0, 0x16]))
        };
        for (shot, heard) in [
            (gratuitous.clone(), spared),
            (Shot::arp(2, v4(1), v4(1)).from(lab.mac("a:eth0")), spared),
            (asks(1, v4(9)), spared),
            (asks(1, v4(77)), spared),
            (asks(1, v4(78)), all),
            (asks(2, v4(77)), all),
        ] {
            lab.expect_shot("a", &shot, heard).await?;
        }
        let from_b = Shot::arp(1, v4(2), v4(77)).from(lab.mac("b:eth0"));
        lab.expect_shot("b", &from_b, "a broadcast, c broadcast, sw broadcast").await?;
        Ok(())
    });
}

const OWN: Rule = Rule {
    id: "bridge.access.an-address-of-two-ports-is-kept",
    promise: "an address that two ports have, or a port and the bridge, stays the bridge's own when \
              one of them goes",
    source: Source { cite: "fdb_delete_local, net/bridge/br_fdb.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_address_of_two_ports_is_kept() {
    check(&OWN, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_mac("sw:p1", ROAMER).await?;
        expect_noted(&lab, "of one port", &["p1 own"]).await?;
        lab.set_mac("sw:p2", ROAMER).await?;
        lab.set_bridge("sw:p1", None).await?;
        expect_noted(&lab, "of the other", &["p2 own"]).await?;
        lab.set_mac("sw:br", ROAMER).await?;
        lab.set_bridge("sw:p2", None).await?;
        expect_noted(&lab, "of the bridge", &["br own"]).await?;
        lab.expect_shot("c", &Shot::to(ROAMER), "sw host").await?;
        Ok(())
    });
}
