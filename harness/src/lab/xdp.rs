//! XDP programs of links: small ones, made here, that do one thing with the frames to one address.
//!
//! They are the driver's own (`XDP_FLAGS_DRV_MODE`): what the stack would do in its place says
//! nothing of the driver.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Mac};

use super::Lab;
use crate::sys::bpf;

/// What a program does with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Xdp {
    /// Passes it on to the stack.
    Pass,
    /// Drops it.
    Drop,
    /// Says that something went wrong.
    Abort,
    /// Says what no kernel knows.
    Nonsense,
    /// Sends it back where it came from.
    SendBack,
    /// Has it sent by another link of the same namespace.
    Redirect(LinkName),
    /// Passes it with so many bytes less at its end.
    Shorten(u16),
    /// Passes it with so many bytes more, between its header and the rest.
    Lengthen(u8),
}

impl fmt::Display for Xdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Drop => f.write_str("drop"),
            Self::Abort => f.write_str("abort"),
            Self::Nonsense => f.write_str("say nonsense"),
            Self::SendBack => f.write_str("send back"),
            Self::Redirect(link) => write!(f, "redirect to {link}"),
            Self::Shorten(bytes) => write!(f, "shorten by {bytes}"),
            Self::Lengthen(bytes) => write!(f, "lengthen by {bytes}"),
        }
    }
}

/// An instruction (`struct bpf_insn`): its code, two registers, an offset and a number.
const fn op(code: u8, to: u8, from: u8, offset: i16, number: i32) -> u64 {
    let [o0, o1] = offset.to_ne_bytes();
    let [n0, n1, n2, n3] = number.to_ne_bytes();
    u64::from_ne_bytes([code, to | from << 4, o0, o1, n0, n1, n2, n3])
}

const MOVE: u8 = 0xb7;
const COPY: u8 = 0xbf;
const ADD: u8 = 0x07;
const LOAD_WORD: u8 = 0x61;
const LOAD_HALF: u8 = 0x69;
const STORE_WORD: u8 = 0x63;
const STORE_HALF: u8 = 0x6b;
const IF_GREATER: u8 = 0x2d;
const IF_WORD_DIFFERS: u8 = 0x56;
const IF_DIFFERS: u8 = 0x55;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

/// Helpers of `enum bpf_func_id`.
const REDIRECT: i32 = 23;
const ADJUST_HEAD: i32 = 44;
const ADJUST_TAIL: i32 = 65;

/// What a program may say (`enum xdp_action`), and what none may.
const ABORTED: i32 = 0;
const DROPPED: i32 = 1;
const PASSED: i32 = 2;
const SENT_BACK: i32 = 3;
const UNKNOWN: i32 = 77;

/// `BPF_F_XDP_HAS_FRAGS`.
const HAS_FRAGS: u32 = 1 << 5;

/// The words of a program that does this with frames to the address, and passes all others.
fn program(to: Mac, deed: &Xdp, other: u32) -> Vec<u64> {
    let [m0, m1, m2, m3, m4, m5] = to.0;
    let low = i32::from_ne_bytes([m0, m1, m2, m3]);
    let high = i32::from(u16::from_ne_bytes([m4, m5]));
    let say = |verdict| vec![op(MOVE, 0, 0, 0, verdict), op(EXIT, 0, 0, 0, 0)];
    let done = match deed {
        Xdp::Pass => say(PASSED),
        Xdp::Drop => say(DROPPED),
        Xdp::Abort => say(ABORTED),
        Xdp::Nonsense => say(UNKNOWN),
        Xdp::SendBack => say(SENT_BACK),
        Xdp::Redirect(_) => vec![
            op(MOVE, 1, 0, 0, other.cast_signed()),
            op(MOVE, 2, 0, 0, 0),
            op(CALL, 0, 0, 0, REDIRECT),
            op(EXIT, 0, 0, 0, 0),
        ],
        Xdp::Shorten(bytes) => {
            let mut code = vec![
                op(COPY, 1, 6, 0, 0),
                op(MOVE, 2, 0, 0, -i32::from(*bytes)),
                op(CALL, 0, 0, 0, ADJUST_TAIL),
            ];
            code.extend(say(PASSED));
            code
        }
        Xdp::Lengthen(bytes) => lengthen(*bytes),
    };
    // Frames to others jump over what is done with these.
    let over = i16::try_from(done.len()).unwrap_or(i16::MAX);
    let mut code = vec![
        op(COPY, 6, 1, 0, 0),
        op(LOAD_WORD, 2, 1, 0, 0),
        op(LOAD_WORD, 3, 1, 4, 0),
        op(COPY, 4, 2, 0, 0),
        op(ADD, 4, 0, 0, 14),
        op(IF_GREATER, 4, 3, over + 4, 0),
        op(LOAD_WORD, 5, 2, 0, 0),
        op(IF_WORD_DIFFERS, 5, 0, over + 2, low),
        op(LOAD_HALF, 5, 2, 4, 0),
        op(IF_DIFFERS, 5, 0, over, high),
    ];
    code.extend(done);
    code.extend(say(PASSED));
    code
}

