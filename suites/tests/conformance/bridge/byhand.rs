//! Entries and memberships by hand, in their corner cases: what must be there already, what must not,
//! and what a bridge does not take in the state that it is in.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               br's own stack is the host `sw`
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::{switch, switch_with};
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Bridge, CaseLab, Errno, Fdb, Mac, Need, Rule, Shot, Source, Stop, Strength, check,
};

use super::NEEDS;

pub(crate) const RULES: &[Rule] =
    &[NEW_OR_OLD, UNLEARNED, TEMPORARY, HOST, OWN_ENDS, FULL, UNFIT, LONG];

/// An address that no link of the topology has.
const ROAMER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x17]);

const NEW_OR_OLD: Rule = Rule {
    id: "bridge.byhand.new-or-old-as-asked",
    promise: "an entry that is to be new is refused where there is one, also a learned one, and one \
              that is to replace another where there is none; neither changes anything",
    source: Source {
        cite: "rtnetlink(7), NLM_F_EXCL and NLM_F_REPLACE; fdb_add_entry",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

async fn expect_entry(lab: &CaseLab, when: &str, lines: &[&str]) -> Result<(), Stop> {
    let entries = lab.fdb("sw").await?.into_iter();
    let ours = entries.filter(|entry| entry.mac == ROAMER && entry.vlan.is_none());
    let seen = ours.map(|entry| entry.to_string().replace(&format!("{ROAMER} "), ""));
    lab.expect_lines(when, seen, lines)
}

#[test]
fn new_or_old_as_asked() {
    check(&NEW_OR_OLD, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let done = lab.add_fdb("sw:p1", ROAMER, Fdb::STATIC.only_old()).await;
        lab.expect_refusal("to replace nothing", done, Errno::ENOENT)?;
        expect_entry(&lab, "still none", &[]).await?;
        lab.shoot("a", &Shot::broadcast().from(ROAMER)).await?;
        let done = lab.add_fdb("sw:p2", ROAMER, Fdb::STATIC.only_new()).await;
        lab.expect_refusal("a new one beside a learned one", done, Errno::EEXIST)?;
        expect_entry(&lab, "as learned", &["p1"]).await?;
        // Where a port has VLANs there is one to replace in each of them only now.
        lab.add_fdb("sw:p1", ROAMER, Fdb::STATIC).await?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::STATIC.only_old()).await?;
        expect_entry(&lab, "replaced", &["p2 static"]).await?;
        lab.delete_fdb("sw:p2", ROAMER, None).await?;
        lab.add_fdb("sw:p3", ROAMER, Fdb::STATIC.only_new()).await?;
        expect_entry(&lab, "new", &["p3 static"]).await
    });
}

const UNLEARNED: Rule = Rule {
    id: "bridge.byhand.no-learned-entry-at-a-port-that-does-not-learn",
    promise: "an entry as if it were learned is refused at a port that neither forwards nor learns, \
              a static one is not; an own one is not sticky",
    source: Source { cite: "fdb_add_entry, net/bridge/br_fdb.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn no_learned_entry_at_a_port_that_does_not_learn() {
    check(&UNLEARNED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        for state in [0, 1] {
            lab.set_option("sw:p1", port::STATE, state).await?;
            let done = lab.add_fdb("sw:p1", ROAMER, Fdb::DYNAMIC).await;
            lab.expect_refusal("a dynamic one", done, Errno::EPERM)?;
            expect_entry(&lab, "none", &[]).await?;
        }
        lab.add_fdb("sw:p1", ROAMER, Fdb::STATIC).await?;
        expect_entry(&lab, "a static one", &["p1 static"]).await?;
        lab.set_option("sw:p1", port::STATE, 2).await?;
        lab.add_fdb("sw:p1", ROAMER, Fdb::DYNAMIC).await?;
        expect_entry(&lab, "a dynamic one", &["p1"]).await?;
        let done = lab.add_fdb("sw:p1", ROAMER, Fdb::OWN.sticky()).await;
        lab.expect_refusal("an own one that is sticky", done, Errno::EINVAL)
    });
}

const SNOOPS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 13)];

const NAME: &str = "01:68:70:00:00:01";

fn snooping() -> hairpin_harness::Topology {
    switch_with(Bridge::default().mcast_snooping(true))
}

const TEMPORARY: Rule = Rule {
    id: "bridge.byhand.a-membership-for-a-time-ends",
    promise: "a membership that is made for a time is told as such and ends when nobody reports it; \
              one of an Ethernet group is for good only",
    source: Source {
        cite: "bridge(8), mdb temp; br_mdb_add_group",
        strength: Strength::Documented,
    },
    article: &[],
    needs: SNOOPS,
};

