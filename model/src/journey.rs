//! The journey of a cell's frames: hop by hop, and how they were changed on the way.
//!
//! A journey is what the taps saw, put in order, and no more: a link on which nothing was seen is
//! not in it, and why a frame went no further is a verdict's matter.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::grid::{Direction, Sighting};
use crate::topology::Mac;

/// What a frame said of its way where it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Headers {
    /// Its source MAC address.
    #[serde(with = "words")]
    pub from: Mac,
    /// Its destination MAC address.
    #[serde(with = "words")]
    pub to: Mac,
    /// Its VLAN ids, the outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vlan: Vec<u16>,
    /// Its IP addresses: source, destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<(IpAddr, IpAddr)>,
    /// Its TTL or hop limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
    /// Its UDP or TCP ports: source, destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<(u16, u16)>,
}

/// What is written as it is displayed.
mod words {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err = String>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.from, self.to)?;
        for id in &self.vlan {
            write!(f, ", VLAN {id}")?;
        }
        if let Some((from, to)) = self.ip {
            write!(f, ", {from} > {to}")?;
        }
        if let Some((from, to)) = self.ports {
            write!(f, ", port {from} > {to}")?;
        }
        self.ttl.map_or(Ok(()), |ttl| write!(f, ", TTL {ttl}"))
    }
}

/// One thing that a frame's headers say otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What: `TTL`, `source MAC`.
    pub what: &'static str,
    /// What it was.
    pub before: String,
    /// What it is.
    pub now: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.what, self.before, self.now)
    }
}

impl Headers {
    /// What these say otherwise than others.
    pub fn changes(&self, before: &Self) -> Vec<Change> {
        let (ip, was_ip) = (self.ip.unzip(), before.ip.unzip());
        let (ports, was_ports) = (self.ports.unzip(), before.ports.unzip());
        let all = [
            change("source MAC", &before.from, &self.from, ToString::to_string),
            change("destination MAC", &before.to, &self.to, ToString::to_string),
            change("VLAN", &before.vlan, &self.vlan, |ids| vlan_words(ids)),
            change("source address", &was_ip.0, &ip.0, words_of),
            change("destination address", &was_ip.1, &ip.1, words_of),
            change("source port", &was_ports.0, &ports.0, words_of),
            change("destination port", &was_ports.1, &ports.1, words_of),
            change("TTL", &before.ttl, &self.ttl, words_of),
        ];
        all.into_iter().flatten().collect()
    }
}

/// Nothing if it is the same.
fn change<T: PartialEq>(
    what: &'static str,
    before: &T,
    now: &T,
    words: fn(&T) -> String,
) -> Option<Change> {
    (before != now).then(|| Change { what, before: words(before), now: words(now) })
}

fn vlan_words(ids: &[u16]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    if ids.is_empty() { "none".into() } else { ids.join(" in ") }
}

fn words_of(value: &Option<impl fmt::Display>) -> String {
    value.as_ref().map_or_else(|| "none".into(), ToString::to_string)
}

/// The way of all frames of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The kind: `echo request`.
    pub kind: String,
    /// Where they were seen, in order of time.
    pub hops: Vec<Hop>,
}

/// A link that saw a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The link, as `netns:link`.
    pub link: String,
    /// Which way the frame passed.
    pub direction: Direction,
    /// What it said there; nothing where the run was written before journeys were.
    pub headers: Option<Headers>,
    /// What it says otherwise than where it was seen before.
    pub changes: Vec<Change>,
}

