//! Entries that somebody else has learned, a switch in hardware or the control plane of an overlay, and
//! told the bridge (`extern_learn`).
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               br's own stack is the host `sw`
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::switch;
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{Errno, Fdb, Rule, Shot, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;
use super::roamer::{PASSER, ROAMER, expect_roamer, expect_told, here_i_am};

pub(crate) const RULES: &[Rule] = &[TOLD, AGELESS, KEPT, MOVED, OWN, OWN_TOO, OVER];

const TOLD: Rule = Rule {
    id: "bridge.external.holds-and-is-told-as-such",
    promise: "an entry that somebody else has learned holds at once and is told as such, once; told \
              again elsewhere it moves, and that is told; deleted, the address is unknown again",
    source: Source {
        cite: "bridge(8), fdb extern_learn; br_fdb_external_learn_add",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn holds_and_is_told_as_such() {
    check(&TOLD, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let notices = lab.notices("sw")?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::EXTERN).await?;
        expect_roamer(&lab, "at p2", &["p2 extern_learn"]).await?;
        expect_told(&lab, &notices, "new", &["new it p2 extern_learn"])?;
        lab.expect_shot("a", &Shot::to(ROAMER), "b other").await?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::EXTERN).await?;
        expect_told(&lab, &notices, "again", &[])?;
        lab.add_fdb("sw:p3", ROAMER, Fdb::EXTERN).await?;
        expect_roamer(&lab, "at p3", &["p3 extern_learn"]).await?;
        expect_told(&lab, &notices, "elsewhere", &["new it p3 extern_learn"])?;
        lab.expect_shot("a", &Shot::to(ROAMER), "c other").await?;
        lab.delete_fdb("sw:p3", ROAMER, None).await?;
        expect_told(&lab, &notices, "deleted", &["gone it p3 extern_learn"])?;
        lab.expect_shot("a", &Shot::to(ROAMER), "b other, c other").await?;
        Ok(())
    });
}

const AGELESS: Rule = Rule {
    id: "bridge.external.does-not-age",
    promise: "an entry that somebody else has learned outlives the ageing time, and ages like any \
              other once the bridge itself has heard its address elsewhere",
    source: Source {
        cite: "has_expired, br_fdb_cleanup and br_fdb_update, net/bridge/br_fdb.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn does_not_age() {
    check(&AGELESS, async |case| {
        let mut lab = case.lab(&switch()).await?;
        // Without VLANs, which are not kept apart here but have entries of their own.
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 0).await?;
        lab.set_option("sw:br", bridge::AGEING_TIME, 100).await?;
        // The bridge looks at what came last first: with the passer gone, the roamer has been looked at.
        lab.add_fdb("sw:p1", PASSER, Fdb::DYNAMIC).await?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::EXTERN).await?;
        lab.shoot("a", &Shot::broadcast().from(PASSER)).await?;
        lab.await_forgotten("sw", &[PASSER]).await?;
        expect_roamer(&lab, "beyond its time", &["p2 extern_learn"]).await?;
        lab.shoot("c", &here_i_am()).await?;
        lab.await_forgotten("sw", &[ROAMER]).await?;
        expect_roamer(&lab, "heard elsewhere, and silent", &[]).await
    });
}

const KEPT: Rule = Rule {
    id: "bridge.external.a-ports-flush-keeps-it",
    promise: "what somebody else has learned is kept when a port forgets what it has learned, and goes \
              with the port",
    source: Source { cite: "br_fdb_delete_by_port, net/bridge/br_fdb.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_ports_flush_keeps_it() {
    check(&KEPT, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::EXTERN).await?;
        lab.add_fdb("sw:p2", PASSER, Fdb::DYNAMIC).await?;
        lab.set_option("sw:p2", port::FLUSH, 0).await?;
        let passer = lab.fdb_port("sw", PASSER).await?;
        lab.claim("what was learned is forgotten", passer.is_none(), format!("{passer:?}"))?;
        expect_roamer(&lab, "kept", &["p2 extern_learn"]).await?;
        lab.set_up("b:eth0", false).await?;
        lab.expect_option("sw:p2", port::STATE, 0).await?;
        expect_roamer(&lab, "without carrier", &["p2 extern_learn"]).await?;
        lab.set_bridge("sw:p2", None).await?;
        expect_roamer(&lab, "gone with the port", &[]).await
    });
}