#[test]
fn a_membership_for_a_time_ends() {
    check(&TEMPORARY, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.set_option("sw:br", bridge::MCAST_MEMBERSHIP_INTERVAL, 300).await?;
        let done = lab.add_mdb_for_a_time("sw:br", "sw:p2", NAME, None).await;
        lab.expect_refusal("an Ethernet group for a time", done, Errno::EINVAL)?;
        for group in ["239.1.2.3", "ff0e::77"] {
            lab.add_mdb("sw:br", "sw:p3", group, None).await?;
            lab.add_mdb_for_a_time("sw:br", "sw:p2", group, None).await?;
            let told = lab.mdb("sw").await?.into_iter().filter(|entry| entry.group == group);
            let (p2, p3) = (format!("{group} p2"), format!("{group} p3 permanent"));
            lab.expect_lines("told", told, &[&p2, &p3])?;
        }
        for group in ["239.1.2.3", "ff0e::77"] {
            lab.expect_member("sw:p2", group, false).await?;
            lab.expect_member("sw:p3", group, true).await?;
        }
        Ok(())
    });
}

const HOST: Rule = Rule {
    id: "bridge.byhand.the-bridge-itself-joins",
    promise: "the bridge itself can be made a member, once, and hears the group then, with the other \
              members; not a member it does not",
    source: Source {
        cite: "bridge(8), mdb; br_multicast_host_join",
        strength: Strength::Documented,
    },
    article: &[],
    needs: SNOOPS,
};

#[test]
fn the_bridge_itself_joins() {
    check(&HOST, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let shot = Shot::to(Mac([0x01, 0x68, 0x70, 0, 0, 1]));
        lab.add_mdb("sw:br", "sw:p2", NAME, None).await?;
        lab.expect_shot("a", &shot, "b multicast").await?;
        lab.add_mdb("sw:br", "sw:br", NAME, None).await?;
        lab.expect_shot("a", &shot, "b multicast, sw multicast").await?;
        let done = lab.add_mdb("sw:br", "sw:br", NAME, None).await;
        lab.expect_refusal("again", done, Errno::EEXIST)?;
        let done = lab.add_mdb("sw:br", "sw:br", "239.1.2.3", None).await;
        lab.expect_refusal("an IP group for good", done, Errno::EINVAL)?;
        lab.add_mdb_for_a_time("sw:br", "sw:br", "239.1.2.3", None).await?;
        let done = lab.add_mdb_for_a_time("sw:br", "sw:br", "239.1.2.3", None).await;
        lab.expect_refusal("an IP group again", done, Errno::EEXIST)?;
        lab.delete_mdb("sw:br", "sw:br", NAME, None).await?;
        lab.expect_shot("a", &shot, "b multicast").await?;
        Ok(())
    });
}

const OWN_ENDS: Rule = Rule {
    id: "bridge.byhand.the-bridges-own-for-a-time-ends",
    promise: "a membership of the bridge itself that is made for a time ends when nobody reports it, \
              and those of others stay",
    source: Source {
        cite: "br_multicast_host_join and br_multicast_group_expired",
        strength: Strength::Code,
    },
    article: &[],
    needs: SNOOPS,
};

#[test]
fn the_bridges_own_for_a_time_ends() {
    check(&OWN_ENDS, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.set_option("sw:br", bridge::MCAST_MEMBERSHIP_INTERVAL, 300).await?;
        for group in ["239.1.2.3", "ff0e::77"] {
            lab.add_mdb("sw:br", "sw:p3", group, None).await?;
            lab.add_mdb_for_a_time("sw:br", "sw:br", group, None).await?;
            lab.expect_member("sw:br", group, true).await?;
        }
        for group in ["239.1.2.3", "ff0e::77"] {
            lab.expect_member("sw:br", group, false).await?;
            lab.expect_member("sw:p3", group, true).await?;
        }
        Ok(())
    });
}

const FULL: Rule = Rule {
    id: "bridge.byhand.no-more-groups-than-the-table-holds",
    promise: "a bridge whose table of groups is full takes no other, and follows memberships no more: \
              groups go everywhere until it is told to follow them again",
    source: Source {
        cite: "ip-link(8), mcast_hash_max; br_multicast_new_group, net/bridge/br_multicast.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: SNOOPS,
};

#[test]
fn no_more_groups_than_the_table_holds() {
    check(&FULL, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let shot = Shot::to(Mac([0x01, 0x68, 0x70, 0, 0, 1]));
        lab.set_option("sw:br", bridge::MCAST_HASH_MAX, 2).await?;
        for group in [NAME, "239.1.2.3"] {
            lab.add_mdb("sw:br", "sw:p2", group, None).await?;
        }
        // Another member is no other group.
        lab.add_mdb("sw:br", "sw:p3", "239.1.2.3", None).await?;
        lab.expect_shot("a", &shot, "b multicast").await?;
        let done = lab.add_mdb("sw:br", "sw:p2", "239.1.2.4", None).await;
        lab.expect_refusal("a third group", done, Errno::E2BIG)?;
        lab.expect_option("sw:br", bridge::MCAST_SNOOPING, 0).await?;
        lab.expect_shot("a", &shot, "b multicast, c multicast, sw multicast").await?;
        lab.set_option("sw:br", bridge::MCAST_HASH_MAX, 3).await?;
        lab.set_option("sw:br", bridge::MCAST_SNOOPING, 1).await?;
        lab.add_mdb("sw:br", "sw:p2", "239.1.2.4", None).await?;
        lab.expect_option("sw:br", bridge::MCAST_SNOOPING, 1).await
    });
}

