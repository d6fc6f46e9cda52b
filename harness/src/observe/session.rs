//! Sessions of PPPoE (RFC 2516): what stands before a packet that is in one.

/// Its ethertype, once the session stands.
pub(super) const ETHERTYPE: u16 = 0x8864;

/// How long the header is, with the protocol of PPP.
pub(super) const HEADER: usize = 8;

/// The header, and the protocol of PPP that says of which family the packet is.
pub(super) fn header(session: u16, packet: &[u8]) -> Vec<u8> {
    let protocol: u16 = if packet[0] >> 4 == 4 { 0x0021 } else { 0x0057 };
    let length = u16::try_from(2 + packet.len()).expect("it is short");
    let mut header = vec![0x11, 0];
    header.extend([session, length, protocol].map(u16::to_be_bytes).concat());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_session_length_and_family() {
        let of_ipv4 = header(7, &[0x45, 0, 0, 0]);
        assert_eq!(of_ipv4, [0x11, 0, 0, 7, 0, 6, 0, 0x21]);
        assert_eq!(of_ipv4.len(), HEADER);
        assert_eq!(header(7, &[0x60])[6..], [0, 0x57]);
    }
}
