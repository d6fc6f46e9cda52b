//! Frames of a case's own, options and tables, in labs where the answer is known: what is told must
//! be so, and what cannot be proved must not be told.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

#[path = "support/live.rs"]
mod live;

use hairpin_harness::options::{bridge, link, port};
use hairpin_harness::{
    Errno, Error, Fdb, Lab, LinkName, Mac, MdbEntry, MdbWords, Message, PortFlags, PortVlan, Rule,
    Shot, Tag, Topology, suite,
};

use live::live;

// For the sandbox; the labs here are not cases.
const RULES: &[Rule] = &[];
suite!(RULES);

/// An address that no link of the topology has.
const NOBODY: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x02]);

fn three() -> Topology {
    ["a", "b", "c"].iter().enumerate().fold(
        Topology::new("three").host("a").host("b").host("c").netns("sw").bridge("sw:br"),
        |topology, (place, host)| {
            let port = format!("sw:p{}", place + 1);
            topology.cable(&port, format!("{host}:eth0").as_str()).port(&port, "br")
        },
    )
}

#[test]
fn a_shot_tells_who_heard_it_as_what_and_by_which_way() {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let b = lab.topology().mac_of(&LinkName::from("b:eth0"));
        let fate = lab.shoot("a", &Shot::to(b)).await?;
        fate.proved()?;
        assert_eq!(fate.to_string(), "b host");
        assert_eq!(fate.path(), "a:eth0> sw:p1< sw:p2> b:eth0<");
        let fate = lab.shoot("a", &Shot::to(NOBODY).tag(Tag::vlan(7).priority(3))).await?;
        assert_eq!(fate.to_string(), "b other vlan 7 priority 3, c other vlan 7 priority 3");
        assert_eq!(fate.tag_leaving("a:eth0"), Some(Tag::vlan(7).priority(3)));
        assert_eq!(fate.tag_leaving("sw:p9"), None);
        Ok(())
    });
}

#[test]
fn a_datagram_to_a_group_is_heard_where_the_bridge_sends_it() {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let pairs = [("192.0.2.1", "239.1.2.3"), ("2001:db8::1", "ff0e::77")];
        for (from, group) in pairs {
            let ip = |text: &str| text.parse().expect("an address");
            let shot = Shot::datagram(ip(from), ip(group));
            let fate = lab.shoot("a", &shot).await?;
            fate.proved()?;
            assert_eq!(fate.to_string(), "b multicast, c multicast");
            lab.set_option("sw:p3", port::MCAST_FLOOD, 0).await?;
            let fate = lab.shoot("a", &shot).await?;
            fate.proved()?;
            assert_eq!(fate.to_string(), "b multicast");
            lab.set_option("sw:p3", port::MCAST_FLOOD, 1).await?;
        }
        Ok(())
    });
}

#[test]
fn what_a_host_says_is_in_the_table_of_memberships() {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let group = "239.1.2.3".parse().expect("an address");
        lab.say("a", &[Message::report(group)]).await?;
        lab.await_member("sw:p1", "239.1.2.3", true).await?;
        let unknown = lab.say("nobody", &[Message::report(group)]).await;
        assert!(unknown.expect_err("no such host").what.contains("`nobody`"));
        Ok(())
    });
}

#[test]
fn a_shot_that_comes_twice_is_told_so() {
    live(async || {
        // Two cables between the same two: a broadcast comes in by both.
        let twice = Topology::new("twice")
            .host("a")
            .host("b")
            .netns("sw")
            .bridge("sw:br")
            .bridge("b:in")
            .cable("sw:p1", "a:eth0")
            .port("sw:p1", "br")
            .cable("sw:p2", "b:eth0")
            .port("sw:p2", "br")
            .port("b:eth0", "in")
            .cable("sw:p3", "b:eth1")
            .port_with("sw:p3", "br", PortFlags::default().isolated(true))
            .port("b:eth1", "in");
        // Whatever comes in by one goes out by the other: the switch must not send it on again.
        let quiet = twice.port_with("sw:p2", "br", PortFlags::default().isolated(true));
        let mut lab = Lab::build(&quiet).await?;
        lab.set_port("b:eth0", PortFlags::default().isolated(true)).await?;
        lab.set_port("b:eth1", PortFlags::default().isolated(true)).await?;
        let fate = lab.shoot("a", &Shot::broadcast()).await?;
        assert_eq!(fate.to_string(), "b broadcast x2");
        Ok(())
    });
}

#[test]
fn what_an_ear_lost_is_not_told_as_unheard() {
    live(async || {
        let mut lab = Lab::build(&three()).await?.with_ears_of(1);
        for _ in 0..8 {
            let fate = lab.shoot("a", &Shot::to(NOBODY).bytes(1514)).await?;
            let heard = fate.to_string();
            // Either it was heard, or nothing is said of who did not hear it.
            let lost = !(heard.contains('b') && heard.contains('c'));
            assert!(!lost || fate.proved().is_err(), "{heard}");
        }
        Ok(())
    });
}

