//! What a case holds of a single flow of TCP or UDP.

use hairpin_model::{Error, Event, Verdict, journey};

use super::{CaseLab, Stop, compares_taps};
use crate::events;
use crate::observe::{Flow, Passage};
use crate::report;

impl CaseLab {
    /// Asks for a flow and holds what became of it against a symbol of a drawing.
    pub async fn expect_flow(&mut self, flow: &Flow<'_>, symbol: char) -> Result<Passage, Stop> {
        let passage = self.lab.flow(flow).await?;
        let verdict = &passage.cell.verdict;
        if let Verdict::Inconclusive(why) = verdict {
            let what = format!("{flow} is inconclusive: {why}");
            self.keep(&what);
            let place = self.state.id.to_string();
            return Err(Error::new(what, place, report::INCONCLUSIVE_HELP).into());
        }
        self.state.note_flow(flow, verdict);
        let mut cell = passage.cell.clone();
        journey::fold(&mut cell.seen);
        let (from, to) = (flow.from.into(), flow.to.into());
        events::emit(Event::Flow { title: flow.to_string(), from, to, cell });
        let words = std::iter::once(verdict.to_string());
        let words: Vec<String> =
            words.chain(passage.counted.iter().map(ToString::to_string)).collect();
        let holds = verdict.symbol() == symbol;
        self.claim(&format!("{flow}: `{symbol}`"), holds, words.join("; "))?;
        self.hold_flow_without_taps(flow, verdict).await?;
        Ok(passage)
    }

    /// Holds that a flow ends the same when no tap looks on, if that is asked for.
    async fn hold_flow_without_taps(
        &mut self,
        flow: &Flow<'_>,
        traced: &Verdict,
    ) -> Result<(), Stop> {
        // Who was told that a packet was too long has learned it, and would send a shorter one.
        let is_learned = flow.bytes.is_some() && matches!(traced, Verdict::Refused(_));
        if is_learned || !compares_taps() {
            return Ok(());
        }
        let untraced = self.lab.without_taps(async |lab| lab.flow(flow).await).await?;
        let verdict = &untraced.cell.verdict;
        self.claim(&format!("{flow}: the same without taps"), verdict == traced, verdict)
    }
}
