//! A bridge that follows memberships beside a router that asks for them: every message is the
//! case's own.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               a asks, b is a member, c sends
//!   b --- p2 +----+
//! ```
//!
//! Without a querier a bridge believes no membership, and with one only when its time for answers
//! is over. That is awaited by the end of another membership, which takes longer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Bridge, CaseLab, Family, Message, Need, Record, Rule, Shot, Source, Stop, Strength, Topology,
    check,
};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] =
    &[BELIEVED, ASKED, SENDERS, ROUTER, NEIGHBOURS, UNICAST, UNSOUND, PERMANENT];

pub(super) fn snooping() -> Topology {
    switch_with(Bridge::default().mcast_snooping(true))
}

/// A group of that number that routers forward.
pub(super) fn group(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(239, 1, 2, number).into(),
        Family::V6 => Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, number.into()).into(),
    }
}

/// A sender of that number.
pub(super) fn sender(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, number).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()).into(),
    }
}

/// What says which senders of the group of that number somebody wants, or does not want, to hear.
pub(super) fn wants(record: Record, (family, number): (Family, u8), senders: &[u8]) -> Message {
    let senders: Vec<_> = senders.iter().map(|number| sender(family, *number)).collect();
    Message::record(record, group(family, number), &senders)
}

/// A datagram to that group.
pub(super) fn to(group: IpAddr) -> Shot {
    let family = if group.is_ipv4() { Family::V4 } else { Family::V6 };
    Shot::datagram(sender(family, 1), group)
}

/// Has the bridge speak IGMPv3 and MLDv2, which know of senders.
pub(super) async fn speak_newest(lab: &mut CaseLab) -> Result<(), Stop> {
    let newest = [(bridge::MCAST_IGMP_VERSION, 3), (bridge::MCAST_MLD_VERSION, 2)];
    Ok(lab.set_options("sw:br", &newest).await?)
}

/// What only shows that something else is over.
pub(super) const MARKER: u8 = 99;

/// Has `a` ask, and waits until the bridge follows what it is told.
pub(super) async fn ask(lab: &mut CaseLab, family: Family) -> Result<(), Stop> {
    let marker = group(family, MARKER);
    lab.say("c", &[Message::report(marker)]).await?;
    lab.expect_member("sw:p3", &marker.to_string(), true).await?;
    lab.say("a", &[Message::query(family), Message::query_of(marker, 1)]).await?;
    lab.expect_member("sw:p3", &marker.to_string(), false).await
}

/// Has a host say something, and waits until the bridge has heard it.
pub(super) async fn tell(lab: &mut CaseLab, port: &str, message: Message) -> Result<(), Stop> {
    let family = if message.is_ipv4() { Family::V4 } else { Family::V6 };
    let marker = group(family, MARKER);
    let host = if port == "sw:p2" { "b" } else { "c" };
    lab.say(host, &[message, Message::report(marker)]).await?;
    lab.expect_member(port, &marker.to_string(), true).await
}

/// Holds by which ports the group has members.
pub(super) async fn expect_members(
    lab: &CaseLab,
    group: IpAddr,
    ports: &[&str],
) -> Result<(), Stop> {
    let (name, entries) = (group.to_string(), lab.mdb("sw").await?);
    let members = entries.iter().filter(|e| e.group == name && e.source.is_none());
    lab.expect_lines(&format!("members of {name}"), members.map(|entry| &entry.link), ports)
}

const BELIEVED: Rule = Rule {
    id: "bridge.querier.members-only-while-somebody-asks",
    promise: "an IP group goes to members and towards the querier only, and one without members \
              towards the querier alone; where nobody asks, both go everywhere",
    source: Source {
        cite: "RFC 4541, 2.1.2; br_multicast_querier_exists and br_handle_frame_finish",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::igmpv2(Family::V4, false)]
#[case::igmpv3(Family::V4, true)]
#[case::mldv1(Family::V6, false)]
#[case::mldv2(Family::V6, true)]
fn members_only_while_somebody_asks(#[case] family: Family, #[case] by_record: bool) {
    check(&BELIEVED, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let (known, unknown) = (group(family, 1), group(family, 2));
        let report = match by_record {
            true => Message::record(Record::ToExclude, known, &[]),
            false => Message::report(known),
        };
        lab.say("b", &[report]).await?;
        lab.expect_member("sw:p2", &known.to_string(), true).await?;
        for group in [known, unknown] {
            let all = "a multicast, b multicast, sw multicast";
            lab.expect_shot("c", &to(group), all).await?;
        }
        ask(&mut lab, family).await?;
        lab.expect_shot("c", &to(known), "a multicast, b multicast").await?;
        lab.expect_shot("a", &to(known), "b multicast").await?;
        lab.expect_shot("c", &to(unknown), "a multicast").await?;
        lab.expect_shot("a", &to(unknown), "nobody").await?;
        Ok(())
    });
}

