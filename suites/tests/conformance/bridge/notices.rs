//! What the kernel tells of a bridge unasked: who listens hears of every entry, membership and port
//! that comes, changes or goes, once, and as what it is.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::{switch, switch_with};
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Bridge, CaseLab, Family, Fdb, Mac, Message, Need, Notices, Record, Rule, Shot, Source, Stop,
    Strength, check,
};
use rstest::rstest;

use super::NEEDS;
use super::querier::{ask, group, snooping, speak_newest, wants};

pub(crate) const RULES: &[Rule] =
    &[LEARNED, BY_HAND, AGED, PORTS, MEMBERS, ENDED, MANY, ROUTERS, FILE];

/// An address that no link of the topology has.
const ROAMER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x0d]);

const NAME: &str = "02:68:70:ff:00:0d";

fn here_i_am() -> Shot {
    Shot::broadcast().from(ROAMER)
}

/// Holds what was told of the address that roams, leaving out VLANs, which a port has though they
/// are not kept apart.
fn expect_roamer(lab: &CaseLab, notices: &Notices, when: &str, lines: &[&str]) -> Result<(), Stop> {
    let told = lab.told_of(notices)?.into_iter();
    let told = told.filter(|line| line.contains(NAME) && !line.contains("vlan"));
    lab.expect_lines(when, told.map(|line| line.replace(NAME, "it")), lines)
}

const LEARNED: Rule = Rule {
    id: "bridge.notices.an-address-that-is-learned-or-moves",
    promise: "that an address was learned is told once, that it moved again, and that its sender \
              spoke again is not; an address that is flushed is told as gone",
    source: Source {
        cite: "bridge(8), monitor fdb; fdb_notify, net/bridge/br_fdb.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_address_that_is_learned_or_moves() {
    check(&LEARNED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let notices = lab.notices("sw")?;
        lab.shoot("a", &here_i_am()).await?;
        expect_roamer(&lab, &notices, "learned", &["new it p1"])?;
        lab.shoot("a", &here_i_am()).await?;
        expect_roamer(&lab, &notices, "heard again", &[])?;
        lab.shoot("b", &here_i_am()).await?;
        expect_roamer(&lab, &notices, "moved", &["new it p2"])?;
        lab.flush_fdb("sw:p2").await?;
        expect_roamer(&lab, &notices, "flushed", &["gone it p2"])
    });
}

const BY_HAND: Rule = Rule {
    id: "bridge.notices.an-entry-that-is-made-by-hand",
    promise: "an entry that is made, changed or deleted by hand is told as what it is; one that is \
              made as it is already is not told; a sticky one is not told to move",
    source: Source {
        cite: "fdb_add_entry and fdb_delete, net/bridge/br_fdb.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_entry_that_is_made_by_hand() {
    check(&BY_HAND, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let notices = lab.notices("sw")?;
        for (port, entry, told) in [
            ("sw:p1", Fdb::STATIC, "new it p1 static"),
            ("sw:p1", Fdb::STATIC, ""),
            ("sw:p2", Fdb::STATIC, "new it p2 static"),
            ("sw:p2", Fdb::DYNAMIC, "new it p2"),
            ("sw:p2", Fdb::OWN, "new it p2 own"),
            ("sw:p2", Fdb::STICKY, "new it p2 static sticky"),
        ] {
            lab.add_fdb(port, ROAMER, entry).await?;
            let lines = if told.is_empty() { vec![] } else { vec![told] };
            expect_roamer(&lab, &notices, &format!("{entry:?} at {port}"), &lines)?;
        }
        lab.shoot("a", &here_i_am()).await?;
        expect_roamer(&lab, &notices, "seen elsewhere", &[])?;
        lab.delete_fdb("sw:p2", ROAMER, None).await?;
        expect_roamer(&lab, &notices, "deleted", &["gone it p2 static sticky"])
    });
}

