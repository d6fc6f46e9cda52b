//! Whether the running kernel has what a rule needs.
//!
//! Asked of the kernel itself, in the sandbox's own empty namespace: a driver that answers anything
//! but "not supported" is there. Asked once: by the process, or by the runner for all of its processes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use hairpin_model::topology::{Bridge, Macvlan, Mode};
use hairpin_model::{Error, Need};

use crate::netlink::{Birth, Netlink, Refused};
use crate::ns::Ns;
use crate::version::Kernel;

/// The needs of a case that are worth asking for before it begins. Asking for nftables costs the
/// kernel a transaction and a grace period (some 50 ms), more than most cases: there it is asked
/// when something has gone wrong.
pub(crate) fn cheap(needs: &[Need]) -> Vec<Need> {
    needs.iter().copied().filter(|need| *need != Need::Nftables).collect()
}

/// Gives those of the needs that are missing, with the kernel's words.
pub(crate) async fn missing(needs: &[Need]) -> Result<Vec<(Need, String)>, Error> {
    crate::sandbox::status()?;
    // A test program asks from several threads in one namespace, with the same names: a link that
    // another thread has just made there would pass for the driver's answer.
    let mut answers = ANSWERS.lock().await;
    let is_open = |need: &Need| !answers.contains_key(need) && !is_told(*need);
    let open: Vec<Need> = needs.iter().copied().filter(is_open).collect();
    if !open.is_empty() {
        let here = Ns::current()?;
        let netlink = Netlink::connect(&here)?;
        for need in open {
            answers.insert(need, probe(&netlink, &here, need).await?);
        }
    }
    let words = |need: &Need| answers.get(need)?.clone().err();
    Ok(needs.iter().filter_map(|need| Some((*need, words(need)?))).collect())
}

/// What the kernel has answered so far. A kernel does not change under a process, and some questions cost
/// it a bridge, whose end is a grace period in which nobody else can change a link.
static ANSWERS: tokio::sync::Mutex<BTreeMap<Need, Result<(), String>>> =
    tokio::sync::Mutex::const_new(BTreeMap::new());

/// Whether the runner has asked already, and the kernel has it.
fn is_told(need: Need) -> bool {
    static TOLD: OnceLock<String> = OnceLock::new();
    let told = TOLD.get_or_init(|| std::env::var(Need::MET).unwrap_or_default());
    let need = need.to_string();
    told.split(';').any(|met| met == need)
}

/// The name and index of the link that is made to see whether it can be.
const PROBE: (&str, u32) = ("probe", 7000);

/// The same for a cable, where a port is needed.
const CABLE: [(&str, u32); 2] = [("probe-near", 7001), ("probe-far", 7002)];

async fn probe(netlink: &Netlink, here: &Ns, need: Need) -> Result<Result<(), String>, Error> {
    match need {
        Need::Driver(kind) => {
            let made = netlink.ask_for_impossible(PROBE.0, kind).await;
            settle(netlink, made).await
        }
        Need::VlanFiltering => {
            let settings = Bridge::default().vlan_filtering();
            let made = netlink.add_bridge(&birth(PROBE), &settings).await;
            settle(netlink, made).await
        }
        Need::LockedPorts => locked_ports(netlink, here).await,
        Need::Nftables => Ok(match crate::nft::supported() {
            Ok(true) => Ok(()),
            Ok(false) => Err("the kernel has no nf_tables, or none with NAT".into()),
            Err(error) => Err(error.to_string()),
        }),
        Need::Since(major, minor) => {
            let old = Kernel::running() < Kernel::new(major, minor);
            Ok(if old { Err(format!("this is {}", Kernel::release())) } else { Ok(()) })
        }
        Need::AllmultiCount => {
            const LOOPBACK: u32 = 1;
            let known =
                crate::lab::options::is_told(here, LOOPBACK, crate::lab::options::link::ALLMULTI);
            let known =
                known.map_err(|refused| refused.error("show the loopback", "the sandbox"))?;
            let words = "the kernel does not tell it, as all did not before 6.0";
            Ok(if known { Ok(()) } else { Err(words.into()) })
        }
        Need::MacvtapDevice => macvtap_device(netlink, here).await,
        Need::Xdp => Ok(crate::lab::xdp::possible().map_err(|error| error.to_string())),
        Need::BrNetfilter => {
            let switch = "/proc/sys/net/bridge/bridge-nf-call-iptables";
            let there = Path::new(switch).exists();
            Ok(if there { Ok(()) } else { Err(format!("there is no {switch}")) })
        }
        Need::VirtualTime => Ok(virtual_time()),
    }
}

