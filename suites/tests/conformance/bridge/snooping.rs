//! Memberships that a bridge learns from the reports of hosts.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               hosts join and leave groups as programs do
//!   b --- p2 +----+
//! ```

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Bridge, CaseLab, Error, Family, LinkName, Need, Rule, Source, Stop, Strength, Topology, check,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[LEARNED, EACH, EXPIRED];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge")];

const GROUP4: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 0x77);

pub(super) fn group(family: Family) -> String {
    match family {
        Family::V4 => GROUP4.to_string(),
        Family::V6 => GROUP6.to_string(),
    }
}

/// The switch with addresses at its hosts, following memberships. Ports believe a leave at once.
pub(super) fn snooping() -> Topology {
    let switch = switch_with(Bridge::default().mcast_snooping(true));
    ["a", "b", "c", "sw"].iter().enumerate().fold(switch, |topology, (place, host)| {
        let link = if *host == "sw" { "sw:br".to_owned() } else { format!("{host}:eth0") };
        topology
            .sysctl(host, "ipv6.conf.default.disable_ipv6", "0")
            .address(&link, &format!("192.0.2.{}/24", place + 1))
            .address(&link, &format!("2001:db8::{}/64", place + 1))
    })
}

/// Has a host join the group; it leaves when what is returned is dropped.
pub(super) fn join(lab: &CaseLab, host: &str, family: Family) -> Result<UdpSocket, Error> {
    let link = LinkName::new(host, "eth0");
    let index = lab.topology().ifindex(&link);
    let address = lab.topology().address_of(host, Family::V4);
    let join = || -> io::Result<UdpSocket> {
        match (family, address) {
            (Family::V4, Some(std::net::IpAddr::V4(own))) => {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                socket.join_multicast_v4(&GROUP4, &own)?;
                Ok(socket)
            }
            _ => {
                let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
                socket.join_multicast_v6(&GROUP6, index)?;
                Ok(socket)
            }
        }
    };
    lab.inside(host, join)?.map_err(|error| {
        Error::new(format!("cannot join a group: {error}"), host, "see `hairpin doctor`")
    })
}

const LEARNED: Rule = Rule {
    id: "bridge.snooping.members-are-learned-from-reports",
    promise: "a port behind which a host joins a group is a member of it; where a leave is believed \
              at once, it is none as soon as the host leaves",
    source: Source {
        cite: "RFC 4541, 2.1.1; bridge(8), fast_leave; br_ip4_multicast_igmp3_report",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn members_are_learned_from_reports(#[case] family: Family) {
    check(&LEARNED, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.set_option("sw:p2", port::FAST_LEAVE, 1).await?;
        for _ in 0..2 {
            let member = join(&lab, "b", family)?;
            lab.expect_member("sw:p2", &group(family), true).await?;
            drop(member);
            lab.expect_member("sw:p2", &group(family), false).await?;
        }
        Ok(())
    });
}

const EACH: Rule = Rule {
    id: "bridge.snooping.each-port-for-itself",
    promise: "each port with members is one, also the one that joined last, and stays one when \
              another leaves",
    source: Source {
        cite: "RFC 4541, 2.1.1; br_multicast_add_group",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn each_port_for_itself(#[case] family: Family) {
    check(&EACH, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        for port in ["sw:p1", "sw:p2"] {
            lab.set_option(port, port::FAST_LEAVE, 1).await?;
        }
        let group = group(family);
        let first = join(&lab, "a", family)?;
        lab.expect_member("sw:p1", &group, true).await?;
        let second = join(&lab, "b", family)?;
        lab.expect_member("sw:p2", &group, true).await?;
        expect_ports(&lab, &group, &["p1", "p2"]).await?;
        drop(first);
        lab.expect_member("sw:p1", &group, false).await?;
        expect_ports(&lab, &group, &["p2"]).await?;
        drop(second);
        lab.expect_member("sw:p2", &group, false).await
    });
}

async fn expect_ports(lab: &CaseLab, group: &str, ports: &[&str]) -> Result<(), Stop> {
    let entries = lab.mdb("sw").await?;
    let mut seen: Vec<String> =
        entries.into_iter().filter(|entry| entry.group == group).map(|entry| entry.link).collect();
    seen.sort();
    lab.claim(&format!("members: {}", ports.join(", ")), seen == ports, seen.join(", "))
}

const EXPIRED: Rule = Rule {
    id: "bridge.snooping.a-silent-member-expires",
    promise: "a membership that nobody reports again ends after the membership interval",
    source: Source {
        cite: "RFC 3376, 8.4; ip-link(8), mcast_membership_interval",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_silent_member_expires(#[case] family: Family) {
    check(&EXPIRED, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.set_option("sw:br", bridge::MCAST_MEMBERSHIP_INTERVAL, 100).await?;
        let notices = lab.notices("sw")?;
        // A host reports unasked once or twice only.
        let _member = join(&lab, "b", family)?;
        lab.expect_member_for_a_time(&notices, "sw:p2", &group(family)).await
    });
}
