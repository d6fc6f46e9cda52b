//! Who reads a macvtap link's queue and sleeps until there is something.
//!
//! ```text
//!   c1 (macvtap) --- p0 [br0] s1 --- e
//! ```

use std::collections::BTreeSet;

use hairpin_fixtures::lan::{macvtap_lan, quiet};
use hairpin_harness::queue::PLAIN;
use hairpin_harness::{
    Case, CaseLab, Errno, Mode, Queue, Rule, Shot, Source, Stop, Strength, check,
};

use super::NEEDS;
use super::limits::drain;

pub(crate) const RULES: &[Rule] = &[WAITS, ENDS];

/// A queue of frames alone, with nothing in it, which has its readers wait.
async fn blocking(case: &mut Case) -> Result<(CaseLab, Queue), Stop> {
    let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
    let queue = lab.open_queue("c1:c0")?;
    queue.set_flags(PLAIN)?;
    drain(&queue)?;
    queue.set_blocking(true)?;
    Ok((lab, queue))
}

fn send(lab: &CaseLab, bytes: usize) -> Result<(), Stop> {
    lab.send_many("e:e0", &Shot::to(lab.mac("c1:c0")).bytes(bytes), 1)?;
    Ok(())
}

const WAITS: Rule = Rule {
    id: "macvtap.asleep.a-read-waits-for-a-frame",
    promise: "who reads an empty queue sleeps until a frame comes, each of several for one of their own; where one is \
              there already it is given at once, and who does not want to wait is told that there is none",
    source: Source {
        cite: "tap_do_read, drivers/net/tap.c; read(2), EAGAIN",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_read_waits_for_a_frame() {
    check(&WAITS, async |case| {
        let (lab, queue) = blocking(case).await?;
        let sleepers = [queue.sleep_in_read()?, queue.sleep_in_read()?];
        let slept = sleepers.iter().filter(|one| one.slept()).count();
        lab.claim("both sleep", slept == 2, slept)?;
        let lengths = BTreeSet::from([100, 200]);
        for bytes in &lengths {
            send(&lab, *bytes)?;
        }
        let mut given = BTreeSet::new();
        for sleeper in sleepers {
            given.insert(sleeper.woken()?.map_or(0, |frame| frame.len()));
        }
        lab.claim(
            &format!("they are given {lengths:?} bytes"),
            given == lengths,
            format!("{given:?}"),
        )?;
        let watch = queue.watch()?;
        send(&lab, 300)?;
        lab.claim("it comes", watch.was_woken(), "not within five seconds")?;
        let awake = queue.sleep_in_read()?;
        lab.claim("nobody sleeps then", !awake.slept(), "they do")?;
        let given = awake.woken()?.map_or(0, |frame| frame.len());
        lab.claim("it is given", given == 300, given)?;
        queue.set_blocking(false)?;
        let awake = queue.sleep_in_read()?;
        lab.claim("who does not want to does not sleep", !awake.slept(), "they do")?;
        lab.expect_refusal("to read what is not there", awake.woken(), Errno::EAGAIN)
    });
}

const ENDS: Rule = Rule {
    id: "macvtap.asleep.a-signal-ends-the-wait",
    promise: "who sleeps in a read is woken by a signal and given nothing; the next frame is there for who reads then",
    source: Source {
        cite: "tap_do_read, drivers/net/tap.c; signal(7), EINTR",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_signal_ends_the_wait() {
    check(&ENDS, async |case| {
        let (lab, queue) = blocking(case).await?;
        let sleeper = queue.sleep_in_read()?;
        lab.claim("it sleeps", sleeper.slept(), "it does not")?;
        sleeper.interrupt()?;
        lab.expect_refusal("to wait any longer", sleeper.woken(), Errno::EINTR)?;
        let watch = queue.watch()?;
        send(&lab, 100)?;
        lab.claim("one comes", watch.was_woken(), "not within five seconds")?;
        let given = queue.read(2000)?.map_or(0, |frame| frame.len());
        lab.claim("it is given", given == 100, given)
    });
}
