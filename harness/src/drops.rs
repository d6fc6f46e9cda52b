//! Frames that the kernel gave up, and where in it and why: asked of a guest's kernel by a probe on
//! the function that every such frame goes through (`Documentation/trace/kprobetrace.rst`).
//!
//! Only in guests: a probe is of the whole kernel, and a guest's is ours. It decides nothing, and
//! that nothing is told proves nothing: the kernel has other ways to lose a frame, and keeps no more
//! of this than there is room for.

mod btf;
mod fields;
mod places;
mod ring;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use btf::Btf;
use fields::Fields;
use places::Places;
use ring::Ring;

/// Where a guest has what traces its kernel.
const TRACING: &str = "/sys/kernel/tracing";

/// The event, and the buffer of our own that it goes into.
const GROUP: &str = "hairpin";

/// What a frame is given up by, the newest first: a kernel has one of them.
const FUNCTIONS: [&str; 3] = ["sk_skb_reason_drop", "kfree_skb_reason", "kfree_skb"];

/// Where a function's first parameters are.
const REGISTERS: [&str; 3] = ["di", "si", "dx"];

/// Bytes before and behind what the kernel reads next of a frame: headers that it has read, and an
/// echo request.
const BEFORE: usize = 64;
const BEHIND: usize = 128;

/// How many of those are kept that nobody has asked for yet.
const KEPT: usize = 4096;

/// A frame that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drop {
    /// When, on the monotonic clock.
    pub(crate) at: Duration,
    /// The namespace of the link that it was at (its inode), and that link's index.
    pub(crate) netns: u32,
    pub(crate) link: u32,
    /// The function that gave it up.
    pub(crate) function: String,
    /// Why, in the kernel's own words; kernels before 5.17 do not say.
    pub(crate) reason: Option<String>,
    /// The frame: as much of it as there is room for.
    pub(crate) frame: Vec<u8>,
}

struct Reader {
    ring: Ring,
    places: Places,
    fields: Fields,
    reasons: BTreeMap<u32, String>,
    kept: Vec<Given>,
}

/// A frame that was given up, as the kernel wrote it down.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Given {
    at: Duration,
    netns: u32,
    link: u32,
    /// Where in the kernel.
    place: u64,
    reason: Option<u32>,
    frame: Vec<u8>,
}

static READER: OnceLock<Mutex<Reader>> = OnceLock::new();

/// Has a guest's kernel tell of every frame that it gives up, from now on. What a kernel lacks for
/// that is told on its console, and changes no verdict.
pub(crate) fn watch() {
    match open() {
        Ok(reader) => {
            READER.get_or_init(|| Mutex::new(reader));
        }
        Err(error) => eprintln!("hairpin: no journey will tell where a frame was dropped: {error}"),
    }
}

/// Whether anybody is told of frames that are given up.
pub(crate) fn is_watched() -> bool {
    READER.get().is_some()
}

/// Takes out what was given up in these namespaces, oldest first; nothing where nobody watches.
pub(crate) fn take(namespaces: &[u32]) -> Vec<Drop> {
    let Some(reader) = READER.get() else { return Vec::new() };
    let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
    reader.read();
    let is_ours = |given: &Given| namespaces.contains(&given.netns);
    let (ours, others): (Vec<Given>, _) = reader.kept.drain(..).partition(is_ours);
    reader.kept = others;
    ours.into_iter().map(|given| reader.told(given)).collect()
}

fn open() -> io::Result<Reader> {
    let own = format!("{TRACING}/instances/{GROUP}");
    let places = format!("{TRACING}/instances/{GROUP}-places");
    // A program that ran in this guest before has done it.
    if !fs::exists(&own)? {
        let probes = probes(&Btf::of_this_kernel()?)
            .ok_or_else(|| io::Error::other("the kernel does not describe what drops frames"))?;
        fs::write(format!("{TRACING}/kprobe_events"), probes)?;
        for (instance, event) in [(&places, "place"), (&own, "drop")] {
            fs::create_dir(instance)?;
            fs::write(format!("{instance}/trace_clock"), "mono")?;
            fs::write(format!("{instance}/events/{GROUP}/{event}/enable"), "1")?;
        }
    }
    let format = fs::read_to_string(format!("{own}/events/{GROUP}/drop/format"))?;
    let fields =
        Fields::of(&format).ok_or_else(|| io::Error::other("what it tells is not known"))?;
    let reasons = reasons(&fs::read_to_string(format!("{TRACING}/events/skb/kfree_skb/format"))?);
    let (ring, places) = (Ring::open(&own)?, Places::open(&places)?);
    Ok(Reader { ring, places, fields, reasons, kept: Vec::new() })
}

