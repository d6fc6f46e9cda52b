//! Who reaches whom: a row a sender, a column a receiver, a cell an ordered pair.
//!
//! A grid is drawn with one symbol a cell and read back from such a drawing, so that a case can
//! hold the kernel against a picture:
//!
//! ```
//! use hairpin_model::grid::Drawing;
//! let drawing: Drawing = "
//!         c1 c2 e
//!     c1  .  #  +
//!     c2  #  .  +
//!     e   +  +  .
//! ".parse().unwrap();
//! assert_eq!(drawing.symbol("c1", "c2"), Some('#'));
//! ```
//!
//! | symbol | cell |
//! |---|---|
//! | `.` | the host itself, and it did not hear itself |
//! | `+` | delivered, once |
//! | `2` … `9` | delivered that often |
//! | `#` | blocked, and proved so |
//! | `>` | one way: the request arrived, the answer did not |
//! | `N` `H` `P` `A` `X` `R` | refused: no route, host, port, administratively, reset, other |
//! | `?` | inconclusive; never accepted in a drawing |

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::class::Class;
use crate::error::Error;
use crate::journey::{self, Headers};

/// Which refusal came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// No route: the sender's own kernel, or ICMP network unreachable.
    NoRoute,
    /// ICMP host (or address) unreachable.
    Host,
    /// ICMP port unreachable, also what a firewall's `reject` sends.
    Port,
    /// ICMP administratively prohibited.
    Prohibited,
    /// TCP reset.
    Reset,
    /// Another ICMP error or errno, in words.
    Other(String),
}

impl Refusal {
    /// The symbol in a drawing.
    pub const fn symbol(&self) -> char {
        match self {
            Self::NoRoute => 'N',
            Self::Host => 'H',
            Self::Port => 'P',
            Self::Prohibited => 'A',
            Self::Reset => 'X',
            Self::Other(_) => 'R',
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoute => f.write_str("no route"),
            Self::Host => f.write_str("host unreachable"),
            Self::Port => f.write_str("port unreachable"),
            Self::Prohibited => f.write_str("administratively prohibited"),
            Self::Reset => f.write_str("connection reset"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// What the kernel did with the traffic of one ordered pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The pair is a host with itself, and the host did not hear its own frame.
    Own,
    /// It arrived once (and was answered, for a ping).
    Delivered,
    /// It arrived more than once.
    Duplicated(u32),
    /// It did not arrive, as controls prove.
    Blocked,
    /// It was refused.
    Refused(Refusal),
    /// The request arrived, the answer did not come back, as controls prove.
    OneWay,
    /// We cannot tell, and why.
    Inconclusive(String),
}

impl Verdict {
    /// The symbol in a drawing.
    pub fn symbol(&self) -> char {
        match self {
            Self::Own => '.',
            Self::Delivered => '+',
            Self::Duplicated(n) => char::from_digit((*n).min(9), 10).unwrap_or('9'),
            Self::Blocked => '#',
            Self::Refused(refusal) => refusal.symbol(),
            Self::OneWay => '>',
            Self::Inconclusive(_) => '?',
        }
    }

    /// Whether nothing of it is missing, and nothing too many.
    pub const fn is_whole(&self) -> bool {
        matches!(self, Self::Own | Self::Delivered)
    }

    /// Whether the traffic reached the receiver at all.
    pub const fn reached(&self) -> bool {
        matches!(self, Self::Delivered | Self::Duplicated(_) | Self::OneWay)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("not heard by itself"),
            Self::Delivered => f.write_str("delivered"),
            Self::Duplicated(n) => write!(f, "delivered {n} times"),
            Self::Blocked => f.write_str("blocked"),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::OneWay => f.write_str("arrived, but the answer did not come back"),
            Self::Inconclusive(why) => write!(f, "inconclusive: {why}"),
        }
    }
}

/// Which way a frame passed a link, as the link's namespace saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Into the namespace.
    In,
    /// Out of the namespace.
    Out,
}

/// A frame of the cell's own traffic, seen on a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sighting {
    /// The link, as `netns:link`.
    pub link: String,
    /// Which way it passed.
    pub direction: Direction,
    /// What the frame was: `frame`, `arp request`, `echo request` …
    pub what: String,
    /// What it said there; in the stream only where that is not what the sighting of its kind before
    /// it said, see [`crate::journey`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers>,
}