const ASKED: Rule = Rule {
    id: "bridge.querier.who-does-not-answer-is-no-member",
    promise: "while another asks, a leave ends nothing; a question for the group does after its \
              time for answers, for those alone that do not answer",
    source: Source {
        cite: "RFC 4541, 2.1.1; br_multicast_leave_group and br_ip4_multicast_query",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn who_does_not_answer_is_no_member(#[case] family: Family) {
    check(&ASKED, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let group = group(family, 1);
        for (host, port) in [("b", "sw:p2"), ("c", "sw:p3")] {
            lab.say(host, &[Message::report(group)]).await?;
            lab.expect_member(port, &group.to_string(), true).await?;
        }
        ask(&mut lab, family).await?;
        tell(&mut lab, "sw:p2", Message::leave(group)).await?;
        expect_members(&lab, group, &["p2", "p3"]).await?;
        lab.expect_shot("a", &to(group), "b multicast, c multicast").await?;
        lab.say("a", &[Message::query_of(group, 1)]).await?;
        lab.say("c", &[Message::report(group)]).await?;
        lab.expect_member("sw:p2", &group.to_string(), false).await?;
        lab.expect_member("sw:p3", &group.to_string(), true).await?;
        lab.expect_shot("a", &to(group), "c multicast").await?;
        Ok(())
    });
}

const SENDERS: Rule = Rule {
    id: "bridge.querier.from-the-senders-that-were-asked-for",
    promise: "a bridge that speaks IGMPv3 and MLDv2 sends a member what comes of the senders that \
              it wants to hear, and of no others",
    source: Source {
        cite: "RFC 3376, 6; RFC 3810, 7; br_multicast_ip4_mc_report and br_multicast_flood, since 5.10",
        strength: Strength::Standard,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 10)],
};

#[rstest]
#[case::include_v4(Family::V4, Record::ToInclude, [1])]
#[case::allow_v4(Family::V4, Record::Allow, [1])]
#[case::exclude_v4(Family::V4, Record::ToExclude, [2])]
#[case::include_v6(Family::V6, Record::ToInclude, [1])]
#[case::allow_v6(Family::V6, Record::Allow, [1])]
#[case::exclude_v6(Family::V6, Record::ToExclude, [2])]
fn from_the_senders_that_were_asked_for(
    #[case] family: Family,
    #[case] record: Record,
    #[case] named: [u8; 1],
) {
    check(&SENDERS, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        let group = group(family, 1);
        let named = named.map(|number| sender(family, number));
        lab.say("b", &[Message::record(record, group, &named)]).await?;
        lab.expect_member("sw:p2", &group.to_string(), true).await?;
        ask(&mut lab, family).await?;
        let of = |number| Shot::datagram(sender(family, number), group);
        lab.expect_shot("c", &of(1), "a multicast, b multicast").await?;
        lab.expect_shot("c", &of(2), "a multicast").await?;
        Ok(())
    });
}

const ROUTER: Rule = Rule {
    id: "bridge.querier.who-asks-is-a-router",
    promise: "a port by which a question comes in gets every group from then on, unless it is said \
              never to lead to a router",
    source: Source {
        cite: "RFC 4541, 2.1.1; bridge(8), mcast_router; br_multicast_mark_router",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn who_asks_is_a_router(#[case] family: Family) {
    check(&ROUTER, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let unknown = to(group(family, 2));
        lab.set_option("sw:p1", port::MCAST_ROUTER, 0).await?;
        ask(&mut lab, family).await?;
        lab.expect_shot("c", &unknown, "nobody").await?;
        lab.set_option("sw:p1", port::MCAST_ROUTER, 1).await?;
        lab.expect_shot("c", &unknown, "nobody").await?;
        ask(&mut lab, family).await?;
        lab.expect_shot("c", &unknown, "a multicast").await?;
        lab.expect_shot("b", &unknown, "a multicast").await?;
        Ok(())
    });
}

const NEIGHBOURS: Rule = Rule {
    id: "bridge.querier.groups-of-the-link-go-everywhere",
    promise: "what is for all on a link (224.0.0.0/24, ff02::1) goes everywhere, and nobody becomes a member",
    source: Source { cite: "RFC 4541, 2.1.2 and 3", strength: Strength::Standard },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4, Ipv4Addr::new(224, 0, 0, 251).into())]
