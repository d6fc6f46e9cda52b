//! What a lab asks of a link's options: to set them, to read them back, and to wait for what becomes of them.

use std::time::Duration;

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::super::Lab;
use super::{
    BECOME, CLOCKS, IFLA_LINKINFO, IFLA_PROTINFO, INFO_DATA, INFO_KIND, INFO_SLAVE_DATA,
    LinkOption, Place, Told, attributes, link_header, read, write,
};
use crate::attrs::{Attrs, find, parse};
use crate::netlink::Refused;
use crate::netlink::plain::{
    self, ACK, AF_BRIDGE, Answer, EventKind, Question, RTM_NEWLINK, RTM_SETLINK,
};

impl Lab {
    /// Sets an option of a link. The topology value does not follow: for what it has a field for,
    /// use that field's own method.
    pub async fn set_option(
        &mut self,
        link: impl Into<LinkName>,
        option: LinkOption,
        value: u64,
    ) -> Result<(), Error> {
        self.set_options(link, &[(option, value)]).await
    }

    /// Sets several options of one link in one request; all are in the same place.
    pub async fn set_options(
        &mut self,
        link: impl Into<LinkName>,
        options: &[(LinkOption, u64)],
    ) -> Result<(), Error> {
        let link = link.into();
        let Some((first, _)) = options.first() else { return Ok(()) };
        let words: Vec<String> = options.iter().map(|(o, value)| format!("{o} {value}")).collect();
        let words = words.join(", ");
        let index = self.index(&link)?;
        let values = options.iter().copied().fold(Attrs::new(), write);
        let (kind, family, attrs) = match first.place {
            Place::Link => (RTM_NEWLINK, 0, values),
            Place::Driver => {
                return self.change_driver(&link, &values, (&format!("set {words}"), &words));
            }
            Place::Port => (RTM_SETLINK, AF_BRIDGE, Attrs::new().nest(IFLA_PROTINFO, &values)),
        };
        let header = link_header(family, index, 0, 0);
        let asked = Question { kind, flags: 0, header: &header, attrs };
        self.command(&link, &asked, &format!("set {words}"))?;
        self.tell(|| format!("{link} {words}"));
        Ok(())
    }

    /// Changes what a link's driver has, of which that is told: what is asked for, and what is so then.
    pub(in crate::lab) fn change_driver(
        &self,
        link: &LinkName,
        data: &Attrs,
        (asked_for, done): (&str, &str),
    ) -> Result<(), Error> {
        let driver = self.topology.link(link).map_or("", |link| link.kind.driver());
        let info = Attrs::new().text(INFO_KIND, driver).nest(INFO_DATA, data);
        let attrs = Attrs::new().nest(IFLA_LINKINFO, &info);
        let header = link_header(0, self.index(link)?, 0, 0);
        let asked = Question { kind: RTM_NEWLINK, flags: 0, header: &header, attrs };
        self.command(link, &asked, asked_for)?;
        self.tell(|| format!("{link} {done}"));
        Ok(())
    }

    /// Reads an option of a link back; `None` if this kernel does not tell it.
    pub async fn option(
        &self,
        link: impl Into<LinkName>,
        option: LinkOption,
    ) -> Result<Option<u64>, Error> {
        let link = link.into();
        Ok(read(&self.link_attributes(&link)?, option))
    }

    /// The name of the queueing discipline through which a link sends: `noqueue`.
    pub fn qdisc(&self, link: impl Into<LinkName>) -> Result<String, Error> {
        const IFLA_QDISC: u16 = 6;
        let attrs = self.link_attributes(&link.into())?;
        let name = find(&attrs, IFLA_QDISC).unwrap_or_default();
        Ok(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
    }

    /// All that the kernel says of a link that is a bridge or a port, clocks aside.
    pub async fn told(&self, link: impl Into<LinkName>) -> Result<Told, Error> {
        let attrs = self.link_attributes(&link.into())?;
        let info = find(&attrs, IFLA_LINKINFO).unwrap_or_default();
        let of = |place: &'static str, number: u16| {
            let told = parse(find(info, number).unwrap_or_default());
            told.map(move |(kind, value)| ((place, kind), value.to_vec()))
        };
        let all = of("driver", INFO_DATA).chain(of("port", INFO_SLAVE_DATA));
        Ok(Told(all.filter(|(key, _)| !CLOCKS.contains(key)).collect()))
    }

    /// Waits until an option of a link has a value, woken by the kernel's own events.
    pub async fn await_option(
        &self,
        link: impl Into<LinkName>,
        option: LinkOption,
        value: u64,
    ) -> Result<(), Error> {
        self.await_option_within(link, option, value, BECOME).await
    }

    pub(crate) async fn await_option_within(
        &self,
        link: impl Into<LinkName>,
        option: LinkOption,
        value: u64,
        limit: Duration,
    ) -> Result<(), Error> {
        let link = link.into();
        let is = async || Ok(self.option(&link, option).await? == Some(value));
        let came = self.comes_to_hold(&link.netns, &[EventKind::Link], limit, is).await?;
        came.then_some(()).ok_or_else(|| {
            Error::new(
                format!("`{link}` did not come to have {option} {value} in {} s", limit.as_secs()),
                format!("lab of topology `{}`", self.topology.name),
                "does the kernel tell of that option's changes?",
            )
        })
    }

    /// Whether the kernel still has the link.
    pub fn exists(&self, link: impl Into<LinkName>) -> Result<bool, Error> {
        let link = link.into();
        match attributes(&self.node(&link.netns)?.ns, self.index(&link)?) {
            Ok(_) => Ok(true),
            Err(refused) if refused.errno == libc::ENODEV => Ok(false),
            Err(refused) => Err(refused.error("show a link", &link)),
        }
    }

    /// Everything that the kernel says of a link.
    pub(in crate::lab) fn link_attributes(&self, link: &LinkName) -> Result<Vec<u8>, Error> {
        let told = attributes(&self.node(&link.netns)?.ns, self.index(link)?);
        told.map_err(|refused| refused.error("show a link", link))
    }

    /// Asks the kernel in one of the lab's namespaces.
    pub(in crate::lab) fn ask(
        &self,
        netns: &str,
        question: &Question<'_>,
    ) -> Result<Result<Vec<Answer>, Refused>, Error> {
        Ok(plain::ask(&self.node(netns)?.ns, question))
    }

    /// Has the kernel do something to a link; `doing` says what, should it refuse.
    pub(in crate::lab) fn command(
        &self,
        link: &LinkName,
        question: &Question<'_>,
        doing: &str,
    ) -> Result<(), Error> {
        let question = Question { flags: question.flags | ACK, ..question.clone() };
        let done = self.ask(&link.netns, &question)?;
        done.map(|_| ()).map_err(|refused| refused.error(doing, link))
    }
}
