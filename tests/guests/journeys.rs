//! What a guest's kernel says of packets that it dropped, as part of a case's journeys.

use crate::{SERIES, hairpin, ran};

const CASE: &str = "bridge.docker.forward-drop-cuts-bridges-apart.v4";

/// Each of two bridges has a host that asks the other's, and what it asks is dropped.
#[test]
fn a_blocked_packet_is_told_with_the_function_that_dropped_it() {
    for (series, how) in SERIES.into_iter().zip(["nf_hook_slow", "nft_do_chain (NETFILTER_DROP)"]) {
        let ended = ran(hairpin(&["check", "--journeys", "--kernel", series, CASE]));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for bridge in ["r:br1", "r:br2"] {
            let line = format!("dropped at {bridge} by {how}");
            assert!(ended.stdout.lines().any(|l| l.trim() == line), "{line}: {}", ended.stdout);
        }
    }
}
