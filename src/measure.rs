//! Figures of networks, as ratios to a plain cable: read from a run's events.
//!
//! A figure of one round is compared with the cable's of the same round, so that what slows the
//! whole machine for a while slows both. Runs nothing, prints nothing.

pub(crate) mod plot;
pub(crate) mod stats;
pub(crate) mod table;

use std::collections::BTreeMap;

use hairpin_model::event::Quantity;
use hairpin_model::{Error, Event};

use crate::measure::stats::{Spread, median, spread};
use crate::results::Run;

/// What the others are compared with.
pub(crate) const BASE: &str = "veth";
/// The same network once more: how far its ratio is from 1 is the noise.
pub(crate) const AGAIN: &str = "veth-again";
/// Both quantities, in the order in which they are told.
pub(crate) const QUANTITIES: [Quantity; 2] = [Quantity::Throughput, Quantity::Latency];

/// What was measured of one kernel.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// What `uname -r` prints.
    pub(crate) kernel: String,
    /// Whole rounds.
    pub(crate) rounds: usize,
    /// The networks, in the suite's order, the cable first.
    pub(crate) networks: Vec<Network>,
    /// Networks that the kernel cannot make, and what it lacks.
    pub(crate) absent: Vec<(String, String)>,
}

/// A network's figures.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Its name.
    pub(crate) name: String,
    figures: BTreeMap<Quantity, Figure>,
}

/// What was measured of one quantity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    /// The median of the rounds, in the quantity's unit.
    pub(crate) middle: u64,
    /// The ratio to the cable.
    pub(crate) ratio: Spread,
}

/// A figure that is another than before.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The network.
    pub(crate) network: String,
    /// Of what.
    pub(crate) quantity: Quantity,
    /// The ratio to the cable before.
    pub(crate) before: Spread,
    /// And now.
    pub(crate) now: Spread,
    /// Whether noise does not explain it.
    pub(crate) is_beyond_noise: bool,
}

impl Change {
    /// Whether it carries less or takes longer than before.
    pub(crate) fn is_worse(&self) -> bool {
        match self.quantity {
            Quantity::Throughput => self.now.middle < self.before.middle,
            Quantity::Latency => self.now.middle > self.before.middle,
        }
    }
}

impl Network {
    /// The figure; there is one of each quantity.
    pub(crate) fn figure(&self, quantity: Quantity) -> Figure {
        self.figures[&quantity]
    }
}

impl Measured {
    /// Reads what a run measured.
    pub(crate) fn of(run: &Run) -> Result<Self, Error> {
        let mut values: BTreeMap<(&str, Quantity), Vec<u64>> = BTreeMap::new();
        let (mut names, mut absent): (Vec<&str>, Vec<(String, String)>) = (Vec::new(), Vec::new());
        let mut is_in_case = false;
        for record in &run.records {
            match &record.event {
                Event::CaseStarted { .. } => is_in_case = true,
                Event::CaseFinished { .. } => is_in_case = false,
                Event::Measurement { network, quantity, value } => {
                    if !names.contains(&network.as_str()) {
                        names.push(network);
                    }
                    values.entry((network, *quantity)).or_default().push(*value);
                }
                Event::Check { claim, observed: Some(why) }
                    if !is_in_case && absent.iter().all(|(name, _)| name != claim) =>
                {
                    absent.push((claim.clone(), why.clone()));
                }
                _ => {}
            }
        }
        let each = names.iter().flat_map(|name| QUANTITIES.map(|quantity| (*name, quantity)));
        let rounds = each.map(|key| values.get(&key).map_or(0, Vec::len)).min().unwrap_or(0);
        let first = names.iter().position(|name| *name == BASE).filter(|_| rounds > 0);
        let Some(first) = first else {
            let help = "name a file that `hairpin measure --events` wrote";
            return Err(Error::new("no round of measurements is in it", &run.name, help));
        };
        // A round begins at any of them and goes round: the order is the suite's from the first on.
        names.rotate_left(first);
        let network = |name: &&str| Network {
            name: (*name).to_owned(),
            figures: QUANTITIES.map(|q| (q, figure(&values, name, q, rounds))).into(),
        };
        let networks = names.iter().map(network).collect();
        Ok(Self { kernel: run.kernel.clone(), rounds, networks, absent })
    }

    /// The network of that name.
    pub(crate) fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// How far a ratio can be off by mere chance: as far as the cable's to itself.
    pub(crate) fn noise(&self, quantity: Quantity) -> f64 {
        let again = self.network(AGAIN).map(|network| network.figure(quantity).ratio);
        again.map_or(0.0, |ratio| ratio.low.ln().abs().max(ratio.high.ln().abs()))
    }

