//! Network namespaces for these tests, and one network of three of them.
//!
//! ```text
//!   client eth0 ───────── c0 router s0 ───────── eth0 server
//!   192.0.2.10   192.0.2.1            198.51.100.1   198.51.100.20
//!   2001:db8:1::10      ::1      2001:db8:2::1       2001:db8:2::20
//! ```
//!
//! The client's default route is the router. The server has none: it can answer only to
//! addresses of its own network.

use std::{
    fs::{self, File},
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    thread,
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::{
    Handle, LinkUnspec, LinkVeth, RouteMessageBuilder, packet_route::address::AddressHeaderFlags,
};

/// How long something that happens may take before we say that it does not.
const DEADLINE: Duration = Duration::from_secs(10);

/// A network namespace; gone when this is dropped and no socket is left in it.
pub(crate) struct Ns(File);

impl Ns {
    pub(crate) fn new() -> Self {
        run(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace can be made (as root)");
            Self(File::open("/proc/thread-self/ns/net").expect("the namespace can be held"))
        })
    }

    /// Runs this inside, on a thread of its own.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        run(|| {
            setns(&self.0, CloneFlags::CLONE_NEWNET).expect("the namespace can be entered");
            work()
        })
    }

    /// A UDP socket inside, whose reading ends after a short time.
    pub(crate) fn bind(&self, address: SocketAddr) -> UdpSocket {
        let socket = self.enter(|| UdpSocket::bind(address)).expect("an address can be bound");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout can be set");
        socket
    }

    fn netlink<F: Future<Output = ()>>(&self, work: impl FnOnce(Handle) -> F + Send) {
        self.enter(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            runtime.expect("a runtime starts").block_on(async {
                let (connection, handle, _) = rtnetlink::new_connection().expect("netlink opens");
                tokio::spawn(connection);
                work(handle).await;
            });
        });
    }
}

/// A thread's panic is the caller's.
fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The addresses of the network, of one family.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) client: IpAddr,
    pub(crate) inner: IpAddr,
    pub(crate) outer: IpAddr,
    pub(crate) server: IpAddr,
    pub(crate) prefix: u8,
    /// The length of the IP and UDP headers.
    pub(crate) headers: u64,
}

pub(crate) fn v4() -> Plan {
    Plan {
        client: [192, 0, 2, 10].into(),
        inner: [192, 0, 2, 1].into(),
        outer: [198, 51, 100, 1].into(),
        server: [198, 51, 100, 20].into(),
        prefix: 24,
        headers: 28,
    }
}

pub(crate) fn v6() -> Plan {
    let address = |net, host| IpAddr::from([0x2001, 0xdb8, net, 0, 0, 0, 0, host]);
    Plan {
        client: address(1, 0x10),
        inner: address(1, 1),
        outer: address(2, 1),
        server: address(2, 0x20),
        prefix: 64,
        headers: 48,
    }
}

/// The network.
pub(crate) struct Lab {
    pub(crate) client: Ns,
    pub(crate) router: Ns,
    pub(crate) server: Ns,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let lab = Self { client: Ns::new(), router: Ns::new(), server: Ns::new() };
        cable(&lab.router, "c0", &lab.client);
        cable(&lab.router, "s0", &lab.server);
        for plan in [v4(), v6()] {
            address(&lab.router, "c0", plan.inner, plan.prefix);
            address(&lab.router, "s0", plan.outer, plan.prefix);
            address(&lab.client, "eth0", plan.client, plan.prefix);
            address(&lab.server, "eth0", plan.server, plan.prefix);
            gateway(&lab.client, plan.inner);
        }
        lab.router.enter(|| {
            for switch in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                fs::write(format!("/proc/sys/net/{switch}"), "1").expect("a sysctl can be set");
            }
        });
        lab
    }
}

/// Lays a cable from a link of this name to the other's `eth0`.
fn cable(here: &Ns, name: &str, there: &Ns) {
    here.netlink(|netlink| async move {
        netlink.link().add(LinkVeth::new(name, "eth0").build()).execute().await.expect("veth");
        let far = index("eth0");
        let far = LinkUnspec::new_with_index(far).setns_by_fd(there.0.as_raw_fd()).build();
        netlink.link().set(far).execute().await.expect("a link can be moved");
        up(&netlink, name).await;
    });
    there.netlink(|netlink| async move { up(&netlink, "eth0").await });
}

async fn up(netlink: &Handle, name: &str) {
    let up = LinkUnspec::new_with_index(index(name)).up().build();
    netlink.link().set(up).execute().await.expect("a link can be set up");
}

fn address(ns: &Ns, link: &str, address: IpAddr, prefix: u8) {
    ns.netlink(|netlink| async move {
        let mut request = netlink.address().add(index(link), address, prefix);
        // Else IPv6 would first look for another owner of the address, for a second or two.
        request.message_mut().header.flags = AddressHeaderFlags::Nodad;
        request.execute().await.expect("an address can be added");
    });
}

fn gateway(ns: &Ns, gateway: IpAddr) {
    ns.netlink(|netlink| async move {
        let any: IpAddr = if gateway.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
        let route = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(any, 0)
            .and_then(|route| route.gateway(gateway))
            .expect("one family");
        netlink.route().add(route.build()).execute().await.expect("a route can be added");
    });
}

fn index(link: &str) -> u32 {
    nix::net::if_::if_nametoindex(link).expect("the link is there")
}

/// Sends this until there is an answer to it; returns the answer and its sender.
/// The server's socket answers everything that it gets.
pub(crate) fn exchange(
    client: &UdpSocket,
    to: SocketAddr,
    server: &UdpSocket,
) -> (SocketAddr, SocketAddr) {
    until(&format!("an answer from {to}"), || {
        client.send_to(b"question", to).expect("a datagram can be sent");
        let (_, asker) = receive(server)?;
        server.send_to(b"answer", asker).ok()?;
        let (_, answerer) = receive(client)?;
        Some((asker, answerer))
    })
}

/// The next datagram, if one comes within the socket's time.
pub(crate) fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; 64];
    match socket.recv_from(&mut buffer) {
        Ok((length, from)) => Some((buffer[..length].to_vec(), from)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("receiving failed: {error}"),
    }
}

/// Tries until there is something.
pub(crate) fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "{what} did not come in {DEADLINE:?}");
        thread::yield_now();
    }
}
