//! Frames that the machine itself lost: each CPU's receive queue takes only so many
//! (`net.core.netdev_max_backlog`), and drops the rest.
//!
//! A frame that was lost there was not blocked, and a control that came later proves nothing of it.
//! The queues are the machine's, shared by all of its namespaces, so its own load can fill them.

use std::fs;

use hairpin_model::Error;
use hairpin_model::grid::{Cell, Verdict};

/// How many frames the machine's CPUs had dropped at some moment.
pub(super) struct Losses(u32);

impl Losses {
    /// As of now.
    pub(super) fn now() -> Result<Self, Error> {
        let path = "/proc/thread-self/net/softnet_stat";
        let table = fs::read_to_string(path).map_err(|error| {
            Error::new(format!("cannot read the kernel's table: {error}"), path, "mount /proc")
        })?;
        Ok(Self(dropped(&table)))
    }

    /// Takes back what was said of missing frames if any were lost since.
    pub(super) fn doubt<'c>(&self, cells: impl Iterator<Item = &'c mut Cell>) -> Result<(), Error> {
        let lost = Self::now()?.0.wrapping_sub(self.0);
        for cell in cells {
            if lost > 0 && matches!(cell.verdict, Verdict::Blocked | Verdict::OneWay) {
                let why = format!("the machine dropped {lost} frames from its receive queues");
                cell.verdict = Verdict::Inconclusive(why);
                cell.proof = None;
            }
        }
        Ok(())
    }
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
    fn what_is_missing_is_doubted_after_a_loss() {
        let mut grid = Grid::undecided(Class::Unicast, vec!["a".into(), "b".into()]);
        grid.cells[0][1] = Cell::new(Verdict::Delivered);
        grid.cells[1][0] = Cell::new(Verdict::Blocked);
        let now = Losses::now().unwrap();
        Losses(now.0.wrapping_sub(1)).doubt(grid.cells.iter_mut().flatten()).unwrap();
        assert_eq!(grid.to_string(), "   a b\na  . +\nb  ? .");
    }
}
