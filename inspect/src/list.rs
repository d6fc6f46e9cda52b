//! Asks netlink for a whole list, and reads it to its end.

use hairpin_model::Error;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_XFRM};
use netlink_sys::{Socket, SocketAddr};

/// The list changed while it was being read.
const INTERRUPTED: u16 = 0x10;
/// How often a list is read anew that changed under our eyes, before we give up.
const ATTEMPTS: usize = 16;

/// A connection to the kernel, in the namespace that the thread is in.
pub(crate) struct Kernel(Socket);

impl Kernel {
    /// Connects.
    pub(crate) fn connect(protocol: isize) -> std::io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self(socket))
    }

    /// To its routing.
    pub(crate) fn route() -> Result<Self, Error> {
        let kernel =
            Self::connect(NETLINK_ROUTE).map_err(|error| failed("a socket", &error.to_string()))?;
        // So that the kernel heeds what a request for neighbours or links asks for.
        kernel
            .0
            .set_netlink_get_strict_chk(true)
            .map_err(|error| failed("a socket", &error.to_string()))?;
        Ok(kernel)
    }

    /// To its firewall; `None` where it has none.
    pub(crate) fn netfilter() -> Option<Self> {
        Self::connect(NETLINK_NETFILTER).ok()
    }

    /// To its transformations; `None` where it has none.
    pub(crate) fn xfrm() -> Option<Self> {
        Self::connect(NETLINK_XFRM).ok()
    }

    /// The list that a routing request asks for.
    pub(crate) fn list(
        &self,
        what: &str,
        request: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        for _ in 0..ATTEMPTS {
            let mut message = NetlinkMessage::from(request.clone());
            message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
            message.finalize();
            let mut bytes = vec![0; message.buffer_len()];
            message.serialize(&mut bytes);
            let Some(bodies) = self.ask(what, &bytes)? else { continue };
            let parse = |bytes: &Vec<u8>| {
                let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes)
                    .map_err(|error| failed(what, &error.to_string()))?;
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => Ok(inner),
                    _ => Err(failed(what, "a message of another kind in the list")),
                }
            };
            return bodies.iter().map(parse).collect();
        }
        Err(failed(what, "the list changed each time that it was read"))
    }

    /// Sends a request for a list; gives its messages whole, `None` if it changed meanwhile.
    pub(crate) fn ask(&self, what: &str, request: &[u8]) -> Result<Option<Vec<Vec<u8>>>, Error> {
        const ERROR: u16 = 2;
        const DONE: u16 = 3;
        self.0.send(request, 0).map_err(|error| failed(what, &error.to_string()))?;
        let (mut list, mut whole) = (Vec::new(), true);
        loop {
            let (datagram, _) =
                self.0.recv_from_full().map_err(|error| failed(what, &error.to_string()))?;
            let mut rest = datagram.as_slice();
            while let Some((message, next)) = split(rest) {
                rest = next;
                let kind = u16::from_ne_bytes([message[4], message[5]]);
                whole &= u16::from_ne_bytes([message[6], message[7]]) & INTERRUPTED == 0;
                if kind != ERROR && kind != DONE {
                    list.push(message.to_vec());
                    continue;
                }
                let code = message
                    .get(16..20)
                    .and_then(|code| code.try_into().ok())
                    .map_or(0, i32::from_ne_bytes);
                if code != 0 {
                    let errno = nix::errno::Errno::from_raw(code.saturating_neg());
                    return Err(Error { errno: errno as i32, ..failed(what, errno.desc()) });
                }
                return Ok(whole.then_some(list));
            }
        }
    }
}

/// The first message of a datagram, and the rest.
fn split(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    const HEADER: usize = 16;
    let length = usize::try_from(u32::from_ne_bytes(*datagram.first_chunk()?)).ok()?;
    let message = datagram.get(..length).filter(|message| message.len() >= HEADER)?;
    Some((message, datagram.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

pub(crate) fn failed(what: &str, why: &str) -> Error {
    Error::new(
        format!("{what} cannot be read: {why}"),
        "this machine",
        "run as root, on the machine itself",
    )
}

impl Kernel {
    /// The number that the namespace has for another, if it has one.
    pub(crate) fn number(&self, request: NsidMessage) -> Result<Option<i32>, Error> {
        const WHAT: &str = "the number of a namespace";
        let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetNsId(request));
        message.header.flags = NLM_F_REQUEST;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.0.send(&bytes, 0).map_err(|error| failed(WHAT, &error.to_string()))?;
        let (datagram, _) =
            self.0.recv_from_full().map_err(|error| failed(WHAT, &error.to_string()))?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&datagram)
            .map_err(|error| failed(WHAT, &error.to_string()))?;
        let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNsId(found)) = answer.payload
        else {
            return Err(failed(WHAT, "the kernel answered something else"));
        };
        Ok(found.attributes.iter().find_map(|attribute| match attribute {
            NsidAttribute::Id(id) if *id >= 0 => Some(*id),
            _ => None,
        }))
    }

    /// Whether the namespace has IPsec policies; it is taken to have some if it does not say.
    pub(crate) fn has_policies(&self) -> bool {
        const GET_POLICY: u16 = 0x15;
        /// `struct xfrm_userpolicy_id`.
        const BODY: usize = 64;
        let length = u32::try_from(16 + BODY).unwrap_or(16);
        let mut request = length.to_ne_bytes().to_vec();
        request.extend(GET_POLICY.to_ne_bytes());
        request.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
        request.extend([0; 8 + BODY]);
        self.ask("IPsec policies", &request)
            .map_or(true, |list| list.is_none_or(|list| !list.is_empty()))
    }
}