impl Sighting {
    /// A frame of that kind on a link, whatever its headers.
    pub fn new(link: impl Into<String>, direction: Direction, what: impl Into<String>) -> Self {
        Self { link: link.into(), direction, what: what.into(), headers: None }
    }
}

/// A frame of a cell that the kernel gave up, and said so: only a guest's is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// What the frame was, as [`Sighting::what`].
    pub what: String,
    /// The link that it was at, as `netns:link`.
    pub link: String,
    /// The kernel's function that gave it up.
    pub function: String,
    /// Why, in the kernel's own words (`enum skb_drop_reason`); kernels before 5.17 do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dropped at {} by {}", self.link, self.function)?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
    }
}

/// What a link or a firewall counted as given up while a grid was observed: of all frames of that
/// time, also those of the controls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The link, as `netns:link`, or the namespace whose firewall it is.
    pub at: String,
    /// How many.
    pub many: u64,
    /// What: `received frames dropped`, `packets taken by forward tcp port 80: drop`.
    pub what: String,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} counted {} {}", self.at, self.many, self.what)
    }
}

/// One cell of a grid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// What the kernel did.
    pub verdict: Verdict,
    /// Why we may say so, for what is not simply delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// Where the frames were seen, in order of time; empty when the grid was observed untraced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Sighting>,
    /// Where the kernel says that it gave such frames up, in order of time; only of cells that are
    /// not delivered, and no proof of anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Dropped>,
    /// Other hosts whose stack took the frame although it was not for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overheard: Vec<String>,
    /// The IPv4 TTL or IPv6 hop limit that the request arrived with, if it was seen arriving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
}

/// The way from link to link, as [`Cell::path`] writes it.
pub fn path<'s>(seen: impl IntoIterator<Item = &'s Sighting>) -> String {
    let words: Vec<String> =
        seen.into_iter().map(|s| format!("{}{}", s.link, s.direction.sign())).collect();
    words.join(" ")
}

impl Cell {
    /// A cell with nothing but its verdict.
    pub fn new(verdict: Verdict) -> Self {
        Self {
            verdict,
            proof: None,
            seen: Vec::new(),
            dropped: Vec::new(),
            overheard: Vec::new(),
            ttl: None,
        }
    }

    /// The way that frames of this kind took, as `c1:eth0> p:eth0> sw:s0<`: `>` is out of the
    /// link's namespace, `<` is in.
    pub fn path(&self, what: &str) -> String {
        path(self.seen.iter().filter(|s| s.what == what))
    }

    /// The kinds of frame that were seen, each once, in order of first sight.
    pub fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<&str> = Vec::new();
        for sighting in &self.seen {
            if !kinds.contains(&sighting.what.as_str()) {
                kinds.push(&sighting.what);
            }
        }
        kinds
    }

    /// Whether any frame of the cell was seen on this link, either way.
    pub fn touches(&self, link: &str) -> bool {
        self.seen.iter().any(|s| s.link == link)
    }
}

impl Direction {
    /// `<` for in, `>` for out.
    pub const fn sign(self) -> char {
        match self {
            Self::In => '<',
            Self::Out => '>',
        }
    }
}

/// All cells of one observation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// The traffic that was sent.
    pub class: Class,
    /// The hosts, in the order of rows and of columns.
    pub hosts: Vec<String>,
    /// The cells, row by row: `cells[from][to]`.
    pub cells: Vec<Vec<Cell>>,
    /// What was counted as given up meanwhile, where not all cells are whole; no proof of anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<Counted>,
}

impl Grid {
    /// The grid as the stream tells it: headers only where they are news.
    #[must_use]
    pub fn folded(mut self) -> Self {
        for cell in self.cells.iter_mut().flatten() {
            journey::fold(&mut cell.seen);
        }
        self
    }

    /// A grid whose cells are all undecided but for the diagonal.
    pub fn undecided(class: Class, hosts: Vec<String>) -> Self {
        let unknown = || Verdict::Inconclusive("not observed".into());
        let n = hosts.len();
        let row = |i: usize| {
            (0..n).map(|j| Cell::new(if i == j { Verdict::Own } else { unknown() })).collect()
        };
        Self { class, cells: (0..n).map(row).collect(), hosts, counted: Vec::new() }
    }

