//! Listeners of one group that want to hear different senders: what each of them gets.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               a asks and sends as several senders, b and c are members
//!   b --- p2 +----+
//! ```
//!
//! A bridge that speaks IGMPv3 and MLDv2 keeps a membership of its own for each sender that somebody
//! asked for. Who hears all senders has to be in each of these, whatever came first.

use std::net::{Ipv4Addr, Ipv6Addr};

use hairpin_harness::Record::{Allow, Block, IsExclude, ToExclude, ToInclude};
use hairpin_harness::options::bridge;
use hairpin_harness::{
    CaseLab, Errno, Family, Message, Need, Record, Rule, Shot, Source, Stop, Strength, check,
};
use rstest::rstest;

use super::querier::{ask, group, sender, snooping, speak_newest, wants};

pub(crate) const RULES: &[Rule] =
    &[EACH, FORGOTTEN, ITSELF, BY_HAND, ONE_BY_HAND, ANEW, EXPIRES, NONSENSE];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 10)];

const EACH: Rule = Rule {
    id: "bridge.listeners.each-hears-what-it-asked-for",
    promise: "a listener that hears all senders hears those too that another alone asked for, \
              whoever said so first; once it asks for one alone it hears that one, and what the \
              other asks for no more",
    source: Source {
        cite: "RFC 3376, 6.3; br_multicast_star_g_handle_mode and br_multicast_sg_add_exclude_ports",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

/// Has a host say which senders of the group it wants to hear.
async fn want(lab: &mut CaseLab, (host, record): (&str, Record), wish: Wish) -> Result<(), Stop> {
    let message = wants(record, (wish.0, 1), wish.1);
    lab.shoot(host, &Shot::message(&message)).await?;
    Ok(())
}

/// Senders of a family, by number.
type Wish = (Family, &'static [u8]);

/// Holds who hears the group's sender of that number.
async fn expect_hears(
    lab: &mut CaseLab,
    (family, number): (Family, u8),
    who: &str,
) -> Result<(), Stop> {
    lab.expect_shot("a", &Shot::datagram(sender(family, number), group(family, 1)), who).await?;
    Ok(())
}

/// The membership of the group from a sender.
fn of(family: Family, number: u8) -> String {
    format!("{} from {}", group(family, 1), sender(family, number))
}

const BOTH: &str = "b multicast, c multicast";

#[rstest]
fn each_hears_what_it_asked_for(
    #[values(Family::V4, Family::V6)] family: Family,
    #[values(true, false)] all_first: bool,
) {
    check(&EACH, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        lab.set_option("sw:br", bridge::MCAST_LAST_MEMBER_INTERVAL, 10).await?;
        for all in [all_first, !all_first] {
            match all {
                true => want(&mut lab, ("b", ToExclude), (family, &[])).await?,
                false => want(&mut lab, ("c", ToInclude), (family, &[1])).await?,
            }
        }
        ask(&mut lab, family).await?;
        expect_hears(&mut lab, (family, 1), BOTH).await?;
        expect_hears(&mut lab, (family, 2), "b multicast").await?;
        // Nobody else claims all within the time of the last member, so b's claim of all ends.
        want(&mut lab, ("b", ToInclude), (family, &[2])).await?;
        lab.expect_member("sw:p2", &of(family, 1), false).await?;
        want(&mut lab, ("c", Allow), (family, &[3])).await?;
        for (number, who) in
            [(1, "c multicast"), (2, "b multicast"), (3, "c multicast"), (4, "nobody")]
        {
            expect_hears(&mut lab, (family, number), who).await?;
        }
        Ok(())
    });
}

const FORGOTTEN: Rule = Rule {
    id: "bridge.listeners.what-nobody-asks-for-alone-is-forgotten",
    promise: "when the last that asked for a sender alone wants it no longer, nobody is listed for \
              that sender any more, and those that hear all still hear it",
    source: Source {
        cite: "br_multicast_sg_del_exclude_ports, net/bridge/br_multicast.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn what_nobody_asks_for_alone_is_forgotten(#[case] family: Family) {
    check(&FORGOTTEN, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        lab.set_option("sw:br", bridge::MCAST_LAST_MEMBER_INTERVAL, 10).await?;
        want(&mut lab, ("b", ToExclude), (family, &[])).await?;
        want(&mut lab, ("c", ToInclude), (family, &[1, 2])).await?;
        ask(&mut lab, family).await?;
        for port in ["sw:p2", "sw:p3"] {
            lab.expect_member(port, &of(family, 1), true).await?;
        }
        want(&mut lab, ("c", Block), (family, &[1])).await?;
        for port in ["sw:p3", "sw:p2"] {
            lab.expect_member(port, &of(family, 1), false).await?;
            lab.expect_member(port, &of(family, 2), true).await?;
        }
        // A table without members goes at the kernel's next tick, and this takes longer.
        ask(&mut lab, family).await?;
        expect_hears(&mut lab, (family, 1), "b multicast").await?;
        expect_hears(&mut lab, (family, 2), BOTH).await
    });
}

const ITSELF: Rule = Rule {
    id: "bridge.listeners.the-bridge-hears-all-of-what-it-joined",
    promise: "a bridge that has joined a group itself hears all its senders, those too that a port \
              alone asked for, whoever joined first; when it has left it hears none of them",
    source: Source {
        cite: "br_multicast_sg_host_state and br_multicast_star_g_host_state",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
fn the_bridge_hears_all_of_what_it_joined(
    #[values(Family::V4, Family::V6)] family: Family,
    #[values(true, false)] bridge_first: bool,
) {
    check(&ITSELF, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        let name = group(family, 1).to_string();
        for itself in [bridge_first, !bridge_first] {
            match itself {
                true => lab.add_mdb_for_a_time("sw:br", "sw:br", &name, None).await?,
                false => want(&mut lab, ("c", ToInclude), (family, &[1])).await?,
            }
        }
        ask(&mut lab, family).await?;
        expect_hears(&mut lab, (family, 1), "c multicast, sw multicast").await?;
        expect_hears(&mut lab, (family, 2), "sw multicast").await?;
        lab.delete_mdb("sw:br", "sw:br", &name, None).await?;
        expect_hears(&mut lab, (family, 1), "c multicast").await?;
        expect_hears(&mut lab, (family, 2), "nobody").await
    });
}

const BY_HAND: Rule = Rule {
    id: "bridge.listeners.by-hand-is-as-by-report",
    promise: "a port that was made a member by hand hears all senders, those too that another alone \
              asked for, whichever was first, until it is none any more",
    source: Source {
        cite: "bridge(8), mdb; br_mdb_add_group, net/bridge/br_mdb.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
fn by_hand_is_as_by_report(
    #[values(Family::V4, Family::V6)] family: Family,
    #[values(true, false)] hand_first: bool,
) {
    check(&BY_HAND, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        let name = group(family, 1).to_string();
        for by_hand in [hand_first, !hand_first] {
            match by_hand {
                true => lab.add_mdb("sw:br", "sw:p2", &name, None).await?,
                false => want(&mut lab, ("c", ToInclude), (family, &[1])).await?,
            }
        }
        ask(&mut lab, family).await?;
        expect_hears(&mut lab, (family, 1), BOTH).await?;
        expect_hears(&mut lab, (family, 2), "b multicast").await?;
        lab.delete_mdb("sw:br", "sw:p2", &name, None).await?;
        expect_hears(&mut lab, (family, 1), "c multicast").await?;
        expect_hears(&mut lab, (family, 2), "nobody").await
    });
}

const ONE_BY_HAND: Rule = Rule {
    id: "bridge.listeners.one-sender-by-hand",
    promise: "a port that was made a member for one sender by hand hears that one, and so does who \
              hears all; a group or nothing is no sender, and an Ethernet group has none",
    source: Source {
        cite: "bridge(8), mdb src; br_mdb_add_group and is_valid_mdb_source, since 5.10",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4, "239.1.2.9")]
#[case::v6(Family::V6, "ff0e::9")]
fn one_sender_by_hand(#[case] family: Family, #[case] no_sender: &str) {
    check(&ONE_BY_HAND, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        let name = group(family, 1).to_string();
        for nonsense in
            [format!("{name} from {no_sender}"), "01:68:70:00:00:01 from 192.0.2.1".into()]
        {
            let done = lab.add_mdb("sw:br", "sw:p3", &nonsense, None).await;
            lab.expect_refusal(&nonsense, done, Errno::EINVAL)?;
        }
        want(&mut lab, ("b", IsExclude), (family, &[])).await?;
        lab.add_mdb("sw:br", "sw:p3", &of(family, 1), None).await?;
        ask(&mut lab, family).await?;
        expect_hears(&mut lab, (family, 1), BOTH).await?;
        expect_hears(&mut lab, (family, 2), "b multicast").await?;
        lab.delete_mdb("sw:br", "sw:p3", &of(family, 1), None).await?;
        // A table without members goes at the kernel's next tick, and this takes longer.
        ask(&mut lab, family).await?;
        expect_hears(&mut lab, (family, 1), "b multicast").await
    });
}

const ANEW: Rule = Rule {
    id: "bridge.listeners.who-is-shut-out-no-more-is-heard",
    promise: "a listener that shuts out another sender than before hears the first again, whether it \
              answered or changed its mind",
    source: Source {
        cite: "RFC 3376, 6.4.1; __grp_src_isexc_excl and __grp_src_toex_excl",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::answers(IsExclude)]
#[case::changes(ToExclude)]
fn who_is_shut_out_no_more_is_heard(
    #[case] record: Record,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    check(&ANEW, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        want(&mut lab, ("b", ToExclude), (family, &[2])).await?;
        ask(&mut lab, family).await?;
        expect_hears(&mut lab, (family, 1), "b multicast").await?;
        expect_hears(&mut lab, (family, 2), "nobody").await?;
        // Until when the other is still heard is another matter.
        want(&mut lab, ("b", record), (family, &[3])).await?;
        // A table without members goes at the kernel's next tick, and this takes longer.
        ask(&mut lab, family).await?;
        expect_hears(&mut lab, (family, 1), "b multicast").await?;
        expect_hears(&mut lab, (family, 2), "b multicast").await
    });
}

const EXPIRES: Rule = Rule {
    id: "bridge.listeners.an-answer-holds-for-the-membership-interval",
    promise: "a listener that says that it hears all, or some, and does not say so again is none any \
              more after the membership interval, whether it answered or changed its mind",
    source: Source {
        cite: "RFC 3376, 6.2.2 and 6.3; br_multicast_isexc and br_multicast_isinc_allow",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::answers_all(IsExclude, &[])]
#[case::answers_all_but_one(IsExclude, &[1])]
#[case::answers_one(Record::IsInclude, &[1])]
#[case::hears_all(ToExclude, &[])]
#[case::hears_one(ToInclude, &[1])]
fn an_answer_holds_for_the_membership_interval(
    #[case] record: Record,
    #[case] senders: &[u8],
    #[values(Family::V4, Family::V6)] family: Family,
) {
    check(&EXPIRES, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        lab.set_option("sw:br", bridge::MCAST_MEMBERSHIP_INTERVAL, 400).await?;
        let name = group(family, 1).to_string();
        lab.add_mdb("sw:br", "sw:p3", &name, None).await?;
        // Only said: to see it pass as well may take longer than it holds.
        lab.say("b", &[wants(record, (family, 1), senders)]).await?;
        lab.expect_member("sw:p2", &name, true).await?;
        lab.expect_member("sw:p2", &name, false).await?;
        lab.expect_member("sw:p3", &name, true).await
    });
}

const NONSENSE: Rule = Rule {
    id: "bridge.listeners.no-more-senders-than-the-limit",
    promise: "of one listener no more than 32 senders of a group are followed; what is a group or \
              nothing is none of them",
    source: Source {
        cite: "br_multicast_new_group_src and PG_SRC_ENT_LIMIT, net/bridge/br_private.h",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn no_more_senders_than_the_limit(#[case] family: Family) {
    check(&NONSENSE, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        let nothing = match family {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        let record = Message::record(ToInclude, group(family, 1), &[nothing, group(family, 9)]);
        lab.shoot("b", &Shot::message(&record)).await?;
        expect_followed(&lab, family, 0).await?;
        let senders: Vec<_> = (1..=31).map(|number| sender(family, number)).collect();
        let record = Message::record(ToInclude, group(family, 1), &senders);
        lab.shoot("b", &Shot::message(&record)).await?;
        expect_followed(&lab, family, 31).await?;
        want(&mut lab, ("b", Allow), (family, &[32, 33, 34])).await?;
        expect_followed(&lab, family, 32).await?;
        lab.expect_member("sw:p2", &of(family, 32), true).await
    });
}

/// Holds how many senders of the group b is followed for.
async fn expect_followed(lab: &CaseLab, family: Family, count: usize) -> Result<(), Stop> {
    let (name, entries) = (group(family, 1).to_string(), lab.mdb("sw").await?);
    let of_it = entries.iter().filter(|entry| entry.group == name && entry.source.is_some());
    let seen = of_it.count();
    lab.claim(&format!("b is followed for {count} senders"), seen == count, seen)
}
