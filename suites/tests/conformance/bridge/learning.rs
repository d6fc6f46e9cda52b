//! What a bridge learns of where addresses are, how long it keeps it, and what moves it.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               br's own stack is the host `sw`
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::{switch, switch_with};
use hairpin_harness::{
    Bridge, CaseLab, Class, Errno, Fdb, FdbEntry, Mac, Need, PortFlags, Rule, Shot, Source, Stop,
    Strength, check, options,
};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[
    FROM_SOURCES,
    OFF,
    MOVES,
    STICKY,
    OWN_ADDRESSES,
    NOT_ITS_OWN,
    FLUSH,
    ENTRIES,
    REFUSED,
    NEVER,
    LOCKED,
    AGEING,
    PORT_GONE,
    LIMIT,
];

/// An address that no link of the topology has.
const ROAMER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x0c]);

/// A frame from the roamer to all: it says where it is.
fn here_i_am() -> Shot {
    Shot::broadcast().from(ROAMER)
}

/// What the bridge knows without regard to VLANs. A kernel that could keep them apart makes what is
/// made by hand once more for each VLAN of the port.
async fn entries(lab: &CaseLab) -> Result<Vec<FdbEntry>, Stop> {
    let entries = lab.fdb("sw").await?;
    Ok(entries.into_iter().filter(|entry| entry.vlan.is_none()).collect())
}

