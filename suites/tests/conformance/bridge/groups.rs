//! Groups on a bridge that follows memberships, as far as they are told by hand.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               br's own stack is the host `sw`
//!   b --- p2 +----+
//! ```
//!
//! The group is of Ethernet alone: the table of those is believed without a querier.

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Bridge, CaseLab, Errno, Kernel, Mac, MdbWords, Need, Rule, Shot, Source, Stop, Strength,
    Topology, check,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] =
    &[MEMBERS, ROUTERS, TABLE, REFUSED, SWITCHED_OFF, GONE, HOST, CARRIER, NOBODY_FOLLOWS, WORDS];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 13)];

/// An Ethernet group that no IP group is mapped to.
const GROUP: Mac = Mac([0x01, 0x68, 0x70, 0x00, 0x00, 0x01]);

const NAME: &str = "01:68:70:00:00:01";

fn snooping() -> Topology {
    switch_with(Bridge::default().mcast_snooping(true))
}

const MEMBERS: Rule = Rule {
    id: "bridge.groups.members-only",
    promise: "a group with members leaves by their ports only, and without any by all",
    source: Source {
        cite: "bridge(8), mdb; br_multicast_flood, net/bridge/br_forward.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

async fn expect_group(lab: &mut CaseLab, from: &str, heard: &str) -> Result<(), Stop> {
    lab.expect_shot(from, &Shot::to(GROUP), heard).await?;
    Ok(())
}

#[test]
fn members_only() {
    check(&MEMBERS, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let everywhere = lab.shoot("a", &Shot::to(GROUP)).await?;
        everywhere.proved()?;
        let all = everywhere.to_string().starts_with("b multicast, c multicast");
        lab.claim("a group without members goes everywhere", all, everywhere)?;
        lab.add_mdb("sw:br", "sw:p2", NAME, None).await?;
        expect_group(&mut lab, "a", "b multicast").await?;
        expect_group(&mut lab, "c", "b multicast").await?;
        // The member itself is not sent back what it sends.
        expect_group(&mut lab, "b", "nobody").await?;
        lab.add_mdb("sw:br", "sw:p3", NAME, None).await?;
        expect_group(&mut lab, "a", "b multicast, c multicast").await?;
        expect_group(&mut lab, "sw", "b multicast, c multicast").await?;
        lab.delete_mdb("sw:br", "sw:p2", NAME, None).await?;
        expect_group(&mut lab, "a", "c multicast").await
    });
}

const ROUTERS: Rule = Rule {
    id: "bridge.groups.routers-hear-all",
    promise: "a port that is said to lead to a router gets every group, members or not; one that \
              is said never to does not",
    source: Source {
        cite: "bridge(8), mcast_router; br_multicast_flood",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn routers_hear_all() {
    check(&ROUTERS, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.add_mdb("sw:br", "sw:p2", NAME, None).await?;
        expect_group(&mut lab, "a", "b multicast").await?;
        lab.set_option("sw:p3", port::MCAST_ROUTER, 2).await?;
        expect_group(&mut lab, "a", "b multicast, c multicast").await?;
        lab.set_option("sw:p2", port::MCAST_ROUTER, 2).await?;
        // Member and router at once: still one copy.
        expect_group(&mut lab, "a", "b multicast, c multicast").await?;
        lab.set_option("sw:p3", port::MCAST_ROUTER, 0).await?;
        expect_group(&mut lab, "a", "b multicast").await
    });
}

const TABLE: Rule = Rule {
    id: "bridge.groups.the-table-is-read-back",
    promise: "memberships that were made by hand are told as they were made, of every family",
    source: Source { cite: "bridge(8), mdb; br_mdb_fill_info", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

async fn expect_table(lab: &CaseLab, when: &str, lines: &[&str]) -> Result<(), Stop> {
    let told = lab.mdb("sw").await?;
    let made = told.into_iter().filter(|entry| entry.permanent && entry.vlan.is_none());
    lab.expect_lines(when, made, lines)
}

#[test]
fn the_table_is_read_back() {
    check(&TABLE, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        expect_table(&lab, "at first", &[]).await?;
        lab.add_mdb("sw:br", "sw:p1", "239.1.2.3", None).await?;
        lab.add_mdb("sw:br", "sw:p2", "239.1.2.3", None).await?;
        lab.add_mdb("sw:br", "sw:p2", "ff0e::77", None).await?;
        lab.add_mdb("sw:br", "sw:p3", NAME, None).await?;
        let lines = [
            "239.1.2.3 p1 permanent",
            "239.1.2.3 p2 permanent",
            "ff0e::77 p2 permanent",
            &format!("{NAME} p3 permanent"),
        ];
        let mut seen: Vec<String> = lab
            .mdb("sw")
            .await?
            .iter()
            .filter(|entry| entry.permanent)
            .map(ToString::to_string)
            .collect();
        seen.sort();
        let mut wanted: Vec<&str> = lines.to_vec();
        wanted.sort_unstable();
        lab.claim("all are told", seen == wanted, seen.join(", "))?;
        lab.delete_mdb("sw:br", "sw:p1", "239.1.2.3", None).await?;
        lab.delete_mdb("sw:br", "sw:p2", "ff0e::77", None).await?;
        lab.delete_mdb("sw:br", "sw:p3", NAME, None).await?;
        expect_table(&lab, "less three", &["239.1.2.3 p2 permanent"]).await
    });
}

const REFUSED: Rule = Rule {
    id: "bridge.groups.no-membership-of-nonsense",
    promise: "a membership that is there is not made again, one that is not there does not end, \
              what is for everybody on a link (224.0.0.0/24, ff02::1) has no members, and a \
              station is no group",
    source: Source {
        cite: "is_valid_mdb_entry and br_mdb_add, net/bridge/br_mdb.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn no_membership_of_nonsense() {
    check(&REFUSED, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.add_mdb("sw:br", "sw:p2", NAME, None).await?;
        let done = lab.add_mdb("sw:br", "sw:p2", NAME, None).await;
        lab.expect_refusal("the same again", done, Errno::EEXIST)?;
        for bad in ["224.0.0.5", "ff02::1", "192.0.2.1", "02:00:00:00:00:01"] {
            let done = lab.add_mdb("sw:br", "sw:p2", bad, None).await;
            lab.expect_refusal(bad, done, Errno::EINVAL)?;
        }
        let done = lab.delete_mdb("sw:br", "sw:p1", NAME, None).await;
        let refused = done.is_err();
        lab.claim("the end of what is not there is refused", refused, "it was done")?;
        expect_table(&lab, "kept", &[&format!("{NAME} p2 permanent")]).await
    });
}

const SWITCHED_OFF: Rule = Rule {
    id: "bridge.groups.without-snooping-all-are-flooded",
    promise: "a bridge that follows no memberships sends every group everywhere, and follows them \
              again when it is told to",
    source: Source { cite: "ip-link(8), mcast_snooping", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[test]
fn without_snooping_all_are_flooded() {
    check(&SWITCHED_OFF, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.add_mdb("sw:br", "sw:p2", NAME, None).await?;
        for on in [1, 0, 1] {
            lab.set_option("sw:br", bridge::MCAST_SNOOPING, on).await?;
            let fate = lab.shoot("a", &Shot::to(GROUP)).await?;
            fate.proved()?;
            let to_c = fate.to_string().contains("c multicast");
            let claim = format!("snooping {on}: c hears it: {}", on == 0);
            lab.claim(&claim, to_c == (on == 0), fate)?;
        }
        Ok(())
    });
}

const GONE: Rule = Rule {
    id: "bridge.groups.memberships-go-with-their-port",
    promise: "when a port leaves the bridge its memberships are gone and others stay",
    source: Source {
        cite: "br_multicast_del_port, net/bridge/br_multicast.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn memberships_go_with_their_port() {
    check(&GONE, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.add_mdb("sw:br", "sw:p2", NAME, None).await?;
        lab.add_mdb("sw:br", "sw:p3", NAME, None).await?;
        lab.set_bridge("sw:p2", None).await?;
        expect_table(&lab, "without p2", &[&format!("{NAME} p3 permanent")]).await?;
        lab.set_bridge("sw:p2", Some("br")).await?;
        expect_group(&mut lab, "a", "c multicast").await
    });
}

const HOST: Rule = Rule {
    id: "bridge.groups.the-bridge-may-be-a-member",
    promise: "a bridge that is a member itself hears the group, and ports that are none do not; when \
              it is none any more, it does not while others are",
    source: Source {
        cite: "bridge(8), mdb; br_multicast_host_join, net/bridge/br_multicast.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_bridge_may_be_a_member() {
    check(&HOST, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.join("sw", GROUP).await?;
        lab.add_mdb("sw:br", "sw:br", NAME, None).await?;
        let before = lab.counters("sw:br").await?;
        expect_group(&mut lab, "a", "sw multicast").await?;
        let counted = (lab.counters("sw:br").await? - before).multicast;
        lab.claim("the bridge counts groups that it hears", counted > 0, counted)?;
        let done = lab.add_mdb("sw:br", "sw:br", NAME, None).await;
        lab.expect_refusal("the same again", done, Errno::EEXIST)?;
        lab.add_mdb("sw:br", "sw:p2", NAME, None).await?;
        expect_group(&mut lab, "a", "b multicast, sw multicast").await?;
        lab.delete_mdb("sw:br", "sw:br", NAME, None).await?;
        expect_group(&mut lab, "a", "b multicast").await
    });
}

const CARRIER: Rule = Rule {
    id: "bridge.groups.what-was-made-by-hand-outlives-the-carrier",
    promise: "a membership that was made by hand is there still when its port has lost its carrier, \
              and holds when it has it again",
    source: Source {
        cite: "__br_multicast_disable_port_ctx, net/bridge/br_multicast.c; bridge(8), permanent",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_was_made_by_hand_outlives_the_carrier() {
    check(&CARRIER, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.add_mdb("sw:br", "sw:p2", NAME, None).await?;
        expect_group(&mut lab, "a", "b multicast").await?;
        lab.set_up("b:eth0", false).await?;
        lab.expect_option("sw:p2", port::STATE, 0).await?;
        expect_table(&lab, "without carrier", &[&format!("{NAME} p2 permanent")]).await?;
        lab.set_up("b:eth0", true).await?;
        lab.expect_option("sw:p2", port::STATE, 3).await?;
        expect_group(&mut lab, "a", "b multicast").await
    });
}

const NOBODY_FOLLOWS: Rule = Rule {
    id: "bridge.groups.none-while-nobody-follows",
    promise: "a bridge that is down, or follows no memberships, takes none",
    source: Source { cite: "br_mdb_add, net/bridge/br_mdb.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn none_while_nobody_follows() {
    check(&NOBODY_FOLLOWS, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.set_up("sw:br", false).await?;
        let done = lab.add_mdb("sw:br", "sw:p2", NAME, None).await;
        lab.expect_refusal("a membership on a bridge that is down", done, Errno::EINVAL)?;
        lab.set_up("sw:br", true).await?;
        lab.set_option("sw:br", bridge::MCAST_SNOOPING, 0).await?;
        let done = lab.add_mdb("sw:br", "sw:p2", NAME, None).await;
        lab.expect_refusal("a membership that nobody follows", done, Errno::EINVAL)?;
        lab.set_option("sw:br", bridge::MCAST_SNOOPING, 1).await?;
        let done = lab.add_mdb("sw:br", "sw:p2", NAME, None).await;
        lab.expect_done("a membership", done)
    });
}

const WORDS: Rule = Rule {
    id: "bridge.groups.each-word-of-a-request-is-looked-at",
    promise: "a request for a membership is refused if one of its words makes no sense, or is of another \
              length than it has, and nothing is made; with all words right it is done",
    source: Source {
        cite: "br_mdb_parse, is_valid_mdb_entry and is_valid_mdb_source, net/bridge/br_mdb.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// An index that no link has.
const NO_LINK: u32 = 9999;

/// How an entry of too many bytes is refused: since 6.4 its length is looked at before the bridge is asked (cc7f5022f810).
fn too_long() -> Errno {
    if Kernel::running() >= Kernel::new(6, 4) { Errno::ERANGE } else { Errno::EINVAL }
}

#[rstest]
#[case::no_bridge(|words: &mut MdbWords| words.bridge = 0, Errno::EINVAL)]
#[case::a_bridge_that_is_none(|words: &mut MdbWords| words.bridge = words.port, Errno::EOPNOTSUPP)]
#[case::a_bridge_that_is_not_there(|words: &mut MdbWords| words.bridge = NO_LINK, Errno::ENODEV)]
#[case::no_port(|words: &mut MdbWords| words.port = 0, Errno::EINVAL)]
#[case::a_port_that_is_not_there(|words: &mut MdbWords| words.port = NO_LINK, Errno::ENODEV)]
#[case::an_unknown_state(|words: &mut MdbWords| words.state = 2, Errno::EINVAL)]
#[case::an_unknown_protocol(|words: &mut MdbWords| words.protocol = 0x0806, Errno::EINVAL)]
#[case::too_few_bytes(|words: &mut MdbWords| words.bytes = 24, Errno::EINVAL)]
#[case::too_many_bytes(|words: &mut MdbWords| words.bytes = 32, too_long())]
#[case::a_group_that_sends(|words: &mut MdbWords| sent_by(words, &[239, 9, 9, 9]), Errno::EINVAL)]
#[case::a_sender_of_another_family(|words: &mut MdbWords| sent_by(words, &[9; 16]), Errno::EINVAL)]
#[case::a_group_that_sends_v6(|words: &mut MdbWords| v6(words, &[0xff; 16]), Errno::EINVAL)]
#[case::a_sender_of_another_family_v6(|words: &mut MdbWords| v6(words, &[9; 4]), Errno::EINVAL)]
#[case::a_sender_to_an_ethernet_group(in_ethernet, Errno::EINVAL)]
fn each_word_of_a_request_is_looked_at(#[case] garble: fn(&mut MdbWords), #[case] errno: Errno) {
    check(&WORDS, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let right = lab.mdb_words("sw:br", "sw:p2")?;
        let mut words = right.clone();
        garble(&mut words);
        let done = lab.ask_in_words("sw", &words);
        lab.expect_refusal(&format!("{words:?}"), done, errno)?;
        expect_table(&lab, "none was made", &[]).await?;
        let done = lab.ask_in_words("sw", &right);
        lab.expect_done(&format!("{right:?}"), done)?;
        expect_table(&lab, "made", &["239.1.2.3 p2 permanent"]).await
    });
}

fn sent_by(words: &mut MdbWords, sender: &[u8]) {
    words.sender = Some(sender.to_vec());
}

/// A group of IPv6, and its sender.
fn v6(words: &mut MdbWords, sender: &[u8]) {
    words.protocol = 0x86dd;
    words.group = vec![0xff, 0x0e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    sent_by(words, sender);
}

fn in_ethernet(words: &mut MdbWords) {
    words.protocol = 0;
    words.group = GROUP.0.to_vec();
    sent_by(words, &[192, 0, 2, 1]);
}
