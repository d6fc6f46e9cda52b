//! Pictures of small networks, and what holds for all pictures.

use super::layout::Layout;
use super::{ascii, mermaid, svg};
use crate::topology::{Mode, PortFlags, Topology};

fn lan() -> Topology {
    Topology::new("macvlan-lan")
        .host("c1")
        .host("c2")
        .host("p")
        .host("e")
        .netns("sw")
        .bridge("sw:br0")
        .cable("sw:s0", "p:p0")
        .port_with("sw:s0", "br0", PortFlags::default().hairpin(true))
        .cable("sw:s1", "e:e0")
        .port("sw:s1", "br0")
        .address("p:p0", "192.0.2.1/24")
        .address("e:e0", "192.0.2.9/24")
        .macvlan("c1:c0", "p:p0", Mode::Vepa)
        .macvlan("c2:c0", "p:p0", Mode::Vepa)
        .address("c1:c0", "192.0.2.11/24")
        .address("c2:c0", "192.0.2.12/24")
}

/// Networks with what is rare: a loop, two cables between the same boxes, VLANs, children of a
/// bridge, a box that is joined to nothing, names that need escaping.
fn odd() -> Topology {
    Topology::new("odd <&\"> one")
        .host("a")
        .host("b")
        .netns("sw")
        .netns("r")
        .netns("alone")
        .bridge("sw:br0")
        .cable("sw:s0", "a:e0")
        .port("sw:s0", "br0")
        .cable("sw:s1", "b:e0")
        .port("sw:s1", "br0")
        .cable("sw:s2", "b:e1")
        .port("sw:s2", "br0")
        .cable("a:x", "b:x")
        .cable("sw:in", "sw:out")
        .vlan("a:v10", "a:e0", 10)
        .macvlan("r:m0", "sw:br0", Mode::Bridge)
        .macvlan("sw:m1", "sw:br0", Mode::Private)
        .route("a", "0.0.0.0/0", "192.0.2.1")
        .sysctl("r", "ipv4.ip_forward", "1")
        .down("b:e1")
}