/// Holds what the bridge knows of the roamer.
async fn expect_roamer(lab: &CaseLab, when: &str, lines: &[&str]) -> Result<(), Stop> {
    let entries = entries(lab).await?;
    let of_it = entries.into_iter().filter(|entry| entry.mac == ROAMER);
    let lines: Vec<String> = lines.iter().map(|line| format!("{ROAMER} {line}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lab.expect_lines(when, of_it, &lines)
}

const FROM_SOURCES: Rule = Rule {
    id: "bridge.learning.from-every-frame",
    promise: "the sender of a frame is known at the port that the frame came in by, and what is \
              for it goes there only",
    source: Source {
        cite: "IEEE 802.1D, 7.8; br_fdb_update, net/bridge/br_fdb.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::of_a_broadcast(Mac::BROADCAST)]
#[case::of_unknown_unicast(Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x0d]))]
#[case::of_a_group(Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x0d]))]
fn from_every_frame(#[case] to: Mac) {
    check(&FROM_SOURCES, async |case| {
        let mut lab = case.lab(&switch()).await?;
        expect_roamer(&lab, "before", &[]).await?;
        lab.expect_shot("c", &Shot::to(ROAMER), "a other, b other").await?;
        lab.shoot("a", &Shot::to(to).from(ROAMER)).await?;
        expect_roamer(&lab, "after", &["p1"]).await?;
        lab.expect_shot("c", &Shot::to(ROAMER), "a other").await?;
        lab.expect_shot("sw", &Shot::to(ROAMER), "a other").await?;
        Ok(())
    });
}

const OFF: Rule = Rule {
    id: "bridge.learning.off-learns-nothing",
    promise: "a port with learning off teaches the bridge nothing: what is for its hosts is \
              flooded; on again it does",
    source: Source { cite: "bridge(8), learning", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[test]
fn off_learns_nothing() {
    check(&OFF, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_port("sw:p1", PortFlags::default().learning(false)).await?;
        lab.shoot("a", &here_i_am()).await?;
        expect_roamer(&lab, "learning off", &[]).await?;
        lab.expect_shot("c", &Shot::to(ROAMER), "a other, b other").await?;
        lab.set_port("sw:p1", PortFlags::default().learning(true)).await?;
        lab.shoot("a", &here_i_am()).await?;
        expect_roamer(&lab, "learning on", &["p1"]).await?;
        lab.expect_shot("c", &Shot::to(ROAMER), "a other").await?;
        Ok(())
    });
}

const MOVES: Rule = Rule {
    id: "bridge.learning.follows-a-station",
    promise: "an address that is seen at another port is there from the first frame on, also one \
              that was pinned, which stays pinned there",
    source: Source {
        cite: "observed on 6.1 and 6.18; br_fdb_update, net/bridge/br_fdb.c",
        strength: Strength::Observed,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::learned(None, "")]
#[case::dynamic(Some(Fdb::DYNAMIC), "")]
#[case::pinned(Some(Fdb::STATIC), " static")]
fn follows_a_station(#[case] entry: Option<Fdb>, #[case] kind: &str) {
    check(&MOVES, async |case| {
        let mut lab = case.lab(&switch()).await?;
        match entry {
            Some(entry) => lab.add_fdb("sw:p1", ROAMER, entry).await?,
            None => drop(lab.shoot("a", &here_i_am()).await?),
        }
        expect_roamer(&lab, "at first", &[&format!("p1{kind}")]).await?;
        lab.expect_shot("c", &Shot::to(ROAMER), "a other").await?;
        lab.shoot("b", &here_i_am()).await?;
        expect_roamer(&lab, "after a frame from b", &[&format!("p2{kind}")]).await?;
        lab.expect_shot("c", &Shot::to(ROAMER), "b other").await?;
        Ok(())
    });
}

const STICKY: Rule = Rule {
    id: "bridge.learning.a-sticky-entry-stays",
    promise: "a sticky entry stays at its port wherever its address is seen; the frame that was \
              seen elsewhere passes",
    source: Source {
        cite: "bridge(8), fdb add sticky; commit 435f2e7cc0b7",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_sticky_entry_stays() {
    check(&STICKY, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.add_fdb("sw:p1", ROAMER, Fdb::STICKY).await?;
        expect_roamer(&lab, "made", &["p1 static sticky"]).await?;
        let all = "a broadcast, c broadcast, sw broadcast";
        lab.expect_shot("b", &here_i_am(), all).await?;
        expect_roamer(&lab, "after a frame from b", &["p1 static sticky"]).await?;
        lab.expect_shot("c", &Shot::to(ROAMER), "a other").await?;
        Ok(())
    });
}

const OWN_ADDRESSES: Rule = Rule {
    id: "bridge.learning.its-own-addresses-are-entries",
    promise: "the addresses of a bridge and of each of its ports are entries of its own, follow a \
              change of address, and go with the port",
    source: Source {
        cite: "br_fdb_add_local and br_fdb_changeaddr, net/bridge/br_fdb.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

async fn expect_own(lab: &CaseLab, when: &str, macs: &[Mac]) -> Result<(), Stop> {
    let own = entries(lab).await?.into_iter().filter(|entry| entry.own);
    let mut own: Vec<Mac> = own.map(|entry| entry.mac).collect();
    own.dedup();
    let mut wanted = macs.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    lab.claim(&format!("{when}: the own addresses"), own == wanted, format!("{own:?}"))
}

#[test]
fn its_own_addresses_are_entries() {
    check(&OWN_ADDRESSES, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let [br, p1, p2, p3] = ["sw:br", "sw:p1", "sw:p2", "sw:p3"].map(|link| lab.mac(link));
        expect_own(&lab, "at first", &[br, p1, p2, p3]).await?;
        lab.set_mac("sw:p2", ROAMER).await?;
        expect_own(&lab, "p2 changed", &[br, p1, ROAMER, p3]).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "sw other").await?;
        lab.expect_shot("a", &Shot::to(p2), "b other, c other").await?;
        lab.set_bridge("sw:p2", None).await?;
        expect_own(&lab, "p2 gone", &[br, p1, p3]).await?;
        lab.set_mac("sw:br", ROAMER).await?;
        expect_own(&lab, "br changed", &[ROAMER, p1, p3]).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "sw host").await?;
        lab.expect_shot("a", &Shot::to(br), "c other").await?;
        Ok(())
    });
}

const NOT_ITS_OWN: Rule = Rule {
    id: "bridge.learning.never-its-own-addresses",
    promise: "a frame that bears the bridge's or a port's address as its sender teaches nothing: \
              the address stays the bridge's own",
    source: Source { cite: "br_fdb_update, net/bridge/br_fdb.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::of_the_bridge("sw:br", "sw host")]
#[case::of_a_port("sw:p2", "sw other")]
fn never_its_own_addresses(#[case] whose: &str, #[case] heard: &str) {
    check(&NOT_ITS_OWN, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let own = lab.mac(whose);
        let of_it = |known: Vec<FdbEntry>| -> Vec<FdbEntry> {
            known.into_iter().filter(|entry| entry.mac == own).collect()
        };
        let before = of_it(entries(&lab).await?);
        lab.shoot("a", &Shot::broadcast().from(own)).await?;
        let known = entries(&lab).await?;
        let after = of_it(known.clone());
        lab.claim("its entry is where it was", after == before, format!("{after:?}"))?;
        let learned = known.iter().any(|entry| entry.mac == own && !entry.own);
        lab.claim("it is not learned", !learned, "it is")?;
        lab.expect_shot("c", &Shot::to(own), heard).await?;
        Ok(())
    });
}

const FLUSH: Rule = Rule {
    id: "bridge.learning.a-flush-keeps-what-was-pinned",
    promise: "flushing a port forgets what was learned at it, and neither what is pinned nor what \
              was learned at others",
    source: Source {
        cite: "ip-link(8), bridge_slave fdb_flush; br_fdb_delete_by_port",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_flush_keeps_what_was_pinned() {
    check(&FLUSH, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let pinned = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x0e]);
        lab.add_fdb("sw:p1", pinned, Fdb::STATIC).await?;
        lab.observe(Class::Unicast).await?;
        lab.shoot("a", &here_i_am()).await?;
        let learned = [lab.mac("b:eth0"), lab.mac("c:eth0")];
        lab.flush_fdb("sw:p1").await?;
        let known = entries(&lab).await?;
        let lines = known.into_iter().filter(|entry| !entry.own);
        let wanted = [
            format!("{} p2", learned[0]),
            format!("{} p3", learned[1]),
            format!("{pinned} p1 static"),
        ];
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        lab.expect_lines("what is left", lines, &wanted)
    });
}

const ENTRIES: Rule = Rule {
    id: "bridge.learning.entries-by-hand",
    promise: "an entry that is made by hand holds at once: at a port frames leave there, as the \
              bridge's own they go up; deleted, the address is unknown again; made anew it replaces",
    source: Source {
        cite: "bridge(8), fdb; br_fdb_add and br_fdb_delete",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn entries_by_hand() {
    check(&ENTRIES, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::STATIC).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "b other").await?;
        lab.add_fdb("sw:p3", ROAMER, Fdb::STATIC).await?;
        expect_roamer(&lab, "made anew", &["p3 static"]).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "c other").await?;
        lab.add_fdb("sw:p3", ROAMER, Fdb::OWN).await?;
        expect_roamer(&lab, "as its own", &["p3 own"]).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "sw other").await?;
        lab.delete_fdb("sw:p3", ROAMER, None).await?;
        expect_roamer(&lab, "deleted", &[]).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "b other, c other").await?;
        Ok(())
    });
}

const REFUSED: Rule = Rule {
    id: "bridge.learning.no-entry-of-nonsense",
    promise: "a group is no entry, and what is not there cannot be deleted, nor at another port",
    source: Source {
        cite: "rtnl_fdb_add and br_fdb_delete, net/bridge/br_fdb.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn no_entry_of_nonsense() {
    check(&REFUSED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let done = lab.delete_fdb("sw:p1", ROAMER, None).await;
        lab.expect_refusal("to delete what is not there", done, Errno::ENOENT)?;
        lab.add_fdb("sw:p1", ROAMER, Fdb::STATIC).await?;
        let done = lab.delete_fdb("sw:p2", ROAMER, None).await;
        lab.expect_refusal("to delete it at another port", done, Errno::ENOENT)?;
        let done = lab.add_fdb("sw:p1", Mac([0; 6]), Fdb::STATIC).await;
        lab.expect_refusal("an entry of no address", done, Errno::EINVAL)?;
        expect_roamer(&lab, "kept", &["p1 static"]).await
    });
}

const NEVER: Rule = Rule {
    id: "bridge.learning.without-ageing-time-nothing-is-kept",
    promise: "a bridge whose ageing time is 0 learns nothing and floods what is not pinned",
    source: Source { cite: "hold_time, net/bridge/br_fdb.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn without_ageing_time_nothing_is_kept() {
    check(&NEVER, async |case| {
        let settings = Bridge::default().mcast_snooping(false).ageing(0);
        let mut lab = case.lab(&switch_with(settings)).await?;
        lab.shoot("a", &here_i_am()).await?;
        lab.expect_shot("c", &Shot::to(ROAMER), "a other, b other").await?;
        lab.set_option("sw:br", options::bridge::AGEING_TIME, 30_000).await?;
        lab.shoot("a", &here_i_am()).await?;
        lab.expect_shot("c", &Shot::to(ROAMER), "a other").await?;
        Ok(())
    });
}

const AGEING: Rule = Rule {
    id: "bridge.learning.what-was-learned-ages",
    promise: "what was learned or added as dynamic is forgotten when its address has been silent \
              for the ageing time, and what is pinned is not",
    source: Source {
        cite: "ip-link(8), ageing_time; br_fdb_cleanup",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_was_learned_ages() {
    check(&AGEING, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let (pinned, dynamic) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        lab.shoot("a", &here_i_am()).await?;
        lab.add_fdb("sw:p1", pinned, Fdb::STATIC).await?;
        lab.add_fdb("sw:p1", dynamic, Fdb::DYNAMIC).await?;
        lab.set_option("sw:br", options::bridge::AGEING_TIME, 100).await?;
        lab.await_forgotten("sw", &[ROAMER, dynamic]).await?;
        let known = entries(&lab).await?;
        let kept = known.iter().any(|entry| entry.mac == pinned);
        lab.claim("what is pinned is kept", kept, "it is gone")?;
        lab.expect_shot("c", &Shot::to(ROAMER), "a other, b other").await?;
        lab.expect_shot("c", &Shot::to(pinned), "a other").await?;
        Ok(())
    });
}

const LOCKED: Rule = Rule {
    id: "bridge.learning.a-locked-port-believes-its-entries-only",
    promise: "a locked port takes frames of senders that are entries of that very port, and \
              neither of unknown senders nor of those that are entries of another; it learns none",
    source: Source {
        cite: "bridge(8), locked; br_handle_frame_finish",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::LockedPorts],
};

#[test]
fn a_locked_port_believes_its_entries_only() {
    check(&LOCKED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let (a, b) = (lab.mac("a:eth0"), lab.mac("b:eth0"));
        lab.add_fdb("sw:p1", a, Fdb::STATIC).await?;
        lab.set_port("sw:p1", PortFlags::default().locked(true).learning(false)).await?;
        lab.expect_shot("a", &Shot::to(b).from(ROAMER), "nobody").await?;
        lab.expect_shot("a", &here_i_am(), "nobody").await?;
        // The port's own address is an entry at it, and nobody's behind it.
        let own = lab.mac("sw:p1");
        lab.expect_shot("a", &Shot::to(b).from(own), "nobody").await?;
        expect_roamer(&lab, "unknown at a locked port", &[]).await?;
        lab.expect_shot("a", &Shot::to(b), "b host").await?;
        lab.add_fdb("sw:p3", ROAMER, Fdb::STATIC).await?;
        lab.expect_shot("a", &Shot::to(b).from(ROAMER), "nobody").await?;
        lab.add_fdb("sw:p1", ROAMER, Fdb::STATIC).await?;
        lab.expect_shot("a", &Shot::to(b).from(ROAMER), "b host").await?;
        lab.set_port("sw:p1", PortFlags::default().locked(false)).await?;
        lab.delete_fdb("sw:p1", ROAMER, None).await?;
        for from in [ROAMER, own] {
            lab.expect_shot("a", &Shot::to(b).from(from), "b host").await?;
        }
        Ok(())
    });
}

const PORT_GONE: Rule = Rule {
    id: "bridge.learning.a-port-that-goes-is-forgotten",
    promise: "when a port goes down or loses its carrier, what was learned at it is forgotten and \
              what is pinned is kept; when it leaves the bridge all is gone",
    source: Source { cite: "br_stp_disable_port and del_nbp", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::down("sw:p1")]
#[case::carrier("a:eth0")]
fn a_port_that_goes_is_forgotten(#[case] down: &str) {
    check(&PORT_GONE, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let pinned = Mac([2, 0, 0, 0, 0, 1]);
        lab.add_fdb("sw:p1", pinned, Fdb::STATIC).await?;
        lab.shoot("a", &here_i_am()).await?;
        expect_roamer(&lab, "before", &["p1"]).await?;
        lab.set_up(down, false).await?;
        lab.expect_option("sw:p1", options::port::STATE, 0).await?;
        expect_roamer(&lab, "after", &[]).await?;
        let has = async |lab: &CaseLab| -> Result<bool, Stop> {
            Ok(entries(lab).await?.iter().any(|entry| entry.mac == pinned))
        };
        let kept = has(&lab).await?;
        lab.claim("what is pinned is kept", kept, "it is gone")?;
        lab.set_up(down, true).await?;
        lab.expect_option("sw:p1", options::port::STATE, 3).await?;
        lab.shoot("a", &here_i_am()).await?;
        expect_roamer(&lab, "back", &["p1"]).await?;
        lab.set_bridge("sw:p1", None).await?;
        expect_roamer(&lab, "no port any more", &[]).await?;
        let kept = has(&lab).await?;
        lab.claim("what was pinned there is gone", !kept, "it is kept")
    });
}

const LIMIT: Rule = Rule {
    id: "bridge.learning.no-more-than-allowed",
    promise: "a bridge learns as many addresses as fdb_max_learned says, counts them, and takes \
              more by hand; frames of those that it does not learn pass",
    source: Source { cite: "ip-link(8), fdb_max_learned", strength: Strength::Documented },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(6, 7)],
};

#[test]
fn no_more_than_allowed() {
    check(&LIMIT, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.observe(Class::Unicast).await?;
        lab.expect_option("sw:br", options::bridge::FDB_N_LEARNED, 3).await?;
        lab.set_option("sw:br", options::bridge::FDB_MAX_LEARNED, 3).await?;
        let all = "b broadcast, c broadcast, sw broadcast";
        lab.expect_shot("a", &here_i_am(), all).await?;
        expect_roamer(&lab, "at the limit", &[]).await?;
        lab.add_fdb("sw:p1", ROAMER, Fdb::STATIC).await?;
        expect_roamer(&lab, "by hand", &["p1 static"]).await?;
        lab.delete_fdb("sw:p1", ROAMER, None).await?;
        lab.set_option("sw:br", options::bridge::FDB_MAX_LEARNED, 0).await?;
        lab.shoot("a", &here_i_am()).await?;
        expect_roamer(&lab, "without a limit", &["p1"]).await?;
        lab.expect_option("sw:br", options::bridge::FDB_N_LEARNED, 4).await
    });
}