/// The kernel was told by who booted it. A machine that cannot be asked is none.
fn virtual_time() -> Result<(), String> {
    let told = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let is = told.split_whitespace().any(|word| word == Need::IN_VIRTUAL_TIME);
    if is { Ok(()) } else { Err("the clock of this machine does not jump".into()) }
}

fn birth((name, index): (&str, u32)) -> Birth<'_> {
    Birth { name, index, mac: None, mtu: None, queues: None, up: false }
}

/// Only a port tells whether it could be locked, so one is made and looked at.
async fn locked_ports(netlink: &Netlink, here: &Ns) -> Result<Result<(), String>, Error> {
    let failed = |refused: Refused| refused.error("look at a port of a bridge", "the sandbox");
    let made = netlink.add_bridge(&birth(PROBE), &Bridge::default()).await;
    if let Err(refused) = made {
        return settle(netlink, Err(refused)).await;
    }
    let [near, far] = CABLE.map(birth);
    let made = netlink.add_veth(&near, Some(PROBE.1), &far, here).await;
    let known = match made {
        Ok(()) => netlink.knows_locked(CABLE[0].1).await.map_err(failed),
        Err(refused) => Err(failed(refused)),
    };
    for index in [CABLE[0].1, PROBE.1] {
        // What was never made cannot be deleted; the sandbox goes with us in any case.
        netlink.delete_link(index).await.ok();
    }
    let words = "the kernel ignores a port's wish to be locked, as all did before 5.18";
    Ok(if known? { Ok(()) } else { Err(words.into()) })
}

/// Whether a macvtap link's device can be opened can only be tried.
async fn macvtap_device(netlink: &Netlink, here: &Ns) -> Result<Result<(), String>, Error> {
    let [near, far] = CABLE.map(birth);
    let made = netlink.add_veth(&near, None, &far, here).await;
    made.map_err(|refused| refused.error("make a cable", "the sandbox"))?;
    let settings = Macvlan::from(Mode::Bridge);
    let made = netlink.add_macvlan(&birth(PROBE), "macvtap", CABLE[0].1, &settings, here).await;
    let known = match made {
        Ok(()) => Ok(crate::lab::queue::open(here, PROBE.0).map(|_| ()).map_err(|no| no.words())),
        Err(refused) => settle(netlink, Err(refused)).await,
    };
    for index in [PROBE.1, CABLE[0].1] {
        // What was never made cannot be deleted; the sandbox goes with us in any case.
        netlink.delete_link(index).await.ok();
    }
    known
}

/// Reads the kernel's answer, and takes the link away again if one was made.
async fn settle(netlink: &Netlink, made: Result<(), Refused>) -> Result<Result<(), String>, Error> {
    match made {
        Ok(()) => {
            let gone = netlink.delete_link(PROBE.1).await;
            gone.map_err(|refused| refused.error("delete a link again", "the sandbox"))?;
            Ok(Ok(()))
        }
        Err(refused) if refused.is_missing() => Ok(Err(refused.words)),
        Err(refused) if refused.errno == libc::EPERM => {
            Err(refused.error("make a link in a namespace of our own", "this machine"))
        }
        // It complains about what we left out: so it is there.
        Err(_) => Ok(Ok(())),
    }
}