#[test]
fn a_lan_as_text() {
    insta::assert_snapshot!(ascii(&[lan()]), @r#"
                                                            + sw (netns) ------------+
                                                            | br0  bridge            |
    + c1 (host) ----------+     + p (host) -----------+     |   02:68:70:00:00:0a    |
    | c0  macvlan vepa    o..+..o p0  veth            o-----o +- s0  veth            |
    |   02:68:70:00:00:0f |  :  |   02:68:70:00:00:0c |     |      02:68:70:00:00:0b |
    |   192.0.2.11/24     |  :  |   192.0.2.1/24      |     |      hairpin on        |
    +---------------------+  :  +---------------------+  +--o +- s1  veth            |
                             :                           |  |      02:68:70:00:00:0d |
    + c2 (host) ----------+  :  + e (host) -----------+  |  +------------------------+
    | c0  macvlan vepa    o..+  | e0  veth            o--+
    |   02:68:70:00:00:10 |     |   02:68:70:00:00:0e |
    |   192.0.2.12/24     |     |   192.0.2.9/24      |
    +---------------------+     +---------------------+
    "#);
}

#[test]
fn an_odd_network_as_text() {
    insta::assert_snapshot!(ascii(&[odd()]), @r#"
    + r (netns) --------------+         + sw (netns) ------------+
    | m0  macvlan bridge      o.........o br0  bridge            |
    |   02:68:70:00:00:16     |         |   02:68:70:00:00:0a    |
    | ipv4.ip_forward=1       |  +------o +- s0  veth            |
    +-------------------------+  |      |      02:68:70:00:00:0b |
                                 | +----o +- s1  veth            |
    + a (host) ---------------+  | |    |      02:68:70:00:00:0d |
    | e0  veth                o--+ | +--o +- s2  veth            |
    |   02:68:70:00:00:0c     |    | |  |      02:68:70:00:00:0f |
    | +- v10  vlan 10         |    | |  | +- m1  macvlan private |
    |      02:68:70:00:00:15  |    | |  |      02:68:70:00:00:17 |
    | x  veth                 o--+ | |  | in  veth               o--+
    |   02:68:70:00:00:11     |  | | |  |   02:68:70:00:00:13    |  |
    | 0.0.0.0/0 via 192.0.2.1 |  | | |  | out  veth              o--+
    +-------------------------+  | | |  |   02:68:70:00:00:14    |
                                 | | |  +------------------------+
    + b (host) ---------------+  | | |
    | e0  veth                o--|-+ |  + alone (netns) ---------+
    |   02:68:70:00:00:0e     |  |   |  +------------------------+
    | e1  veth  down          o--|---+
    |   02:68:70:00:00:10     |  |
    | x  veth                 o--+
    |   02:68:70:00:00:12     |
    +-------------------------+
    "#);
}

#[test]
fn a_lan_as_mermaid() {
    insta::assert_snapshot!(mermaid(&[lan()]), @r#"
    flowchart LR
      subgraph n0_0["c1 (host)"]
        l0_5["c0 macvlan vepa<br/>02:68:70:00:00:0f<br/>192.0.2.11/24"]
      end
      subgraph n0_1["c2 (host)"]
        l0_6["c0 macvlan vepa<br/>02:68:70:00:00:10<br/>192.0.2.12/24"]
      end
      subgraph n0_2["p (host)"]
        l0_2["p0 veth<br/>02:68:70:00:00:0c<br/>192.0.2.1/24"]
      end
      subgraph n0_3["e (host)"]
        l0_4["e0 veth<br/>02:68:70:00:00:0e<br/>192.0.2.9/24"]
      end
      subgraph n0_4["sw (netns)"]
        l0_0["br0 bridge<br/>02:68:70:00:00:0a"]
        l0_1["s0 veth<br/>02:68:70:00:00:0b<br/>hairpin on"]
        l0_3["s1 veth<br/>02:68:70:00:00:0d"]
      end
      l0_1 -- port --- l0_0
      l0_3 -- port --- l0_0
      l0_1 --- l0_2
      l0_3 --- l0_4
      l0_5 -.-> l0_2
      l0_6 -.-> l0_2
    "#);
}

#[test]
fn several_labs_are_one_picture_with_their_names() {
    let text = ascii(&[lan(), odd()]);
    assert!(text.starts_with("macvlan-lan:\n\n") && text.contains("\nodd <&\"> one:\n"), "{text}");
    let drawn = svg(&[lan(), odd()]);
    assert_eq!(drawn.matches("<svg").count(), 1);
    assert!(drawn.contains("odd &lt;&amp;&quot;> one</text>"), "{drawn}");
    let chart = mermaid(&[lan(), odd()]);
    assert!(chart.contains("subgraph lab1[\"odd #lt;#amp;#quot;#gt; one\"]"), "{chart}");
}

#[test]
fn boxes_and_lines_do_not_run_on_each_other() {
    for lab in [lan(), odd(), Topology::new("nothing"), ring(9)] {
        let layout = Layout::of(&lab);
        for (i, a) in layout.boxes.iter().enumerate() {
            for b in &layout.boxes[..i] {
                let beside = a.x + a.width <= b.x || b.x + b.width <= a.x;
                let apart = a.y + a.height() <= b.y || b.y + b.height() <= a.y;
                assert!(beside || apart, "{} and {} in {}", a.block.title, b.block.title, lab.name);
            }
        }
        for gutter in &layout.gutters {
            assert_eq!(gutter.overlaps(), 0, "{}", ascii(std::slice::from_ref(&lab)));
        }
    }
}

/// Hosts in a circle.
fn ring(n: usize) -> Topology {
    let hosts = (0..n).fold(Topology::new("ring"), |ring, i| ring.host(&format!("h{i}")));
    (0..n).fold(hosts, |ring, i| {
        ring.cable(format!("h{i}:right").as_str(), format!("h{}:left", (i + 1) % n).as_str())
    })
}
