//! Instances of the spanning tree, more than one: what is told of them, what is refused, and what of
//! a port's own state is left.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               VLANs 1 (untagged), 10, 20 and 30
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Bridge, Case, CaseLab, Errno, Need, PortVlan, Rule, Shot, Source, Stop, Strength, Tag, check,
    vlan_option,
};

pub(crate) const RULES: &[Rule] = &[TOLD, REFUSED, OWN_STATE, UNTAGGED, OFF];

const NEEDS: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::VlanFiltering, Need::Since(5, 18)];

/// The value that switches instances on or off.
const fn instances(on: bool) -> u64 {
    bridge::switch(2, on)
}

/// A bridge of instances, with the VLANs at p1, p2 and p3.
async fn instanced(case: &mut Case) -> Result<CaseLab, Stop> {
    let settings = Bridge::default().mcast_snooping(false).vlan_filtering();
    let mut lab = case.lab(&switch_with(settings)).await?;
    lab.set_option("sw:br", bridge::DEFAULT_PVID, 0).await?;
    lab.set_option("sw:br", bridge::SWITCHES, instances(true)).await?;
    lab.set_option("sw:br", bridge::DEFAULT_PVID, 1).await?;
    for id in [10, 20, 30] {
        for link in ["sw:p1", "sw:p2", "sw:p3"] {
            lab.add_vlan(link, PortVlan::tagged(id)).await?;
        }
    }
    Ok(lab)
}

async fn expect_states(lab: &CaseLab, link: &str, when: &str, lines: &[&str]) -> Result<(), Stop> {
    let states = lab.instance_states(link).await?;
    lab.expect_lines(&format!("{link}: {when}"), states, lines)
}

/// Holds whom a broadcast from a reaches, in a VLAN or in none.
async fn expect_heard(lab: &mut CaseLab, id: u16, by: &[&str]) -> Result<(), Stop> {
    let shot = Shot::broadcast();
    let (shot, how) = match id {
        0 => (shot, "broadcast".to_owned()),
        id => (shot.tag(Tag::vlan(id)), format!("other vlan {id}")),
    };
    let mut heard: Vec<String> = by.iter().map(|host| format!("{host} {how}")).collect();
    // The bridge's own stack is in the default VLAN only.
    if id == 0 {
        heard.push("sw broadcast".into());
    }
    let heard = if heard.is_empty() { "nobody".into() } else { heard.join(", ") };
    lab.expect_shot("a", &shot, &heard).await?;
    Ok(())
}

