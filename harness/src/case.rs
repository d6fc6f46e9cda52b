//! A case: a rule, a lab, and what the kernel did held against what was promised.
//!
//! [`check`] runs one inside an ordinary test function. It makes the runtime, skips what the kernel
//! lacks by name, writes the events, keeps *fail* (the kernel broke its promise) apart from *error*
//! (we cannot tell), and at the end refuses a case that showed something blocked and never showed
//! the same pair reachable.

mod awaited;
mod end;
mod flow;
mod patience;
pub(crate) mod shell;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Instant;

use futures::FutureExt;
use hairpin_model::grid::{Drawing, Grid, Verdict};
use hairpin_model::topology::LinkName;
use hairpin_model::{CaseId, Class, Error, Event, Need, Rule, Topology};

use crate::lab::options::LinkOption;
use crate::lab::{Lab, Queue};
use crate::observe::{self, Asked, Emerged, Fate, Flow, HeardBpdu, Recording, Shot};
use crate::{events, needs, program, report};

use end::{End, finish};
pub use patience::Since;

/// Why a case ends before its last line.
#[derive(Debug)]
pub enum Stop {
    /// The kernel broke the promise. First a line that is the same for the same cause, then the
    /// whole story.
    Fail(String, String),
    /// We cannot tell.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// A case that is being checked.
#[derive(Debug)]
pub struct Case {
    state: Rc<State>,
}

/// Class, sender, receiver: was the pair ever cut off, was it ever reached.
type Pairs = BTreeMap<(Class, String, String), (bool, bool)>;

#[derive(Debug)]
struct State {
    rule: &'static Rule,
    id: CaseId,
    /// What was seen of each pair: cut off, and reached.
    pairs: RefCell<Pairs>,
    /// The same of each flow, by its words.
    flows: RefCell<BTreeMap<String, (bool, bool)>>,
    /// Whether anything at all was held against the promise.
    claims: std::cell::Cell<usize>,
    /// The frames that passed in its labs.
    recording: Recording,
}

/// Checks one case. Panics, as a test does, unless the kernel kept the promise.
pub fn check(rule: &'static Rule, body: impl AsyncFnOnce(&mut Case) -> Result<(), Stop>) {
    let began = Instant::now();
    let id = program::this_case(rule);
    events::emit(Event::CaseStarted { case: id.clone(), rule: rule.id.into() });
    let state = Rc::new(State {
        rule,
        id,
        pairs: RefCell::default(),
        flows: RefCell::default(),
        claims: std::cell::Cell::default(),
        recording: Recording::default(),
    });
    let end = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(Rc::clone(&state), body)),
        Err(error) => End::Error(Error::new(
            format!("cannot make an async runtime: {error}"),
            "this machine",
            "look at the limits of the process (`ulimit -n`)",
        )),
    };
    if shell::is_asked() {
        shell::not_opened(&end.without_network(&state.id));
    }
    let end = end.excused(&state.id);
    finish(&state, &end, began);
    end.leave(&state);
}

async fn run(state: Rc<State>, body: impl AsyncFnOnce(&mut Case) -> Result<(), Stop>) -> End {
    if let Some(end) = lacking(&needs::cheap(state.rule.needs)).await {
        return end;
    }
    let mut case = Case { state: Rc::clone(&state) };
    match AssertUnwindSafe(body(&mut case)).catch_unwind().await {
        Ok(Ok(())) => state.complete(),
        Ok(Err(Stop::Fail(line, story))) => End::Fail(line, story),
        // What looks like our mistake may be the kernel's lack of what was dear to ask for.
        Ok(Err(Stop::Error(error))) => lacking(state.rule.needs).await.unwrap_or(End::Error(error)),
        Err(panic) => End::Error(Error::new(
            format!("the case panicked: {}", words(panic.as_ref())),
            state.id.to_string(),
            "a panic is a bug in the case or in Hairpin, not in the kernel",
        )),
    }
}

