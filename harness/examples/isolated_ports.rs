//! A whole suite program: two isolated ports of a bridge cannot reach each other.
//!
//! ```text
//!   a ---+        +--- b
//!        p1  br  p2          p1 and p2 are isolated, p3 is not
//!            p3
//!            |
//!            c
//! ```

use hairpin_harness::{Class, Need, PortFlags, Rule, Source, Strength, Topology, check, suite};

suite!(RULES);

const RULES: &[Rule] = &[ISOLATED];

const ISOLATED: Rule = Rule {
    id: "bridge.isolated-ports-stay-apart",
    promise: "a bridge forwards nothing between two isolated ports",
    source: Source { cite: "bridge(8), isolated", strength: Strength::Documented },
    article: &[],
    needs: &[Need::Driver("bridge")],
};

mod bridge {
    use super::*;

    #[test]
    fn isolated_ports_stay_apart() {
        check(&ISOLATED, async |case| {
            let isolated = PortFlags::default().isolated(true);
            let topology = Topology::new("isolated")
                .host("a")
                .host("b")
                .host("c")
                .netns("sw")
                .bridge("sw:br")
                .cable("sw:p1", "a:eth0")
                .port_with("sw:p1", "br", isolated)
                .cable("sw:p2", "b:eth0")
                .port_with("sw:p2", "br", isolated)
                .cable("sw:p3", "c:eth0")
                .port("sw:p3", "br");
            let mut lab = case.lab(&topology).await?;
            lab.expect(
                Class::Unicast,
                "
                    a b c
                a   . # +
                b   # . +
                c   + + .
            ",
            )
            .await?;
            // The twin: lift the one cause, and the same pair is reached.
            lab.set_port("sw:p1", isolated.isolated(false)).await?;
            lab.expect(
                Class::Unicast,
                "
                    a b c
                a   . + +
                b   + . +
                c   + + .
            ",
            )
            .await?;
            Ok(())
        });
    }
}