/// The journey of these sightings: a leg for each kind of frame, in order of first sight.
pub fn legs(seen: &[Sighting]) -> Vec<Leg> {
    let mut legs: Vec<Leg> = Vec::new();
    for sighting in seen {
        let place = legs.iter().position(|leg| leg.kind == sighting.what).unwrap_or_else(|| {
            legs.push(Leg { kind: sighting.what.clone(), hops: Vec::new() });
            legs.len() - 1
        });
        let hops = &mut legs[place].hops;
        let before = hops.last().and_then(|hop| hop.headers.clone());
        // Headers that are not told are those of the sighting before.
        let headers = sighting.headers.clone().or_else(|| before.clone());
        let changes = match (&headers, &before) {
            (Some(headers), Some(before)) if headers != before => headers.changes(before),
            _ => Vec::new(),
        };
        let (link, direction) = (sighting.link.clone(), sighting.direction);
        hops.push(Hop { link, direction, headers, changes });
    }
    legs
}

/// Leaves out headers that are those of the sighting of that kind before: [`legs`] reads them the same.
pub fn fold(seen: &mut [Sighting]) {
    let mut last: Vec<(String, Headers)> = Vec::new();
    for sighting in seen {
        let Some(headers) = sighting.headers.take() else { continue };
        match last.iter_mut().find(|(kind, _)| *kind == sighting.what) {
            Some((_, before)) if *before == headers => continue,
            Some((_, before)) => before.clone_from(&headers),
            None => last.push((sighting.what.clone(), headers.clone())),
        }
        sighting.headers = Some(headers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(ttl: u8) -> Headers {
        Headers {
            from: Mac([2, 0, 0, 0, 0, 1]),
            to: Mac([2, 0, 0, 0, 0, 2]),
            vlan: Vec::new(),
            ip: Some(([192, 0, 2, 1].into(), [192, 0, 2, 2].into())),
            ttl: Some(ttl),
            ports: None,
        }
    }

    fn seen(link: &str, what: &str, headers: Headers) -> Sighting {
        let (link, what, headers) = (link.into(), what.into(), Some(headers));
        Sighting { link, direction: Direction::Out, what, headers }
    }

    fn routed() -> Vec<Sighting> {
        vec![
            seen("a:x", "echo request", headers(64)),
            seen("r:x", "echo request", headers(64)),
            seen("b:x", "echo reply", headers(64)),
            seen(
                "r:y",
                "echo request",
                Headers { to: Mac::BROADCAST, vlan: vec![10], ..headers(63) },
            ),
        ]
    }

    #[test]
    fn a_leg_tells_what_was_changed_where() {
        let legs = legs(&routed());
        assert_eq!((legs[0].kind.as_str(), legs[1].kind.as_str()), ("echo request", "echo reply"));
        let changes: Vec<Vec<String>> = legs[0]
            .hops
            .iter()
            .map(|hop| hop.changes.iter().map(ToString::to_string).collect())
            .collect();
        let last = [
            "destination MAC 02:00:00:00:00:02 -> ff:ff:ff:ff:ff:ff",
            "VLAN none -> 10",
            "TTL 64 -> 63",
        ];
        assert_eq!(changes, [vec![], vec![], last.map(str::to_owned).to_vec()]);
    }

    #[test]
    fn what_is_folded_is_read_the_same() {
        let mut folded = routed();
        fold(&mut folded);
        let told: Vec<bool> = folded.iter().map(|sighting| sighting.headers.is_some()).collect();
        assert_eq!(told, [true, false, true, true]);
        assert_eq!(legs(&folded), legs(&routed()));
    }

    #[test]
    fn headers_are_written_in_words_and_read_back() {
        let tagged = Headers { vlan: vec![10], ports: Some((1024, 80)), ..headers(64) };
        let json = serde_json::to_string(&tagged).unwrap();
        insta::assert_snapshot!(json, @r#"{"from":"02:00:00:00:00:01","to":"02:00:00:00:00:02","vlan":[10],"ip":["192.0.2.1","192.0.2.2"],"ttl":64,"ports":[1024,80]}"#);
        assert_eq!(serde_json::from_str::<Headers>(&json).unwrap(), tagged);
        insta::assert_snapshot!(tagged, @"02:00:00:00:00:01 > 02:00:00:00:00:02, VLAN 10, 192.0.2.1 > 192.0.2.2, port 1024 > 80, TTL 64");
    }
}
