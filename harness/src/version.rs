//! The version of the running kernel, for promises that changed.

use std::fs;

use hairpin_model::expectation::RunningKernel;

/// A kernel series, `6.12` for example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kernel {
    major: u32,
    minor: u32,
}

impl Kernel {
    /// The series `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// The running kernel's series; 0.0 when it does not say.
    pub fn running() -> Self {
        Self::parse(&Self::release()).unwrap_or(Self::new(0, 0))
    }

    /// The running kernel's release, as `uname -r` prints it.
    pub fn release() -> String {
        fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
    }

    /// The running kernel as expectations are keyed.
    pub(crate) fn running_for_expectations() -> Option<RunningKernel> {
        let banner = fs::read_to_string("/proc/version").unwrap_or_default();
        RunningKernel::parse(&Self::release(), &banner)
    }

    fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(Self { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::Kernel;

    #[test]
    fn a_release_names_its_series() {
        assert_eq!(Kernel::parse("6.12.43+deb13-cloud-amd64"), Some(Kernel::new(6, 12)));
        assert_eq!(Kernel::parse("7.3-rc1"), Some(Kernel::new(7, 3)));
        assert_eq!(Kernel::parse("unknown"), None);
        assert!(Kernel::new(6, 12) < Kernel::new(7, 0));
    }
}
