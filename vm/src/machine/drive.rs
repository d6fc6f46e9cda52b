//! One job in one guest, from the order to the guest's end.

use std::time::{Duration, Instant};

use hairpin_guest::wire::{Exit, Ready, ToGuest, ToHost};
use serde_json::Value;

use super::company::Company;
use super::{Job, Listener};
use crate::console::Console;
use crate::kernels::version_of;
use crate::qemu::{Begin, Guest, Heard, Line};
use crate::result::{End, JobResult, Timing, Written, end_of, marked};

/// How long the kernel has to say what all its tasks do.
const POST_MORTEM: Duration = Duration::from_secs(2);
/// How long a console may be behind when a job is done.
const CONSOLE: Duration = Duration::from_secs(2);
/// When a console that was speaking is silent for so long, it has said what it had to say.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a guest has to leave by itself.
const LEAVE: Duration = Duration::from_secs(5);

/// How a guest whose job is done goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// It is ended: all that it had to say is here.
    AtOnce,
    /// It restarts its machine, as a machine does, and what its kernel says then counts.
    ByItself,
}

/// Only where nothing is short-cut is the way out of interest.
pub(crate) fn leaves(line: &Line, begin: Begin) -> Leaves {
    match begin {
        Begin::Boot if line.profile.is_plain() => Leaves::ByItself,
        _ => Leaves::AtOnce,
    }
}

/// Runs the job and ends the guest.
pub(crate) fn run(
    mut guest: Guest,
    ready: &Ready,
    job: &Job,
    leaves: Leaves,
    company: &mut Company<'_>,
) -> JobResult {
    let begin = Instant::now();
    let mut written = Written::default();
    guest.say(&ToGuest::Run(job.order()));
    let heard = listen(&mut guest, ready, job, begin, &mut written, company);
    let job_took = begin.elapsed();
    if heard.done {
        guest.hear_end_of_console(Instant::now() + CONSOLE);
        guest.say(&ToGuest::Ack);
    }
    if heard.done && leaves == Leaves::ByItself {
        guest.see_off(Instant::now() + LEAVE);
    }
    let is_amid_frame = guest.is_amid_frame();
    let console = guest.end();
    let end = judge(&heard, &console, is_amid_frame);
    let mut result = written.into_result(end, console, job.seed);
    if let Some(exit) = &heard.exit {
        result.timing.inside =
            Duration::from_micros(exit.uptime_us.saturating_sub(ready.uptime_us));
        // What the console says is better evidence; this only catches a console that says nothing.
        if result.evidence.is_empty() {
            result.evidence.extend(marked(ready.tainted, exit.tainted));
        }
    }
    let leave = begin.elapsed() - job_took;
    result.timing = Timing { job: job_took, leave, ..result.timing };
    result
}

/// Runs a job whose outcome does not matter, and leaves the guest up. An error is a guest that is not well.
pub(crate) fn rehearse(guest: &mut Guest, ready: &Ready, job: &Job) -> Result<(), String> {
    let begin = Instant::now();
    guest.say(&ToGuest::Run(job.order()));
    let nobody: Listener<'_> = &mut |_, _| {};
    let company = &mut Company::of(nobody);
    let mut said = listen(guest, ready, job, begin, &mut Written::default(), company);
    if said.done {
        guest.hear_end_of_console(Instant::now() + CONSOLE);
    }
    match (guest.console.evidence().first(), said.failed.take()) {
        (Some(evidence), _) => Err(format!("its kernel complained: {evidence}")),
        (None, Some(end)) => Err(format!("it did not come to its end: {end:?}")),
        (None, None) if said.done => Ok(()),
        (None, None) => Err(said.gone.unwrap_or_else(|| "the machine stopped".into())),
    }
}

/// What the guest said of the job.
#[derive(Debug, Default)]
struct Said {
    exit: Option<Exit>,
    done: bool,
    /// Why the guest was not listened to any longer.
    failed: Option<End>,
    gone: Option<String>,
}

