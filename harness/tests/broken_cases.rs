//! Cases that are broken on purpose, each run as `hairpin check` runs one: in a child process.
//!
//! What they are held to: a *fail* accuses the kernel and names the cell, an *error* accuses us,
//! a skip is no pass. The labs below a case are the matter of `broken_labs.rs`.

use std::process::Command;

use hairpin_harness::{
    Action, Case, Class, Firewall, Hook, Match, Need, PortFlags, Rule, Source, Stop, Strength,
    Topology, check, suite,
};
use hairpin_model::Event;
use hairpin_model::event::{Frame, Outcome};
use hairpin_model::grid::Direction;
use rstest::rstest;

#[path = "support/run.rs"]
mod run;

suite!(RULES);

const RULES: &[Rule] = &[BROKEN, LACKING];

const BROKEN: Rule = Rule {
    id: "broken.case",
    promise: "this promise is not kept",
    source: Source { cite: "tests/broken_cases.rs", strength: Strength::Observed },
    article: &[],
    needs: &[],
};

const LACKING: Rule =
    Rule { id: "broken.lacking", needs: &[Need::Driver("no-such-driver")], ..BROKEN };

/// The cases are broken only where this variable is set, as the tests at the end of this file do.
const PLEASE: &str = "HAIRPIN_TEST_BROKEN";

fn if_asked(rule: &'static Rule, body: impl AsyncFnOnce(&mut Case) -> Result<(), Stop>) {
    if std::env::var_os(PLEASE).is_some() {
        check(rule, body);
    }
}

fn isolated() -> PortFlags {
    PortFlags::default().isolated(true)
}

/// ```text
///   a --- p1 [switch] p2 --- b       p1 and p2 are isolated, p3 is not
///                p3 --- c
/// ```
fn apart() -> Topology {
    let hosts = Topology::new("apart").host("a").host("b").host("c");
    let switch = hosts.netns("sw").bridge("sw:br");
    let plugged = switch.cable("sw:p1", "a:eth0").cable("sw:p2", "b:eth0").cable("sw:p3", "c:eth0");
    plugged
        .port_with("sw:p1", "br", isolated())
        .port_with("sw:p2", "br", isolated())
        .port("sw:p3", "br")
}

const APART: &str = "
        a b c
    a   . # +
    b   # . +
    c   + + .";

const TOGETHER: &str = "
        a b c
    a   . + +
    b   + . +
    c   + + .";

mod broken {
    use super::*;

    #[test]
    fn lacking() {
        if_asked(&LACKING, async |case| case.claim("never looked at", false, "it was"));
    }

    mod case {
        use super::*;

        #[test]
        fn drawn_wrong() {
            if_asked(&BROKEN, async |case| {
                case.lab(&apart()).await?.expect(Class::Unicast, TOGETHER).await?;
                Ok(())
            });
        }

        /// Nothing is wrong with this one.
        #[test]
        fn whole() {
            if_asked(&BROKEN, async |case| {
                let mut lab = case.lab(&apart()).await?;
                lab.expect(Class::Unicast, APART).await?;
                lab.set_port("sw:p1", isolated().isolated(false)).await?;
                lab.expect(Class::Unicast, TOGETHER).await?;
                Ok(())
            });
        }

        #[test]
        fn claimed_wrong() {
            if_asked(&BROKEN, async |case| {
                let lab = case.lab(&apart()).await?;
                let up = lab.link("sw:p1").await?.up;
                lab.claim("p1 is down", !up, "it is up")
            });
        }

        #[test]
        fn other_path() {
            if_asked(&BROKEN, async |case| {
                let mut lab = case.lab(&apart()).await?;
                let grid = lab.expect(Class::Unicast, APART).await?;
                lab.expect_path(&grid, "a", "b", "frame", "a:eth0> sw:p1< sw:p2>")
            });
        }

        /// No control can come out of b's socket.
        #[test]
        fn inconclusive() {
            if_asked(&BROKEN, async |case| {
                let deaf = Firewall::new().rule(Hook::Input, Match::any(), Action::Drop);
                let pair = Topology::new("pair").host("a").host("b").cable("a:eth0", "b:eth0");
                let pair = pair.address("a:eth0", "192.0.2.1/24").address("b:eth0", "192.0.2.2/24");
                let mut lab = case.lab(&pair.firewall("b", deaf)).await?;
                lab.expect(Class::Ping4, "  a b\n a . #\n b > .").await?;
                Ok(())
            });
        }

