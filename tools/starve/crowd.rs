//! Many clients in one thread: those that behave, those that do not, and those that never log in.
//!
//! Each is visited once a second, spread evenly over it. Whoever is cut comes again, at a bounded pace, except for a client that
//! behaved well: that one is missed.

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use hairtrigger::soup::packet::{CLIENT_HEARTBEAT, HEADER_SIZE, kind};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::Fault;

/// How long they have to come in.
const COMING_MAX: Duration = Duration::from_secs(30);
/// How long one look at the sockets waits.
const LOOK: Duration = Duration::from_millis(2);
/// What a client that never reads lets the kernel keep for it; the kernel makes the least it can of it.
const UNREAD_SIZE: usize = 1;
/// Bytes of a login that a half-open connection sends, if any.
const HALF_LOGIN_SIZE: usize = 20;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Manner {
    /// Logs in, reads what comes, and says each second that it lives.
    Good,
    /// The same, but never reads.
    Unread,
    /// Logs in and reads; its heartbeats come a byte a second.
    SlowBeat,
    /// Its login comes a byte a second.
    SlowLogin,
    /// Connects and says nothing,
    Silent,
    /// or a part of a login and nothing more.
    HalfLogin,
}

/// Where a client comes from, and what it says.
pub struct Member {
    /// What it does.
    pub manner: Manner,
    /// Its own address.
    pub from: Ipv4Addr,
    /// The port that it goes to.
    pub to: SocketAddr,
    /// Its whole login packet.
    pub login: Vec<u8>,
}

/// The connection of a member.
#[derive(Default)]
struct Link {
    socket: Option<TcpStream>,
    is_connected: bool,
    /// Bytes sent one by one.
    crumbs: usize,
    /// Bytes read.
    heard: usize,
    /// It was where it wanted to be once.
    is_settled: bool,
}