fn listen(
    guest: &mut Guest,
    ready: &Ready,
    job: &Job,
    begin: Instant,
    written: &mut Written,
    company: &mut Company<'_>,
) -> Said {
    let mut said = Said::default();
    let waited_before = guest.waited_for_a_cpu();
    let mut until = begin + job.deadline;
    loop {
        match guest.hear_beside(until, &company.watched()) {
            Heard::Beside => match company.next() {
                Some(message) => guest.say(&message),
                None => {
                    said.failed = Some(End::Failed("the guest was ended from here".into()));
                    return said;
                }
            },
            Heard::Message(ToHost::Took) => company.took(),
            Heard::Message(ToHost::Output(stream, bytes)) => {
                (company.listener)(stream, &bytes);
                written.take(stream, &bytes);
            }
            Heard::Message(ToHost::Exit(exit)) => said.exit = Some(exit),
            Heard::Message(ToHost::Trouble(text)) => said.failed = Some(End::Failed(text)),
            Heard::Message(ToHost::Done) => {
                said.done = true;
                return said;
            }
            Heard::Message(ToHost::Ready(_) | ToHost::Prepared(_)) => {
                said.failed = Some(End::Failed("the guest started anew in mid-job".into()));
                return said;
            }
            Heard::Damage(damage) => {
                said.failed = Some(End::Failed(format!("the event line is damaged: {damage}")));
                return said;
            }
            Heard::Nothing => {
                // A guest that this machine did not let run has not had its time yet.
                let waited = guest.waited_for_a_cpu().saturating_sub(waited_before);
                if begin + job.deadline + waited > Instant::now() {
                    until = begin + job.deadline + waited;
                    continue;
                }
                said.failed = Some(End::Hung(job.deadline));
                post_mortem(guest, &ready.release);
                return said;
            }
            Heard::Gone => {
                said.gone = Some(guest.gone_words("its machine stopped"));
                return said;
            }
        }
    }
}

/// Has the kernel print what all tasks do. It panics over that, which ends the machine.
fn post_mortem(guest: &mut Guest, release: &str) {
    guest.console.begin_post_mortem();
    if loses_words_in_nmi(release) {
        guest.say(&ToGuest::ShowTasks);
        guest.hear_out_console(PAUSE, Instant::now() + POST_MORTEM);
    }
    // A machine that does not answer its own control line has nothing more to tell.
    if guest.ask("inject-nmi", Value::Null).is_ok() {
        guest.see_off(Instant::now() + POST_MORTEM);
    }
}

/// Until 5.15 what a kernel says after an NMI's panic stays in a buffer of its own and is never printed. There the
/// guest's init is asked too, which helps as long as the kernel still lets it run.
fn loses_words_in_nmi(release: &str) -> bool {
    version_of(release) < (5, 15)
}

/// A guest that has not said `done` has crashed, whatever else it said.
fn judge(said: &Said, console: &Console, is_amid_frame: bool) -> End {
    if let Some(end) = &said.failed {
        return end.clone();
    }
    if said.done {
        return said.exit.as_ref().map_or_else(
            || End::Failed("the guest did not say how the program ended".into()),
            end_of,
        );
    }
    let ended = console.evidence().iter().rev().find(|evidence| evidence.ended_machine);
    let why = match (ended.or(console.evidence().last()), &said.gone) {
        (Some(evidence), _) => format!("the kernel gave up: {evidence}"),
        (None, Some(words)) => words.clone(),
        (None, None) => "the machine stopped".into(),
    };
    let amid = if is_amid_frame { ", in the middle of a message" } else { "" };
    End::Crashed(format!("{why}{amid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_kernels_lose_words() {
        assert!(loses_words_in_nmi("5.10.0-46-cloud-amd64"));
        assert!(!loses_words_in_nmi("5.15.1"));
        assert!(!loses_words_in_nmi("7.3.4+deb13-cloud-amd64"));
    }
}
