//! A bridge that asks for memberships itself: what it says, when, and whom it believes beside itself.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               br has an address of each family
//!   b --- p2 +----+
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::{LinkOption, bridge, port};
use hairpin_harness::{
    Bridge, CaseLab, Errno, Family, Mac, Message, Need, Rule, Shot, Source, Stop, Strength,
    Topology, check,
};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] =
    &[ASKS, AGAIN, SILENT, LEFT, LOWEST, ROUTERS, LIMIT, PASSES, UNASKED, SNOOPERS];

/// The switch, following memberships, with addresses of its own to ask from.
pub(super) fn asking() -> Topology {
    switch_with(Bridge::default().mcast_snooping(true))
        .sysctl("sw", "ipv6.conf.default.disable_ipv6", "0")
        .address("sw:br", "192.0.2.4/24")
        .address("sw:br", "2001:db8::4/64")
}

fn group(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(239, 1, 2, 3).into(),
        Family::V6 => Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 0x77).into(),
    }
}

const ASKS: Rule = Rule {
    id: "bridge.asking.as-it-was-told-to",
    promise: "a bridge that is made to ask asks at once for all groups, in the version that it was \
              told to speak, with the time for answers, the interval and the robustness that it was \
              given; in IGMP from 0.0.0.0, or from its address if it was told so",
    source: Source {
        cite: "RFC 2236, 2; RFC 3376, 4.1; RFC 2710, 3; RFC 3810, 5.1; ip-link(8), mcast_querier",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::igmpv2(Family::V4, &[], "IGMPv2 to 224.0.0.1 for all within 700 ms", false)]
#[case::igmpv3(
    Family::V4,
    &[(bridge::MCAST_IGMP_VERSION, 3)],
    "IGMPv3 to 224.0.0.1 for all within 700 ms, robustness 2, every 99 s",
    false
)]
#[case::by_address(
    Family::V4,
    &[(bridge::MCAST_QUERY_USE_IFADDR, 1)],
    "IGMPv2 to 224.0.0.1 for all within 700 ms",
    true
)]
#[case::mldv1(Family::V6, &[], "MLDv1 to ff02::1 for all within 700 ms", false)]
#[case::mldv2(
    Family::V6,
    &[(bridge::MCAST_MLD_VERSION, 2)],
    "MLDv2 to ff02::1 for all within 700 ms, robustness 2, every 99 s",
    false
)]
fn as_it_was_told_to(
    #[case] family: Family,
    #[case] more: &[(LinkOption, u64)],
    #[case] what: &str,
    #[case] by_address: bool,
) {
    check(&ASKS, async |case| {
        let mut lab = case.lab(&asking()).await?;
        let told =
            [(bridge::MCAST_QUERY_INTERVAL, 9900), (bridge::MCAST_QUERY_RESPONSE_INTERVAL, 70)];
        lab.set_options("sw:br", &[&told, more].concat()).await?;
        let ears = [lab.listen("a", family).await?, lab.listen("b", family).await?];
        lab.set_option("sw:br", bridge::MCAST_QUERIER, 1).await?;
        for ear in &ears {
            let asked = lab.expect_asked(ear.next(), what)?;
            let from = match (asked.from, by_address) {
                (IpAddr::V4(from), false) => from.is_unspecified(),
                (IpAddr::V4(from), true) => from == Ipv4Addr::new(192, 0, 2, 4),
                (IpAddr::V6(from), _) => from.is_unicast_link_local(),
            };
            lab.claim("it asks from the right address", from, asked.from)?;
        }
        Ok(())
    });
}

const AGAIN: Rule = Rule {
    id: "bridge.asking.again-in-its-time",
    promise: "a bridge asks again, first at the interval that it was given for the start",
    source: Source {
        cite: "RFC 2236, 8.6; ip-link(8), mcast_startup_query_interval; br_multicast_query_expired",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4, "IGMPv2 to 224.0.0.1 for all within 10000 ms")]
