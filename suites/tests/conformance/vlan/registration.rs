//! What a machine tells switches of the VLANs that it is in: declarations of GVRP and MVRP.
//!
//! ```text
//!   a:v5, a:v4 (VLANs 5 and 4)
//!   a:eth0 ------------ b:eth0       b hears what is declared
//! ```
//!
//! Nothing is concluded from silence: of two VLANs the one that must not be declared was asked for
//! first and has the lower id, so it would be heard of before the other, which is.

use hairpin_harness::options::vlan::{FLAGS, GVRP, MVRP, flags};
use hairpin_harness::{
    CaseLab, Declared, RegistrarEar, Registration, Rule, Source, Stop, Strength, check,
};
use rstest::rstest;

use super::{NEEDS, cable};

pub(crate) const RULES: &[Rule] = &[TOLD, UP, END];

/// The flag that has VLANs declared by a protocol.
const fn flag(protocol: Registration) -> u32 {
    match protocol {
        Registration::Gvrp => GVRP,
        Registration::Mvrp => MVRP,
    }
}

/// Holds that this is declared in time; what was declared until then.
fn expect_declared(
    lab: &CaseLab,
    ear: &mut RegistrarEar,
    wanted: Declared,
) -> Result<Vec<Declared>, Stop> {
    let heard = ear.until(wanted);
    let why = heard.as_ref().err().map(ToString::to_string).unwrap_or_default();
    lab.claim(&format!("it says that it {wanted}"), heard.is_ok(), why)?;
    Ok(heard?)
}

/// Holds that this is declared, and that nothing was of another VLAN until then.
fn expect_alone(lab: &CaseLab, ear: &mut RegistrarEar, wanted: Declared) -> Result<(), Stop> {
    let before = expect_declared(lab, ear, wanted)?;
    let alone = before.iter().all(|said| said.vlan() == wanted.vlan());
    lab.claim("it says nothing of others", alone, format!("{before:?}"))
}

const TOLD: Rule = Rule {
    id: "vlan.registration.declared-while-told-to",
    promise: "a VLAN's link that runs says by GVRP or MVRP that its VLAN is joined when it is told \
              to, and that it is left when it is told no longer; one that was not told says nothing",
    source: Source {
        cite: "IEEE 802.1Q, 11.2; ip-link(8), gvrp and mvrp; vlan_dev_change_flags, \
               net/8021q/vlan_dev.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::gvrp(Registration::Gvrp)]
#[case::mvrp(Registration::Mvrp)]
fn declared_while_told_to(#[case] protocol: Registration) {
    check(&TOLD, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let mut ear = lab.hear_registrations("b", protocol).await?;
        lab.grow(|lan| lan.vlan("a:v4", "a:eth0", 4)).await?;
        for (on, wanted) in
            [(true, Declared::Join(5)), (false, Declared::Leave(5)), (true, Declared::Join(5))]
        {
            let values = if on { flag(protocol) } else { 0 };
            lab.set_option("a:v5", FLAGS, flags(flag(protocol), values)).await?;
            expect_alone(&lab, &mut ear, wanted)?;
        }
        Ok(())
    });
}

const UP: Rule = Rule {
    id: "vlan.registration.declared-when-it-comes-up",
    promise: "a VLAN's link that is down says nothing when it is told to say that it is joined, and \
              says so when it comes up",
    source: Source { cite: "vlan_dev_open, net/8021q/vlan_dev.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::gvrp(Registration::Gvrp)]
#[case::mvrp(Registration::Mvrp)]
fn declared_when_it_comes_up(#[case] protocol: Registration) {
    check(&UP, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let mut ear = lab.hear_registrations("b", protocol).await?;
        lab.grow(|lan| lan.vlan("a:v4", "a:eth0", 4)).await?;
        lab.set_up("a:v4", false).await?;
        let on = flags(flag(protocol), flag(protocol));
        for link in ["a:v4", "a:v5"] {
            lab.set_option(link, FLAGS, on).await?;
        }
        expect_alone(&lab, &mut ear, Declared::Join(5))?;
        lab.set_up("a:v4", true).await?;
        expect_declared(&lab, &mut ear, Declared::Join(4))?;
        Ok(())
    });
}

const END: Rule = Rule {
    id: "vlan.registration.left-when-it-is-deleted",
    promise: "when a VLAN's link that has said that it is joined is deleted, it says that it is \
              left, also if it is the last",
    source: Source { cite: "unregister_vlan_dev, net/8021q/vlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::gvrp(Registration::Gvrp)]
#[case::mvrp(Registration::Mvrp)]
fn left_when_it_is_deleted(#[case] protocol: Registration) {
    check(&END, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let mut ear = lab.hear_registrations("b", protocol).await?;
        lab.grow(|lan| lan.vlan("a:v4", "a:eth0", 4)).await?;
        let on = flags(flag(protocol), flag(protocol));
        for (link, id) in [("a:v4", 4), ("a:v5", 5)] {
            lab.set_option(link, FLAGS, on).await?;
            expect_declared(&lab, &mut ear, Declared::Join(id))?;
        }
        for (link, id) in [("a:v4", 4), ("a:v5", 5)] {
            lab.delete(link).await?;
            expect_declared(&lab, &mut ear, Declared::Leave(id))?;
        }
        Ok(())
    });
}
