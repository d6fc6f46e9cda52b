//! What can go wrong between a firewall and the kernel, and how a reader is told.

use std::fmt;

use nix::errno::Errno;

/// Why a firewall could not be set, cleared or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The firewall holds a rule that no packet can meet or that cannot be said to the kernel.
    /// Nothing was sent.
    Unusable {
        /// What is wrong with it.
        what: String,
        /// Which rule.
        place: String,
        /// What to do about it.
        help: &'static str,
    },
    /// The kernel refused; nothing has changed.
    Refused {
        /// Its number.
        errno: Errno,
        /// Its words, where it gave any.
        text: Option<String>,
        /// Which table, chain or rule it was about.
        place: String,
    },
    /// The kernel answered what netlink does not allow for; whether something changed is unknown.
    Garbled {
        /// What is wrong with the answer.
        what: &'static str,
        /// What was asked.
        place: String,
    },
}

impl Error {
    /// The kernel's number, when the kernel refused.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            Self::Unusable { .. } | Self::Garbled { .. } => None,
        }
    }

    /// Whether this says that the kernel lacks something, rather than that it forbids it.
    pub(super) fn is_lack(&self) -> bool {
        matches!(
            self.errno(),
            Some(Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT)
        )
    }

    fn what(&self) -> String {
        match self {
            Self::Unusable { what, .. } => what.clone(),
            Self::Refused { errno, text: None, .. } => format!("the kernel says {errno}"),
            Self::Refused { errno, text: Some(text), .. } => {
                format!("the kernel says {errno}: {text}")
            }
            Self::Garbled { what, .. } => (*what).into(),
        }
    }

    fn place(&self) -> &str {
        match self {
            Self::Unusable { place, .. }
            | Self::Refused { place, .. }
            | Self::Garbled { place, .. } => place,
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::Unusable { help, .. } => help,
            Self::Garbled { .. } => "report this with the version of the kernel",
            Self::Refused { .. } if self.is_lack() => {
                "the kernel needs nf_tables with inet, ct, reject, masq and nat (CONFIG_NFT_*)"
            }
            Self::Refused { errno: Errno::EPERM | Errno::EACCES, .. } => {
                "enter a network namespace that you own: as root, or by a user namespace"
            }
            Self::Refused { errno: Errno::EMSGSIZE | Errno::ENOBUFS, .. } => {
                "give the firewall fewer rules, or raise the sysctl `net.core.wmem_max`"
            }
            Self::Refused { .. } => "see what is there with `nft list ruleset` in the namespace",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.what())
    }
}

impl std::error::Error for Error {}

impl From<Error> for hairpin_model::Error {
    fn from(error: Error) -> Self {
        Self::new(error.what(), error.place(), error.help())
    }
}