#[case::v6(Family::V6, "MLDv1 to ff02::1 for all within 10000 ms")]
fn again_in_its_time(#[case] family: Family, #[case] what: &str) {
    check(&AGAIN, async |case| {
        let mut lab = case.lab(&asking()).await?;
        let told = [(bridge::MCAST_STARTUP_QUERY_INTERVAL, 200)];
        lab.set_options("sw:br", &told).await?;
        let ear = lab.listen("a", family).await?;
        lab.set_option("sw:br", bridge::MCAST_QUERIER, 1).await?;
        let first = lab.expect_asked(ear.next(), what)?;
        let second = lab.expect_asked(ear.next(), what)?;
        let between = second.at.saturating_sub(first.at);
        lab.claim_not_before("not before its time", between, Duration::from_secs(2))
    });
}

const SILENT: Rule = Rule {
    id: "bridge.asking.silent-beside-another",
    promise: "a bridge that asks does so no more when another with a lower address has asked",
    source: Source {
        cite: "RFC 2236, 3; RFC 2710, 4; br_multicast_send_query",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4, Ipv4Addr::new(192, 0, 2, 1).into())]
#[case::v6(Family::V6, Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).into())]
fn silent_beside_another(#[case] family: Family, #[case] other: IpAddr) {
    check(&SILENT, async |case| {
        let mut lab = case.lab(&asking()).await?;
        // It would ask again after a second, the least that there is; a membership takes longer.
        let told =
            [(bridge::MCAST_STARTUP_QUERY_INTERVAL, 100), (bridge::MCAST_MEMBERSHIP_INTERVAL, 150)];
        lab.set_options("sw:br", &told).await?;
        let ear = lab.listen("b", family).await?;
        let notices = lab.notices("sw")?;
        lab.set_option("sw:br", bridge::MCAST_QUERIER, 1).await?;
        let first = ear.next()?;
        lab.claim("the bridge asks", first.from != other, &first)?;
        lab.say("a", &[Message::query(family).from(other)]).await?;
        // It may have asked again before it heard that.
        while ear.next()?.from != other {}
        for _ in 0..2 {
            lab.say("c", &[Message::report(group(family))]).await?;
            let group = group(family).to_string();
            lab.expect_member_for_a_time(&notices, "sw:p3", &group).await?;
            lab.say("a", &[Message::query(family).from(other)]).await?;
            let next = ear.next()?;
            lab.claim("then the other alone", next.from == other, format!("{}", next.from))?;
        }
        Ok(())
    });
}

const LEFT: Rule = Rule {
    id: "bridge.asking.after-a-leave",
    promise: "a bridge that asks asks behind the port of a leave for that group alone, with such a \
              time for answers as it was given; who does not answer is no member then, and who does \
              stays one",
    source: Source {
        cite: "RFC 2236, 3; RFC 2710, 4; br_multicast_leave_group and br_multicast_port_group_expired",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4, "IGMPv2 to 224.0.0.1 for 239.1.2.3 within 1000 ms")]
#[case::v6(Family::V6, "MLDv1 to ff02::1 for ff0e::77 within 1000 ms")]
fn after_a_leave(#[case] family: Family, #[case] what: &str) {
    check(&LEFT, async |case| {
        let mut lab = case.lab(&asking()).await?;
        let group = group(family);
        let told = [
            (bridge::MCAST_LAST_MEMBER_INTERVAL, 100),
            (bridge::MCAST_LAST_MEMBER_COUNT, 2),
            (bridge::MCAST_STARTUP_QUERY_INTERVAL, 6000),
        ];
        lab.set_options("sw:br", &told).await?;
        let ear = lab.listen("b", family).await?;
        lab.set_option("sw:br", bridge::MCAST_QUERIER, 1).await?;
        for (host, port) in [("b", "sw:p2"), ("c", "sw:p3")] {
            lab.say(host, &[Message::report(group)]).await?;
            lab.expect_member(port, &group.to_string(), true).await?;
        }
        lab.say("b", &[Message::leave(group)]).await?;
        lab.expect_asked(ear.next_for_a_group(), what)?;
        lab.expect_member("sw:p2", &group.to_string(), false).await?;
        lab.expect_member("sw:p3", &group.to_string(), true).await?;
        // Whoever answers in time stays.
        lab.say("c", &[Message::leave(group), Message::report(group)]).await?;
        lab.say("b", &[Message::report(group)]).await?;
        lab.expect_member("sw:p2", &group.to_string(), true).await?;
        lab.say("b", &[Message::leave(group)]).await?;
        lab.expect_member("sw:p2", &group.to_string(), false).await?;
        lab.expect_member("sw:p3", &group.to_string(), true).await
    });
}

