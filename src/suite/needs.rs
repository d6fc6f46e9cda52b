//! What a kernel has of a suite's needs, as the suite program found it.
//!
//! Asked once for a run. What is known to be missing needs no process to say so, and a process that
//! knows what is there does not ask again: some answers cost the kernel a bridge.

use hairpin_model::{Event, Record};

/// The answers. Of a program that does not tell them there are none, and each case asks for itself.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// As [`hairpin_model::Need::MET`] carries it.
    met: String,
    missing: Vec<String>,
}

impl Needs {
    /// What the records of [`super::NEEDS`] tell.
    pub(crate) fn told(records: &[Record]) -> Self {
        let (mut met, mut missing) = (Vec::new(), Vec::new());
        for record in records {
            let Event::Check { claim, observed } = &record.event else { continue };
            let side = if observed.is_none() { &mut met } else { &mut missing };
            side.push(claim.clone());
        }
        Self { met: met.join(";"), missing }
    }

    /// Those of a rule's needs that are known to be missing.
    pub(crate) fn lacking<'n>(&self, needs: &'n [String]) -> Vec<&'n str> {
        needs.iter().filter(|need| self.missing.contains(need)).map(String::as_str).collect()
    }

    /// What is known to be there, as [`hairpin_model::Need::MET`] carries it.
    pub(crate) fn met(&self) -> &str {
        &self.met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(claim: &str, observed: Option<&str>) -> Record {
        let event = Event::Check { claim: claim.into(), observed: observed.map(Into::into) };
        Record { v: hairpin_model::event::VERSION, us: 0, event }
    }

    #[test]
    fn what_was_not_asked_is_neither_there_nor_missing() {
        let needs =
            Needs::told(&[answer("driver `veth`", None), answer("driver `vlan`", Some("no"))]);
        let rule = ["driver `veth`", "driver `vlan`", "driver `bond`"].map(str::to_owned);
        assert_eq!(needs.lacking(&rule), ["driver `vlan`"]);
        assert_eq!(needs.met(), "driver `veth`");
    }
}