    /// Whether all cells are.
    pub fn is_whole(&self) -> bool {
        self.cells.iter().flatten().all(|cell| cell.verdict.is_whole())
    }

    /// The place of a host.
    pub fn index(&self, host: &str) -> Option<usize> {
        self.hosts.iter().position(|h| h == host)
    }

    /// The cell of an ordered pair; `None` when a name is not in the grid.
    pub fn cell(&self, from: &str, to: &str) -> Option<&Cell> {
        Some(&self.cells[self.index(from)?][self.index(to)?])
    }

    /// Every cell with the names of its pair.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str, &Cell)> {
        self.hosts.iter().zip(&self.cells).flat_map(|(from, row)| {
            self.hosts.iter().zip(row).map(move |(to, cell)| (from.as_str(), to.as_str(), cell))
        })
    }

    /// The grid as the drawing that would agree with it.
    pub fn drawing(&self) -> Drawing {
        let symbols =
            self.cells.iter().map(|row| row.iter().map(|c| c.verdict.symbol()).collect()).collect();
        Drawing { hosts: self.hosts.clone(), symbols }
    }

    /// The pairs whose symbol is not the drawn one, as `(from, to, drawn, cell)`.
    ///
    /// A drawing of other hosts, or in another order, is an error.
    pub fn differences<'g>(
        &'g self,
        drawing: &Drawing,
    ) -> Result<Vec<(&'g str, &'g str, char, &'g Cell)>, Error> {
        if drawing.hosts != self.hosts {
            return Err(Error::new(
                format!("the drawing is of {:?}, the grid of {:?}", drawing.hosts, self.hosts),
                format!("grid of {}", self.class),
                "draw the hosts in the order in which the topology names them",
            ));
        }
        let drawn = drawing.symbols.iter().flatten().copied();
        let differ =
            self.pairs().zip(drawn).filter(|((_, _, cell), d)| cell.verdict.symbol() != *d);
        Ok(differ.map(|((from, to, cell), d)| (from, to, d, cell)).collect())
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.drawing().fmt(f)
    }
}

/// The symbols of a grid without their evidence: what a case draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// The hosts, in the order of rows and of columns.
    pub hosts: Vec<String>,
    /// The symbols, row by row.
    pub symbols: Vec<Vec<char>>,
}

/// The symbols that a drawing may hold: all but the inconclusive one.
pub const DRAWABLE: &str = ".+#>NHPAXR23456789";

impl Drawing {
    /// The symbol of an ordered pair.
    pub fn symbol(&self, from: &str, to: &str) -> Option<char> {
        let at = |name: &str| self.hosts.iter().position(|h| h == name);
        Some(self.symbols[at(from)?][at(to)?])
    }

    /// Every ordered pair with its symbol.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str, char)> {
        self.hosts.iter().zip(&self.symbols).flat_map(|(from, row)| {
            self.hosts.iter().zip(row).map(move |(to, s)| (from.as_str(), to.as_str(), *s))
        })
    }
}

impl fmt::Display for Drawing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.hosts.iter().map(String::len).max().unwrap_or(0);
        let line = |head: &str, cells: Vec<String>| {
            format!("{head:width$}  {}", cells.join(" ")).trim_end().to_owned()
        };
        f.write_str(&line("", self.hosts.iter().map(|h| format!("{h:width$}")).collect()))?;
        for (host, row) in self.hosts.iter().zip(&self.symbols) {
            let cells = row.iter().map(|s| format!("{s:width$}")).collect();
            write!(f, "\n{}", line(host, cells))?;
        }
        Ok(())
    }
}