const LOWEST: Rule = Rule {
    id: "bridge.asking.the-lowest-address-is-believed",
    promise: "of several that ask, the one with the lowest address is the querier, behind the port \
              that it was heard at; until it is silent too long",
    source: Source {
        cite: "RFC 2236, 3; RFC 2710, 4; br_multicast_select_querier and IFLA_BR_MCAST_QUERIER_STATE",
        strength: Strength::Standard,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 15)],
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn the_lowest_address_is_believed(#[case] family: Family) {
    check(&LOWEST, async |case| {
        let mut lab = case.lab(&asking()).await?;
        let of = |last: u8| -> IpAddr {
            match family {
                Family::V4 => Ipv4Addr::new(192, 0, 2, last).into(),
                Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last.into()).into(),
            }
        };
        for (host, last, believed) in [
            ("a", 50, (50, "p1")),
            ("b", 90, (50, "p1")),
            ("c", 30, (30, "p3")),
            ("a", 40, (30, "p3")),
        ] {
            lab.say(host, &[Message::query(family).from(of(last))]).await?;
            // A report behind it shows that the question was heard.
            expect_heard(&mut lab, family, host).await?;
            let seen = lab.querier("sw:br", family).await?;
            let wanted = Some((of(believed.0), Some(believed.1.to_owned())));
            let claim = format!("{wanted:?} is believed after .{last} at {host}");
            lab.claim(&claim, seen == wanted, format!("{seen:?}"))?;
        }
        Ok(())
    });
}

/// Has a host report a membership, and waits until the bridge has heard it.
async fn expect_heard(lab: &mut CaseLab, family: Family, host: &str) -> Result<(), Stop> {
    let port = match host {
        "a" => "sw:p1",
        "b" => "sw:p2",
        _ => "sw:p3",
    };
    lab.say(host, &[Message::report(group(family))]).await?;
    lab.expect_member(port, &group(family).to_string(), true).await
}