#[case::v6(Family::V6, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into())]
fn groups_of_the_link_go_everywhere(#[case] family: Family, #[case] of_the_link: IpAddr) {
    check(&NEIGHBOURS, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        ask(&mut lab, family).await?;
        lab.expect_shot("c", &to(group(family, 2)), "a multicast").await?;
        let all = "a multicast, b multicast, sw multicast";
        lab.expect_shot("c", &to(of_the_link), all).await?;
        for (group, members) in [(of_the_link, &[][..]), (group(family, 2), &["p2"])] {
            lab.shoot("b", &Shot::message(&Message::report(group))).await?;
            expect_members(&lab, group, members).await?;
        }
        lab.expect_shot("c", &to(of_the_link), all).await?;
        Ok(())
    });
}

const UNICAST: Rule = Rule {
    id: "bridge.querier.a-copy-to-each-member",
    promise: "where mcast_to_unicast is on, a member gets a group's frames at its own address, its \
              own frames never, and at the group's again when it is off",
    source: Source {
        cite: "bridge(8), mcast_to_unicast; maybe_deliver_addr, net/bridge/br_forward.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4, 62)]
#[case::v6(Family::V6, 82)]
fn a_copy_to_each_member(#[case] family: Family, #[case] bytes: usize) {
    check(&UNICAST, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let group = group(family, 1);
        lab.set_option("sw:p2", port::MCAST_TO_UCAST, 1).await?;
        lab.say("b", &[Message::report(group)]).await?;
        lab.expect_member("sw:p2", &group.to_string(), true).await?;
        ask(&mut lab, family).await?;
        let own = format!("a multicast, b host changed ({bytes} bytes)");
        lab.expect_shot("c", &to(group), &own).await?;
        // With hairpin a port sends back what came by it, but nobody a copy of its own.
        lab.set_option("sw:p2", port::HAIRPIN, 1).await?;
        lab.expect_shot("b", &to(group), "a multicast").await?;
        lab.set_option("sw:p2", port::MCAST_TO_UCAST, 0).await?;
        lab.expect_shot("b", &to(group), "a multicast, b multicast").await?;
        lab.expect_shot("c", &to(group), "a multicast, b multicast").await?;
        Ok(())
    });
}

const UNSOUND: Rule = Rule {
    id: "bridge.querier.unsound-reports-are-nothing",
    promise: "a report whose check sum is wrong makes no membership",
    source: Source {
        cite: "RFC 2236, 2.3; RFC 2710, 3.3; ip_mc_check_igmp and ipv6_mc_check_mld",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn unsound_reports_are_nothing(#[case] family: Family) {
    check(&UNSOUND, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let group = group(family, 1);
        tell(&mut lab, "sw:p2", Message::report(group).unsound()).await?;
        expect_members(&lab, group, &[]).await?;
        lab.say("b", &[Message::report(group)]).await?;
        lab.expect_member("sw:p2", &group.to_string(), true).await
    });
}

const PERMANENT: Rule = Rule {
    id: "bridge.querier.a-leave-ends-nothing-that-was-made-by-hand",
    promise: "a membership that was made by hand stays when a leave is heard, also where leaves are \
              believed at once; one that was learned ends",
    source: Source {
        cite: "bridge(8), mdb permanent; 5c725b6b6567 (bridge: mcast: don't delete permanent entries)",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_leave_ends_nothing_that_was_made_by_hand(#[case] family: Family) {
    check(&PERMANENT, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let (made, learned) = (group(family, 1), group(family, 2));
        lab.set_option("sw:p2", port::FAST_LEAVE, 1).await?;
        lab.add_mdb("sw:br", "sw:p2", &made.to_string(), None).await?;
        lab.say("b", &[Message::report(learned)]).await?;
        lab.expect_member("sw:p2", &learned.to_string(), true).await?;
        lab.say("b", &[Message::leave(made), Message::leave(learned)]).await?;
        lab.expect_member("sw:p2", &learned.to_string(), false).await?;
        expect_members(&lab, made, &["p2"]).await
    });
}
