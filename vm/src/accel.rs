//! Which accelerator a guest runs on, found by measuring, and the sentence that says so in reports.
//!
//! That `/dev/kvm` exists or opens tells nothing: inside some virtual machines it opens and then emulates each
//! instruction, a thousand times slower than the hardware and slower than QEMU's own translator by far.

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use crate::sys::kvm::{self, Ran};

/// Rounds of the probe's loop: a third of a millisecond on hardware.
const ROUNDS: u32 = 1_000_000;
const LIMIT: Duration = Duration::from_millis(30);

/// Runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Accel {
    /// The hardware.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl Accel {
    /// As QEMU calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The faster one that works, by measurement.
    #[default]
    Measure,
    /// This one.
    Force(Accel),
}

/// An accelerator, and why that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The accelerator.
    pub accel: Accel,
    /// Why, as reports say it: `tcg (kvm is present, but did 27 thousand rounds of 1 million in 30 ms)`.
    pub why: String,
}

/// Chooses, measuring once in the life of the process if the choice is left to measurement.
pub fn choose(choice: Choice) -> Chosen {
    static MEASURED: OnceLock<Chosen> = OnceLock::new();
    match choice {
        Choice::Force(accel) => Chosen { accel, why: format!("{} (as asked for)", accel.name()) },
        Choice::Measure => MEASURED.get_or_init(|| judge(&kvm::run_loop(ROUNDS, LIMIT))).clone(),
    }
}

/// What a run of the probe's loop says.
fn judge(ran: &io::Result<Ran>) -> Chosen {
    match ran {
        Ok(Ran { finished: true, took, .. }) => Chosen {
            accel: Accel::Kvm,
            why: format!("kvm (measured: 1 million rounds in {} us)", took.as_micros()),
        },
        Ok(Ran { rounds, took, .. }) => Chosen {
            accel: Accel::Tcg,
            why: format!(
                "tcg (kvm is present, but did {} thousand rounds of 1 million in {} ms)",
                rounds / 1000,
                took.as_millis()
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Chosen { accel: Accel::Tcg, why: "tcg (there is no /dev/kvm)".into() }
        }
        Err(error) => {
            Chosen { accel: Accel::Tcg, why: format!("tcg (/dev/kvm does not work: {error})") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(rounds: u64, finished: bool, ms: u64) -> io::Result<Ran> {
        Ok(Ran { rounds, finished, took: Duration::from_millis(ms) })
    }

    #[test]
    fn only_a_loop_that_ends_in_time_makes_it_kvm() {
        assert_eq!(judge(&ran(1_000_000, true, 1)).accel, Accel::Kvm);
        let slow = judge(&ran(27_500, false, 30));
        assert_eq!(slow.accel, Accel::Tcg);
        assert_eq!(
            slow.why,
            "tcg (kvm is present, but did 27 thousand rounds of 1 million in 30 ms)"
        );
    }

    #[test]
    fn why_there_is_no_kvm_is_told() {
        let error = |kind| judge(&Err(io::Error::from(kind)));
        assert_eq!(error(io::ErrorKind::NotFound).why, "tcg (there is no /dev/kvm)");
        let denied = error(io::ErrorKind::PermissionDenied);
        assert_eq!(denied.why, "tcg (/dev/kvm does not work: permission denied)");
    }

    #[test]
    fn the_probe_keeps_to_its_time_and_its_verdict() {
        let begin = std::time::Instant::now();
        let chosen = choose(Choice::Measure);
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        assert_eq!(choose(Choice::Measure), chosen);
        println!("{}", chosen.why);
    }

    #[test]
    fn a_forced_choice_is_not_measured() {
        assert_eq!(choose(Choice::Force(Accel::Kvm)).why, "kvm (as asked for)");
    }
}