        #[test]
        fn without_twin() {
            if_asked(&BROKEN, async |case| {
                case.lab(&apart()).await?.expect(Class::Unicast, APART).await?;
                Ok(())
            });
        }

        #[test]
        fn twin_of_another_class() {
            if_asked(&BROKEN, async |case| {
                let mut lab = case.lab(&apart()).await?;
                lab.expect(Class::Unicast, APART).await?;
                lab.set_port("sw:p1", isolated().isolated(false)).await?;
                lab.expect(Class::Broadcast, TOGETHER).await?;
                Ok(())
            });
        }

        #[test]
        fn without_claim() {
            if_asked(&BROKEN, async |case| {
                case.lab(&apart()).await?.observe(Class::Unicast).await?;
                Ok(())
            });
        }

        #[test]
        fn panics() {
            if_asked(&BROKEN, async |case| {
                case.claim("so far all is well", true, "")?;
                panic!("on purpose");
            });
        }

        #[test]
        fn aborts() {
            if_asked(&BROKEN, async |case| {
                let _lab = case.lab(&apart()).await?;
                std::process::abort();
            });
        }

        #[test]
        fn cannot_be_built() {
            if_asked(&BROKEN, async |case| {
                case.lab(&apart().bridge("nowhere:br")).await?;
                Ok(())
            });
        }

        #[test]
        fn cannot_be_read() {
            if_asked(&BROKEN, async |case| {
                case.lab(&apart()).await?.expect(Class::Unicast, "  a b\n a . ?\n b ? .").await?;
                Ok(())
            });
        }

        #[test]
        fn draws_other_hosts() {
            if_asked(&BROKEN, async |case| {
                case.lab(&apart()).await?.expect(Class::Unicast, "  a b\n a . +\n b + .").await?;
                Ok(())
            });
        }
    }
}

/// Runs one of the broken cases.
fn run(test: &str, settings: &[(&str, &str)]) -> run::Ended {
    let mut command = Command::new(std::env::current_exe().expect("a running program has a path"));
    command.args(["--exact", test, "--nocapture"]).env(PLEASE, "1").env("RUST_BACKTRACE", "0");
    run::to_its_end(command.env_remove("HAIRPIN_STRICT").envs(settings.iter().copied()))
}

/// The outcome and reason that the event stream tells of the one case.
fn told(ended: &run::Ended) -> Option<(Outcome, String)> {
    ended.events.iter().find_map(|event| match event {
        Event::CaseFinished { outcome, reason, .. } => {
            Some((*outcome, reason.clone().unwrap_or_default()))
        }
        _ => None,
    })
}

/// What the case itself says on a failure: the rest is the test runner's.
fn story(ended: &run::Ended) -> String {
    let from = ended.text.find("broken.case").expect("a failure begins with the name of its case");
    let story = &ended.text[from..];
    story[..story.find("note: run with").unwrap_or(story.len())].trim_end().to_owned()
}

#[test]
fn a_case_that_failed_tells_the_frames_of_its_lab() {
    let ended = run("broken::case::drawn_wrong", &[]);
    let frames: Vec<&Frame> = ended.events.iter().filter_map(frame).collect();
    let of = |link: &str, direction| {
        let mut passed = frames.iter().filter(|f| (&*f.link, f.direction) == (link, direction));
        passed.any(|f| f.probe.as_deref().is_some_and(|probe| probe.starts_with("frame of probe")))
    };
    assert!(
        of("a:eth0", Direction::Out) && of("sw:p1", Direction::In) && of("c:eth0", Direction::In)
    );
    assert!(frames.is_sorted_by_key(|frame| frame.ns));
    assert!(frames.iter().all(|frame| frame.bytes.len() == 2 * frame.len && frame.left_off == 0));
}

#[test]
fn a_case_that_passed_tells_no_frames() {
    let ended = run("broken::case::whole", &[]);
    assert_eq!(told(&ended), Some((Outcome::Pass, String::new())), "{}", ended.text);
    assert_eq!(ended.events.iter().filter_map(frame).count(), 0);
}

fn frame(event: &Event) -> Option<&Frame> {
    match event {
        Event::Frame(frame) => Some(frame),
        _ => None,
    }
}

