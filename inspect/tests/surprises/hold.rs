//! Reads a lab as a machine is read, and holds what is explained of it against the kernel.

use std::fs::File;

use hairpin_explain::{Answer, Question, Snapshot, explain};
use hairpin_harness::{Class, Error, Family, Grid, Lab, Topology, Verdict};
use hairpin_inspect::{Place, Places, read};

/// Reads a lab as a machine is read.
pub(crate) fn snapshot(lab: &Lab) -> Result<Snapshot, Error> {
    read(&places(lab)?)
}

/// The namespaces of a lab.
pub(crate) fn places(lab: &Lab) -> Result<Places, Error> {
    let mut places = Places::default();
    for netns in &lab.topology().netns {
        let file = lab.inside(&netns.name, || File::open("/proc/thread-self/ns/net"))?;
        let file =
            file.map_err(|error| Error::new(error.to_string(), &netns.name, "mount /proc"))?;
        places.all.push(Place { name: netns.name.clone(), file });
    }
    Ok(places)
}

/// The hosts of a grid that have an address of that family.
pub(crate) fn hosts(lab: &Lab, grid: &Grid, family: Family) -> Vec<String> {
    let has = |host: &&String| lab.topology().address_of(host, family).is_some();
    grid.hosts.iter().filter(has).cloned().collect()
}

/// What a grid asks: the host's first address.
pub(crate) fn question(lab: &Lab, snapshot: &Snapshot, from: &str, to: &str) -> Question {
    question_of(Family::V4, lab, snapshot, from, to)
}

/// The same of either family.
pub(crate) fn question_of(
    family: Family,
    lab: &Lab,
    snapshot: &Snapshot,
    from: &str,
    to: &str,
) -> Question {
    let to = lab.topology().address_of(to, family).expect("it has an address");
    let at = snapshot.spaces.iter().position(|space| space.name == from);
    Question::ping(at.expect("it was read"), to)
}

/// What is expected of an explanation: who, for whom, the answer, the rule that decides.
pub(crate) type Expected<'a> = (&'a str, &'a str, Answer, &'a str);

/// How many pairs were explained, and how many could not be.
#[derive(Default)]
pub(crate) struct Tally {
    told: usize,
    pub(crate) untold: usize,
}

/// Holds what is explained of all pairs against the kernel, and of some against what is expected of
/// IPv4. Of a lab with IPv6 too, that is held against the kernel as well.
pub(crate) async fn hold(lab: &mut Lab, expected: &[Expected<'_>]) -> Result<Tally, Error> {
    let all = lab.topology().netns.iter().filter(|netns| netns.host);
    if all.clone().all(|netns| lab.topology().address_of(&netns.name, Family::V6).is_some()) {
        hold_of(Family::V6, lab, &[]).await?;
    }
    hold_of(Family::V4, lab, expected).await
}

/// The same of one family.
pub(crate) async fn hold_of(
    family: Family,
    lab: &mut Lab,
    expected: &[Expected<'_>],
) -> Result<Tally, Error> {
    let snapshot = snapshot(lab)?;
    let grid = lab.observe(Class::ping(family)).await?;
    let mut tally = Tally::default();
    let all = hosts(lab, &grid, family);
    for (from, to) in all.iter().flat_map(|from| all.iter().map(move |to| (from, to))) {
        if from == to {
            continue;
        }
        let question = question_of(family, lab, &snapshot, from, to);
        let explained = explain(&snapshot, &question);
        let cell = grid.cell(from, to).expect("the grid has its hosts");
        let text = hairpin_explain::text::text(&explained);
        assert!(
            !matches!(cell.verdict, Verdict::Inconclusive(_)),
            "{from} -> {to}: {}",
            cell.verdict
        );
        match explained.answer {
            Answer::CannotTell => {
                println!("{from} -> {to} {family:?}: {:?}", explained.missing);
                tally.untold += 1;
            }
            answer => {
                tally.told += 1;
                let arrives = matches!(cell.verdict, Verdict::Delivered);
                assert_eq!(
                    answer == Answer::Reaches,
                    arrives,
                    "the kernel: {}\n{text}\n{grid}",
                    cell.verdict
                );
            }
        }
        let wanted = expected.iter().find(|wanted| (wanted.0, wanted.1) == (from, to));
        if let Some((.., answer, rule)) = wanted {
            assert_eq!(explained.answer, *answer, "{text}");
            let first = explained.reasons.first().and_then(|reason| reason.rule.clone());
            assert_eq!(first.unwrap_or_default(), *rule, "{text}");
        }
    }
    println!("{} {family:?}: {} told, {} not", lab.topology().name, tally.told, tally.untold);
    Ok(tally)
}

pub(crate) fn live(body: impl AsyncFnOnce() -> Result<(), Error>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Err(error) = runtime.expect("a runtime can be made").block_on(body()) {
        panic!("{error}");
    }
}

/// Builds, and holds.
pub(crate) fn surprise(topology: Topology, expected: &[Expected<'_>]) {
    live(async || {
        let mut lab = Lab::build(&topology).await?;
        hold(&mut lab, expected).await?;
        Ok(())
    });
}