const AGED: Rule = Rule {
    id: "bridge.notices.an-address-that-was-forgotten",
    promise: "that an address was forgotten, by age or with its port, is told",
    source: Source { cite: "br_fdb_cleanup and br_fdb_delete_by_port", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_address_that_was_forgotten() {
    check(&AGED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.shoot("a", &here_i_am()).await?;
        let notices = lab.notices("sw")?;
        lab.set_up("a:eth0", false).await?;
        lab.expect_option("sw:p1", port::STATE, 0).await?;
        expect_roamer(&lab, &notices, "its port's carrier lost", &["gone it p1"])?;
        lab.shoot("b", &here_i_am()).await?;
        expect_roamer(&lab, &notices, "learned", &["new it p2"])?;
        lab.set_option("sw:br", bridge::AGEING_TIME, 100).await?;
        lab.await_forgotten("sw", &[ROAMER]).await?;
        expect_roamer(&lab, &notices, "aged", &["gone it p2"])
    });
}

const PORTS: Rule = Rule {
    id: "bridge.notices.a-port-that-changes",
    promise: "that a port came, changed a setting, or went is told with the state that it is in",
    source: Source { cite: "br_ifinfo_notify, net/bridge/br_netlink.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_port_that_changes() {
    check(&PORTS, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let notices = lab.notices("sw")?;
        lab.set_option("sw:p1", port::STATE, 2).await?;
        expect_last(&lab, &notices, "listening", "port p1 state 2")?;
        lab.set_option("sw:p1", port::HAIRPIN, 1).await?;
        expect_last(&lab, &notices, "hairpin", "port p1 state 2")?;
        lab.set_option("sw:p1", port::STATE, 3).await?;
        expect_last(&lab, &notices, "forwarding", "port p1 state 3")?;
        lab.set_bridge("sw:p1", None).await?;
        let gone = lab.told_of(&notices)?;
        let told = gone.iter().any(|line| line == "no port p1");
        lab.claim("that it left is told", told, format!("{gone:?}"))?;
        lab.set_bridge("sw:p1", Some("br")).await?;
        let told = lab.told_of(&notices)?;
        let came = told.iter().any(|line| line == "port p1 state 3");
        lab.claim("that it came is told", came, format!("{told:?}"))
    });
}

fn expect_last(lab: &CaseLab, notices: &Notices, when: &str, line: &str) -> Result<(), Stop> {
    let mut told = lab.told_of(notices)?;
    told.retain(|line| line.starts_with("port"));
    let last = told.last().is_some_and(|last| last == line);
    lab.claim(&format!("{when}: {line} is told"), last, format!("{told:?}"))
}

const MEMBERS: Rule = Rule {
    id: "bridge.notices.a-membership-that-is-made-by-hand",
    promise: "a membership that is made or ended by hand is told once, as what it is",
    source: Source { cite: "br_mdb_notify, net/bridge/br_mdb.c", strength: Strength::Code },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 13)],
};

const GROUPS: [&str; 3] = ["239.1.2.3", "ff0e::77", "01:68:70:00:00:01"];

/// Holds what was told of these groups.
fn expect_groups(lab: &CaseLab, notices: &Notices, when: &str, lines: &[&str]) -> Result<(), Stop> {
    let told = lab.told_of(notices)?;
    let of_them = told.iter().filter(|line| GROUPS.iter().any(|group| line.contains(group)));
    lab.expect_lines(when, of_them, lines)
}

#[test]
fn a_membership_that_is_made_by_hand() {
    check(&MEMBERS, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default().mcast_snooping(true))).await?;
        let notices = lab.notices("sw")?;
        for group in GROUPS {
            lab.add_mdb("sw:br", "sw:p2", group, None).await?;
            let line = format!("new {group} p2 permanent");
            expect_groups(&lab, &notices, "made", &[&line])?;
        }
        for group in GROUPS {
            lab.delete_mdb("sw:br", "sw:p2", group, None).await?;
            let line = format!("gone {group} p2 permanent");
            expect_groups(&lab, &notices, "ended", &[&line])?;
        }
        Ok(())
    });
}