#[test]
fn a_cell_that_is_drawn_wrong_is_named() {
    let ended = run("broken::case::drawn_wrong", &[]);
    assert_eq!(ended.status.code(), Some(101), "{}", ended.text);
    let reason = "unicast frame a -> b: drawn `+`, blocked".to_owned();
    assert_eq!(told(&ended), Some((Outcome::Fail, reason)));
    insta::assert_snapshot!(story(&ended), @r"
    broken.case.drawn-wrong: failed
      promise: this promise is not kept
      source:  tests/broken_cases.rs (observed)

    host  a
      eth0     --- sw:p1
    host  b
      eth0     --- sw:p2
    host  c
      eth0     --- sw:p3
    netns sw
      br       bridge
      p1       --- a:eth0  port of br  isolated on
      p2       --- b:eth0  port of br  isolated on
      p3       --- c:eth0  port of br

    unicast frame:
      expected    observed
         a b c       a b c
      a  . + +    a  . # +
      b  + . +    b  # . +
      c  + + .    c  + + .

    a -> b: drawn `+`, blocked
      proof: a later one reached `c`, its socket then heard `c`
      frame: a:eth0> sw:p1<
    b -> a: drawn `+`, blocked
      proof: a later one reached `c`, its socket then heard `c`
      frame: b:eth0> sw:p2<
    ");
}

#[rstest]
#[case::claim("claimed_wrong", "not so: p1 is down")]
#[case::path("other_path", "not so: the frame from a to b passes a:eth0> sw:p1< sw:p2>")]
fn a_broken_promise_is_a_fail(#[case] test: &str, #[case] reason: &str) {
    let ended = run(&format!("broken::case::{test}"), &[]);
    assert_eq!(ended.status.code(), Some(101), "{}", ended.text);
    assert_eq!(told(&ended), Some((Outcome::Fail, reason.to_owned())));
    assert!(ended.text.contains("observed: it "), "{}", ended.text);
}

#[rstest]
#[case::inconclusive("inconclusive", "is inconclusive: the socket of `b` heard no control")]
#[case::no_twin("without_twin", "was cut off and never shown to arrive")]
#[case::no_twin_of_its_class("twin_of_another_class", "unicast frame from `a` to `b` was cut off")]
#[case::no_claim("without_claim", "the case holds nothing against the promise")]
#[case::panic("panics", "the case panicked: on purpose")]
#[case::no_lab("cannot_be_built", "no namespace `nowhere` for the link `br`")]
#[case::no_drawing("cannot_be_read", "`?` is no symbol of a drawing")]
#[case::no_such_drawing("draws_other_hosts", "the drawing is of [\"a\", \"b\"], the grid of")]
fn what_we_cannot_tell_is_an_error(#[case] test: &str, #[case] what: &str) {
    let ended = run(&format!("broken::case::{test}"), &[]);
    assert_eq!(ended.status.code(), Some(101), "{}", ended.text);
    let (outcome, reason) = told(&ended).expect("the case says how it ended");
    assert_eq!(outcome, Outcome::Error, "{reason}");
    for text in [&reason, &ended.text] {
        assert!(text.contains(what) && text.contains("  help:  "), "{text}");
    }
}

#[test]
fn a_skip_names_what_is_missing_and_fails_a_strict_run() {
    let missing = "driver `no-such-driver`".to_owned();
    for (strict, code) in [("0", 0), ("1", 101)] {
        let ended = run("broken::lacking", &[("HAIRPIN_STRICT", strict)]);
        assert_eq!(ended.status.code(), Some(code), "{}", ended.text);
        assert_eq!(told(&ended), Some((Outcome::Skip, missing.clone())));
        let words = format!("skipped broken.lacking: this kernel lacks {missing}");
        assert!(ended.text.contains(&words), "{}", ended.text);
    }
}

/// Who reads the stream then knows that the program died: the case has begun and not ended.
#[test]
fn a_crash_leaves_the_stream_without_an_end() {
    use std::os::unix::process::ExitStatusExt;
    let ended = run("broken::case::aborts", &[]);
    assert_eq!(ended.status.signal(), Some(nix::libc::SIGABRT), "{}", ended.text);
    assert!(matches!(ended.events[..], [Event::CaseStarted { .. }, Event::LabBuilt { .. }]));
    assert_eq!(told(&ended), None);
}