const UNFIT: Rule = Rule {
    id: "bridge.byhand.no-membership-of-a-bridge-that-is-unfit",
    promise: "no membership is made at a bridge that is down or follows none, at a link that is none \
              of its ports, nor for a time at a port that is disabled",
    source: Source { cite: "br_mdb_add, net/bridge/br_mdb.c", strength: Strength::Code },
    article: &[],
    needs: SNOOPS,
};

#[test]
fn no_membership_of_a_bridge_that_is_unfit() {
    check(&UNFIT, async |case| {
        let topology = snooping().bridge("sw:other").cable("sw:p4", "a:eth1");
        let topology = topology.cable("sw:p5", "a:eth2").port("sw:p5", "other");
        let mut lab = case.lab(&topology).await?;
        for link in ["sw:p4", "sw:p5"] {
            let done = lab.add_mdb("sw:br", link, NAME, None).await;
            lab.expect_refusal(link, done, Errno::EINVAL)?;
        }
        lab.set_option("sw:p1", port::STATE, 0).await?;
        let done = lab.add_mdb_for_a_time("sw:br", "sw:p1", "239.1.2.3", None).await;
        lab.expect_refusal("for a time at a disabled port", done, Errno::EINVAL)?;
        lab.add_mdb("sw:br", "sw:p1", "239.1.2.3", None).await?;
        lab.set_option("sw:br", bridge::MCAST_SNOOPING, 0).await?;
        let done = lab.add_mdb("sw:br", "sw:p2", NAME, None).await;
        lab.expect_refusal("without snooping", done, Errno::EINVAL)?;
        lab.set_option("sw:br", bridge::MCAST_SNOOPING, 1).await?;
        lab.set_up("sw:br", false).await?;
        let done = lab.add_mdb("sw:br", "sw:p2", NAME, None).await;
        lab.expect_refusal("while it is down", done, Errno::EINVAL)?;
        lab.set_up("sw:br", true).await?;
        let done = lab.add_mdb("sw:br", "sw:p2", NAME, None).await;
        lab.expect_done("up again", done)
    });
}

const LONG: Rule = Rule {
    id: "bridge.byhand.a-long-table-is-told-whole",
    promise: "a table of memberships that does not fit into one message is told whole in several, each \
              membership once, wherever in a group a message ends",
    source: Source {
        cite: "netlink(7), NLM_F_MULTI; br_mdb_fill_info, net/bridge/br_mdb.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: SNOOPS,
};

/// Holds that the memberships of those groups are told, each once.
async fn expect_told(lab: &CaseLab, made: &[String]) -> Result<(), Stop> {
    let told = lab.mdb("sw").await?.into_iter().map(|entry| entry.to_string());
    let mut told: Vec<String> = told.filter(|line| line.starts_with("01:68:70:00:02:")).collect();
    told.sort();
    let mut made = made.to_vec();
    made.sort();
    let observed = format!("{} of {}", told.len(), made.len());
    lab.claim(&format!("each of {} memberships is told once", made.len()), told == made, observed)
}

#[test]
fn a_long_table_is_told_whole() {
    check(&LONG, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let mut made = Vec::new();
        for number in 1..=70 {
            let group = format!("01:68:70:00:02:{number:02x}");
            for link in ["p1", "p2", "p3"] {
                lab.add_mdb("sw:br", format!("sw:{link}").as_str(), &group, None).await?;
                made.push(format!("{group} {link} permanent"));
            }
        }
        expect_told(&lab, &made).await?;
        // The last group is told first: without one of its members, messages end one member later.
        for link in ["p3", "p2"] {
            lab.delete_mdb("sw:br", format!("sw:{link}").as_str(), LAST, None).await?;
            made.retain(|line| *line != format!("{LAST} {link} permanent"));
            expect_told(&lab, &made).await?;
        }
        Ok(())
    });
}

/// The last of those groups.
const LAST: &str = "01:68:70:00:02:46";
