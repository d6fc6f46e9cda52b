//! Forwarding entries that are deleted many at once (`bridge fdb flush`, since 6.0).

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::super::Lab;
use super::fdb::{
    NDA_VLAN, NTF_EXT_LEARNED, NTF_STICKY, NTF_USE, NUD_NOARP, NUD_PERMANENT, neighbour_header,
};
use crate::attrs::Attrs;
use crate::netlink::plain::{BULK, Question, RTM_DELNEIGH};

/// Which entries are deleted: all of the bridge or port, or those that fit all that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flush {
    vlan: Option<u16>,
    at: Option<String>,
    state: Chosen<u16>,
    flags: Chosen<u8>,
}

/// Bits that an entry must have, and which bits are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Chosen<T> {
    bits: T,
    mask: T,
}

/// By what an entry is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Frames to it go up (`permanent`).
    Own,
    /// It does not age (`static`).
    Fixed,
    /// A user made it (`added_by_user`).
    ByHand,
    /// Somebody else learned it.
    ExternLearn,
    /// It stays at its port.
    Sticky,
    /// It has not been heard of lately: no entry can be chosen by that.
    Stale,
    /// It is a router's: no entry can be chosen by that.
    Router,
}

const NUD_STALE: u16 = 0x04;
const NTF_ROUTER: u8 = 0x80;
const NDA_IFINDEX: u16 = 8;
const NDA_NDM_STATE_MASK: u16 = 16;
const NDA_NDM_FLAGS_MASK: u16 = 17;

impl Quality {
    /// Its bit among the states, and among the flags.
    const fn bits(self) -> (u16, u8) {
        match self {
            Self::Own => (NUD_PERMANENT, 0),
            Self::Fixed => (NUD_NOARP, 0),
            Self::Stale => (NUD_STALE, 0),
            Self::ByHand => (0, NTF_USE),
            Self::ExternLearn => (0, NTF_EXT_LEARNED),
            Self::Sticky => (0, NTF_STICKY),
            Self::Router => (0, NTF_ROUTER),
        }
    }
}

impl Flush {
    /// In this VLAN only.
    #[must_use]
    pub const fn vlan(mut self, id: u16) -> Self {
        self.vlan = Some(id);
        self
    }

    /// At this link of the same namespace only: a port, or the bridge itself.
    #[must_use]
    pub fn at(mut self, link: &str) -> Self {
        self.at = Some(link.to_owned());
        self
    }

    /// Only what is so, or is not.
    #[must_use]
    pub const fn only(mut self, quality: Quality, is: bool) -> Self {
        let (state, flag) = quality.bits();
        self.state.mask |= state;
        self.flags.mask |= flag;
        if is {
            self.state.bits |= state;
            self.flags.bits |= flag;
        }
        self
    }
}

impl Lab {
    /// Deletes the entries that fit, of the bridge that the link is, or of the port.
    pub async fn flush_entries(
        &mut self,
        link: impl Into<LinkName>,
        which: &Flush,
    ) -> Result<(), Error> {
        let link = link.into();
        let flags = self.whose(&link) | which.flags.bits;
        let header = neighbour_header(self.index(&link)?, which.state.bits, flags);
        let attrs = self.chosen(&link, which)?;
        let asked = Question { kind: RTM_DELNEIGH, flags: BULK, header: &header, attrs };
        self.command(&link, &asked, "delete all entries that fit")?;
        self.tell(|| format!("{link} has lost its entries that fit {which:?}"));
        Ok(())
    }

    fn chosen(&self, link: &LinkName, which: &Flush) -> Result<Attrs, Error> {
        let mut attrs = Attrs::new();
        if let Some(id) = which.vlan {
            attrs = attrs.bytes(NDA_VLAN, &id.to_ne_bytes());
        }
        if let Some(at) = &which.at {
            let index = self.index(&LinkName::new(&link.netns, at))?;
            attrs = attrs.bytes(NDA_IFINDEX, &index.to_ne_bytes());
        }
        if which.state.mask != 0 {
            attrs = attrs.bytes(NDA_NDM_STATE_MASK, &which.state.mask.to_ne_bytes());
        }
        if which.flags.mask != 0 {
            attrs = attrs.bytes(NDA_NDM_FLAGS_MASK, &[which.flags.mask]);
        }
        Ok(attrs)
    }
}