const ROUTERS: Rule = Rule {
    id: "bridge.asking.routers-come-and-go",
    promise: "a port behind which somebody asks, or says hello in PIM, is told as a router's until \
              that was too long ago; one that is said to be one always is told until it is said no \
              more",
    source: Source {
        cite: "RFC 4541, 2.1.1; br_multicast_mark_router and br_multicast_router_expired",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::igmp(Message::query(Family::V4))]
#[case::mld(Message::query(Family::V6))]
#[case::pim(Message::router_hello(Family::V4))]
fn routers_come_and_go(#[case] message: Message) {
    check(&ROUTERS, async |case| {
        let mut lab = case.lab(&asking()).await?;
        lab.set_option("sw:p3", port::MCAST_ROUTER, 2).await?;
        lab.expect_lines("told so", lab.router_ports("sw").await?, &["p3"])?;
        lab.set_option("sw:br", bridge::MCAST_QUERIER_INTERVAL, 100).await?;
        lab.say("b", &[message]).await?;
        lab.expect_router("sw:p2", true).await?;
        lab.expect_router("sw:p2", false).await?;
        lab.expect_lines("left", lab.router_ports("sw").await?, &["p3"])?;
        lab.set_option("sw:p3", port::MCAST_ROUTER, 1).await?;
        lab.expect_lines("no more", lab.router_ports("sw").await?, &[])
    });
}

const LIMIT: Rule = Rule {
    id: "bridge.asking.no-more-groups-than-allowed",
    promise: "a port follows as many groups as it is allowed to and counts them; what comes beyond is \
              not followed, or refused when it is made by hand",
    source: Source {
        cite: "bridge(8), mcast_max_groups; br_multicast_port_ngroups_inc, since 6.3",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(6, 3)],
};

#[test]
fn no_more_groups_than_allowed() {
    check(&LIMIT, async |case| {
        let mut lab = case.lab(&asking()).await?;
        lab.set_option("sw:p2", port::MCAST_MAX_GROUPS, 2).await?;
        lab.expect_option("sw:p2", port::MCAST_MAX_GROUPS, 2).await?;
        for (number, name) in ["239.1.2.1", "239.1.2.2"].into_iter().enumerate() {
            lab.add_mdb("sw:br", "sw:p2", name, None).await?;
            lab.expect_option("sw:p2", port::MCAST_N_GROUPS, number as u64 + 1).await?;
        }
        let done = lab.add_mdb("sw:br", "sw:p2", "239.1.2.3", None).await;
        lab.expect_refusal("a third", done, Errno::ENOMEM)?;
        lab.add_mdb("sw:br", "sw:p3", "239.1.2.3", None).await?;
        lab.expect_option("sw:p3", port::MCAST_N_GROUPS, 1).await?;
        lab.delete_mdb("sw:br", "sw:p2", "239.1.2.1", None).await?;
        lab.expect_option("sw:p2", port::MCAST_N_GROUPS, 1).await?;
        lab.add_mdb("sw:br", "sw:p2", "239.1.2.3", None).await?;
        lab.expect_option("sw:p2", port::MCAST_N_GROUPS, 2).await
    });
}

const PASSES: Rule = Rule {
    id: "bridge.asking.a-question-passes",
    promise: "a question for members, be it for all groups or for one, goes on as it came to all other \
              ports and to the bridge itself, whoever asks in the end",
    source: Source {
        cite: "RFC 4541, 2.1.1; br_multicast_rcv, net/bridge/br_multicast.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_question_passes(#[case] family: Family) {
    check(&PASSES, async |case| {
        let mut lab = case.lab(&asking()).await?;
        for question in [Message::query(family), Message::query_of(group(family), 10)] {
            let all = "b multicast, c multicast, sw multicast";
            lab.expect_shot("a", &Shot::message(&question), all).await?;
        }
        Ok(())
    });
}

const UNASKED: Rule = Rule {
    id: "bridge.asking.a-leave-where-nobody-asks",
    promise: "where nobody asks, who leaves is no member any more after the time that the last member \
              has to answer; who does not leave stays one",
    source: Source {
        cite: "bridge(8), mcast_last_member_interval; br_multicast_leave_group",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_leave_where_nobody_asks(#[case] family: Family) {
    check(&UNASKED, async |case| {
        let mut lab = case.lab(&asking()).await?;
        lab.set_option("sw:br", bridge::MCAST_LAST_MEMBER_INTERVAL, 10).await?;
        let (group, name) = (group(family), group(family).to_string());
        for (host, port) in [("b", "sw:p2"), ("c", "sw:p3")] {
            lab.say(host, &[Message::report(group)]).await?;
            lab.expect_member(port, &name, true).await?;
        }
        lab.say("b", &[Message::leave(group)]).await?;
        lab.expect_member("sw:p2", &name, false).await?;
        lab.expect_member("sw:p3", &name, true).await
    });
}

const SNOOPERS: Rule = Rule {
    id: "bridge.asking.a-bridge-that-follows-joins-its-like",
    promise: "a bridge that follows memberships listens to the groups of all such (224.0.0.106 and \
              ff02::6a), and one that does not no longer",
    source: Source {
        cite: "RFC 4286, 2; br_multicast_join_snoopers, net/bridge/br_multicast.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_bridge_that_follows_joins_its_like() {
    check(&SNOOPERS, async |case| {
        const V4: Mac = Mac([0x01, 0, 0x5e, 0, 0, 0x6a]);
        const V6: Mac = Mac([0x33, 0x33, 0, 0, 0, 0x6a]);
        let mut lab = case.lab(&asking()).await?;
        for follows in [true, false, true] {
            lab.set_option("sw:br", bridge::MCAST_SNOOPING, u64::from(follows)).await?;
            let heard = lab.filters("sw:br").await?;
            for group in [V4, V6] {
                let claim = format!("follows: {follows}; listens to {group}: {follows}");
                lab.claim(&claim, heard.contains(&group) == follows, format!("{heard:?}"))?;
            }
        }
        Ok(())
    });
}
