//! Links asked for by numbers, filters, offloads, and datagrams with broken check sums, on a cable,
//! where the answer is known.
//!
//! ```text
//!   a:eth0 ------------ b:eth0
//! ```

#[path = "support/live.rs"]
mod live;

use std::net::SocketAddr;

use hairpin_harness::options::{link, macvlan};
use hairpin_harness::{
    Errno, Error, Family, Lab, Mac, Marks, Offload, Plea, Received, Rule, Shot, Tag, Topology,
    sandbox, suite,
};

use live::live;

// For the sandbox; the labs here are not cases.
const RULES: &[Rule] = &[];
suite!(RULES);

fn cable() -> Topology {
    Topology::new("cable")
        .host("a")
        .host("b")
        .cable("a:eth0", "b:eth0")
        .address("a:eth0", "192.0.2.1/24")
        .address("b:eth0", "192.0.2.2/24")
        .address("a:eth0", "2001:db8::1/64")
        .address("b:eth0", "2001:db8::2/64")
}

#[test]
fn a_newborn_is_told_of_and_gone() {
    live(async || {
        let lab = Lab::build(&cable()).await?;
        let before = lab.sights("a")?;
        // Twice: the second would find the name taken.
        for _ in 0..2 {
            let told = [(macvlan::MODE, 4), (link::MTU, 1400)];
            let born = lab.newborn("macvlan", "a", Some("eth0"), &told).await?;
            assert_eq!(born.option(macvlan::MODE), Some(4));
            assert_eq!(born.option(link::MTU), Some(1400));
        }
        let refused = lab.newborn("macvlan", "a", Some("eth0"), &[(macvlan::MODE, 3)]).await;
        assert_eq!(refused.expect_err("there is no mode 3").errno, Errno::EINVAL as i32);
        let unknown = lab.newborn("macvlan", "a", Some("eth9"), &[]).await;
        assert_eq!(unknown.expect_err("there is no such link").errno, 0);
        assert_eq!(lab.sights("a")?, before);
        Ok(())
    });
}

#[test]
fn a_filter_is_there_until_it_is_deleted() {
    live(async || {
        let mut lab = Lab::build(&cable()).await?;
        let group = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x61]);
        lab.add_filter("a:eth0", group, false).await?;
        assert!(lab.filters("a:eth0").await?.contains(&group));
        assert!(!lab.filters("b:eth0").await?.contains(&group));
        lab.delete_filter("a:eth0", group).await?;
        assert!(!lab.filters("a:eth0").await?.contains(&group));
        Ok(())
    });
}

#[test]
fn what_ethtool_asks_is_of_that_link() {
    live(async || {
        let mut lab = Lab::build(&cable()).await?;
        lab.set_offload("a:eth0", Offload::Tso, false)?;
        assert!(!lab.offload("a:eth0", Offload::Tso)?);
        assert!(lab.offload("b:eth0", Offload::Tso)?);
        assert_eq!(lab.driver("a:eth0")?, "veth");
        assert_eq!(lab.speed("a:eth0")?, (10_000, true));
        assert!(lab.detects("a:eth0")?);
        let peer = u64::from(lab.link("b:eth0").await?.index);
        assert_eq!(lab.own_counters("a:eth0")?.get("peer_ifindex"), Some(&peer));
        assert_eq!(lab.qdisc("a:eth0")?, "noqueue");
        lab.delete("a:eth0").await?;
        let gone = lab.offload("a:eth0", Offload::Tso).expect_err("the link is gone");
        assert_eq!(gone.errno, Errno::ENODEV as i32);
        Ok(())
    });
}

#[test]
fn a_broken_sum_is_told_from_a_sound_one() {
    live(async || {
        let lab = Lab::build(&cable()).await?;
        for family in [Family::V4, Family::V6] {
            let sound = lab.datagram(family, "a", "b", true)?;
            assert_eq!(sound, Received { heard: true, counted: 0 });
            let broken = lab.datagram(family, "a", "b", false)?;
            assert_eq!(broken, Received { heard: false, counted: 1 });
        }
        Ok(())
    });
}

#[test]
fn a_datagram_whose_control_is_lost_is_no_answer() {
    live(async || {
        let mut lab = Lab::build(&cable()).await?;
        lab.set_up("b:eth0", false).await?;
        let silent = lab.datagram(Family::V4, "a", "b", true);
        silent.expect_err("nothing can be said of it");
        Ok(())
    });
}

#[test]
fn a_shot_has_the_ethertype_that_it_was_given() {
    live(async || {
        let mut lab = Lab::build(&cable()).await?;
        let b = lab.mac("b:eth0");
        let fate = lab.shoot("a", &Shot::to(b).ethertype(0x8809).urgency(3)).await?;
        fate.proved()?;
        assert_eq!(fate.to_string(), "b host");
        // A priority within the kernel is in no tag unless a link puts it there.
        let fate = lab.shoot("a", &Shot::to(b).tag(Tag::vlan(5)).urgency(3)).await?;
        assert_eq!(fate.to_string(), "b other vlan 5");
        Ok(())
    });
}