#[test]
fn a_host_without_any_way_is_proved_by_itself() {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        for port in ["sw:p1", "sw:p2", "sw:p3"] {
            lab.set_port(port, PortFlags::default().isolated(true)).await?;
        }
        let fate = lab.shoot("a", &Shot::broadcast()).await?;
        fate.proved()?;
        assert_eq!(fate.to_string(), "nobody");
        assert!(fate.path().starts_with("a:eth0> sw:p1<"), "{}", fate.path());
        Ok(())
    });
}

#[test]
fn a_shot_of_nobody_is_an_error() {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let error = lab.shoot("d", &Shot::broadcast()).await.unwrap_err();
        assert!(error.what.contains("no host `d`"), "{error}");
        lab.set_up("a:eth0", false).await?;
        let fate = lab.shoot("a", &Shot::broadcast()).await?;
        assert_eq!(fate.to_string(), "refused ENETDOWN");
        Ok(())
    });
}

#[test]
fn options_are_set_and_read_where_they_belong() {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        lab.set_option("sw:p1", port::COST, 77).await?;
        assert_eq!(lab.option("sw:p1", port::COST).await?, Some(77));
        assert_ne!(lab.option("sw:p2", port::COST).await?, Some(77));
        lab.set_option("sw:br", bridge::AGEING_TIME, 1234).await?;
        assert_eq!(lab.option("sw:br", bridge::AGEING_TIME).await?, Some(1234));
        assert_eq!(lab.option("a:eth0", link::MTU).await?, Some(1500));
        // A cable's end is no port, and has no driver's options of a bridge.
        assert_eq!(lab.option("a:eth0", port::COST).await?, None);
        assert_eq!(lab.option("a:eth0", bridge::AGEING_TIME).await?, None);
        let refused = lab.set_option("a:eth0", port::COST, 1).await.unwrap_err();
        assert_ne!(refused.errno, 0, "{refused}");
        assert!(lab.option("a:eth9", link::MTU).await.is_err());
        Ok(())
    });
}

#[test]
fn tables_tell_what_was_put_into_them() {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        lab.add_fdb("sw:p2", NOBODY, Fdb::STICKY).await?;
        let of_it = |entries: Vec<hairpin_harness::FdbEntry>| {
            let mut found = entries.into_iter().filter(|e| e.mac == NOBODY && e.vlan.is_none());
            found.next().map(|entry| entry.to_string())
        };
        let told = of_it(lab.fdb("sw").await?);
        assert_eq!(told.as_deref(), Some("02:68:70:ff:00:02 p2 static sticky"));
        lab.delete_fdb("sw:p2", NOBODY, None).await?;
        assert_eq!(of_it(lab.fdb("sw").await?), None);
        assert_eq!(PortVlan::access(5).to_string(), "5 pvid untagged");
        lab.add_mdb("sw:br", "sw:p2", "239.1.2.3", None).await?;
        let told: Vec<String> = lab.mdb("sw").await?.iter().map(ToString::to_string).collect();
        assert!(told.contains(&"239.1.2.3 p2 permanent".to_owned()), "{told:?}");
        for nonsense in ["nonsense", "239.1.2.4 from nobody"] {
            let error = lab.add_mdb("sw:br", "sw:p2", nonsense, None).await.unwrap_err();
            assert!(error.what.contains("is no group"), "{error}");
        }
        let before = lab.counters("a:eth0").await?;
        lab.shoot("a", &Shot::to(NOBODY).bytes(1000)).await?;
        assert!((lab.counters("a:eth0").await? - before).tx_bytes >= 1000);
        Ok(())
    });
}

/// Whether p2 is a member of a group.
async fn is_member(lab: &Lab, group: &str) -> Result<bool, Error> {
    let is = |entry: &MdbEntry| entry.link == "p2" && entry.group == group;
    Ok(lab.mdb("sw").await?.iter().any(is))
}

#[test]
fn a_membership_is_asked_for_in_the_words_that_were_changed() {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let right = lab.mdb_words("sw:br", "sw:p2")?;
        let none = MdbWords { port: 9999, ..right.clone() };
        let refused = lab.ask_in_words("sw", &none);
        assert_eq!(refused.expect_err("there is no such port").errno, Errno::ENODEV as i32);
        assert!(!is_member(&lab, "239.1.2.3").await?);
        let other = MdbWords { group: vec![239, 1, 2, 9], ..right.clone() };
        lab.ask_in_words("sw", &other)?;
        assert!(is_member(&lab, "239.1.2.9").await? && !is_member(&lab, "239.1.2.3").await?);
        lab.ask_in_words("sw", &right)?;
        assert!(is_member(&lab, "239.1.2.3").await?);
        Ok(())
    });
}

#[test]
fn a_link_that_moves_keeps_what_it_is() {
    live(async || {
        let mut lab = Lab::build(&three().netns("other")).await?;
        let before = lab.link("a:eth0").await?;
        lab.move_link("a:eth0", "other").await?;
        let after = lab.link("other:eth0").await?;
        assert_eq!((before.mac, before.index), (after.mac, after.index));
        assert!(!after.up);
        lab.delete("sw:p1").await?;
        assert!(!lab.exists("other:eth0")?);
        Ok(())
    });
}
