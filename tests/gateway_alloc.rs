//! The gateway's path allocates nothing after start: alerts from a ring into the log, over many segments, and out to a
//! client, under an allocator that counts what this thread does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hairtrigger::agent::Agent;
use hairtrigger::door::{Door, Member, Pass};
use hairtrigger::gateway::agent::GatewayAgent;
use hairtrigger::gateway::settings::GatewaySettings;
use hairtrigger::gateway::wire::STOPS;
use hairtrigger::limits;
use hairtrigger::model::{Alert, AlertKind, flag};
use hairtrigger::ring::ring;
use hairtrigger::soup::login::Credentials;
use hairtrigger::sys::aside::Aside;
use hairtrigger::sys::clock::Clock;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[allow(unsafe_code)]
// SAFETY: everything is handed to the system's allocator unchanged; the counter allocates nothing and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: `place` came from `alloc` above, that is from `System`, with this layout.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_path_from_ring_to_socket_allocates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let door = Door::alone(vec![Member::plain(&Credentials::new("demo", "secret").unwrap(), 0, 0)]);
    let (accounts, logins) = (vec![*b"demo  "], vec![Pass { account: 0, is_drop_copy: false }]);
    let mut settings = GatewaySettings::new(([127, 0, 0, 1], 0).into(), directory.path().into(), accounts, logins);
    (settings.segment_size, settings.retention.size) = (16 * limits::SEGMENT_SIZE_MIN as usize, 1 << 23);
    let (mut ring, receiver) = ring(1 << 12, Alert::new(AlertKind::Alert));
    let clock = Clock::machine();
    let mut agent = GatewayAgent::open(settings, door, vec![receiver], clock.clone(), &Aside::default()).unwrap();
    let mut socket = TcpStream::connect(agent.local_addr()).unwrap();
    socket.write_all(b"\0\x2fLdemo  secret                                 1").unwrap();
    let (mut bytes, received) = (vec![0; 1 << 16], Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&received);
    let reader = std::thread::spawn(move || {
        while let count @ 1.. = socket.read(&mut bytes).unwrap() {
            counted.fetch_add(count, Ordering::Relaxed);
        }
    });
    while agent.counts().logins == 0 {
        agent.do_work(clock.now());
    }

    const ALERTS: u64 = 100_000;
    let before = ALLOCATIONS.with(Cell::get);
    for version in 1..=ALERTS {
        let mut alert = Alert::new(AlertKind::Alert);
        (alert.version, alert.match_number, alert.flags) = (version, version / 10, flag::BY_PRINT);
        // A reader that lags by more than the retention would be cut, as it should be: wait for it.
        while version as usize * 132 > received.load(Ordering::Relaxed) + (1 << 21) || !ring.send(alert) {
            agent.do_work(clock.now());
        }
        if version % 997 == 0 {
            let mut broken = Alert::new(AlertKind::Broken);
            broken.match_number = version / 10;
            while !ring.send(broken) {
                agent.do_work(clock.now());
            }
        }
    }
    while agent.intake_counts().alerts < ALERTS {
        agent.do_work(clock.now());
    }
    let allocations = ALLOCATIONS.with(Cell::get) - before;
    while !agent.close(clock.now()) {}
    reader.join().unwrap();
    let sent = received.load(Ordering::Relaxed);
    let busted = agent.intake_counts().busted;
    assert!(busted > 500);
    assert_eq!(sent, 33 + 132 * ALERTS as usize + 148 * busted as usize + 3 + STOPS.len());
    assert_eq!(allocations, 0);
}