    /// What is another than in an earlier run.
    pub(crate) fn changes(&self, before: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for network in self.networks.iter().filter(|network| network.name != BASE) {
            let Some(earlier) = before.network(&network.name) else { continue };
            for quantity in QUANTITIES {
                let (old, now) = (earlier.figure(quantity).ratio, network.figure(quantity).ratio);
                let noise = self.noise(quantity).max(before.noise(quantity));
                let apart = old.high < now.low || now.high < old.low;
                changes.push(Change {
                    network: network.name.clone(),
                    quantity,
                    before: old,
                    now,
                    is_beyond_noise: apart && (now.middle / old.middle).ln().abs() > noise,
                });
            }
        }
        changes
    }
}

fn figure(
    values: &BTreeMap<(&str, Quantity), Vec<u64>>,
    name: &str,
    quantity: Quantity,
    rounds: usize,
) -> Figure {
    let of = |name| values[&(name, quantity)][..rounds].iter().map(|value| *value as f64);
    let ratios: Vec<f64> = of(name).zip(of(BASE)).map(|(own, base)| own / base.max(1.0)).collect();
    let middle = median(&of(name).collect::<Vec<_>>()).round();
    Figure { middle: middle as u64, ratio: spread(&ratios) }
}

#[cfg(test)]
pub(crate) mod tests {
    use hairpin_model::Record;
    use hairpin_model::event::VERSION;

    use super::*;

    /// A run: by network, throughput and latency as ratios to the cable, off by `noise` in turn.
    pub(crate) fn run(name: &str, networks: &[(&str, f64, f64)], noise: f64) -> Run {
        let mut run = Run { name: name.into(), kernel: format!("{name}.1"), ..Run::default() };
        let mut tell = |event| run.records.push(Record { v: VERSION, us: 0, event });
        for round in 0..9u32 {
            let off = 1.0 + noise * (f64::from(round % 3) - 1.0);
            // All networks get slower in time, which ratios do not show.
            let slow = 1.0 + f64::from(round) / 10.0;
            for at in 0..networks.len() {
                let (network, carries, takes) = networks[(at + round as usize) % networks.len()];
                let off = if network == BASE { 1.0 } else { off };
                for (quantity, value) in [
                    (Quantity::Throughput, 3e9 * carries * off / slow),
                    (Quantity::Latency, 12_000.0 * takes * off * slow),
                ] {
                    let network = network.to_owned();
                    tell(Event::Measurement { network, quantity, value: value as u64 });
                }
            }
        }
        tell(Event::Check { claim: "ipvlan-l2".into(), observed: Some("driver `ipvlan`".into()) });
        run
    }

    pub(crate) const TYPICAL: [(&str, f64, f64); 4] = [
        ("veth", 1.0, 1.0),
        ("veth-again", 1.0, 1.0),
        ("bridge", 0.8, 1.2),
        ("macvlan-bridge", 0.95, 1.05),
    ];

    #[test]
    fn a_machine_that_slows_down_slows_no_ratio() {
        let measured = Measured::of(&run("6.18", &TYPICAL, 0.01)).unwrap();
        assert_eq!(measured.rounds, 9);
        assert_eq!(measured.networks[0].name, BASE);
        let bridge = measured.network("bridge").unwrap();
        assert!((bridge.figure(Quantity::Throughput).ratio.middle - 0.8).abs() < 1e-3);
        assert!((bridge.figure(Quantity::Latency).ratio.middle - 1.2).abs() < 1e-3);
        assert!((0.009..0.011).contains(&measured.noise(Quantity::Latency)));
    }

    #[test]
    fn a_change_counts_beyond_the_noise_only() {
        let slower = TYPICAL.map(|(name, carries, takes)| match name {
            "bridge" => (name, carries * 0.9, takes),
            _ => (name, carries, takes),
        });
        let flagged = |noise| {
            let before = Measured::of(&run("6.12", &TYPICAL, noise)).unwrap();
            let changes = Measured::of(&run("6.18", &slower, noise)).unwrap().changes(&before);
            let beyond = changes.iter().filter(|change| change.is_beyond_noise);
            beyond.map(|change| (change.network.clone(), change.quantity)).collect::<Vec<_>>()
        };
        assert_eq!(flagged(0.01), [("bridge".to_owned(), Quantity::Throughput)]);
        assert_eq!(flagged(0.2), []);
    }

    #[test]
    fn a_round_that_was_cut_off_does_not_count() {
        let mut cut = run("6.18", &TYPICAL, 0.01);
        let last = cut
            .records
            .iter()
            .rposition(|record| matches!(record.event, Event::Measurement { .. }));
        cut.records.truncate(last.unwrap());
        assert_eq!(Measured::of(&cut).unwrap().rounds, 8);
        let empty = Run { name: "x".into(), ..Run::default() };
        assert!(Measured::of(&empty).unwrap_err().what.contains("no round"));
    }
}
