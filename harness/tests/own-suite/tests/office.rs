//! An office: a desk and a guest on one switch with a printer. Guests may print and do no more.
//!
//! ```text
//!   desk --- p1 [switch] p3 --- printer
//!   guest -- p2              p1 and p2 are isolated from each other
//! ```
#![forbid(unsafe_code)]

use hairpin_harness::{Class, Need, PortFlags, Rule, Source, Strength, Topology, check, suite};
use rstest::rstest;

suite!(RULES);

const RULES: &[Rule] = &[GUEST_STAYS_OUT, PRINTER_HEARS_ALL];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge")];

const GUEST_STAYS_OUT: Rule = Rule {
    id: "office.guest.stays-out",
    promise: "a guest reaches the printer and no desk",
    source: Source { cite: "the office's handbook", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

const PRINTER_HEARS_ALL: Rule = Rule {
    id: "office.printer.hears-all",
    promise: "whoever looks for a printer finds it",
    source: Source { cite: "the office's handbook", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

fn isolated(on: bool) -> PortFlags {
    PortFlags::default().isolated(on)
}

fn office() -> Topology {
    let hosts = Topology::new("office").host("desk").host("guest").host("printer");
    hosts
        .netns("sw")
        .bridge("sw:br")
        .cable("sw:p1", "desk:eth0")
        .cable("sw:p2", "guest:eth0")
        .cable("sw:p3", "printer:eth0")
        .port_with("sw:p1", "br", isolated(true))
        .port_with("sw:p2", "br", isolated(true))
        .port("sw:p3", "br")
        .address("desk:eth0", "192.0.2.1/24")
        .address("guest:eth0", "192.0.2.2/24")
        .address("printer:eth0", "192.0.2.3/24")
}

mod office {
    mod guest {
        use crate::*;

        #[rstest]
        #[case::ping(Class::Ping4)]
        #[case::frame(Class::Unicast)]
        fn stays_out(#[case] class: Class) {
            check(&GUEST_STAYS_OUT, async |case| {
                let mut lab = case.lab(&office()).await?;
                let apart = "
                            desk guest printer
                    desk    .    #     +
                    guest   #    .     +
                    printer +    +     .";
                lab.expect(class, apart).await?;
                // The twin: the same office without isolation.
                lab.set_port("sw:p2", isolated(false)).await?;
                let together = "
                            desk guest printer
                    desk    .    +     +
                    guest   +    .     +
                    printer +    +     .";
                lab.expect(class, together).await?;
                Ok(())
            });
        }
    }

    mod printer {
        use crate::*;

        #[test]
        fn hears_all() {
            check(&PRINTER_HEARS_ALL, async |case| {
                let mut lab = case.lab(&office()).await?;
                let grid = lab.observe(Class::Broadcast).await?;
                for from in ["desk", "guest"] {
                    let heard = grid.cell(from, "printer").is_some_and(|c| c.verdict.reached());
                    lab.claim(&format!("the printer hears the {from}"), heard, &grid)?;
                }
                Ok(())
            });
        }
    }
}
