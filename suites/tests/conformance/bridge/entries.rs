//! Single entries: one is asked for, one is made as if its address had been heard, one is told to be
//! silent.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               br's own stack is the host `sw`
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::{switch, switch_with};
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Bridge, Errno, Fdb, Need, PortFlags, PortVlan, Rule, Shot, Source, Strength, check,
};

use super::NEEDS;
use super::roamer::{PASSER, ROAMER, expect_roamer, expect_told, here_i_am};

pub(crate) const RULES: &[Rule] = &[ASKED, USED, UNHEARD, ACTIVITY, SILENT, MARKS];

const ASKED: Rule = Rule {
    id: "bridge.entries.one-is-asked-for",
    promise: "the one entry of an address is told to who asks the bridge or any of its ports, in the \
              VLAN that is named and no other, and where there is none that is said",
    source: Source {
        cite: "bridge(8), fdb get; br_fdb_get, since 5.0",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[NEEDS[0], NEEDS[1], Need::VlanFiltering],
};

#[test]
fn one_is_asked_for() {
    check(&ASKED, async |case| {
        let settings = Bridge::default().mcast_snooping(false).vlan_filtering();
        let topology = switch_with(settings).cable("sw:p4", "a:eth1");
        let mut lab = case.lab(&topology).await?;
        lab.add_vlan("sw:p2", PortVlan::tagged(10)).await?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::STATIC.vlan(10)).await?;
        for link in ["sw:br", "sw:p2", "sw:p1"] {
            let told = lab.fdb_entry_of(link, ROAMER, Some(10)).await;
            let told = told.map_or_else(|error| error.what, |entry| entry.to_string());
            let line = format!("{ROAMER} p2 vlan 10 static");
            lab.claim(&format!("{link} is asked: {line}"), told == line, &told)?;
            for vlan in [None, Some(1)] {
                let none = lab.fdb_entry_of(link, ROAMER, vlan).await;
                lab.expect_refusal(&format!("{link}: in {vlan:?}"), none, Errno::ENOENT)?;
            }
        }
        let none = lab.fdb_entry_of("sw:br", PASSER, Some(10)).await;
        lab.expect_refusal("an address that is unknown", none, Errno::ENOENT)?;
        let none = lab.fdb_entry_of("sw:p4", ROAMER, Some(10)).await;
        lab.expect_refusal("a link that is no port", none, Errno::EINVAL)
    });
}

const USED: Rule = Rule {
    id: "bridge.entries.as-if-it-had-been-heard",
    promise: "an entry that is made for use is as if a frame had come in: it is told as learned, moves \
              where it is made anew, also if it was pinned, and leaves the bridge's own and what is \
              sticky alone",
    source: Source {
        cite: "bridge(8), fdb use; __br_fdb_add and br_fdb_update",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn as_if_it_had_been_heard() {
    check(&USED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let notices = lab.notices("sw")?;
        for (port, told) in
            [("sw:p2", vec!["new it p2"]), ("sw:p2", vec![]), ("sw:p3", vec!["new it p3"])]
        {
            lab.add_fdb(port, ROAMER, Fdb::HEARD).await?;
            expect_told(&lab, &notices, port, &told)?;
        }
        lab.expect_shot("a", &Shot::to(ROAMER), "c other").await?;
        lab.delete_fdb("sw:p3", ROAMER, None).await?;
        for (before, after) in [
            (Fdb::STATIC, "p3 static"),
            (Fdb::EXTERN, "p3"),
            (Fdb::STICKY, "p2 static sticky"),
            (Fdb::OWN, "p2 own"),
        ] {
            lab.add_fdb("sw:p2", ROAMER, before).await?;
            lab.add_fdb("sw:p3", ROAMER, Fdb::HEARD).await?;
            expect_roamer(&lab, &format!("{before:?}"), &[after]).await?;
            lab.delete_fdb(format!("sw:{}", &after[..2]).as_str(), ROAMER, None).await?;
        }
        Ok(())
    });
}

const UNHEARD: Rule = Rule {
    id: "bridge.entries.not-heard-where-nothing-is-learned",
    promise: "an entry for use is not made where the port does not learn or no address is kept, which is \
              no refusal, and is refused at the bridge itself",
    source: Source { cite: "__br_fdb_add and nbp_state_should_learn", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn not_heard_where_nothing_is_learned() {
    check(&UNHEARD, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let done = lab.add_fdb("sw:br", ROAMER, Fdb::HEARD.own()).await;
        lab.expect_refusal("at the bridge itself", done, Errno::EINVAL)?;
        for (state, lines) in [(0, vec![]), (1, vec![]), (2, vec!["p2"])] {
            lab.set_option("sw:p2", port::STATE, state).await?;
            lab.add_fdb("sw:p2", ROAMER, Fdb::HEARD).await?;
            expect_roamer(&lab, &format!("state {state}"), &lines).await?;
        }
        lab.delete_fdb("sw:p2", ROAMER, None).await?;
        lab.set_option("sw:p2", port::STATE, 3).await?;
        lab.set_option("sw:br", bridge::AGEING_TIME, 0).await?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::HEARD).await?;
        expect_roamer(&lab, "without an ageing time", &[]).await?;
        lab.set_option("sw:br", bridge::AGEING_TIME, 30_000).await?;
        // The switch for what a port learns of frames is not asked.
        lab.set_port("sw:p2", PortFlags::default().learning(false)).await?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::HEARD).await?;
        expect_roamer(&lab, "made", &["p2"]).await
    });
}