/// The end of a case that needs something of these which the kernel lacks.
async fn lacking(asked: &[Need]) -> Option<End> {
    match needs::missing(asked).await {
        Err(error) => Some(End::Error(error)),
        Ok(missing) if missing.is_empty() => None,
        Ok(missing) => Some(End::Skip(missing.iter().map(|(need, _)| need.to_string()).collect())),
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

impl State {
    /// The end of a case whose body has come through.
    fn complete(&self) -> End {
        if self.claims.get() == 0 {
            return End::Error(Error::new(
                "the case holds nothing against the promise",
                self.id.to_string(),
                "use `expect` or `claim` in it",
            ));
        }
        match self.without_twin() {
            None => End::Pass,
            Some(what) => End::Error(Error::new(
                format!("{what} was cut off and never shown to arrive"),
                self.id.to_string(),
                "lift the one cause and expect the pair to be reached: without that twin the cable \
                 may have been unplugged",
            )),
        }
    }

    /// A pair or a flow that was cut off and never reached.
    fn without_twin(&self) -> Option<String> {
        let alone = |(cut_off, reached): &(bool, bool)| *cut_off && !*reached;
        let (pairs, flows) = (self.pairs.borrow(), self.flows.borrow());
        let pair = pairs.iter().find(|(_, seen)| alone(seen));
        let pair = pair.map(|((class, from, to), _)| format!("{class} from `{from}` to `{to}`"));
        pair.or_else(|| Some(flows.iter().find(|(_, seen)| alone(seen))?.0.clone()))
    }

    /// Notes for the twin check what became of a flow.
    fn note_flow(&self, flow: &Flow<'_>, verdict: &Verdict) {
        let mut flows = self.flows.borrow_mut();
        let (cut_off, reached) = flows.entry(flow.to_string()).or_default();
        match verdict {
            Verdict::Delivered | Verdict::Duplicated(_) => *reached = true,
            _ => *cut_off = true,
        }
    }

    /// Notes for the twin check what a grid shows.
    fn note(&self, grid: &Grid) {
        for (from, to, cell) in grid.pairs().filter(|(from, to, _)| from != to) {
            let key = (grid.class, from.to_owned(), to.to_owned());
            let mut pairs = self.pairs.borrow_mut();
            let (cut_off, reached) = pairs.entry(key).or_default();
            match cell.verdict {
                Verdict::Delivered | Verdict::Duplicated(_) => *reached = true,
                _ => *cut_off = true,
            }
        }
    }
}

impl Case {
    /// Builds a lab for the case.
    pub async fn lab(&mut self, topology: &Topology) -> Result<CaseLab, Error> {
        let began = Instant::now();
        let mut lab = Lab::build(topology).await?;
        if events::are_read() {
            lab.record_into(&self.state.recording);
        }
        lab.tell_steps(|text| events::emit(Event::Step { text }));
        events::emit(Event::LabBuilt {
            wiring: topology.wiring(),
            topology: Some(topology.clone()),
            build_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        });
        shell::instead(&lab)?;
        Ok(CaseLab { lab, state: Rc::clone(&self.state) })
    }

    /// Holds a fact that needs no lab against the promise; `observed` is told when it does not hold.
    pub fn claim(&self, claim: &str, holds: bool, observed: impl fmt::Display) -> Result<(), Stop> {
        self.state.claim(claim, holds, &observed)
    }
}

impl State {
    fn claim(&self, claim: &str, holds: bool, observed: &dyn fmt::Display) -> Result<(), Stop> {
        self.claims.set(self.claims.get() + 1);
        let seen = (!holds).then(|| observed.to_string());
        events::emit(Event::Check { claim: claim.into(), observed: seen.clone() });
        match seen {
            None => Ok(()),
            Some(seen) => Err(Stop::Fail(
                format!("not so: {claim}"),
                format!("not so: {claim}\n  observed: {seen}"),
            )),
        }
    }
}

/// A lab of a case: a [`Lab`] that can be held against the promise.
#[derive(Debug)]
pub struct CaseLab {
    lab: Lab,
    state: Rc<State>,
}

impl Drop for CaseLab {
    fn drop(&mut self) {
        // What it cannot tell does not change how the case ends.
        observe::drain(&mut self.lab).ok();
    }
}

impl Deref for CaseLab {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl DerefMut for CaseLab {
    fn deref_mut(&mut self) -> &mut Lab {
        &mut self.lab
    }
}

/// Whether what is observed is to be observed again without taps, which must change nothing.
fn compares_taps() -> bool {
    std::env::var_os("HAIRPIN_TAPS").is_some_and(|value| value == "compare")
}

impl CaseLab {
    /// Observes a grid and holds it against the drawing. See [`hairpin_model::grid`] for the symbols.
    pub async fn expect(&mut self, class: Class, drawing: &str) -> Result<Grid, Stop> {
        let expected: Drawing = drawing.parse()?;
        let grid = self.lab.observe(class).await?;
        self.hold(&grid, &expected)?;
        if compares_taps() {
            self.hold_without_taps(&grid).await?;
        }
        Ok(grid)
    }

    /// Holds that a grid is the same when no tap looks on. Some cells can be proved by taps alone:
    /// these say nothing without, and so nothing else.
    async fn hold_without_taps(&mut self, traced: &Grid) -> Result<(), Stop> {
        let untraced = self.lab.without_taps(async |lab| lab.observe(traced.class).await).await?;
        let mut pairs = untraced.pairs().zip(traced.pairs());
        let same = pairs.all(|((_, _, without), (_, _, with))| {
            matches!(without.verdict, Verdict::Inconclusive(_)) || without.verdict == with.verdict
        });
        let claim = format!("{}: the same without taps", traced.class);
        self.claim(&claim, same, untraced.drawing())
    }

    fn hold(&self, grid: &Grid, expected: &Drawing) -> Result<(), Stop> {
        self.state.claims.set(self.state.claims.get() + 1);
        let differences = grid.differences(expected)?;
        events::emit(Event::Grid {
            title: grid.class.to_string(),
            observed: grid.clone().folded(),
            expected: expected.to_string(),
            agrees: differences.is_empty(),
        });
        self.state.note(grid);
        let Some((from, to, drawn, cell)) = differences.first() else { return Ok(()) };
        let story = report::grid(self.lab.topology(), grid, expected, &differences);
        if let Some((from, to, why)) = report::inconclusive(grid) {
            self.keep(&story);
            let what = format!("{} from `{from}` to `{to}` is inconclusive: {why}", grid.class);
            return Err(
                Error::new(what, self.state.id.to_string(), report::INCONCLUSIVE_HELP).into()
            );
        }
        self.keep(&story);
        let line = format!("{} {from} -> {to}: drawn `{drawn}`, {}", grid.class, cell.verdict);
        Err(Stop::Fail(line, story))
    }

    /// Holds a fact against the promise; `observed` is told when it does not hold.
    pub fn claim(&self, claim: &str, holds: bool, observed: impl fmt::Display) -> Result<(), Stop> {
        let result = self.state.claim(claim, holds, &observed);
        if let Err(Stop::Fail(_, story)) = &result {
            self.keep(story);
        }
        result
    }

    /// Sends one frame of your own making from a host, and holds who heard it, and as what,
    /// against a list: `c1 host, e other`, `e broadcast x2`, `nobody`. See [`Shot`] and [`Fate`].
    pub async fn expect_shot(
        &mut self,
        from: &str,
        shot: &Shot,
        heard: &str,
    ) -> Result<Fate, Stop> {
        let fate = self.lab.shoot(from, shot).await?;
        self.hold_fate(fate, &format!("{shot} from {from}"), heard)
    }

    /// Sends one frame through a macvtap link's queue, and holds who heard it, as
    /// [`CaseLab::expect_shot`] does.
    pub async fn expect_shot_from(
        &mut self,
        queue: &Queue,
        shot: &Shot,
        heard: &str,
    ) -> Result<Fate, Stop> {
        let fate = self.lab.shoot_from(queue, shot).await?;
        self.hold_fate(fate, &format!("{shot} through {}'s queue", queue.link()), heard)
    }

    /// Holds what became of a frame against a list of those that hear it.
    fn hold_fate(&self, fate: Fate, what: &str, heard: &str) -> Result<Fate, Stop> {
        fate.proved()?;
        let (seen, path) = (fate.to_string(), fate.path());
        let claim = format!("{what} is heard by: {heard}");
        self.claim(&claim, seen == heard, format!("{seen}; it passed {path}"))?;
        Ok(fate)
    }

    /// Sends one frame of your own making from a host, and holds that it comes out of a macvtap
    /// link's queue so many times, each as it was sent.
    pub async fn expect_emerged(
        &mut self,
        queue: &Queue,
        from: &str,
        shot: &Shot,
        times: usize,
    ) -> Result<Vec<Emerged>, Stop> {
        let copies = self.lab.emerged(&[queue], from, shot).await?;
        let copies: Vec<Emerged> = copies.into_iter().map(|(_, copy)| copy).collect();
        let claim = format!("{shot} from {from} comes out of {} {times} times", queue.link());
        let whole = copies.iter().all(|copy| copy.whole);
        let lengths: Vec<usize> = copies.iter().map(|copy| copy.frame.len()).collect();
        let seen = format!("{} times, {lengths:?} bytes, whole: {whole}", copies.len());
        self.claim(&claim, whole && copies.len() == times, seen)?;
        Ok(copies)
    }

    /// Sends a frame out of a link, and holds that whoever watches another that it comes to is told
    /// the address of the first as its sender's.
    pub fn expect_told_sender(&self, from: &str, shot: &Shot, at: &str) -> Result<(), Stop> {
        let sender = self.lab.mac(from);
        let seen = self.lab.told_sender(from, shot, at)?;
        self.claim(&format!("{at} is told {sender}"), seen == Some(sender), format!("{seen:?}"))
    }

    /// Holds that the kernel refused something with this error.
    pub fn expect_refusal<T>(
        &self,
        what: &str,
        result: Result<T, Error>,
        errno: nix::errno::Errno,
    ) -> Result<(), Stop> {
        let seen = match &result {
            Ok(_) => "it was done".to_owned(),
            Err(error) if error.errno == 0 => return Err(Stop::Error(error.clone())),
            Err(error) => format!("{:?}: {}", nix::errno::Errno::from_raw(error.errno), error.what),
        };
        let holds = result.is_err_and(|error| error.errno == errno as i32);
        self.claim(&format!("{what} is refused with {errno:?}"), holds, seen)
    }

    /// The same, and that the kernel says why, in these words among others.
    pub fn expect_refusal_for<T>(
        &self,
        what: &str,
        result: Result<T, Error>,
        (errno, words): (nix::errno::Errno, &str),
    ) -> Result<(), Stop> {
        let said = result.as_ref().err().map_or_else(String::new, |error| error.what.clone());
        self.expect_refusal(what, result, errno)?;
        self.claim(&format!("{what} is refused for `{words}`"), said.contains(words), said)
    }

    /// Holds that the kernel did what was asked; elsewhere a refusal is an error of ours.
    pub fn expect_done<T>(&self, what: &str, result: Result<T, Error>) -> Result<(), Stop> {
        match result {
            Err(error) if error.errno == 0 => Err(Stop::Error(error)),
            result => {
                let seen =
                    result.as_ref().err().map(|error| error.what.clone()).unwrap_or_default();
                self.claim(&format!("{what} is done"), result.is_ok(), seen)
            }
        }
    }

    /// Holds that a host is asked for memberships, by the next question that it hears, or failed to
    /// hear in ten seconds: [`crate::Asking::next`] or
    /// [`crate::Asking::next_for_a_group`].
    pub fn expect_asked(&self, asked: Result<Asked, Error>, what: &str) -> Result<Asked, Stop> {
        let seen = asked.as_ref().map_or_else(|error| error.what.clone(), ToString::to_string);
        self.claim(&format!("it asks: {what}"), seen == what, &seen)?;
        Ok(asked?)
    }

    /// Holds that a host hears a message of the spanning tree in time.
    pub fn expect_heard(
        &self,
        heard: Result<HeardBpdu, Error>,
        what: &str,
    ) -> Result<HeardBpdu, Stop> {
        let seen = heard.as_ref().err().map(|error| error.what.clone()).unwrap_or_default();
        self.claim(&format!("heard: {what}"), heard.is_ok(), seen)?;
        Ok(heard?)
    }

    /// Holds what the kernel says of an option of a link against a value.
    pub async fn expect_option(
        &self,
        link: impl Into<LinkName>,
        option: LinkOption,
        value: u64,
    ) -> Result<(), Stop> {
        let link = link.into();
        let seen = self.lab.option(&link, option).await?;
        let claim = format!("{link} has {option} {value}");
        let words = seen.map_or("the kernel does not tell it".into(), |seen| seen.to_string());
        self.claim(&claim, seen == Some(value), words)
    }

    /// Sets an option, and holds that it is told so thereupon, and that nothing else is told
    /// otherwise than before but what is named.
    pub async fn expect_only(
        &mut self,
        link: impl Into<LinkName>,
        (option, value): (LinkOption, u64),
        besides: &[LinkOption],
    ) -> Result<(), Stop> {
        let link = link.into();
        let before = self.lab.told(&link).await?;
        let done = self.lab.set_option(&link, option, value).await;
        self.expect_done(&format!("{option} {value}"), done)?;
        self.expect_option(&link, option, value).await?;
        let changes = before.changes(&self.lab.told(&link).await?);
        let mut wanted = vec![option.spot()];
        wanted.extend(besides.iter().map(|option| option.spot()));
        let other: Vec<&String> = changes.iter().filter(|c| !wanted.contains(c)).collect();
        let claim = format!("{option} {value} changes nothing else of {link}");
        self.claim(&claim, other.is_empty(), format!("{other:?}"))?;
        let claim = format!("{option} was something else before");
        self.claim(&claim, changes.contains(&wanted[0]), format!("{changes:?}"))
    }

    /// Holds a list of lines against the entries of a table: of [`Lab::fdb`], [`Lab::mdb`],
    /// [`Lab::vlans`].
    pub fn expect_lines<T: fmt::Display>(
        &self,
        what: &str,
        entries: impl IntoIterator<Item = T>,
        lines: &[&str],
    ) -> Result<(), Stop> {
        let seen: Vec<String> = entries.into_iter().map(|entry| entry.to_string()).collect();
        let claim = format!("{what}: [{}]", lines.join(", "));
        self.claim(&claim, seen == lines, format!("[{}]", seen.join(", ")))
    }

    /// Holds the way that frames of this kind took against a drawn one: `c1:c0> p:p0> sw:s0<`.
    pub fn expect_path(
        &self,
        grid: &Grid,
        from: &str,
        to: &str,
        what: &str,
        path: &str,
    ) -> Result<(), Stop> {
        let cell = grid.cell(from, to).ok_or_else(|| {
            Error::new(
                format!("no cell `{from}` to `{to}`"),
                self.state.id.to_string(),
                "name hosts of the grid",
            )
        })?;
        let claim = format!("the {what} from {from} to {to} passes {path}");
        self.claim(&claim, cell.path(what) == path, format!("it passed {}", cell.path(what)))
    }

    /// With `HAIRPIN_KEEP=1`: tells how to enter the lab, and keeps it until the process is ended
    /// or its input is.
    fn keep(&self, story: &str) {
        if std::env::var_os("HAIRPIN_KEEP").is_none_or(|value| value != "1") {
            return;
        }
        eprintln!("{}\n{story}\n\nthe lab is kept; enter a host with", self.state.id);
        for (name, line) in self.lab.entrances() {
            eprintln!("  {name:<8} {line}");
        }
        eprintln!("press Enter (or end the input) to let it go");
        // Whatever ends the wait ends the lab.
        std::io::stdin().read_line(&mut String::new()).unwrap_or_default();
    }
}