impl FromStr for Drawing {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |what: String, line: &str| {
            Error::new(
                what,
                format!("drawing line `{}`", line.trim()),
                "first a line of host names, then a line a host: its name and one symbol for each",
            )
        };
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let head = lines.next().ok_or_else(|| bad("the drawing is empty".into(), ""))?;
        let hosts: Vec<String> = head.split_whitespace().map(Into::into).collect();
        let mut symbols = Vec::new();
        for (i, line) in lines.enumerate() {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap_or_default();
            if hosts.get(i).is_none_or(|host| host != name) {
                return Err(bad(
                    format!("row {} is `{name}`, column {} is not", i + 1, i + 1),
                    line,
                ));
            }
            let row: Vec<&str> = words.collect();
            if row.len() != hosts.len() {
                return Err(bad(format!("{} symbols for {} hosts", row.len(), hosts.len()), line));
            }
            symbols.push(row.into_iter().map(|s| symbol(s, line)).collect::<Result<_, _>>()?);
        }
        if symbols.len() != hosts.len() {
            return Err(bad(format!("{} rows for {} hosts", symbols.len(), hosts.len()), head));
        }
        Ok(Self { hosts, symbols })
    }
}

/// One word of a drawing as a symbol.
fn symbol(word: &str, line: &str) -> Result<char, Error> {
    let mut chars = word.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if DRAWABLE.contains(c) => Ok(c),
        _ => Err(Error::new(
            format!("`{word}` is no symbol of a drawing"),
            format!("drawing line `{}`", line.trim()),
            format!("the symbols are {DRAWABLE}; inconclusive cannot be expected"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::undecided(Class::Unicast, vec!["c1".into(), "e".into()]);
        grid.cells[0][1] = Cell::new(Verdict::Delivered);
        grid.cells[1][0] = Cell::new(Verdict::Blocked);
        grid
    }

    #[test]
    fn a_grid_is_drawn() {
        insta::assert_snapshot!(grid(), @r"
            c1 e
        c1  .  +
        e   #  .
        ");
    }

    #[test]
    fn a_difference_names_its_pair() {
        let drawing = " c1 e \n c1 . + \n e + .".parse().unwrap();
        let grid = grid();
        let differences = grid.differences(&drawing).unwrap();
        assert_eq!(differences.len(), 1);
        let (from, to, drawn, cell) = differences[0];
        assert_eq!((from, to, drawn, &cell.verdict), ("e", "c1", '+', &Verdict::Blocked));
    }

    #[test]
    fn an_undecided_cell_differs_from_every_drawing() {
        let grid = Grid::undecided(Class::Unicast, vec!["a".into(), "b".into()]);
        for s in DRAWABLE.chars() {
            let drawing = format!("  a b\na . {s}\nb {s} .").parse().unwrap();
            assert_eq!(grid.differences(&drawing).unwrap().len(), 2);
        }
    }

    #[test]
    fn bad_drawings_say_what_is_wrong() {
        let errors: Vec<String> =
            ["", "a b\na . ?\nb . .", "a b\nb . .", "a b\na .\nb . .", "a b\na . ."]
                .iter()
                .map(|text| text.parse::<Drawing>().unwrap_err().what)
                .collect();
        insta::assert_snapshot!(errors.join("\n"), @r"
        the drawing is empty
        `?` is no symbol of a drawing
        row 1 is `b`, column 1 is not
        1 symbols for 2 hosts
        1 rows for 2 hosts
        ");
    }

    #[test]
    fn a_path_tells_the_way_out_and_back() {
        let mut cell = Cell::new(Verdict::Delivered);
        for (link, direction) in
            [("c:c0", Direction::Out), ("p:p0", Direction::Out), ("sw:s0", Direction::In)]
        {
            cell.seen.push(Sighting::new(link, direction, "frame"));
        }
        assert_eq!(cell.path("frame"), "c:c0> p:p0> sw:s0<");
        assert!(cell.touches("p:p0") && !cell.touches("sw:s1"));
    }

    proptest! {
        #[test]
        fn a_drawing_reads_back_as_itself(n in 1usize..6, seed in proptest::collection::vec(0usize..18, 36)) {
            let hosts: Vec<String> = (0..n).map(|i| format!("h{i}")).collect();
            let pick = |i: usize| DRAWABLE.chars().nth(seed[i]).unwrap();
            let symbols = (0..n).map(|i| (0..n).map(|j| pick(i * 6 + j)).collect()).collect();
            let drawing = Drawing { hosts, symbols };
            prop_assert_eq!(drawing.to_string().parse::<Drawing>().unwrap(), drawing);
        }
    }
}
