//! Frames through every way in which a line can fail.

use proptest::prelude::*;

use super::*;

fn encoded(payloads: &[&[u8]]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    payloads.iter().flat_map(|payload| encoder.encode(7, payload)).collect()
}

fn drained(decoder: &mut Decoder) -> Result<Vec<Vec<u8>>, Damage> {
    let mut out = Vec::new();
    while let Some(frame) = decoder.next_frame()? {
        out.push(frame.payload);
    }
    Ok(out)
}

fn decoded(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Damage> {
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    drained(&mut decoder)
}

#[test]
fn noise_before_the_first_frame_is_skipped_and_later_noise_is_damage() {
    let mut bytes = b"SeaBIOS HPN HP".to_vec();
    bytes.extend(encoded(&[b"one"]));
    assert_eq!(decoded(&bytes), Ok(vec![b"one".to_vec()]));
    bytes.extend(b"oops");
    assert_eq!(decoded(&bytes), Err(Damage::Noise { due: 1 }));
}

#[test]
fn a_lost_frame_is_seen_by_its_number() {
    let first = encoded(&[b"a"]);
    let all = encoded(&[b"a", b"b", b"c"]);
    let size = first.len();
    let mut bytes = first;
    bytes.extend(&all[2 * size..]);
    assert_eq!(decoded(&bytes), Err(Damage::Order { due: 1, came: 2 }));
}

#[test]
fn a_truncated_frame_is_no_frame() {
    let bytes = encoded(&[b"whole", b"cut"]);
    let mut decoder = Decoder::default();
    decoder.push(&bytes[..bytes.len() - 1]);
    assert_eq!(drained(&mut decoder), Ok(vec![b"whole".to_vec()]));
    assert!(decoder.is_amid_frame());
    assert_eq!(decoder.due(), 1);
}

#[test]
fn a_long_text_is_packed_and_comes_back() {
    let text = "{\"from\":\"c1\",\"to\":\"c2\",\"verdict\":\"delivered\"}".repeat(300);
    let bytes = encoded(&[text.as_bytes(), b"short"]);
    assert!(bytes.len() < text.len() / 10, "{} of {} bytes", bytes.len(), text.len());
    assert_eq!(decoded(&bytes), Ok(vec![text.into_bytes(), b"short".to_vec()]));
}

#[test]
fn what_cannot_be_unpacked_is_damage() {
    let too_long = [&u32::MAX.to_le_bytes()[..], b"x"].concat();
    let too_short = [&9_u32.to_le_bytes()[..], &lz4_flex::block::compress(b"eight by")].concat();
    for payload in [&b"abc"[..], &[0xff; 300], &too_long, &too_short] {
        let bytes = Encoder::default().frame(7 | PACKED, payload);
        assert_eq!(decoded(&bytes), Err(Damage::Packing { due: 0 }));
    }
}

#[test]
fn an_impossible_length_is_not_waited_for() {
    let mut bytes = encoded(&[b"a"]);
    bytes[9..13].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(decoded(&bytes), Err(Damage::Length { due: 0 }));
}

#[test]
fn after_damage_nothing_is_believed() {
    let mut decoder = Decoder::starting_at(0);
    let mut bytes = encoded(&[b"a"]);
    bytes[HEAD] ^= 1;
    decoder.push(&bytes);
    assert!(decoder.next_frame().is_err());
    decoder.push(&encoded(&[b"b"]));
    assert_eq!(decoder.next_frame(), Err(Damage::Checksum { due: 0 }));
}

#[test]
fn a_twin_goes_on_where_the_snapshot_was_taken() {
    let all = encoded(&[b"ready", b"more"]);
    let ready = encoded(&[b"ready"]).len();
    let mut decoder = Decoder::starting_at(1);
    decoder.push(&all[ready..]);
    assert_eq!(drained(&mut decoder), Ok(vec![b"more".to_vec()]));
}

proptest! {
    #[test]
    fn frames_come_back_however_they_are_cut(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
        cut in 1usize..40,
    ) {
        let refs: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        for piece in encoded(&refs).chunks(cut) {
            decoder.push(piece);
            out.extend(drained(&mut decoder).unwrap());
        }
        prop_assert_eq!(out, payloads);
        prop_assert!(!decoder.is_amid_frame());
    }

    #[test]
    fn a_changed_byte_never_changes_what_is_believed(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..4),
        at in any::<proptest::sample::Index>(),
        change in 1u8..=255,
    ) {
        let refs: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let mut bytes = encoded(&refs);
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        let mut believed = Vec::new();
        while let Ok(Some(frame)) = decoder.next_frame() {
            believed.push(frame.payload);
        }
        prop_assert!(believed.len() < payloads.len());
        prop_assert_eq!(&believed[..], &payloads[..believed.len()]);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(decoded(&bytes));
    }
}
