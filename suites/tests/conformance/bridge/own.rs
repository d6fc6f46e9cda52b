//! A bridge's own addresses, and those of its ports, where VLANs are kept apart: in which VLANs they are
//! entries, and whose.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               all begin in VLAN 1
//!   b --- p2 +----+
//! ```

use std::collections::BTreeSet;

use hairpin_fixtures::switch::{switch, switch_with};
use hairpin_harness::{
    Bridge, CaseLab, Mac, Need, PortVlan, Rule, Shot, Source, Stop, Strength, Topology, check,
};

use super::NEEDS as PLAIN;

pub(crate) const RULES: &[Rule] = &[FOLLOWS, OF_TWO, OF_THE_BRIDGE, LEARNED, LISTED];

const NEEDS: &[Need] = &[PLAIN[0], PLAIN[1], Need::VlanFiltering];

/// An address that no link of the topology has.
const NEW: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x31]);

fn filtering() -> Topology {
    switch_with(Bridge::default().mcast_snooping(false).vlan_filtering())
}

/// Holds where an address is one of the bridge's own: link and VLAN, 0 without one.
async fn expect_own(lab: &CaseLab, when: &str, mac: Mac, lines: &[&str]) -> Result<(), Stop> {
    let all = lab.fdb("sw").await?.into_iter().filter(|entry| entry.mac == mac && entry.own);
    let seen = all.map(|entry| format!("{} {}", entry.link, entry.vlan.unwrap_or_default()));
    lab.expect_lines(&format!("{when}: {mac} is an entry of"), seen, lines)
}

const FOLLOWS: Rule = Rule {
    id: "bridge.own.an-address-is-its-own-in-each-of-its-vlans",
    promise: "the address of a port, and the bridge's, is an entry of its own in each VLAN that it is \
              in; another address takes its place in all of them, and what leaves a VLAN has none \
              there any more",
    source: Source {
        cite: "br_fdb_changeaddr, br_fdb_change_mac_address and br_vlan_delete",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_address_is_its_own_in_each_of_its_vlans() {
    check(&FOLLOWS, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        lab.add_vlan("sw:p3", PortVlan::tagged(20)).await?;
        for link in ["sw:p1", "sw:br"] {
            let (name, old) = (&link[3..], lab.mac(link));
            let at = |ids: &[u16]| -> Vec<String> {
                ids.iter().map(|id| format!("{name} {id}")).collect()
            };
            let (both, one) = (at(&[0, 1, 10]), at(&[0, 1]));
            let both: Vec<&str> = both.iter().map(String::as_str).collect();
            let one: Vec<&str> = one.iter().map(String::as_str).collect();
            expect_own(&lab, "at first", old, &one).await?;
            lab.add_vlan(link, PortVlan::tagged(10)).await?;
            expect_own(&lab, "in VLAN 10", old, &both).await?;
            lab.set_mac(link, NEW).await?;
            expect_own(&lab, "with another address", NEW, &both).await?;
            expect_own(&lab, "with another address", old, &[]).await?;
            lab.delete_vlan(link, 10).await?;
            expect_own(&lab, "out of VLAN 10", NEW, &one).await?;
            lab.set_mac(link, old).await?;
            expect_own(&lab, "with the old one", old, &one).await?;
        }
        Ok(())
    });
}

const OF_TWO: Rule = Rule {
    id: "bridge.own.of-two-ports-in-the-vlans-of-each",
    promise: "an address that two ports have is an entry in a VLAN while one of them is in it: when \
              one leaves, the other has it if it is in the VLAN, and else nobody",
    source: Source { cite: "fdb_delete_local, net/bridge/br_fdb.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn of_two_ports_in_the_vlans_of_each() {
    check(&OF_TWO, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        for port in ["sw:p1", "sw:p2"] {
            lab.set_mac(port, NEW).await?;
        }
        for (port, id) in [("sw:p1", 10), ("sw:p1", 20), ("sw:p2", 20)] {
            lab.add_vlan(port, PortVlan::tagged(id)).await?;
        }
        expect_own(&lab, "at first", NEW, &["p1 0", "p1 1", "p1 10", "p1 20"]).await?;
        for id in [10, 20] {
            lab.delete_vlan("sw:p1", id).await?;
        }
        expect_own(&lab, "when p1 has left", NEW, &["p1 0", "p1 1", "p2 20"]).await?;
        lab.delete_vlan("sw:p2", 20).await?;
        expect_own(&lab, "when both have", NEW, &["p1 0", "p1 1"]).await
    });
}

const OF_THE_BRIDGE: Rule = Rule {
    id: "bridge.own.of-the-bridge-in-its-vlans",
    promise: "an address that the bridge and a port have is the bridge's in a VLAN that the port has \
              left, if the bridge itself is in it, and else nobody's",
    source: Source { cite: "fdb_delete_local, net/bridge/br_fdb.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn of_the_bridge_in_its_vlans() {
    check(&OF_THE_BRIDGE, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        for link in ["sw:p1", "sw:br"] {
            lab.set_mac(link, NEW).await?;
        }
        for (link, id) in [("sw:p1", 10), ("sw:p1", 20), ("sw:br", 20)] {
            lab.add_vlan(link, PortVlan::tagged(id)).await?;
        }
        expect_own(&lab, "at first", NEW, &["p1 0", "p1 1", "p1 10", "p1 20"]).await?;
        for id in [10, 20] {
            lab.delete_vlan("sw:p1", id).await?;
        }
        expect_own(&lab, "when p1 has left", NEW, &["br 20", "p1 0", "p1 1"]).await?;
        lab.set_bridge("sw:p1", None).await?;
        expect_own(&lab, "when p1 is no port", NEW, &["br 0", "br 1", "br 20"]).await
    });
}

const LEARNED: Rule = Rule {
    id: "bridge.own.what-was-learned-becomes-its-own",
    promise: "an address that was learned and is then given to a port is the bridge's own, and no \
              longer where it was learned",
    source: Source { cite: "fdb_add_local, net/bridge/br_fdb.c", strength: Strength::Code },
    article: &[],
    needs: PLAIN,
};

#[test]
fn what_was_learned_becomes_its_own() {
    check(&LEARNED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.shoot("c", &Shot::broadcast().from(NEW)).await?;
        lab.expect_shot("a", &Shot::to(NEW), "c other").await?;
        expect_at(&lab, "while it is learned", &[("p3", false)]).await?;
        lab.set_mac("sw:p2", NEW).await?;
        expect_at(&lab, "when it is p2's", &[("p2", true)]).await?;
        lab.expect_shot("a", &Shot::to(NEW), "sw other").await?;
        Ok(())
    });
}