/// Has the frame begin some bytes earlier, and puts addresses and ethertype where it now begins.
fn lengthen(bytes: u8) -> Vec<u64> {
    let mut code = vec![
        // What stood there, in registers that a call leaves alone and on the stack.
        op(LOAD_WORD, 7, 2, 0, 0),
        op(LOAD_WORD, 8, 2, 4, 0),
        op(LOAD_WORD, 9, 2, 8, 0),
        op(LOAD_HALF, 5, 2, 12, 0),
        op(STORE_WORD, 10, 5, -4, 0),
        op(COPY, 1, 6, 0, 0),
        op(MOVE, 2, 0, 0, -i32::from(bytes)),
        op(CALL, 0, 0, 0, ADJUST_HEAD),
        // The pointers have to be looked at again.
        op(LOAD_WORD, 2, 6, 0, 0),
        op(LOAD_WORD, 3, 6, 4, 0),
        op(COPY, 4, 2, 0, 0),
        op(ADD, 4, 0, 0, 14),
        op(IF_GREATER, 4, 3, 5, 0),
        op(STORE_WORD, 2, 7, 0, 0),
        op(STORE_WORD, 2, 8, 4, 0),
        op(STORE_WORD, 2, 9, 8, 0),
        op(LOAD_WORD, 5, 10, -4, 0),
        op(STORE_HALF, 2, 5, 12, 0),
    ];
    code.extend([op(MOVE, 0, 0, 0, PASSED), op(EXIT, 0, 0, 0, 0)]);
    code
}

/// Loads the least program there is: whether the process may, and the kernel can.
pub(crate) fn possible() -> io::Result<()> {
    bpf::load_xdp(&[op(MOVE, 0, 0, 0, PASSED), op(EXIT, 0, 0, 0, 0)], 0).map(|_| ())
}

impl Lab {
    /// Gives a link's driver a program that does this with the frames to an address and passes all
    /// others, in place of one that it has.
    pub async fn set_xdp(
        &mut self,
        link: impl Into<LinkName>,
        to: Mac,
        deed: &Xdp,
    ) -> Result<(), Error> {
        self.set_program(link.into(), (to, deed), 0).await
    }

    /// The same with a program that says it can handle frames in pieces (since 5.18).
    pub async fn set_xdp_for_pieces(
        &mut self,
        link: impl Into<LinkName>,
        to: Mac,
        deed: &Xdp,
    ) -> Result<(), Error> {
        self.set_program(link.into(), (to, deed), HAS_FRAGS).await
    }

    async fn set_program(
        &mut self,
        link: LinkName,
        (to, deed): (Mac, &Xdp),
        flags: u32,
    ) -> Result<(), Error> {
        let other = match deed {
            Xdp::Redirect(other) => self.index(other)?,
            _ => 0,
        };
        let program = bpf::load_xdp(&program(to, deed, other), flags).map_err(|error| {
            Error::new(
                format!("the kernel does not take a program: {error}"),
                link.to_string(),
                "XDP programs need root, and CONFIG_BPF_SYSCALL",
            )
        })?;
        self.give_xdp(&link, Some(&program)).await?;
        self.tell(|| format!("{link} has an XDP program: {deed} what is for {to}"));
        Ok(())
    }

    /// Takes a link's program away.
    pub async fn clear_xdp(&mut self, link: impl Into<LinkName>) -> Result<(), Error> {
        let link = link.into();
        self.give_xdp(&link, None).await?;
        self.tell(|| format!("{link} has no XDP program"));
        Ok(())
    }

    async fn give_xdp(&mut self, link: &LinkName, program: Option<&OwnedFd>) -> Result<(), Error> {
        let index = self.index(link)?;
        let fd = program.map_or(-1, AsRawFd::as_raw_fd);
        let done = self.node(&link.netns)?.netlink.set_xdp(index, fd).await;
        done.map_err(|refused| refused.error("set its XDP program", link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_takes_each_program_where_it_takes_any() {
        if possible().is_err() {
            return;
        }
        let other = Xdp::Redirect("a:eth0".into());
        for deed in [
            Xdp::Pass,
            Xdp::Drop,
            Xdp::Abort,
            Xdp::Nonsense,
            Xdp::SendBack,
            other,
            Xdp::Shorten(4),
            Xdp::Lengthen(4),
        ] {
            let taken = bpf::load_xdp(&program(Mac([2, 0, 0, 0, 0xff, 1]), &deed, 1), 0);
            assert!(taken.is_ok(), "{deed}: {taken:?}");
        }
    }
}
