//! What a bridge counts of the messages about memberships that pass it (`mcast_stats`), and that none
//! that is unsound passes. The messages are the case's own.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               b speaks
//!   b --- p2 +----+
//! ```

use std::net::{IpAddr, Ipv4Addr};

use hairpin_harness::options::bridge;
use hairpin_harness::{
    CaseLab, Family, Message, Record, Rule, Shot, Source, Stop, Strength, Topology, check,
};
use rstest::rstest;

use super::NEEDS;
use super::querier::{ask, group, snooping};

pub(crate) const RULES: &[Rule] = &[COUNTED, UNSOUND];

/// The group of that family, and of the only one that old versions know.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 5);
const V4: IpAddr = IpAddr::V4(GROUP);

fn v6() -> IpAddr {
    group(Family::V6, 5)
}

/// Without what the bridge's own host would say of the group that all such bridges join (224.0.0.106).
fn quiet() -> Topology {
    snooping().sysctl("sw", "ipv4.igmp_link_local_mcast_reports", "0")
}

const COUNTED: Rule = Rule {
    id: "bridge.messages.each-is-counted-as-what-it-is",
    promise: "where told to, a bridge counts each message about memberships once, by its kind: as \
              received at the port that it came in by, as sent at each that it left by, and as \
              sent by the bridge that took it",
    source: Source {
        cite: "bridge(8), mcast_stats_enabled; br_mcast_stats_add, net/bridge/br_multicast.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::igmpv1_query(Message::query_of(V4, 0), "IGMPv1 queries")]
#[case::igmpv2_query(Message::query_of(V4, 10), "IGMPv2 queries")]
#[case::igmpv3_query(Message::query(Family::V4), "IGMPv3 queries")]
#[case::igmp_leave(Message::leave(V4), "IGMP leaves")]
#[case::igmpv1_report(Message::old_report(GROUP), "IGMPv1 reports")]
#[case::igmpv2_report(Message::report(V4), "IGMPv2 reports")]
#[case::igmpv3_report(Message::record(Record::ToExclude, V4, &[]), "IGMPv3 reports")]
#[case::mldv1_query(Message::query_of(v6(), 1), "MLDv1 queries")]
#[case::mldv2_query(Message::query(Family::V6), "MLDv2 queries")]
#[case::mld_leave(Message::leave(v6()), "MLD leaves")]
#[case::mldv1_report(Message::report(v6()), "MLDv1 reports")]
#[case::mldv2_report(Message::record(Record::ToExclude, v6(), &[]), "MLDv2 reports")]
fn each_is_counted_as_what_it_is(#[case] message: Message, #[case] kind: &str) {
    check(&COUNTED, async |case| {
        let mut lab = case.lab(&quiet()).await?;
        let message = Shot::message(&message);
        lab.shoot("b", &message).await?;
        for link in ["sw:p2", "sw:p1", "sw:br"] {
            expect_counted(&lab, link, &[]).await?;
        }
        lab.set_option("sw:br", bridge::MCAST_STATS, 1).await?;
        lab.expect_shot("b", &message, "a multicast, c multicast, sw multicast").await?;
        expect_counted(&lab, "sw:p2", &[&format!("{kind}: received 1, sent 0")]).await?;
        for link in ["sw:p1", "sw:p3", "sw:br"] {
            expect_counted(&lab, link, &[&format!("{kind}: received 0, sent 1")]).await?;
        }
        Ok(())
    });
}

/// Holds what a link has counted of messages, each as `KIND: received N, sent N`.
async fn expect_counted(lab: &CaseLab, link: &str, lines: &[&str]) -> Result<(), Stop> {
    let counts = lab.message_counts(link).await?;
    lab.expect_lines(&format!("messages counted at {link}"), counts, lines)
}

const UNSOUND: Rule = Rule {
    id: "bridge.messages.unsound-ones-go-nowhere",
    promise: "a bridge that follows memberships drops a message about them whose check sum is wrong, \
              and counts it as an error; one that does not follow them hands it on",
    source: Source {
        cite: "br_multicast_rcv and br_multicast_err_count, net/bridge/br_multicast.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Message::report(V4), Family::V4, "IGMP errors: received 1, sent 0")]
#[case::v6(Message::report(v6()), Family::V6, "MLD errors: received 1, sent 0")]
fn unsound_ones_go_nowhere(#[case] message: Message, #[case] family: Family, #[case] error: &str) {
    check(&UNSOUND, async |case| {
        let mut lab = case.lab(&quiet()).await?;
        ask(&mut lab, family).await?;
        lab.set_option("sw:br", bridge::MCAST_STATS, 1).await?;
        let unsound = Shot::message(&message.clone().unsound());
        lab.expect_shot("b", &unsound, "nobody").await?;
        expect_counted(&lab, "sw:p2", &[error]).await?;
        lab.expect_shot("b", &Shot::message(&message), "a multicast").await?;
        lab.set_option("sw:br", bridge::MCAST_SNOOPING, 0).await?;
        lab.expect_shot("b", &unsound, "a multicast, c multicast, sw multicast").await?;
        Ok(())
    });
}
