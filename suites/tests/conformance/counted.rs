//! What links count of one frame. A shot comes with the frames that prove its fate, so two shots are
//! compared that differ in length only: the difference is the shot's alone.
//!
//! No cases here. The lab must be quiet: whoever speaks unasked is counted too.

use hairpin_harness::{CaseLab, Class, Counters, Family, Received, Shot, Stop};

/// By how many bytes the longer shot is longer.
pub(crate) const MORE: u64 = 900;

/// How many bytes the two shots have.
pub(crate) const BYTES: [usize; 2] = [100, 1000];

/// A shot: its sender, itself, and who hears it.
pub(crate) type Sent<'a> = (&'a str, &'a Shot, &'a str);

/// Holds how many bytes each link counts more of the longer shot, received and sent. Gives what each
/// link has counted of both.
pub(crate) async fn expect_bytes(
    lab: &mut CaseLab,
    (from, shot, heard): Sent<'_>,
    wanted: &[(&str, u64, u64)],
) -> Result<Vec<[Counters; 2]>, Stop> {
    let links: Vec<&str> = wanted.iter().map(|(link, ..)| *link).collect();
    let mut counted = vec![[Counters::default(); 2]; wanted.len()];
    for (which, bytes) in BYTES.into_iter().enumerate() {
        let before = counters(lab, &links).await?;
        lab.expect_shot(from, &shot.clone().bytes(bytes), heard).await?;
        let after = counters(lab, &links).await?;
        for (of_link, (after, before)) in counted.iter_mut().zip(after.into_iter().zip(before)) {
            of_link[which] = after - before;
        }
    }
    for ((link, rx, tx), [short, long]) in wanted.iter().zip(&counted) {
        let more = *long - *short;
        let seen = (more.rx_bytes, more.tx_bytes);
        let claim = format!("{link} counts {rx} bytes more received and {tx} sent of {shot}");
        lab.claim(&claim, seen == (*rx, *tx), format!("{seen:?}"))?;
    }
    Ok(counted)
}

/// What links have counted when nothing is under way any more: unicast shots are announced by
/// broadcast, which macvlan children take out of a queue in their own time.
async fn counters(lab: &mut CaseLab, links: &[&str]) -> Result<Vec<Counters>, Stop> {
    settled(lab).await?;
    read(lab, links).await
}

/// What links have counted so far.
async fn read(lab: &CaseLab, links: &[&str]) -> Result<Vec<Counters>, Stop> {
    let mut all = Vec::new();
    for link in links {
        all.push(lab.counters(*link).await?);
    }
    Ok(all)
}

/// Flushes what is under way.
pub(crate) async fn settled(lab: &mut CaseLab) -> Result<(), Stop> {
    lab.observe(Class::Broadcast).await?;
    Ok(())
}

/// Holds that links count broadcasts from outside as so many frames to a group, with all of their bytes.
pub(crate) async fn expect_groups(
    lab: &mut CaseLab,
    from: &str,
    links: &[&str],
) -> Result<(), Stop> {
    const TIMES: u64 = 5;
    let before = counters(lab, links).await?;
    // The grid behind it is counted, too: as much as the one behind nothing.
    let nothing = counters(lab, links).await?;
    lab.send_many(from, &Shot::broadcast().bytes(BYTES[0]), TIMES as usize)?;
    let after = counters(lab, links).await?;
    for (at, link) in links.iter().enumerate() {
        let seen = (after[at] - nothing[at]) - (nothing[at] - before[at]);
        let seen = (seen.rx_packets, seen.multicast, seen.rx_bytes);
        let wanted = (TIMES, TIMES, TIMES * BYTES[0] as u64);
        let claim = format!("{link} counts {wanted:?} frames, groups and bytes");
        lab.claim(&claim, seen == wanted, format!("{seen:?}"))?;
    }
    Ok(())
}

/// Ethernet, IPv4 and UDP headers, and what [`expect_exactly`]'s datagrams carry.
pub(crate) const DATAGRAM: u64 = 14 + 20 + 8 + 8;

/// Counters of a link that has received and sent so many frames and bytes, and nothing else.
pub(crate) fn only(received: (u64, u64), sent: (u64, u64)) -> Counters {
    Counters {
        rx_packets: received.0,
        rx_bytes: received.1,
        tx_packets: sent.0,
        tx_bytes: sent.1,
        ..Counters::default()
    }
}

/// Holds all that each link counts of two datagrams over IPv4 from one host to another.
pub(crate) async fn expect_exactly(
    lab: &CaseLab,
    (from, to): (&str, &str),
    wanted: &[(&str, Counters)],
) -> Result<(), Stop> {
    let links: Vec<&str> = wanted.iter().map(|(link, _)| *link).collect();
    let before = read(lab, &links).await?;
    // It comes with one behind it.
    lab.datagram(Family::V4, from, to, true)?;
    for ((link, wanted), before) in wanted.iter().zip(before) {
        let seen = lab.counters(*link).await? - before;
        let claim = format!("{from} to {to}: {link} counts {wanted:?}");
        lab.claim(&claim, seen == *wanted, format!("{seen:?}"))?;
    }
    Ok(())
}

/// Holds that a datagram with a broken check sum is counted and thrown away, and a sound one not.
pub(crate) fn expect_sums(lab: &CaseLab, family: Family, from: &str, to: &str) -> Result<(), Stop> {
    for sound in [true, false, true] {
        let seen = lab.datagram(family, from, to, sound)?;
        let wanted = Received { heard: sound, counted: u64::from(!sound) };
        let claim = format!("{from} to {to}, sound {sound}: {wanted:?}");
        lab.claim(&claim, seen == wanted, format!("{seen:?}"))?;
    }
    Ok(())
}

/// How many frames each CPU sends.
const EACH: u64 = 5;

/// Which counters of a link are meant.
pub(crate) type Which = fn(&Counters) -> (u64, u64);

/// Frames and bytes that a link has received.
pub(crate) const RECEIVED: Which = |all| (all.rx_packets, all.rx_bytes);

/// Frames and bytes that a link has sent.
pub(crate) const SENT: Which = |all| (all.tx_packets, all.tx_bytes);

/// Frames to groups that a link has received, and those that it has received in all.
pub(crate) const GROUPS: Which = |all| (all.multicast, all.rx_packets);

/// Frames that a link should have sent and has not, and those that it has sent.
pub(crate) const DROPPED: Which = |all| (all.tx_dropped, all.tx_packets);

/// Holds what a link counts for each frame, where all CPUs send some: the counters of all are summed.
pub(crate) async fn expect_of_all_cpus(
    lab: &CaseLab,
    (from, shot): (&str, &Shot),
    (link, which, wanted): (&str, Which, (u64, u64)),
) -> Result<(), Stop> {
    let before = lab.counters(link).await?;
    let cpus = lab.from_each_cpu(|lab| lab.send_many(from, shot, EACH as usize).map(|_| ()))?;
    let times = cpus * EACH;
    let comes = if from == link { 0 } else { times };
    let seen = which(&lab.counters_after(link, before, comes).await?);
    let claim = format!("{link} counts {times} times {wanted:?} of {shot} by {from}");
    lab.claim(&claim, seen == (times * wanted.0, times * wanted.1), format!("{seen:?}"))
}