/// Holds at which links the address is, and whether as the bridge's own, leaving out VLANs, which a
/// port has though nothing is kept apart.
async fn expect_at(lab: &CaseLab, when: &str, at: &[(&str, bool)]) -> Result<(), Stop> {
    let all = lab.fdb("sw").await?.into_iter().filter(|entry| entry.mac == NEW);
    let seen: BTreeSet<_> = all.map(|entry| (entry.link, entry.own)).collect();
    let wanted = at.iter().map(|(link, own)| ((*link).to_owned(), *own)).collect();
    lab.claim(&format!("{when}: {NEW} is at {at:?}"), seen == wanted, format!("{seen:?}"))
}

const LISTED: Rule = Rule {
    id: "bridge.own.each-entry-is-listed-once-and-at-its-port",
    promise: "each entry of a bridge is listed once; those of a port are listed alone when that port \
              is asked for, and those of the bridge itself",
    source: Source {
        cite: "bridge(8), fdb show; br_fdb_dump, net/bridge/br_fdb.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: PLAIN,
};

#[test]
fn each_entry_is_listed_once_and_at_its_port() {
    check(&LISTED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.shoot("c", &Shot::broadcast().from(NEW)).await?;
        let all = lab.fdb("sw").await?;
        let each: Vec<String> = all.iter().map(ToString::to_string).collect();
        let each: Vec<&str> = each.iter().map(String::as_str).collect();
        lab.expect_lines("listed of all", lab.fdb_listed("sw", None).await?, &each)?;
        for link in ["p1", "p2", "p3", "br"] {
            let of_it = all.iter().filter(|entry| entry.link == link).map(ToString::to_string);
            let of_it: Vec<String> = of_it.collect();
            lab.claim(&format!("{link} has an entry"), !of_it.is_empty(), all.len())?;
            let of_it: Vec<&str> = of_it.iter().map(String::as_str).collect();
            let seen = lab.fdb_listed("sw", Some(link)).await?;
            lab.expect_lines(&format!("listed of {link}"), seen, &of_it)?;
        }
        Ok(())
    });
}
