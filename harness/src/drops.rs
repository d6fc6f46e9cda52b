//! Frames that the kernel gave up, and where in it and why: asked of a guest's kernel by a probe on
//! the function that every such frame goes through (`Documentation/trace/kprobetrace.rst`).
//!
//! Only in guests: a probe is of the whole kernel, and a guest's is ours. It decides nothing, and
//! that nothing is told proves nothing: the kernel has other ways to lose a frame, and keeps no more
//! of this than there is room for.

mod btf;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use btf::Btf;

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
    pipe: File,
    reasons: BTreeMap<u32, String>,
    unread: String,
    kept: VecDeque<Drop>,
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
    let (ours, others) =
        reader.kept.drain(..).partition(|drop: &Drop| namespaces.contains(&drop.netns));
    reader.kept = others;
    Vec::from(ours)
}

fn open() -> io::Result<Reader> {
    let own = format!("{TRACING}/instances/{GROUP}");
    // A program that ran in this guest before has done it.
    if !fs::exists(&own)? {
        let probe = probe(&Btf::of_this_kernel()?)
            .ok_or_else(|| io::Error::other("the kernel does not describe what drops frames"))?;
        fs::write(format!("{TRACING}/kprobe_events"), probe)?;
        fs::create_dir(&own)?;
        fs::write(format!("{own}/trace_clock"), "mono")?;
        fs::write(format!("{own}/events/{GROUP}/drop/enable"), "1")?;
    }
    let reasons = reasons(&fs::read_to_string(format!("{TRACING}/events/skb/kfree_skb/format"))?);
    let pipe = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(format!("{own}/trace_pipe"))?;
    Ok(Reader { pipe, reasons, unread: String::new(), kept: VecDeque::new() })
}

/// The probe's definition.
fn probe(btf: &Btf) -> Option<String> {
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
        "p:{GROUP}/drop {function} netns=+{inode}(+{net}(+{dev}(%{skb}))):u32 \
         link=+{index}(+{dev}(%{skb})):u32 mac=+{mac}(%{skb}):u16 network=+{network}(%{skb}):u16 \
         protocol=+{protocol}(%{skb}):u16 head=+{head}(%{skb}):x64 data=+{data}(%{skb}):x64{why} \
         bytes=-{BEFORE}(+{data}(%{skb})):x64[{}] function=$stack0:symbol",
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
        let mut buffer = [0; 1 << 14];
        // It tells whole lines, and nothing more to come as an error.
        while let Ok(many @ 1..) = self.pipe.read(&mut buffer) {
            self.unread.push_str(&String::from_utf8_lossy(&buffer[..many]));
        }
        let whole = self.unread.rfind('\n').map_or(0, |end| end + 1);
        let rest = self.unread.split_off(whole);
        let lines = std::mem::replace(&mut self.unread, rest);
        self.kept.extend(lines.lines().filter_map(|line| parse(line, &self.reasons)));
        let many = self.kept.len().saturating_sub(KEPT);
        self.kept.drain(..many);
    }
}

/// A line of the pipe, if it tells of a frame that was given up.
fn parse(line: &str, reasons: &BTreeMap<u32, String>) -> Option<Drop> {
    let (head, fields) = line.split_once(": drop: ")?;
    let at = head.split_whitespace().last()?.parse().ok().map(Duration::from_secs_f64)?;
    let fields: BTreeMap<&str, &str> =
        fields.split_whitespace().filter_map(|field| field.split_once('=')).collect();
    let short = |name| fields.get(name)?.parse::<u32>().ok();
    let long = |name| usize::from_str_radix(fields.get(name)?.strip_prefix("0x")?, 16).ok();
    let reason = short("reason");
    let reason = reason.map(|n| reasons.get(&n).cloned().unwrap_or_else(|| n.to_string()));
    if reason.as_deref() == Some("CONSUMED") {
        return None;
    }
    let numbers = fields.get("bytes")?.trim_matches(['{', '}']).split(',');
    let number = |number: &str| u64::from_str_radix(number.trim_start_matches("0x"), 16).ok();
    let bytes: Vec<u8> = numbers.filter_map(number).flat_map(u64::to_ne_bytes).collect();
    // Headers are counted from where the frame's memory begins.
    let data = long("data")?.checked_sub(long("head")?)?;
    let from = |header: u32| {
        let header = usize::try_from(header).ok()?;
        bytes.get((header + BEFORE).checked_sub(data)?..)
    };
    /// A header that is not there yet.
    const UNSET: u32 = 0xffff;
    let frame = match short("mac")? {
        // What a host sends itself has no Ethernet header before it is at a link.
        UNSET => {
            let protocol = u16::try_from(short("protocol")?).ok()?.to_ne_bytes();
            [&[0; 12][..], &protocol, from(short("network")?)?].concat()
        }
        mac => from(mac)?.to_vec(),
    };
    let function = fields.get("function")?.split('+').next()?.to_owned();
    Some(Drop { at, netns: short("netns")?, link: short("link")?, function, reason, frame })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "print fmt: \"skbaddr=%p protocol=%u location=%p reason: %s\", REC->skbaddr, \
                          __print_symbolic(REC->reason, { 1, \"CONSUMED\" }, { 2, \"NOT_SPECIFIED\" })";

    /// A line as kernels write it, of a frame whose memory has 80 bytes before what is read next.
    fn line(mac: u32, more: &str) -> String {
        let numbers: Vec<String> = (0..24_u64).map(|n| format!("{:#x}", n * 0x0101)).collect();
        format!(
            "  suite-71  [001] ..s1.  2.000718: drop: (kfree_skb_reason+0x0/0x1c) netns=4026531999 link=10 \
             mac={mac} network=80 protocol=8 head=0xffff888004000000 data=0xffff888004000050{more} \
             bytes={{{}}} function=br_forward+0x1d/0x40 [bridge]",
            numbers.join(",")
        )
    }

    #[test]
    fn a_line_tells_a_frame_and_its_end() {
        let drop = parse(&line(66, " reason=2"), &reasons(FORMAT)).unwrap();
        assert_eq!(drop.at, Duration::from_micros(2_000_718));
        assert_eq!((drop.netns, drop.link), (4_026_531_999, 10));
        assert_eq!(
            (drop.function.as_str(), drop.reason.as_deref()),
            ("br_forward", Some("NOT_SPECIFIED"))
        );
        // 64 bytes before what is read next, less the 14 of the header that was read.
        assert_eq!(drop.frame.len(), BEHIND + 14);
        assert_eq!(drop.frame[..4], [0, 0, 0, 0]);
        assert_eq!(drop.frame[14..16], [8, 8]);
        assert_eq!(parse(&line(66, ""), &BTreeMap::new()).unwrap().reason, None);
        assert_eq!(parse(&line(66, " reason=99"), &reasons(FORMAT)).unwrap().reason.unwrap(), "99");
    }

    #[test]
    fn a_packet_without_a_header_is_given_one() {
        let drop = parse(&line(0xffff, ""), &BTreeMap::new()).unwrap();
        assert_eq!(drop.frame[12..16], [8, 0, 8, 8]);
    }

    #[test]
    fn what_is_no_drop_is_passed_over() {
        assert_eq!(parse(&line(66, " reason=1"), &reasons(FORMAT)), None);
        assert_eq!(parse("CPU:0 [LOST 12 EVENTS]", &BTreeMap::new()), None);
        assert_eq!(parse("", &BTreeMap::new()), None);
    }
}
