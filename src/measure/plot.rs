//! What was measured, as a picture: SVG that browsers show, dark or light.

use std::fmt::Write;

use hairpin_model::event::Quantity;

use crate::measure::table::title;
use crate::measure::{AGAIN, Measured, QUANTITIES};

const WIDTH: f64 = 760.0;
const LABELS: f64 = 210.0;
const ROW: f64 = 22.0;
const HEAD: f64 = 34.0;
/// Where the longest whisker ends; behind it stand the numbers.
const RIGHT: f64 = WIDTH - 60.0;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1a1a1a}.h{font-weight:600}.n{text-anchor:end}\
.bar{fill:#4a78b5}.base{fill:#8a8a8a}.w,.one{stroke:#1a1a1a;stroke-width:1.5}.one{stroke-dasharray:3 3;opacity:.5}\
@media(prefers-color-scheme:dark){text{fill:#eee}.w,.one{stroke:#eee}.bar{fill:#7aa7e0}}";

/// Draws one kernel.
pub(crate) fn svg(measured: &Measured) -> String {
    let rows = measured.networks.iter().filter(|network| network.name != AGAIN).count();
    let panel = HEAD + rows as f64 * ROW + 14.0;
    let height = HEAD + panel * QUANTITIES.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"What networks cost on {0}\">\n<style>{STYLE}</style>\n\
         <text class=\"h\" x=\"12\" y=\"22\">{0}, {1} rounds: median, and the interval that holds it with 95 %</text>\n",
        escaped(&measured.kernel),
        measured.rounds
    );
    for (at, quantity) in QUANTITIES.into_iter().enumerate() {
        draw(&mut out, measured, quantity, HEAD + panel * at as f64);
    }
    out + "</svg>\n"
}

fn draw(out: &mut String, measured: &Measured, quantity: Quantity, top: f64) {
    let shown = || measured.networks.iter().filter(|network| network.name != AGAIN);
    let most = shown().map(|network| network.figure(quantity).ratio.high).fold(1.0, f64::max);
    let x = |ratio: f64| LABELS + (RIGHT - LABELS) * ratio / most;
    let _infallible =
        writeln!(out, "<text class=\"h\" x=\"12\" y=\"{}\">{}</text>", top + 20.0, title(quantity));
    for (at, network) in shown().enumerate() {
        let y = top + HEAD + at as f64 * ROW;
        let ratio = network.figure(quantity).ratio;
        let class = if at == 0 { "base" } else { "bar" };
        let middle = y + ROW / 2.0 - 2.0;
        let _infallible = writeln!(
            out,
            "<text class=\"n\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             <rect class=\"{class}\" x=\"{LABELS}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
             <path class=\"w\" d=\"M{:.1} {middle:.1}H{:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{:.2}</text>",
            LABELS - 8.0,
            y + 14.0,
            escaped(&network.name),
            x(ratio.middle) - LABELS,
            ROW - 5.0,
            x(ratio.low),
            x(ratio.high),
            RIGHT + 10.0,
            y + 14.0,
            ratio.middle,
        );
    }
    let bottom = top + HEAD + shown().count() as f64 * ROW;
    let _infallible = writeln!(
        out,
        "<path class=\"one\" d=\"M{0:.1} {1:.1}V{bottom:.1}\"/>",
        x(1.0),
        top + HEAD - 6.0
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tests::{TYPICAL, run};

    #[test]
    fn every_network_is_in_the_picture_once_a_quantity() {
        let measured = Measured::of(&run("6.18", &TYPICAL, 0.01)).unwrap();
        let picture = svg(&measured);
        assert_eq!(picture.matches("<rect").count(), 6);
        assert!(picture.contains(">macvlan-bridge<") && !picture.contains(AGAIN));
        // The bridge's bar is as long as its ratio says, of the cable's.
        insta::assert_snapshot!(picture);
    }
}