const ACTIVITY: Rule = Rule {
    id: "bridge.entries.silence-is-told-where-asked-for",
    promise: "of an entry that is watched it is told once that its address has been silent for the ageing \
              time, and once that it has spoken again; the entry stays; one that is not watched is not \
              told",
    source: Source {
        cite: "bridge(8), fdb activity_notify; br_fdb_cleanup and fdb_mark_active, since 5.9",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn silence_is_told_where_asked_for() {
    check(&ACTIVITY, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let notices = lab.notices("sw")?;
        let (watched, silent) = ("static activity_notify", "static activity_notify inactive");
        for (entry, line, told) in [
            (Fdb::STATIC.activity_notify(false), silent, vec![format!("new it p2 {silent}")]),
            (Fdb::STATIC, "static", vec![]),
        ] {
            // The bridge looks at what came last first: with the passer gone, the roamer has been
            // looked at.
            lab.set_option("sw:br", bridge::AGEING_TIME, 100).await?;
            lab.add_fdb("sw:p1", PASSER, Fdb::DYNAMIC).await?;
            lab.add_fdb("sw:p2", ROAMER, entry).await?;
            lab.told_of(&notices)?;
            lab.shoot("a", &Shot::broadcast().from(PASSER)).await?;
            lab.await_forgotten("sw", &[PASSER]).await?;
            let told: Vec<&str> = told.iter().map(String::as_str).collect();
            expect_told(&lab, &notices, "beyond its time", &told)?;
            expect_roamer(&lab, "beyond its time", &[&format!("p2 {line}")]).await?;
            lab.set_option("sw:br", bridge::AGEING_TIME, 30_000).await?;
            lab.shoot("b", &here_i_am()).await?;
            let line = line.replace(silent, watched);
            expect_roamer(&lab, "it spoke", &[&format!("p2 {line}")]).await?;
            let again = format!("new it p2 {watched}");
            let again = if told.is_empty() { vec![] } else { vec![&*again] };
            expect_told(&lab, &notices, "it spoke", &again)?;
            lab.shoot("b", &here_i_am()).await?;
            expect_told(&lab, &notices, "it spoke again", &[])?;
            lab.delete_fdb("sw:p2", ROAMER, None).await?;
        }
        Ok(())
    });
}

const SILENT: Rule = Rule {
    id: "bridge.entries.one-may-begin-silent",
    promise: "an entry that begins as silent is told when its address speaks first, here or at another \
              port",
    source: Source {
        cite: "bridge(8), fdb inactive; fdb_handle_notify, since 5.9",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn one_may_begin_silent() {
    check(&SILENT, async |case| {
        let mut lab = case.lab(&switch()).await?;
        for (host, port) in [("b", "p2"), ("c", "p3")] {
            let entry = Fdb::STATIC.activity_notify(true);
            lab.add_fdb("sw:p2", ROAMER, entry).await?;
            expect_roamer(&lab, "silent", &["p2 static activity_notify inactive"]).await?;
            // Linux does not see that an address speaks in the tick in which its entry was made.
            lab.add_fdb("sw:p1", PASSER, Fdb::DYNAMIC).await?;
            lab.set_option("sw:br", bridge::AGEING_TIME, 100).await?;
            lab.await_forgotten("sw", &[PASSER]).await?;
            lab.set_option("sw:br", bridge::AGEING_TIME, 30_000).await?;
            let notices = lab.notices("sw")?;
            lab.shoot(host, &here_i_am()).await?;
            let line = format!("{port} static activity_notify");
            expect_roamer(&lab, "it spoke", &[&line]).await?;
            expect_told(&lab, &notices, "it spoke", &[&format!("new it {line}")])?;
        }
        Ok(())
    });
}

const MARKS: Rule = Rule {
    id: "bridge.entries.watched-until-told-otherwise",
    promise: "that an entry is watched is taken back by making it anew without, and told each time; \
              silent without being watched it cannot be",
    source: Source {
        cite: "fdb_handle_notify and fdb_add_entry, net/bridge/br_fdb.c, since 5.9",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn watched_until_told_otherwise() {
    check(&MARKS, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let notices = lab.notices("sw")?;
        for (entry, told) in [
            (Fdb::STATIC, vec!["new it p2 static"]),
            (Fdb::STATIC.activity_notify(false), vec!["new it p2 static activity_notify"]),
            (Fdb::STATIC.activity_notify(false), vec![]),
            (Fdb::STATIC.activity_notify(true), vec!["new it p2 static activity_notify inactive"]),
            (Fdb::STATIC, vec!["new it p2 static"]),
        ] {
            lab.add_fdb("sw:p2", ROAMER, entry).await?;
            expect_told(&lab, &notices, &format!("{entry:?}"), &told)?;
        }
        let done = lab.add_fdb("sw:p2", ROAMER, Fdb::STATIC.inactive_unnoticed()).await;
        lab.expect_refusal("silent and not watched", done, Errno::EINVAL)?;
        expect_roamer(&lab, "as it was", &["p2 static"]).await
    });
}