#[test]
fn what_is_sent_in_numbers_is_counted() {
    live(async || {
        let mut lab = Lab::build(&cable()).await?;
        let before = lab.counters("a:eth0").await?;
        lab.send_many("a:eth0", &Shot::broadcast().bytes(1000), 20)?;
        let sent = lab.counters("a:eth0").await? - before;
        assert!(sent.tx_packets >= 20 && sent.tx_bytes >= 20_000, "{sent:?}");
        lab.delete("a:eth0").await?;
        lab.send_many("a:eth0", &Shot::broadcast(), 20)?;
        Ok(())
    });
}

#[test]
fn a_burst_leaves_together() {
    live(async || {
        let mut lab = Lab::build(&cable()).await?;
        let to = "192.0.2.2:9".parse().expect("an address");
        let b = lab.mac("b:eth0");
        lab.add_neighbour("a:eth0", "192.0.2.2".parse().expect("an address"), b).await?;
        let before = lab.counters("a:eth0").await?;
        lab.send_burst("a", to, 40)?;
        let sent = lab.counters("a:eth0").await? - before;
        // A cable cuts nothing. Besides, a may answer questions.
        assert!(sent.tx_bytes >= 4000 && sent.tx_packets < 40, "{sent:?}");
        Ok(())
    });
}

/// Has all CPUs handle what comes to b, not only the sender's. An ordinary user may not say so.
fn spread_out(lab: &mut Lab) -> Result<(), Error> {
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get().min(31));
    let all = format!("{:x}", (1_u32 << cpus) - 1);
    match lab.set_sysfs("b:eth0", "queues/rx-0/rps_cpus", &all) {
        Err(error) if sandbox::is_rootless() && error.errno == Errno::EPERM as i32 => Ok(()),
        done => done,
    }
}

#[test]
fn datagrams_have_been_handled_when_they_are_sent() {
    const TIMES: usize = 7;
    live(async || {
        let mut lab = Lab::build(&cable()).await?;
        spread_out(&mut lab)?;
        let to: SocketAddr = "192.0.2.2:9".parse().expect("an address");
        let b = lab.mac("b:eth0");
        lab.add_neighbour("a:eth0", to.ip(), b).await?;
        for _ in 0..200 {
            let before = lab.ip_counter("b", "InReceives")?;
            lab.send_datagrams("a", to, 100, TIMES)?;
            lab.send_marked("a", to, Marks::default(), (100, TIMES))?;
            let came = lab.ip_counter("b", "InReceives")? - before;
            assert_eq!(came, 2 * TIMES as u64);
        }
        Ok(())
    });
}

#[test]
fn who_gave_up_rights_has_them_back() {
    live(async || {
        let mut lab = Lab::build(&cable()).await?;
        let done = lab.without_rights(|lab| lab.set_offload("a:eth0", Offload::Tso, false))?;
        assert_eq!(done.expect_err("one who may not").errno, Errno::EPERM as i32);
        assert!(lab.offload("a:eth0", Offload::Tso)?);
        lab.set_offload("a:eth0", Offload::Tso, false)?;
        assert!(!lab.offload("a:eth0", Offload::Tso)?);
        Ok(())
    });
}

#[test]
fn a_stranger_rules_what_they_were_given_and_takes_it_away() {
    live(async || {
        let mut lab = Lab::build(&cable()).await?;
        let pleas = [Plea::Up, Plea::Child("no-such-driver"), Plea::Child("macvlan")];
        let answers = lab.ask_as_stranger("b:eth0", &pleas).await?;
        assert_eq!(answers, [Ok(()), Err(Errno::EOPNOTSUPP as i32), Ok(())]);
        assert!(!lab.exists("b:eth0")?);
        Ok(())
    });
}

#[test]
fn a_cable_has_no_transceiver() {
    live(async || {
        let lab = Lab::build(&cable()).await?;
        for number in [None, Some(1)] {
            let asked = lab.transceiver("a:eth0", number);
            assert_eq!(asked.expect_err("there is none").errno, Errno::EOPNOTSUPP as i32);
        }
        Ok(())
    });
}

#[test]
fn a_new_namespace_has_nothing_of_the_labs() {
    live(async || {
        let mut lab = Lab::build(&cable()).await?;
        let before = lab.sysctl_at_birth("ipv4.ip_default_ttl")?;
        lab.set_sysctl("a", "ipv4.ip_default_ttl", "7")?;
        assert_eq!(lab.sysctl("a", "ipv4.ip_default_ttl")?, "7");
        assert_eq!(lab.sysctl_at_birth("ipv4.ip_default_ttl")?, before);
        Ok(())
    });
}