impl Link {
    /// Reads all that is there. False when the connection is over, or its login was refused.
    fn listen(&mut self, sink: &mut [u8]) -> bool {
        let Some(socket) = &mut self.socket else { return true };
        loop {
            match socket.read(sink) {
                Ok(0) => return false,
                Ok(count) => {
                    let kind_at = (HEADER_SIZE - 1).checked_sub(self.heard);
                    if kind_at.and_then(|at| sink[..count].get(at)) == Some(&kind::REJECTED) {
                        return false;
                    }
                    self.heard += count;
                }
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}

/// All of them.
pub struct Crowd {
    members: Vec<Member>,
    links: Vec<Link>,
    poll: Poll,
    /// Those who have no socket and want one.
    coming: VecDeque<usize>,
    connects_per_second: u64,
    settled: usize,
    /// How often one was cut, by what it does.
    cuts: HashMap<Manner, u64>,
    sink: Vec<u8>,
}

impl Crowd {
    /// Nobody has come yet.
    pub fn new(members: Vec<Member>, connects_per_second: u64) -> Result<Crowd, Fault> {
        let links = members.iter().map(|_| Link::default()).collect();
        let (coming, sink, poll) = ((0..members.len()).collect(), vec![0; 1 << 16], Poll::new()?);
        Ok(Crowd { members, links, poll, coming, connects_per_second, settled: 0, cuts: HashMap::new(), sink })
    }

    /// Goes on until told to stop; says "ready" when all are there.
    pub fn run(&mut self, is_over: impl Fn() -> bool) -> Result<(), Fault> {
        let (start, mut events, mut is_ready) = (Instant::now(), Events::with_capacity(1_024), false);
        let (mut connects, mut visits) = (0, 0);
        while !is_over() {
            let elapsed = start.elapsed();
            let due = |per_second: u64| (elapsed.as_nanos() * u128::from(per_second) / 1_000_000_000) as u64;
            // What was not used in time is gone: a pause must not be followed by a flood.
            let pace = self.connects_per_second.div_ceil(100);
            connects = due(self.connects_per_second).saturating_sub(pace).max(connects);
            while connects < due(self.connects_per_second)
                && let Some(number) = self.coming.pop_front()
            {
                connects += 1;
                self.connect(number);
            }
            self.poll.poll(&mut events, Some(LOOK))?;
            for event in &events {
                self.look(event.token().0, event.is_writable(), event.is_error() || event.is_read_closed());
            }
            while visits < due(self.members.len() as u64) {
                self.visit(visits as usize % self.members.len());
                visits += 1;
            }
            if !is_ready && self.settled == self.members.len() {
                is_ready = true;
                println!("ready");
            }
            if !is_ready && elapsed > COMING_MAX {
                return Err(format!("{} of {} came in {COMING_MAX:?}", self.settled, self.members.len()).into());
            }
        }
        Ok(())
    }

    /// How often a client that behaved well was cut.
    pub fn good_cuts(&self) -> u64 {
        self.cuts.get(&Manner::Good).copied().unwrap_or(0)
    }

    /// What there is of each manner, and how often one of it was cut.
    pub fn report(&self) -> String {
        let mut manners: Vec<_> = self.members.iter().map(|member| member.manner).collect();
        manners.sort_unstable();
        let groups = manners.chunk_by(|one, other| one == other).map(|group| {
            let cuts = self.cuts.get(&group[0]).copied().unwrap_or(0);
            format!("{} {:?}, cut {cuts} times", group.len(), group[0])
        });
        let open = self.links.iter().filter(|link| link.is_connected).count();
        format!("{}; {open} open at the end", groups.collect::<Vec<_>>().join("; "))
    }

    fn connect(&mut self, number: usize) {
        match self.open(number) {
            Ok(socket) => self.links[number] = Link { socket: Some(socket), ..self.emptied(number) },
            Err(_) => self.coming.push_back(number),
        }
    }

    fn open(&self, number: usize) -> std::io::Result<TcpStream> {
        let member = &self.members[number];
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if member.manner == Manner::Unread {
            socket.set_recv_buffer_size(UNREAD_SIZE)?;
        }
        socket.bind(&SocketAddr::from((member.from, 0)).into())?;
        match socket.connect(&member.to.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => (),
        }
        let mut socket = TcpStream::from_std(socket.into());
        self.poll.registry().register(&mut socket, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        Ok(socket)
    }

    fn emptied(&self, number: usize) -> Link {
        Link { is_settled: self.links[number].is_settled, ..Link::default() }
    }

    /// Something happened at this one's socket.
    fn look(&mut self, number: usize, is_writable: bool, mut is_over: bool) {
        let (member, link) = (&self.members[number], &mut self.links[number]);
        if let Some(socket) = link.socket.as_mut().filter(|socket| is_writable && socket.peer_addr().is_ok())
            && !link.is_connected
        {
            link.is_connected = true;
            let size = match member.manner {
                Manner::Good | Manner::Unread | Manner::SlowBeat => member.login.len(),
                Manner::HalfLogin => HALF_LOGIN_SIZE,
                Manner::SlowLogin | Manner::Silent => 0,
            };
            // A new socket takes so few bytes whole.
            is_over |= size > 0 && !socket.write(&member.login[..size]).is_ok_and(|count| count == size);
        }
        is_over |= member.manner != Manner::Unread && !link.listen(&mut self.sink);
        let is_there = if member.manner == Manner::Good { link.heard >= HEADER_SIZE } else { link.is_connected };
        if is_there && !is_over && !link.is_settled {
            link.is_settled = true;
            self.settled += 1;
        }
        if is_over {
            self.cut(number);
        }
    }

    /// Its turn, once a second.
    fn visit(&mut self, number: usize) {
        let (member, link) = (&self.members[number], &mut self.links[number]);
        let Some(socket) = link.socket.as_mut().filter(|_| link.is_connected) else { return };
        let crumb = link.crumbs;
        let bytes = match member.manner {
            Manner::Good | Manner::Unread => &CLIENT_HEARTBEAT[..],
            Manner::SlowBeat => &CLIENT_HEARTBEAT[crumb % HEADER_SIZE..][..1],
            // Once it is whole it goes on with heartbeats; it does not come so far.
            Manner::SlowLogin => member.login.get(crumb..crumb + 1).unwrap_or_default(),
            Manner::Silent | Manner::HalfLogin => &[],
        };
        link.crumbs += 1;
        if !bytes.is_empty() && socket.write(bytes).is_err() {
            self.cut(number);
        }
    }

    fn cut(&mut self, number: usize) {
        let manner = self.members[number].manner;
        *self.cuts.entry(manner).or_default() += 1;
        self.links[number] = self.emptied(number);
        if manner != Manner::Good {
            self.coming.push_back(number);
        }
    }
}
