//! macvlan, mode by mode. The network of most cases is `hairpin_fixtures::lan`:
//!
//! ```text
//!     c1:c0   c2:c0            children
//!         \   /
//!         p:p0                 their parent
//!           |
//!         sw:s0 sw:br0 sw:s1   the switch outside; s0 reflects or does not
//!                        |
//!                       e:e0   another machine
//! ```

pub(crate) mod address;
pub(crate) mod birth;
pub(crate) mod bonded;
pub(crate) mod bridge;
pub(crate) mod counters;
pub(crate) mod cpus;
pub(crate) mod delivery;
pub(crate) mod end;
pub(crate) mod filters;
pub(crate) mod ip;
pub(crate) mod life;
pub(crate) mod mixed;
pub(crate) mod mtu;
pub(crate) mod offload;
pub(crate) mod outside;
pub(crate) mod owner;
pub(crate) mod parent;
pub(crate) mod passthru;
pub(crate) mod private;
pub(crate) mod queue;
pub(crate) mod senders;
pub(crate) mod settings;
pub(crate) mod source;
pub(crate) mod vepa;

use hairpin_fixtures::reflecting;
use hairpin_harness::{CaseLab, Class, Error, Mac, Mode, Need, Stop};

/// What every case here needs.
pub(crate) const NEEDS: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::Driver("macvlan")];

/// What those need whose switch knows one address a port.
pub(crate) const NEEDS_LOCKED_PORTS: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::Driver("macvlan"), Need::LockedPorts];

/// What those need that read how many asked for all groups.
pub(crate) const NEEDS_ALLMULTI: &[Need] =
    &[Need::Driver("veth"), Need::Driver("macvlan"), Need::AllmultiCount];

/// What those need that set the length of the parent's queue.
pub(crate) const NEEDS_BC_QUEUE: &[Need] =
    &[Need::Driver("veth"), Need::Driver("macvlan"), Need::Since(5, 11)];

/// Puts both children into one mode.
async fn in_mode(lab: &mut CaseLab, mode: Mode) -> Result<(), Error> {
    lab.set_macvlan("c1:c0", mode).await?;
    lab.set_macvlan("c2:c0", mode).await
}

/// The twin of whatever was cut off: vepa children behind a reflecting switch reach everybody.
async fn expect_all_reached(lab: &mut CaseLab, class: Class) -> Result<(), Stop> {
    in_mode(lab, Mode::Vepa).await?;
    lab.set_port("sw:s0", reflecting()).await?;
    let unicast = "
            c1 c2 p e
        c1  .  +  + +
        c2  +  .  + +
        p   +  +  . +
        e   +  +  + .";
    let group = "
            c1 c2 p e
        c1  .  +  + +
        c2  +  .  + +
        p   +  +  + +
        e   +  +  + .";
    lab.expect(class, if class.is_group() { group } else { unicast }).await?;
    Ok(())
}

/// Holds how many asked for all that comes to the parent.
async fn expect_promiscuity(lab: &CaseLab, when: &str, count: u32) -> Result<(), Stop> {
    let seen = lab.link("p:p0").await?.promiscuity;
    lab.claim(&format!("{when}: promiscuity {count}"), seen == count, seen)
}

/// Another address that the driver looks for in the same place of its tables (`macvlan_eth_hash`):
/// only a look at all of its bytes tells the two apart.
fn alike(mac: Mac) -> Mac {
    const GOLDEN_RATIO_64: u64 = 0x61c8_8646_80b5_83eb;
    let place = |mac: Mac| {
        let [a, b, c, d, e, f] = mac.0;
        u64::from_le_bytes([0, 0, a, b, c, d, e, f]).wrapping_mul(GOLDEN_RATIO_64) >> 56
    };
    let [.., e, f] = mac.0;
    let others = (0..=u16::MAX).map(|n| n.to_be_bytes()).filter(|last| *last != [e, f]);
    let mut others = others.map(|[e, f]| Mac([mac.0[0], mac.0[1], mac.0[2], 0xfd, e, f]));
    others.find(|other| place(*other) == place(mac)).expect("one of 256 is alike")
}