const ENDED: Rule = Rule {
    id: "bridge.notices.a-membership-that-was-learned",
    promise: "a membership that is learned, and one that ends with a leave or with its port, is told",
    source: Source { cite: "br_mdb_notify, net/bridge/br_mdb.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_membership_that_was_learned() {
    check(&ENDED, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default().mcast_snooping(true))).await?;
        lab.set_option("sw:p2", port::FAST_LEAVE, 1).await?;
        let notices = lab.notices("sw")?;
        for group in &GROUPS[..2] {
            let address = group.parse().expect("an IP group");
            lab.say("b", &[Message::report(address)]).await?;
            lab.expect_member("sw:p2", group, true).await?;
            expect_groups(&lab, &notices, "learned", &[&format!("new {group} p2")])?;
            lab.say("b", &[Message::leave(address)]).await?;
            lab.expect_member("sw:p2", group, false).await?;
            expect_groups(&lab, &notices, "left", &[&format!("gone {group} p2")])?;
            lab.say("b", &[Message::report(address)]).await?;
            lab.expect_member("sw:p2", group, true).await?;
            expect_groups(&lab, &notices, "learned anew", &[&format!("new {group} p2")])?;
        }
        lab.set_up("b:eth0", false).await?;
        for group in &GROUPS[..2] {
            lab.expect_member("sw:p2", group, false).await?;
        }
        let told = lab.told_of(&notices)?;
        for group in &GROUPS[..2] {
            let gone = told.contains(&format!("gone {group} p2"));
            lab.claim(
                &format!("{group} gone with its carrier is told"),
                gone,
                format!("{told:?}"),
            )?;
        }
        Ok(())
    });
}

const MANY: Rule = Rule {
    id: "bridge.notices.a-membership-of-many-senders",
    promise: "a member that wants to hear as many senders as are kept of one is told when it is made \
              and again with all of them, however long that becomes",
    source: Source {
        cite: "rtnl_mdb_nlmsg_size, net/bridge/br_mdb.c; PG_SRC_ENT_LIMIT",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 10)],
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_membership_of_many_senders(#[case] family: Family) {
    check(&MANY, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        let numbers: Vec<u8> = (1..=32).collect();
        for (number, many) in [(1, &numbers[..1]), (2, &numbers)] {
            let notices = lab.notices("sw")?;
            let message = wants(Record::ToInclude, (family, number), many);
            lab.shoot("b", &Shot::message(&message)).await?;
            let line = format!("new {} p2", group(family, number));
            let mut told = lab.told_of(&notices)?;
            told.retain(|told| *told == line);
            let when = format!("{} senders", many.len());
            lab.expect_lines(&when, told, &[line.as_str(), line.as_str()])?;
        }
        Ok(())
    });
}

const ROUTERS: Rule = Rule {
    id: "bridge.notices.a-router-that-comes-or-goes",
    promise: "a port that becomes one of routers, because it is said to or because one asks, is told \
              once, and so is one that is no more",
    source: Source {
        cite: "br_rtr_notify, net/bridge/br_mdb.c; bridge(8), monitor mdb",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

fn expect_routers(
    lab: &CaseLab,
    notices: &Notices,
    when: &str,
    lines: &[&str],
) -> Result<(), Stop> {
    let told = lab.told_of(notices)?.into_iter();
    lab.expect_lines(when, told.filter(|line| line.contains("router")), lines)
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_router_that_comes_or_goes(#[case] family: Family) {
    check(&ROUTERS, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let notices = lab.notices("sw")?;
        for (router, lines) in [
            (2, &["new router p2"][..]),
            (2, &[]),
            (1, &["gone router p2"]),
            (0, &[]),
            (2, &["new router p2"]),
        ] {
            lab.set_option("sw:p2", port::MCAST_ROUTER, router).await?;
            expect_routers(&lab, &notices, &format!("p2: {router}"), lines)?;
        }
        ask(&mut lab, family).await?;
        expect_routers(&lab, &notices, "one asks at p1", &["new router p1"])?;
        for (link, line) in [("sw:p1", "gone router p1"), ("sw:p2", "gone router p2")] {
            lab.set_option(link, port::MCAST_ROUTER, 0).await?;
            expect_routers(&lab, &notices, &format!("never at {link}"), &[line])?;
        }
        Ok(())
    });
}

const FILE: Rule = Rule {
    id: "bridge.notices.a-port-that-a-file-changes",
    promise: "a setting of a port that is written to its file is told as one that is set by netlink",
    source: Source { cite: "brport_store, net/bridge/br_sysfs_if.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_port_that_a_file_changes() {
    check(&FILE, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let notices = lab.notices("sw")?;
        lab.set_option("sw:p1", port::COST, 77).await?;
        expect_last(&lab, &notices, "by netlink", "port p1 state 3")?;
        lab.set_sysfs("sw:p2", "brport/path_cost", "77")?;
        expect_last(&lab, &notices, "by its file", "port p2 state 3")
    });
}
