//! A machine with two links on one network: by which it answers, and with which address it asks.
//!
//! ```text
//!   m eth0 .1 --- p1 +----+
//!   m eth1 .2 --- p2 | br | p3 --- a .3
//! ```

use hairpin_harness::{
    Bridge, CaseLab, Family, Need, Rule, Source, Stop, Strength, Topology, check,
};
pub(crate) const RULES: &[Rule] = &[ANSWERS];

const ANSWERS: Rule = Rule {
    id: "docker.flux.each-link-answers-for-all-unless-told",
    promise: "a machine answers ARP for any of its addresses by whichever link it is asked at; with \
              arp_ignore 1 only by the link that has the address",
    source: Source { cite: "ip-sysctl.rst, arp_ignore", strength: Strength::Documented },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge")],
};

fn two_links() -> Topology {
    let lan = Topology::new("flux")
        .host("m")
        .host("a")
        .netns("sw")
        .bridge_with("sw:br", Bridge::default().mcast_snooping(false));
    let links = [("sw:p1", "m:eth0", 1), ("sw:p2", "m:eth1", 2), ("sw:p3", "a:eth0", 3)];
    links.iter().fold(lan, |lan, (port, link, last)| {
        lan.cable(*port, *link).port(*port, "br").address(*link, &format!("192.0.2.{last}/24"))
    })
}

/// Holds by which of its links m answers a's question for eth0's address.
async fn expect_answers(lab: &mut CaseLab, both: bool) -> Result<(), Stop> {
    let cell = lab.ping(Family::V4, "a", "m").await?;
    lab.claim("a reaches m", cell.verdict.symbol() == '+', &cell.verdict)?;
    let path = cell.path("arp reply");
    let by = [path.contains("m:eth0>"), path.contains("m:eth1>")];
    lab.claim(&format!("by eth0, and by eth1: {both}"), by == [true, both], &path)
}

#[test]
fn each_link_answers_for_all_unless_told() {
    check(&ANSWERS, async |case| {
        let mut lab = case.lab(&two_links()).await?;
        expect_answers(&mut lab, true).await?;
        lab.set_sysctl("m", "ipv4.conf.all.arp_ignore", "1")?;
        expect_answers(&mut lab, false).await?;
        lab.set_sysctl("m", "ipv4.conf.all.arp_ignore", "0")?;
        expect_answers(&mut lab, true).await
    });
}
