//! Ports behind which a router is, and a bridge that is one itself: what becomes of it when carriers go
//! and come.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               a asks, b is a member
//!   b --- p2 +----+
//! ```

use hairpin_harness::options::{bridge, port};
use hairpin_harness::{Family, Mac, Message, Need, Rule, Shot, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;
use super::asking::asking;
use super::election::asker;
use super::querier::{ask, group, snooping, to};

pub(crate) const RULES: &[Rule] = &[CARRIER, ITSELF, HEARD, COMES_UP];

const CARRIER: Rule = Rule {
    id: "bridge.routers.go-with-the-carrier",
    promise: "a port that has lost its carrier leads to no router; when it has it again it does if it \
              was said to, and not if that was only heard",
    source: Source {
        cite: "__br_multicast_enable_port_ctx and __br_multicast_disable_port_ctx",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::igmp(Family::V4)]
#[case::mld(Family::V6)]
fn go_with_the_carrier(#[case] family: Family) {
    check(&CARRIER, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.set_option("sw:p2", port::MCAST_ROUTER, 2).await?;
        lab.say("a", &[Message::query(family)]).await?;
        for port in ["sw:p1", "sw:p2"] {
            lab.expect_router(port, true).await?;
        }
        for (host, port) in [("a:eth0", "sw:p1"), ("b:eth0", "sw:p2")] {
            lab.set_up(host, false).await?;
            lab.expect_router(port, false).await?;
            lab.set_up(host, true).await?;
            lab.expect_to_become(port, port::STATE, 3).await?;
        }
        lab.expect_router("sw:p2", true).await?;
        lab.expect_lines("routers", lab.router_ports("sw").await?, &["p2"])
    });
}

const ITSELF: Rule = Rule {
    id: "bridge.routers.the-bridge-itself",
    promise: "a bridge that is said to be a router hears groups that only others are members of; one \
              that is said to find out, or never to be one, does not",
    source: Source {
        cite: "ip-link(8), mcast_router; br_multicast_set_router and br_multicast_is_router",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[NEEDS[0], NEEDS[1], Need::Since(5, 13)],
};

#[test]
fn the_bridge_itself() {
    check(&ITSELF, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.add_mdb("sw:br", "sw:p2", "01:68:70:00:00:01", None).await?;
        let shot = Shot::to(Mac([0x01, 0x68, 0x70, 0, 0, 1]));
        for (router, heard) in [
            (1, "b multicast"),
            (2, "b multicast, sw multicast"),
            (1, "b multicast"),
            (2, "b multicast, sw multicast"),
            (0, "b multicast"),
        ] {
            lab.set_option("sw:br", bridge::MCAST_ROUTER, router).await?;
            lab.expect_option("sw:br", bridge::MCAST_ROUTER, router).await?;
            lab.expect_shot("a", &shot, heard).await?;
        }
        Ok(())
    });
}

const HEARD: Rule = Rule {
    id: "bridge.routers.the-bridge-itself-by-what-its-host-says",
    promise: "a bridge that is to find out and whose own host asks for memberships, or says that it is \
              a router, hears groups that only others are members of; one that is never to be one does \
              not, and forgets that it was",
    source: Source {
        cite: "br_multicast_mark_router and br_multicast_is_router, net/bridge",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[NEEDS[0], NEEDS[1], Need::Since(5, 13)],
};

#[rstest]
#[case::asks_v4(Message::query(Family::V4).from(asker(Family::V4, 98)), Family::V4)]
#[case::asks_v6(Message::query(Family::V6).from(asker(Family::V6, 98)), Family::V6)]
#[case::hello(Message::router_hello(Family::V4), Family::V4)]
fn the_bridge_itself_by_what_its_host_says(#[case] says: Message, #[case] family: Family) {
    check(&HEARD, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let group = group(family, 1);
        lab.say("b", &[Message::report(group)]).await?;
        lab.expect_member("sw:p2", &group.to_string(), true).await?;
        ask(&mut lab, family).await?;
        let (others, itself) =
            ("a multicast, b multicast", "a multicast, b multicast, sw multicast");
        lab.expect_shot("c", &to(group), others).await?;
        for (router, heard) in [(1, itself), (0, others), (1, others)] {
            lab.set_option("sw:br", bridge::MCAST_ROUTER, router).await?;
            // The third time nothing is said.
            if heard == itself || router == 0 {
                lab.say("sw", std::slice::from_ref(&says)).await?;
            }
            lab.expect_shot("c", &to(group), heard).await?;
        }
        Ok(())
    });
}

const COMES_UP: Rule = Rule {
    id: "bridge.routers.who-comes-is-asked-at-once",
    promise: "a bridge that asks asks behind a port that comes to run at once, whenever it would ask \
              the others next",
    source: Source {
        cite: "RFC 4541, 2.1.1; __br_multicast_enable_port_ctx, net/bridge/br_multicast.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4, "IGMPv2 to 224.0.0.1 for all within 10000 ms")]
#[case::v6(Family::V6, "MLDv1 to ff02::1 for all within 10000 ms")]
fn who_comes_is_asked_at_once(#[case] family: Family, #[case] what: &str) {
    check(&COMES_UP, async |case| {
        let mut lab = case.lab(&asking()).await?;
        // Longer than any ear waits.
        lab.set_option("sw:br", bridge::MCAST_STARTUP_QUERY_INTERVAL, 10_000).await?;
        let ear = lab.listen("b", family).await?;
        lab.set_option("sw:br", bridge::MCAST_QUERIER, 1).await?;
        lab.expect_asked(ear.next(), what)?;
        lab.set_up("sw:p2", false).await?;
        lab.set_up("sw:p2", true).await?;
        lab.expect_asked(ear.next(), what)?;
        Ok(())
    });
}