/// Opens what the kernel tells, which says at once when there is nothing more.
fn pipe(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The probes' definitions: of what is told of each frame, and of the names of the places.
fn probes(btf: &Btf) -> Option<String> {
    let parameter = |function: &&str| btf.parameter(function, "skb");
    let function = FUNCTIONS.into_iter().find(|function| parameter(function).is_some())?;
    let skb = REGISTERS.get(parameter(&function)?)?;
    let reason = btf.parameter(function, "reason").and_then(|number| REGISTERS.get(number));
    let of_skb = |member| btf.offset("sk_buff", member);
    let (dev, data, head) = (of_skb("dev")?, of_skb("data")?, of_skb("head")?);
    let (mac, network) = (of_skb("mac_header")?, of_skb("network_header")?);
    let (protocol, net) = (of_skb("protocol")?, btf.offset("net_device", "nd_net")?);
    let index = btf.offset("net_device", "ifindex")?;
    let inode = btf.offset("net", "ns")? + btf.offset("ns_common", "inum")?;
    let why = reason.map_or_else(String::new, |register| format!(" reason=%{register}:u32"));
    Some(format!(
        "p:{GROUP}/place {function} {}\np:{GROUP}/drop {function} netns=+{inode}(+{net}(+{dev}(%{skb}))):u32 \
         link=+{index}(+{dev}(%{skb})):u32 mac=+{mac}(%{skb}):u16 network=+{network}(%{skb}):u16 \
         protocol=+{protocol}(%{skb}):u16 head=+{head}(%{skb}):x64 data=+{data}(%{skb}):x64{why} \
         bytes=-{BEFORE}(+{data}(%{skb})):x64[{}] place=$stack0:x64",
        places::ARGUMENTS,
        (BEFORE + BEHIND) / 8
    ))
}

/// The names of reasons, as the format of the kernel's own event has them: `{ 2, "NO_SOCKET" }`.
fn reasons(format: &str) -> BTreeMap<u32, String> {
    let pairs = format.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let pair = |(pair, _): (&str, &str)| {
        let (number, name) = pair.split_once(',')?;
        let name = name.trim().trim_matches('"').trim_start_matches("SKB_DROP_REASON_");
        Some((number.trim().parse().ok()?, name.to_owned()))
    };
    pairs.filter_map(pair).collect()
}

impl Reader {
    /// Takes what the kernel has told.
    fn read(&mut self) {
        let Self { ring, fields, kept, .. } = self;
        ring.take(|at, entry| kept.extend(fields.given(at, entry)));
        kept.retain(|given| given.reason.is_none_or(|reason| !is_consumed(reason, &self.reasons)));
        // Each processor has told its own.
        kept.sort_by_key(|given| given.at);
        let many = kept.len().saturating_sub(KEPT);
        kept.drain(..many);
    }

    /// The same in the kernel's words.
    fn told(&mut self, given: Given) -> Drop {
        let name =
            |reason| self.reasons.get(&reason).cloned().unwrap_or_else(|| reason.to_string());
        Drop {
            at: given.at,
            netns: given.netns,
            link: given.link,
            function: self.places.name(given.place),
            reason: given.reason.map(name),
            frame: given.frame,
        }
    }
}

/// Whether the frame had come to its end as it should. Its number is the first one, by name or, where kernels
/// have no name for it, without.
fn is_consumed(reason: u32, reasons: &BTreeMap<u32, String>) -> bool {
    reasons.get(&reason).map_or(reason == 1, |name| name == "CONSUMED")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "print fmt: \"skbaddr=%p protocol=%u location=%p reason: %s\", REC->skbaddr, \
                          __print_symbolic(REC->reason, { 1, \"CONSUMED\" }, { 2, \"NOT_SPECIFIED\" })";

    #[test]
    fn reasons_have_the_kernels_names() {
        let reasons = reasons(FORMAT);
        assert_eq!(reasons[&2], "NOT_SPECIFIED");
        assert!(is_consumed(1, &reasons) && !is_consumed(2, &reasons));
    }

    #[test]
    fn the_first_reason_without_a_name_is_no_drop() {
        let nameless = reasons(&FORMAT.replace("{ 1, \"CONSUMED\" }, ", ""));
        assert!(is_consumed(1, &nameless) && !is_consumed(99, &nameless));
        let older = reasons(&FORMAT.replace("CONSUMED", "NOT_SPECIFIED"));
        assert!(!is_consumed(1, &older));
    }
}
