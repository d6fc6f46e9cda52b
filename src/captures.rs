//! Captures of failing cases: one file a case, made from the frames that its events tell.
//!
//! Because events carry the frames, a case in a guest leaves the same file as one on this machine.
//! The format itself is in [`pcapng`].

mod pcapng;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hairpin_model::event::Frame;
use hairpin_model::{Error, Event};

use crate::run::schedule::Result as CaseResult;
use crate::suite::Case;
use pcapng::Writer;

/// The folder that a run leaves its captures in.
pub(crate) struct Captures {
    folder: PathBuf,
    /// Whether nobody named the folder: then it is made when there is something to keep, only cases with frames leave a
    /// file, and one that cannot be written is told with the case and fails nothing.
    unasked: bool,
    /// The cases of this run that have theirs: with `--repeat` the first failure is captured.
    left: BTreeSet<String>,
}

impl Captures {
    /// Makes the folder, if it is not there.
    pub(crate) fn create(folder: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
        Ok(Self { folder: folder.to_owned(), unasked: false, left: BTreeSet::new() })
    }

    /// In a folder that nobody named.
    pub(crate) fn unasked(folder: PathBuf) -> Self {
        Self { folder, unasked: true, left: BTreeSet::new() }
    }

    /// Writes the capture of a case that ended badly, and says where it is. One that did not leaves none, and takes away
    /// what an earlier run has left of it: what lies there is of this run.
    pub(crate) fn take(
        &mut self,
        case: &Case,
        result: &CaseResult,
    ) -> Result<Option<String>, Error> {
        match self.put(case, result) {
            Err(error) if self.unasked => Ok(Some(format!("{}: {}", error.what, error.place))),
            put => put,
        }
    }

    fn put(&mut self, case: &Case, result: &CaseResult) -> Result<Option<String>, Error> {
        let id = case.id.as_str();
        if self.left.contains(id) {
            return Ok(None);
        }
        let path = self.folder.join(format!("{id}.pcapng"));
        if result.outcome.is_bad() {
            let comment = comment(id, result);
            let events: Vec<&Event> = result.records.iter().map(|record| &record.event).collect();
            if self.unasked {
                if !events.iter().any(|event| matches!(event, Event::Frame(_))) {
                    return Ok(None);
                }
                std::fs::create_dir_all(&self.folder).map_err(|e| unwritten(&self.folder, &e))?;
            }
            std::fs::write(&path, capture(&comment, &events)).map_err(|e| unwritten(&path, &e))?;
            self.left.insert(id.to_owned());
            return Ok(Some(path.display().to_string()));
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(unwritten(&path, &error))
            }
            _ => Ok(None),
        }
    }
}

/// What the file as a whole is of.
fn comment(id: &str, result: &CaseResult) -> String {
    let reason = result.reason.as_deref().unwrap_or("no reason is told");
    format!("{id}: {}: {reason}", result.outcome.word())
}

/// The bytes of a capture: an interface for each link of each lab, then the frames.
fn capture(comment: &str, events: &[&Event]) -> Vec<u8> {
    let labs = events.iter().filter(|event| matches!(event, Event::LabBuilt { .. })).count();
    let frames: Vec<&Frame> = events
        .iter()
        .filter_map(|event| match event {
            Event::Frame(frame) => Some(frame),
            _ => None,
        })
        .collect();
    let mut writer = Writer::new(&format!("{comment}{}", left_off(&frames)));
    for (lab, link) in links(events, &frames) {
        let name = if labs > 1 { format!("{link} of lab {}", lab + 1) } else { link.clone() };
        writer.interface((lab, link), &name);
    }
    for frame in frames {
        writer.frame(frame);
    }
    writer.into_bytes()
}

/// Says so, where the frames are not all that passed.
fn left_off(frames: &[&Frame]) -> String {
    match (frames, frames.iter().map(|frame| frame.left_off).sum::<usize>()) {
        ([], _) => "; the case told no frames".into(),
        (_, 0) => String::new(),
        (_, n) => format!("; {n} older frames are left off"),
    }
}

/// The links of all labs in the order of their topologies; then those that came later.
fn links(events: &[&Event], frames: &[&Frame]) -> Vec<(usize, String)> {
    let built = events.iter().filter_map(|event| match event {
        Event::LabBuilt { topology, .. } => Some(topology.as_ref()),
        _ => None,
    });
    let mut links: Vec<(usize, String)> = built
        .enumerate()
        .flat_map(|(lab, topology)| {
            let links = topology.into_iter().flat_map(|topology| &topology.links);
            links.map(move |link| (lab, link.name.to_string()))
        })
        .collect();
    for frame in frames {
        let link = (frame.lab, frame.link.clone());
        if !links.contains(&link) {
            links.push(link);
        }
    }
    links
}

fn unwritten(path: &Path, error: &std::io::Error) -> Error {
    Error::new(
        format!("cannot write the capture: {error}"),
        path.display().to_string(),
        "name a folder that can be written, on a disk with room",
    )
}

#[cfg(test)]
mod tests {
    use hairpin_model::Topology;
    use hairpin_model::grid::Direction;

    use super::*;

    fn frame(lab: usize, link: &str, left_off: usize) -> Event {
        let (direction, link) = (Direction::In, link.into());
        Event::Frame(Frame {
            lab,
            link,
            direction,
            ns: 0,
            len: 0,
            bytes: "".into(),
            probe: None,
            left_off,
        })
    }

    fn built() -> Event {
        let topology = Topology::new("pair").host("a").host("b").cable("a:x", "b:x");
        Event::LabBuilt { wiring: String::new(), topology: Some(topology), build_us: 1 }
    }

    fn text(events: &[Event]) -> String {
        let events: Vec<&Event> = events.iter().collect();
        String::from_utf8_lossy(&capture("why", &events)).into_owned()
    }

    #[test]
    fn links_are_named_and_those_of_several_labs_told_apart() {
        let one = text(&[built(), frame(0, "c:new", 0)]);
        assert!(one.contains("a:x") && one.contains("b:x") && one.contains("c:new"));
        assert!(!one.contains("of lab"));
        let two = text(&[built(), built(), frame(1, "a:x", 0)]);
        assert!(two.contains("a:x of lab 1") && two.contains("a:x of lab 2"));
    }

    #[test]
    fn what_is_not_in_the_file_is_said_in_it() {
        assert!(text(&[built()]).contains("why; the case told no frames"));
        assert!(text(&[built(), frame(0, "a:x", 3)]).contains("why; 3 older frames are left off"));
    }
}
