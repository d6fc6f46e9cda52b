//! A container that comes back with its IP address and another Ethernet address.
//!
//! ```text
//!   c1 (new MAC) --- br1 --- c2 (knows the old one)
//! ```

use hairpin_fixtures::docker_host;
use hairpin_harness::firewall::Protocol;
use hairpin_harness::{Family, Flow, Mac, Need, Rule, Source, Strength, check};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[STALE];

const STALE: Rule = Rule {
    id: "docker.restart.a-new-mac-must-be-announced",
    promise: "who knew a container keeps sending to its old Ethernet address, where nobody is, until \
              the container announces the new one, which it does if arp_notify or ndisc_notify is set",
    source: Source {
        cite: "ip-sysctl.rst, arp_notify and ndisc_notify; RFC 4861, 7.2.6",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge")],
};

#[rstest]
#[case::v4(Family::V4, "ipv4.conf.eth0.arp_notify")]
#[case::v6(Family::V6, "ipv6.conf.eth0.ndisc_notify")]
fn a_new_mac_must_be_announced(#[case] family: Family, #[case] notify: &str) {
    check(&STALE, async |case| {
        const SECOND: Mac = Mac([0x02, 0x68, 0x70, 0, 0xaa, 2]);
        const THIRD: Mac = Mac([0x02, 0x68, 0x70, 0, 0xaa, 3]);
        let mut lab = case.lab(&docker_host()).await?;
        let flow = Flow::new(Protocol::Udp, family).between("c2", "c1").aside("r", 81).control("r");
        let (c1, first) = (lab.topology().address_of("c1", family), lab.mac("c1:eth0"));
        let c1 = c1.expect("c1 has both families");
        lab.expect_flow(&flow, '+').await?;
        lab.set_mac("c1:eth0", SECOND).await?;
        // The router, whose control is to arrive, is told.
        lab.add_neighbour("r:br1", c1, SECOND).await?;
        lab.expect_flow(&flow, '#').await?;
        let known = lab.neighbour("c2", c1).await?;
        lab.claim("c2 still knows the old one", known == Some(first), format!("{known:?}"))?;
        lab.set_sysctl("c1", notify, "1")?;
        lab.set_mac("c1:eth0", THIRD).await?;
        lab.add_neighbour("r:br1", c1, THIRD).await?;
        lab.expect_neighbour("c2", c1, THIRD).await?;
        lab.expect_flow(&flow, '+').await?;
        Ok(())
    });
}
