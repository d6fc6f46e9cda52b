//! What the machine itself lost: each CPU's receive queue takes only so many frames
//! (`net.core.netdev_max_backlog`) and drops the rest; the tables of neighbours take only so many
//! entries (`net.ipv4.neigh.default.gc_thresh3`), and what is for one more is dropped too.
//!
//! A frame that was lost there was not blocked, and a control that came later proves nothing of it.
//! Both are the machine's, shared by all of its namespaces, so its own load can fill them.
//!
//! Older kernels (6.1 is one) count at the queues also what was for a link that was taken down
//! meanwhile, of any lab. So it only counts here if a link of this lab has lost something, too: the
//! kernel counts each such frame at the link that it was for.

use std::fs;

use hairpin_model::Error;
use hairpin_model::grid::{Cell, Verdict};

use super::cpus;
use crate::lab::Lab;

/// How much the machine had lost at some moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Losses {
    /// Frames that its CPUs had no place for.
    frames: u32,
    /// Neighbours that its tables had no place for.
    neighbours: u64,
}

impl Losses {
    /// As of now.
    pub(super) async fn now(lab: &Lab) -> Result<Self, Error> {
        let table = cpus::table()?;
        let neighbours =
            match lab.nodes().first() {
                Some(node) => node.netlink.full_neighbour_tables().await.map_err(|refused| {
                    refused.error("show the tables of neighbours", &node.name)
                })?,
                None => 0,
            };
        Ok(Self { frames: dropped(&table), neighbours })
    }

    /// Takes back what was said of missing frames if any were lost since.
    pub(super) async fn doubt<'c>(
        self,
        lab: &Lab,
        cells: impl Iterator<Item = &'c mut Cell>,
    ) -> Result<(), Error> {
        if let Some(why) = self.since(lab).await? {
            doubt(cells, &why);
        }
        Ok(())
    }

    /// What was lost since, in words.
    pub(super) async fn since(self, lab: &Lab) -> Result<Option<String>, Error> {
        let now = Self::now(lab).await?;
        let ours = now.frames != self.frames && has_lost(lab)?;
        Ok(self.until(now, ours))
    }

    /// What was lost between two moments; `ours` says whether a link of the lab has ever lost frames.
    fn until(self, now: Self, ours: bool) -> Option<String> {
        let frames = now.frames.wrapping_sub(self.frames);
        let neighbours = now.neighbours.wrapping_sub(self.neighbours);
        if frames > 0 && ours {
            return Some(format!("the machine dropped {frames} frames from its receive queues"));
        }
        (neighbours > 0)
            .then(|| format!("the machine's table of neighbours was full {neighbours} times"))
    }
}

fn doubt<'c>(cells: impl Iterator<Item = &'c mut Cell>, why: &str) {
    for cell in cells {
        if matches!(cell.verdict, Verdict::Blocked | Verdict::OneWay) {
            cell.verdict = Verdict::Inconclusive(why.into());
            cell.proof = None;
        }
    }
}

/// Whether a link of the lab has lost received frames since it was made.
fn has_lost(lab: &Lab) -> Result<bool, Error> {
    for node in lab.nodes() {
        if lost(&node.ns.enter(devices)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The table of links of the namespace that the thread is in.
pub(super) fn devices() -> Result<String, Error> {
    let path = "/proc/thread-self/net/dev";
    fs::read_to_string(path).map_err(|error| {
        Error::new(format!("cannot read the kernel's table: {error}"), path, "mount /proc")
    })
}

/// Behind two lines of titles, the fourth number of a link is what it has not taken.
fn lost(table: &str) -> bool {
    let of_link = |line: &str| {
        let (_, numbers) = line.split_once(':')?;
        Some(numbers.split_whitespace().nth(3)? != "0")
    };
    table.lines().skip(2).any(|line| of_link(line).unwrap_or(true))
}

/// The second column of each line, in hexadecimal, is a CPU's.
fn dropped(table: &str) -> u32 {
    let of_cpu = |line: &str| u32::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    table.lines().filter_map(of_cpu).fold(0, u32::wrapping_add)
}

#[cfg(test)]
mod tests {
    use hairpin_model::{Class, Grid};

    use super::*;

    #[test]
    fn the_cpus_are_added_up() {
        assert_eq!(dropped("005dbaf9 0000000a 00000006\n0055162f ffffffff 00000006\n"), 9);
    }

    #[test]
    fn each_loss_is_named() {
        let before = Losses { frames: 7, neighbours: 1 };
        assert_eq!(before.until(before, true), None);
        let after = Losses { frames: 9, neighbours: 1 };
        assert!(before.until(after, true).unwrap().contains("dropped 2 frames"));
        assert_eq!(before.until(after, false), None, "another lab's");
        let after = Losses { frames: 7, neighbours: 4 };
        assert!(before.until(after, false).unwrap().contains("was full 3 times"));
    }

    #[test]
    fn a_link_that_lost_a_frame_is_seen() {
        let table = |dropped: &str| {
            format!(
                "Inter-|   Receive\n face |bytes\n    lo:  0 0 0 0 0 0 0 0 1 1 1 1\n  eth0:9 9 0 {dropped} 0 0\n"
            )
        };
        assert!(!lost(&table("0")) && lost(&table("1")));
        assert!(lost("Inter-\n face\n what is this\n"), "what cannot be read says nothing");
    }

    #[test]
    fn what_is_missing_is_doubted_after_a_loss() {
        let mut grid = Grid::undecided(Class::Unicast, vec!["a".into(), "b".into()]);
        grid.cells[0][1] = Cell::new(Verdict::Delivered);
        grid.cells[1][0] = Cell::new(Verdict::Blocked);
        doubt(grid.cells.iter_mut().flatten(), "lost");
        assert_eq!(grid.to_string(), "   a b\na  . +\nb  ? .");
    }
}