const TOLD: Rule = Rule {
    id: "bridge.instances.each-is-told-once",
    promise: "of a port, the state in each instance is told that a VLAN of it belongs to, once; one \
              that is set is told of that port and instance and no other",
    source: Source {
        cite: "bridge(8), mst show; br_mst_fill_info, net/bridge/br_mst.c, since 5.18",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn each_is_told_once() {
    check(&TOLD, async |case| {
        let mut lab = instanced(case).await?;
        expect_states(&lab, "sw:p1", "all in one", &["0 state 3"]).await?;
        for (id, instance) in [(20, 7_u16), (30, 7), (10, 4094)] {
            lab.set_vlan_option("sw:br", id, vlan_option::MSTI, instance.into()).await?;
        }
        let begun = ["0 state 3", "4094 state 0", "7 state 0"];
        expect_states(&lab, "sw:p1", "new ones", &begun).await?;
        lab.set_instance_state("sw:p1", 7, 2).await?;
        lab.set_instance_state("sw:p1", 4094, 3).await?;
        let lines = ["0 state 3", "4094 state 3", "7 state 2"];
        expect_states(&lab, "sw:p1", "set", &lines).await?;
        expect_states(&lab, "sw:p2", "of another port", &begun).await?;
        lab.delete_vlan("sw:p1", 10).await?;
        expect_states(&lab, "sw:p1", "its last VLAN went", &["0 state 3", "7 state 2"]).await?;
        expect_states(&lab, "sw:br", "none of the bridge", &[]).await
    });
}

const REFUSED: Rule = Rule {
    id: "bridge.instances.what-is-refused",
    promise: "the common instance, one beyond those that there are, and a state that is none are \
              refused; so is a state of a VLAN by itself, and any of an instance without the switch",
    source: Source {
        cite: "br_mst_process and br_vlan_modify_state, since 5.18",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_is_refused() {
    check(&REFUSED, async |case| {
        let mut lab = instanced(case).await?;
        lab.set_vlan_option("sw:br", 10, vlan_option::MSTI, 4095).await?;
        lab.set_instance_state("sw:p1", 4095, 4).await?;
        for (instance, state) in [(0, 4), (4096, 4), (4095, 5)] {
            let done = lab.set_instance_state("sw:p1", instance, state).await;
            lab.expect_refusal(&format!("{instance} {state}"), done, Errno::ERANGE)?;
        }
        let done = lab.set_vlan_option("sw:br", 10, vlan_option::MSTI, 4096).await;
        lab.expect_refusal("a VLAN in one that there is not", done, Errno::ERANGE)?;
        let done = lab.set_vlan_option("sw:p1", 20, vlan_option::STATE, 4).await;
        lab.expect_refusal("a VLAN by itself", done, Errno::EBUSY)?;
        expect_states(&lab, "sw:p1", "as they were", &["0 state 3", "4095 state 4"]).await?;
        let done = lab.set_option("sw:br", bridge::SWITCHES, instances(false)).await;
        lab.expect_refusal("off while there are VLANs", done, Errno::EBUSY)?;
        Ok(())
    });
}

const OWN_STATE: Rule = Rule {
    id: "bridge.instances.a-ports-own-is-the-common-ones",
    promise: "with instances, a port's own state is that of the VLANs of the common instance, and \
              VLANs of others pass whatever it is; a VLAN that comes begins with it",
    source: Source {
        cite: "br_set_state, br_mst_vlan_init_state and should_deliver, since 5.18",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_ports_own_is_the_common_ones() {
    check(&OWN_STATE, async |case| {
        let mut lab = instanced(case).await?;
        lab.set_vlan_option("sw:br", 10, vlan_option::MSTI, 5).await?;
        for link in ["sw:p1", "sw:p2", "sw:p3"] {
            lab.set_instance_state(link, 5, 3).await?;
        }
        for id in [10, 20] {
            expect_heard(&mut lab, id, &["b", "c"]).await?;
        }
        lab.set_option("sw:p2", port::STATE, 2).await?;
        expect_states(&lab, "sw:p2", "it learns", &["0 state 2", "5 state 3"]).await?;
        expect_states(&lab, "sw:p3", "another does not", &["0 state 3", "5 state 3"]).await?;
        expect_heard(&mut lab, 10, &["b", "c"]).await?;
        expect_heard(&mut lab, 20, &["c"]).await?;
        let states = lab.vlan_ranges("sw:p2").await?;
        let lines = ["1 pvid untagged state 2", "10", "20 state 2", "30 state 2"];
        lab.expect_lines("by VLAN", states, &lines)?;
        lab.add_vlan("sw:p2", PortVlan::tagged(40)).await?;
        let last: Vec<_> = lab.vlan_ranges("sw:p2").await?.into_iter().skip(4).collect();
        lab.expect_lines("one that comes", last, &["40 state 2"])?;
        // The other way: what b sends.
        let heard = |id| format!("a other vlan {id}, c other vlan {id}");
        let shot = |id| Shot::broadcast().tag(Tag::vlan(id));
        lab.expect_shot("b", &shot(10), &heard(10)).await?;
        lab.expect_shot("b", &shot(20), "nobody").await?;
        lab.set_option("sw:p2", port::STATE, 3).await?;
        lab.expect_shot("b", &shot(20), &heard(20)).await?;
        expect_heard(&mut lab, 20, &["b", "c"]).await
    });
}

const UNTAGGED: Rule = Rule {
    id: "bridge.instances.untagged-frames-are-of-the-pvids",
    promise: "untagged frames have the state of the instance that the port's PVID belongs to, and a \
              state in another does not touch them",
    source: Source {
        cite: "br_mst_vlan_set_state, net/bridge/br_mst.c, since 5.18",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn untagged_frames_are_of_the_pvids() {
    check(&UNTAGGED, async |case| {
        let mut lab = instanced(case).await?;
        for (id, instance) in [(1, 5_u16), (10, 6)] {
            lab.set_vlan_option("sw:br", id, vlan_option::MSTI, instance.into()).await?;
            for link in ["sw:p1", "sw:p2", "sw:p3"] {
                lab.set_instance_state(link, instance, 3).await?;
            }
        }
        expect_heard(&mut lab, 0, &["b", "c"]).await?;
        lab.set_instance_state("sw:p1", 6, 4).await?;
        expect_heard(&mut lab, 0, &["b", "c"]).await?;
        expect_heard(&mut lab, 10, &[]).await?;
        lab.set_instance_state("sw:p1", 6, 3).await?;
        lab.set_instance_state("sw:p1", 5, 4).await?;
        expect_heard(&mut lab, 10, &["b", "c"]).await?;
        // The controls of a are untagged: another port's state is asked for.
        lab.set_instance_state("sw:p1", 5, 3).await?;
        lab.set_instance_state("sw:p2", 5, 4).await?;
        lab.expect_shot("a", &Shot::broadcast(), "c broadcast, sw broadcast").await?;
        lab.expect_shot("b", &Shot::broadcast(), "nobody").await?;
        lab.set_instance_state("sw:p2", 5, 3).await?;
        expect_heard(&mut lab, 0, &["b", "c"]).await
    });
}

const OFF: Rule = Rule {
    id: "bridge.instances.one-state-without-them",
    promise: "without instances a port's own state is for all VLANs, states of instances are refused \
              and none are told",
    source: Source {
        cite: "br_mst_process, br_fill_ifinfo and should_deliver, since 5.18",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn one_state_without_them() {
    check(&OFF, async |case| {
        let mut lab = instanced(case).await?;
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 0).await?;
        for link in ["sw:p1", "sw:p2", "sw:p3"] {
            lab.delete_vlans(link, (10, 30)).await?;
        }
        expect_states(&lab, "sw:p1", "no VLANs", &[]).await?;
        lab.set_option("sw:br", bridge::SWITCHES, instances(false)).await?;
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 1).await?;
        for link in ["sw:p1", "sw:p2", "sw:p3"] {
            lab.add_vlan(link, PortVlan::tagged(10)).await?;
        }
        expect_states(&lab, "sw:p1", "none are told", &[]).await?;
        let done = lab.set_instance_state("sw:p1", 5, 3).await;
        lab.expect_refusal("a state of one", done, Errno::EBUSY)?;
        expect_heard(&mut lab, 10, &["b", "c"]).await?;
        lab.set_option("sw:p2", port::STATE, 2).await?;
        expect_heard(&mut lab, 10, &["c"]).await?;
        lab.set_option("sw:p2", port::STATE, 3).await?;
        lab.set_vlan_option("sw:p2", 10, vlan_option::STATE, 4).await?;
        expect_heard(&mut lab, 10, &["c"]).await?;
        lab.set_vlan_option("sw:p2", 10, vlan_option::STATE, 3).await?;
        expect_heard(&mut lab, 10, &["b", "c"]).await
    });
}