const MOVED: Rule = Rule {
    id: "bridge.external.is-the-bridges-once-it-moved",
    promise: "what somebody else has learned stays theirs while its address is heard where they said, \
              and is the bridge's own knowledge from when it is heard at another port",
    source: Source { cite: "br_fdb_update, net/bridge/br_fdb.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn is_the_bridges_once_it_moved() {
    check(&MOVED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::EXTERN).await?;
        let notices = lab.notices("sw")?;
        lab.shoot("b", &here_i_am()).await?;
        expect_roamer(&lab, "heard there", &["p2 extern_learn"]).await?;
        expect_told(&lab, &notices, "heard there", &[])?;
        lab.shoot("c", &here_i_am()).await?;
        expect_roamer(&lab, "heard elsewhere", &["p3"]).await?;
        expect_told(&lab, &notices, "heard elsewhere", &["new it p3"])?;
        lab.expect_shot("a", &Shot::to(ROAMER), "c other").await?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::EXTERN).await?;
        expect_roamer(&lab, "told anew", &["p2 extern_learn"]).await?;
        expect_told(&lab, &notices, "told anew", &["new it p2 extern_learn"])
    });
}

const OWN: Rule = Rule {
    id: "bridge.external.at-the-bridge-for-good-only",
    promise: "what somebody else says is behind the bridge itself must be permanent; frames to it go up \
              then, and nobody who claims the address takes it away",
    source: Source {
        cite: "__br_fdb_add and br_fdb_external_learn_add, net/bridge/br_fdb.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn at_the_bridge_for_good_only() {
    check(&OWN, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let done = lab.add_fdb("sw:br", ROAMER, Fdb::EXTERN).await;
        lab.expect_refusal("one that is not permanent", done, Errno::EINVAL)?;
        expect_roamer(&lab, "none", &[]).await?;
        lab.add_fdb("sw:br", ROAMER, Fdb::EXTERN.own()).await?;
        expect_roamer(&lab, "a permanent one", &["br own extern_learn"]).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "sw other").await?;
        lab.shoot("b", &here_i_am()).await?;
        expect_roamer(&lab, "somebody claims it", &["br own extern_learn"]).await?;
        lab.delete_fdb("sw:br", ROAMER, None).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "b other, c other").await?;
        Ok(())
    });
}

const OWN_TOO: Rule = Rule {
    id: "bridge.external.what-was-learned-becomes-the-bridges",
    promise: "what somebody else says is behind the bridge itself goes up also if the bridge had learned \
              it, and does not leave by the port where it was learned",
    source: Source {
        cite: "br_fdb_external_learn_add, net/bridge/br_fdb.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_was_learned_becomes_the_bridges() {
    check(&OWN_TOO, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.shoot("b", &here_i_am()).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "b other").await?;
        lab.add_fdb("sw:br", ROAMER, Fdb::EXTERN.own()).await?;
        expect_roamer(&lab, "said to be the bridge's", &["br own extern_learn"]).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "sw other").await?;
        Ok(())
    });
}

const OVER: Rule = Rule {
    id: "bridge.external.takes-over-what-is-there",
    promise: "what somebody else has learned takes over what the bridge has learned and moves what was \
              pinned, which stays pinned; a user's own entry replaces it",
    source: Source {
        cite: "br_fdb_external_learn_add and fdb_add_entry, net/bridge/br_fdb.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::learned(Fdb::DYNAMIC, "p2 extern_learn")]
#[case::pinned(Fdb::STATIC, "p2 static extern_learn")]
fn takes_over_what_is_there(#[case] before: Fdb, #[case] line: &str) {
    check(&OVER, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.add_fdb("sw:p1", ROAMER, before).await?;
        let notices = lab.notices("sw")?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::EXTERN).await?;
        expect_roamer(&lab, "taken over", &[line]).await?;
        expect_told(&lab, &notices, "taken over", &[&format!("new it {line}")])?;
        lab.expect_shot("a", &Shot::to(ROAMER), "b other").await?;
        lab.add_fdb("sw:p3", ROAMER, Fdb::STATIC).await?;
        let entry = lab.fdb_entry_of("sw:br", ROAMER, None).await?;
        let is = entry.fixed && entry.link == "p3";
        lab.claim("a user's own is static at p3", is, &entry)?;
        lab.expect_shot("a", &Shot::to(ROAMER), "c other").await?;
        Ok(())
    });
}
