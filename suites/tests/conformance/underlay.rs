//! Hostile underlays: what children make of a switch port that does not take every address.
//!
//! ```text
//!   c1, c2 --- p0 --- s0 [switch] s1 --- e
//!                     s0 takes frames from the addresses that it was told of
//! ```
//!
//! A port that takes only its machine's own address is in `macvlan.outside`.

use hairpin_fixtures::{ipvlan_lan, macvlan_lan, reflecting};
use hairpin_harness::Class::{Ping4, Ping6, Unicast};
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{
    CaseLab, Class, Family, Fdb, Mac, Mode, Need, PortFlags, Rule, Source, Stop, Strength, check,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[LIMITED, SHARED];

const LIMITED: Rule = Rule {
    id: "underlay.limited.who-comes-too-late-is-cut-off",
    promise: "where a switch port takes so many addresses and no more, children with an address that \
              it has taken go on, and one too many is cut off from the network outside, not from its \
              siblings",
    source: Source {
        cite: "bridge(8), locked; port security of switches",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[
        Need::Driver("veth"),
        Need::Driver("bridge"),
        Need::Driver("macvlan"),
        Need::LockedPorts,
    ],
};

const SHARED: Rule = Rule {
    id: "underlay.limited.ipvlan-needs-one-address",
    promise: "ipvlan children share their parent's address: a port that takes that one takes them all",
    source: Source {
        cite: "Documentation/networking/ipvlan.rst, 6: what to choose",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[
        Need::Driver("veth"),
        Need::Driver("bridge"),
        Need::Driver("ipvlan"),
        Need::LockedPorts,
    ],
};

/// The port's flags: it takes what it was told of.
fn limited() -> PortFlags {
    PortFlags::default().locked(true).learning(false)
}

/// Has the port take these addresses and no others.
async fn take(lab: &mut CaseLab, macs: &[Mac]) -> Result<(), Stop> {
    lab.flush_fdb("sw:s0").await?;
    for mac in macs {
        lab.add_fdb("sw:s0", *mac, Fdb::STATIC).await?;
    }
    Ok(())
}

/// The twin: children of a port that takes everything and reflects reach everybody, their parent
/// too.
async fn expect_all(lab: &mut CaseLab, class: Class) -> Result<(), Stop> {
    lab.set_port("sw:s0", PortFlags::default().locked(false)).await?;
    lab.set_port("sw:s0", reflecting()).await?;
    for child in ["c1:c0", "c2:c0"] {
        lab.set_macvlan(child, Mode::Vepa).await?;
    }
    let all = "
            c1 c2 p e
        c1  .  +  + +
        c2  +  .  + +
        p   +  +  . +
        e   +  +  + .";
    lab.expect(class, all).await?;
    Ok(())
}

mod limited {
    use super::*;

    #[rstest]
    #[case::unicast(Unicast)]
    #[case::ping4(Ping4)]
    #[case::ping6(Ping6)]
    fn who_comes_too_late_is_cut_off(#[case] class: Class) {
        check(&LIMITED, async |case| {
            let lan = macvlan_lan(Mode::Bridge).port_with("sw:s0", "br0", limited());
            let mut lab = case.lab(&lan).await?;
            let first = [lab.mac("p:p0"), lab.mac("c1:c0")];
            take(&mut lab, &first).await?;
            // Frames still come in. A ping's answer does not get out.
            let inwards = if class == Unicast { '+' } else { '#' };
            let two = format!(
                "   c1 c2 p e
            c1  .  +  # +
            c2  +  .  # #
            p   #  #  . +
            e   +  {inwards}  + ."
            );
            lab.expect(class, &two).await?;
            let mac = lab.mac("c2:c0");
            lab.add_fdb("sw:s0", mac, Fdb::STATIC).await?;
            let three = "
                c1 c2 p e
            c1  .  +  # +
            c2  +  .  # +
            p   #  #  . +
            e   +  +  + .";
            lab.expect(class, three).await?;
            expect_all(&mut lab, class).await
        });
    }

    #[rstest]
    #[case::v4(Family::V4)]
    #[case::v6(Family::V6)]
    fn ipvlan_needs_one_address(#[case] family: Family) {
        check(&SHARED, async |case| {
            let lan = ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge);
            let mut lab = case.lab(&lan.port_with("sw:s0", "br0", limited())).await?;
            let mac = lab.mac("p:p0");
            take(&mut lab, &[mac]).await?;
            for (from, to) in [("c1", "e"), ("c2", "e"), ("e", "c1"), ("e", "c2"), ("c1", "c2")] {
                let cell = lab.ping(family, from, to).await?;
                lab.claim(
                    &format!("{from} reaches {to}"),
                    cell.verdict.symbol() == '+',
                    &cell.verdict,
                )?;
            }
            Ok(())
        });
    }
}
