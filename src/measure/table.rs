//! What was measured, for a terminal: a bar a network, and what changed since another run.

use std::fmt::Write;

use hairpin_model::event::Quantity;

use crate::measure::stats::Spread;
use crate::measure::{AGAIN, BASE, Change, Measured, QUANTITIES};
use crate::show::{DIM, STRONG, count, outcome, paint};

/// Columns of the longest bar.
const BAR: f64 = 36.0;

/// The table of one kernel.
pub(crate) fn table(measured: &Measured) -> String {
    let mut out = format!(
        "{}   {}\n  {}\n",
        paint(STRONG, &measured.kernel),
        count(measured.rounds, "round"),
        base(measured)
    );
    for quantity in QUANTITIES {
        let _infallible = writeln!(out, "\n  {}", title(quantity));
        bars(&mut out, measured, quantity);
    }
    let mut absent = measured.absent.clone();
    absent.sort();
    for (at, (network, why)) in absent.iter().enumerate() {
        let space = if at == 0 { "\n" } else { "" };
        let _infallible = writeln!(out, "{space}  {network} cannot be had on this kernel: {why}");
    }
    out
}

/// What the cable did, and the noise.
pub(crate) fn base(measured: &Measured) -> String {
    format!(
        "a plain veth: {}; against itself it is off by {} and {}, which is the noise",
        absolute(measured),
        percent(measured.noise(Quantity::Throughput)),
        percent(measured.noise(Quantity::Latency)),
    )
}

/// What the cable did, in units.
fn absolute(measured: &Measured) -> String {
    let Some(base) = measured.network(BASE) else { return String::new() };
    let carried = base.figure(Quantity::Throughput).middle as f64 * 8.0 / 1e9;
    let took = base.figure(Quantity::Latency).middle as f64 / 1e3;
    format!("{carried:.1} Gbit/s, a round trip in {took:.1} µs")
}

/// What a quantity is called.
pub(crate) const fn title(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Throughput => {
            "throughput of one TCP stream, in that of a plain veth (more is better)"
        }
        Quantity::Latency => "round trip, in that of a plain veth (less is better)",
    }
}

fn bars(out: &mut String, measured: &Measured, quantity: Quantity) {
    let shown = || measured.networks.iter().filter(|network| network.name != AGAIN);
    let widest = shown().map(|network| network.name.len()).max().unwrap_or(0);
    let most = shown().map(|network| network.figure(quantity).ratio.high).fold(0.0, f64::max);
    for network in shown() {
        let ratio = network.figure(quantity).ratio;
        let _infallible = writeln!(
            out,
            "  {:widest$}  {:<36}  {:.2}  {}",
            network.name,
            bar(ratio.middle / most.max(f64::MIN_POSITIVE)),
            ratio.middle,
            paint(DIM, within(ratio))
        );
    }
}

/// A bar in eighths of a column.
fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * BAR * 8.0).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

fn within(ratio: Spread) -> String {
    format!("{:.2} to {:.2}", ratio.low, ratio.high)
}

fn percent(noise: f64) -> String {
    format!("{:.1} %", noise.exp_m1() * 100.0)
}

/// What changed since another run; the changes that noise does not explain are marked.
pub(crate) fn changes(before: &Measured, now: &Measured) -> String {
    let changes = now.changes(before);
    let beyond: Vec<&Change> = changes.iter().filter(|change| change.is_beyond_noise).collect();
    let heading = format!("{} against {}", now.kernel, before.kernel);
    let mut out =
        format!("{}   {}\n", paint(STRONG, heading), beyond_noise(beyond.len(), changes.len()));
    let widest = beyond.iter().map(|change| change.network.len()).max().unwrap_or(0);
    for change in beyond {
        let mark = paint(outcome(hairpin_model::event::Outcome::Fail), "!");
        let _infallible = writeln!(
            out,
            "  {mark} {:widest$}  {:<10}  {:.2} ({}) -> {:.2} ({})",
            change.network,
            word(change.quantity),
            change.before.middle,
            within(change.before),
            change.now.middle,
            within(change.now),
        );
    }
    out
}

/// How many of so many figures changed.
pub(crate) fn beyond_noise(changes: usize, figures: usize) -> String {
    match changes {
        0 => format!("none of {} is beyond the noise", count(figures, "figure")),
        n => format!("{} beyond the noise", count(n, "change")),
    }
}

const fn word(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Throughput => "throughput",
        Quantity::Latency => "round trip",
    }
}

/// One line a kernel, for a report: what each network carries and takes, in a plain veth's.
pub(crate) fn line(measured: &Measured) -> String {
    let own = measured.networks.iter().filter(|n| ![BASE, AGAIN].contains(&n.name.as_str()));
    let figures = own.map(|network| {
        let of = |quantity| network.figure(quantity).ratio.middle;
        format!("{} {:.2}/{:.2}", network.name, of(Quantity::Throughput), of(Quantity::Latency))
    });
    format!("{}: {}", measured.kernel, figures.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tests::{TYPICAL, run};

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_kernel_is_told_in_bars() {
        let measured = Measured::of(&run("6.18", &TYPICAL, 0.01)).unwrap();
        insta::assert_snapshot!(plain(&table(&measured)));
    }

    #[test]
    fn changes_are_told_if_noise_does_not_explain_them() {
        let before = Measured::of(&run("6.12", &TYPICAL, 0.01)).unwrap();
        let worse =
            TYPICAL.map(|(n, c, t)| if n == "bridge" { (n, c * 0.8, t) } else { (n, c, t) });
        let now = Measured::of(&run("6.18", &worse, 0.01)).unwrap();
        let told = [changes(&before, &now), changes(&before, &before), line(&now)].join("\n");
        insta::assert_snapshot!(plain(&told));
    }
}
