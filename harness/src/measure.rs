//! What a network costs: how much one TCP stream carries, and how long a round trip takes.
//!
//! Measures and judges nothing: a figure means something only beside another of the same machine
//! and the same minute.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use hairpin_model::event::Quantity;
use hairpin_model::{Error, Event, Need};

use crate::lab::Lab;
use crate::{events, needs};

/// How long one of the two may wait for the other before the measurement is given up.
const DEADLINE: Duration = Duration::from_secs(10);
/// What is written and read at once.
const CHUNK: usize = 128 << 10;

/// Runs the body of a test program's measurement: a figure that cannot be had fails it.
pub fn measure(body: impl AsyncFnOnce() -> Result<(), Error>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Err(error) = runtime.expect("a runtime can be made").block_on(body()) {
        panic!("{error}");
    }
}

/// What the kernel lacks of that, with its words.
pub async fn lacking(needs: &[Need]) -> Result<Vec<(Need, String)>, Error> {
    needs::missing(needs).await
}

/// Tells one figure of a network.
pub fn tell(network: &str, quantity: Quantity, value: u64) {
    events::emit(Event::Measurement { network: network.into(), quantity, value });
}

/// Tells that a network cannot be made here, and why.
pub fn tell_absent(network: &str, why: &str) {
    events::emit(Event::Check { claim: network.into(), observed: Some(why.into()) });
}

impl Lab {
    /// Bytes a second of one TCP stream from a host to the address of another, written for so long.
    pub fn throughput(&self, from: &str, to: (&str, IpAddr), time: Duration) -> Result<u64, Error> {
        let (mut near, mut far) = self.pair(from, to)?;
        let moved = thread::scope(|scope| {
            let reader = scope.spawn(move || drain(&mut far));
            let start = Instant::now();
            let written = fill(&mut near, start, time);
            let read = reader.join().expect("reading does not panic");
            written.and(read).map(|bytes| (bytes, start.elapsed()))
        });
        let (bytes, took) = moved.map_err(|error| broken(from, to.0, &error))?;
        Ok(u64::try_from(u128::from(bytes) * 1_000_000_000 / took.as_nanos().max(1))
            .unwrap_or(u64::MAX))
    }

    /// The median of so many round trips of one byte by TCP, in nanoseconds.
    pub fn round_trip(&self, from: &str, to: (&str, IpAddr), count: usize) -> Result<u64, Error> {
        let (mut near, mut far) = self.pair(from, to)?;
        let times = thread::scope(|scope| {
            let echo = scope.spawn(move || echo(&mut far, count));
            let times = bounce(&mut near, count);
            echo.join().expect("answering does not panic").and(times)
        });
        let mut times = times.map_err(|error| broken(from, to.0, &error))?;
        times.sort_unstable();
        let middle = times.get(count / 2).copied().unwrap_or_default();
        Ok(u64::try_from(middle.as_nanos()).unwrap_or(u64::MAX))
    }

    /// A TCP connection: its near end and its far end.
    fn pair(
        &self,
        from: &str,
        (host, ip): (&str, IpAddr),
    ) -> Result<(TcpStream, TcpStream), Error> {
        let listen = || {
            let listener = TcpListener::bind(SocketAddr::new(ip, 0))?;
            let at = listener.local_addr()?;
            Ok::<_, io::Error>((listener, at))
        };
        let (listener, at) = self.inside(host, listen)?.map_err(|e| broken(from, host, &e))?;
        let near = self.connect(from, at)?.map_err(|error| broken(from, host, &error))?;
        // It is there already: the near end would not be connected otherwise.
        let (far, _) = listener.accept().map_err(|error| broken(from, host, &error))?;
        for end in [&near, &far] {
            let set = end
                .set_nodelay(true)
                .and_then(|()| end.set_read_timeout(Some(DEADLINE)))
                .and_then(|()| end.set_write_timeout(Some(DEADLINE)));
            set.map_err(|error| broken(from, host, &error))?;
        }
        Ok((near, far))
    }
}

fn fill(stream: &mut TcpStream, start: Instant, time: Duration) -> io::Result<()> {
    let chunk = vec![0x68; CHUNK];
    while start.elapsed() < time {
        stream.write_all(&chunk)?;
    }
    stream.shutdown(std::net::Shutdown::Write)
}

fn drain(stream: &mut TcpStream) -> io::Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        match stream.read(&mut chunk)? {
            0 => return Ok(bytes),
            more => bytes += more as u64,
        }
    }
}

fn bounce(stream: &mut TcpStream, count: usize) -> io::Result<Vec<Duration>> {
    let mut byte = [0x68];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
        times.push(start.elapsed());
    }
    Ok(times)
}

fn echo(stream: &mut TcpStream, count: usize) -> io::Result<()> {
    let mut byte = [0];
    for _ in 0..count {
        stream.read_exact(&mut byte)?;
        stream.write_all(&byte)?;
    }
    Ok(())
}

fn broken(from: &str, to: &str, error: &io::Error) -> Error {
    let help = "does `hairpin check` pass here?";
    Error::new(format!("a TCP stream broke: {error}"), format!("from {from} to {to}"), help)
}
