//! The exit codes: the whole list, here and nowhere else.

use std::process::ExitCode;

/// How the command ended, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: every case passed, or was skipped where skips are allowed.
    Fine,
    /// 1: a case failed, crashed, hung or could not tell; or a skip that `--strict` forbids.
    Failed,
    /// 2: nothing could be run: wrong usage, no suite program, no privilege.
    CouldNotRun,
    /// 3: `hairpin explain` cannot tell; it ran, and says what it does not understand.
    CannotTell,
    /// 5: `hairpin explain --probe` saw something else than it had explained.
    Disagrees,
    /// 4: nothing ran: no case matched, or every case was skipped.
    NothingRan,
    /// 130: interrupted; what had finished was reported.
    Interrupted,
    /// What `hairpin run` passes on: the code of somebody else's program.
    Program(u8),
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::CouldNotRun => 2,
            Self::CannotTell => 3,
            Self::Disagrees => 5,
            Self::NothingRan => 4,
            Self::Interrupted => 130,
            Self::Program(code) => code,
        }
    }
}

/// The list as `--help` prints it; 3 and 5 are in that of `explain`, which alone ends with them.
pub(crate) const HELP: &str = "\
Exit codes:
  0    every case passed (skips are allowed unless --strict)
  1    a case failed, crashed, hung or could not tell
  2    could not run: wrong usage, no suite program, no privilege
  4    nothing ran: no case matched, or all were skipped
  130  interrupted; what had finished was reported";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_code() {
        let all =
            [Exit::Fine, Exit::Failed, Exit::CouldNotRun, Exit::NothingRan, Exit::Interrupted];
        let named: Vec<u8> = HELP
            .lines()
            .skip(1)
            .filter_map(|l| l.split_whitespace().next()?.parse().ok())
            .collect();
        assert_eq!(named, all.map(Exit::code));
    }
}
