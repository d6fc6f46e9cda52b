//! What comes out of a macvtap link's queue, in labs where the answer is known.
//!
//! ```text
//!   c1 (macvtap)
//!      |
//!     p0 --- e
//! ```

#[path = "support/live.rs"]
mod live;

use hairpin_harness::{Errno, Error, Lab, Mode, Queue, Rule, Shot, Topology, sandbox, suite};

use live::live;

// For the sandbox; the labs here are not cases.
const RULES: &[Rule] = &[];
suite!(RULES);

fn cable() -> Topology {
    Topology::new("cable").host("c1").host("p").host("e").cable("p:p0", "e:e0").macvtap(
        "c1:c0",
        "p:p0",
        Mode::Bridge,
    )
}

/// A queue of the child, or none for an ordinary user, who cannot make device files and is told.
fn opened(lab: &Lab) -> Result<Option<Queue>, Error> {
    let queue = lab.open_queue("c1:c0");
    if !sandbox::is_rootless() {
        return queue.map(Some);
    }
    let error = queue.expect_err("an ordinary user makes no device files");
    assert!(error.help.contains("need root"), "{error}");
    Ok(None)
}

#[test]
fn each_copy_is_told_with_its_queue_and_its_header() {
    live(async || {
        let mut lab = Lab::build(&cable()).await?;
        let Some(first) = opened(&lab)? else { return Ok(()) };
        let second = lab.open_queue("c1:c0")?;
        let to = lab.mac("c1:c0");
        for (detached, place) in [(&second, 0), (&first, 1)] {
            detached.attach(false)?;
            let copies = lab.emerged(&[&first, &second], "e", &Shot::to(to).bytes(99)).await?;
            let [(at, copy)] = &copies[..] else { panic!("{copies:?}") };
            assert_eq!((*at, copy.header.len(), copy.frame.len()), (place, 10, 99));
            assert!(copy.whole);
            detached.attach(true)?;
        }
        Ok(())
    });
}

#[test]
fn who_sleeps_in_a_read_is_woken_or_interrupted() {
    live(async || {
        let lab = Lab::build(&cable()).await?;
        let Some(queue) = opened(&lab)? else { return Ok(()) };
        let told = queue.sleep_in_read()?;
        assert!(!told.slept(), "no queue blocks that was not told to");
        assert_eq!(told.woken().expect_err("nothing is there").errno, Errno::EAGAIN as i32);
        queue.set_blocking(true)?;
        let sleeper = queue.sleep_in_read()?;
        assert!(sleeper.slept());
        lab.send_many("e:e0", &Shot::to(lab.mac("c1:c0")).bytes(99), 1)?;
        assert_eq!(sleeper.woken()?.map(|frame| frame.len()), Some(10 + 99));
        let sleeper = queue.sleep_in_read()?;
        sleeper.interrupt()?;
        assert_eq!(sleeper.woken().expect_err("it was interrupted").errno, Errno::EINTR as i32);
        // One that nobody asks for any more does not stay.
        let before = threads();
        drop(queue.sleep_in_read()?);
        assert_eq!(threads(), before);
        Ok(())
    });
}

/// How many threads of this process sleep in a read.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads are told");
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    tasks.flatten().filter_map(|task| name(task).ok()).filter(|name| name == "sleeper\n").count()
}

#[test]
fn of_a_link_that_gets_nothing_nothing_is_concluded() {
    live(async || {
        let mut lab = Lab::build(&cable()).await?;
        let Some(queue) = opened(&lab)? else { return Ok(()) };
        lab.set_up("c1:c0", false).await?;
        let to = lab.mac("c1:c0");
        let error = lab.emerged(&[&queue], "e", &Shot::to(to)).await.expect_err("no control came");
        assert!(error.what.contains("is inconclusive"), "{error}");
        Ok(())
    });
}

#[test]
fn a_link_without_a_device_has_no_queue() {
    live(async || {
        let lab = Lab::build(&cable()).await?;
        let error = lab.open_queue("e:e0").expect_err("a cable's end has no device");
        assert_eq!(error.place, "e:e0");
        assert!(error.help.contains("macvtap") || sandbox::is_rootless(), "{error}");
        let error = lab.open_queue("e:nothing").expect_err("there is no such link");
        assert!(!error.what.is_empty());
        Ok(())
    });
}
