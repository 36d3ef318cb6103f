//! What does TLS cost: a handshake, a record, and the hop through the TLS agent?
//!
//! Handshakes and records are between two ends in memory, with the certificates that most have (ECDSA on P-256), and without
//! sockets: time on a core of the server's side alone. The hop is a message of an alert's size, to an echo and back over
//! loopback: straight, and through the agent (on a thread of its own that spins; so give this three cores).
//!
//!     cargo bench --bench tls [-- --samples N]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Instant;

use common::{Args, Stopwatch, histogram, quantiles};
use hairtrigger::agent::Agent;
use hairtrigger::soup::arrival::arrivals;
use hairtrigger::sys::clock::Clock;
use hairtrigger::tls::agent::{TlsAgent, TlsSettings};
use hairtrigger::tls::client::{ClientSettings, ClientTls};
use hairtrigger::tls::settings::{Identity, IdentitySettings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

/// About an alert in its packet.
const MESSAGE_SIZE: usize = 200;

fn main() {
    let args = Args::read();
    let samples = args.number("samples", 2_000, 20);
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".into()]).expect("a name");
    let certificate = params.signed_by(&key, &root).expect("a certificate");
    std::fs::write(at("ca.pem"), root.pem()).expect("a folder of our own");
    std::fs::write(at("server.pem"), certificate.pem()).expect("a folder of our own");
    std::fs::write(at("server.key"), key.serialize_pem()).expect("a folder of our own");

    in_memory(folder.path(), samples);
    let ca = at("ca.pem");
    let tls = ClientTls::load(&ClientSettings { ca, own: None, server_name: Some("localhost".into()) });
    let (certificate, key) = (at("server.pem"), at("server.key"));
    let settings = IdentitySettings { certificate, key, ..IdentitySettings::default() };
    hop(&tls.expect("the files are right"), Identity::load(&settings).expect("the files are right"), 10 * samples);
}

/// Both ends, without sockets.
fn in_memory(folder: &std::path::Path, samples: usize) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).expect("a root")).expect("a root");
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let client = Arc::new(client.expect("1.3").with_root_certificates(roots).with_no_client_auth());
    let chain = vec![CertificateDer::from_pem_file(folder.join("server.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("a key");
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let server = server.expect("1.3").with_no_client_auth().with_single_cert(chain, key);
    let mut server = server.expect("they fit");
    server.send_tls13_tickets = 0;
    let server = Arc::new(server);

    let mut seen = histogram();
    let mut last = None;
    for _ in 0..samples {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut near = ClientConnection::new(Arc::clone(&client), name).expect("a client");
        let (mut far, mut wire, mut ns) = (None, vec![], 0);
        while near.is_handshaking() || far.as_ref().is_none_or(|far: &ServerConnection| far.is_handshaking()) {
            while near.wants_write() {
                near.write_tls(&mut wire).expect("memory");
            }
            let start = Instant::now();
            let far = far.get_or_insert_with(|| ServerConnection::new(Arc::clone(&server)).expect("a server"));
            ns += step(far, &mut wire, start);
            let mut back = &wire[..];
            while !back.is_empty() {
                near.read_tls(&mut back).expect("memory");
                near.process_new_packets().expect("they agree");
            }
            wire.clear();
        }
        seen.record(ns).expect("it auto-resizes");
        last = far;
    }
    println!("handshake, server's side   ns  mean {:.0}  {}", seen.mean(), quantiles(&seen));
    let mut far = last.expect("one sample or more");
    far.set_buffer_limit(None);
    for (size, records) in [(MESSAGE_SIZE, 100 * samples), (1 << 14, 10 * samples)] {
        let (bytes, mut out) = (vec![7; size], vec![]);
        let watch = Stopwatch::start();
        for _ in 0..records {
            out.clear();
            far.writer().write_all(&bytes).expect("no limit");
            while far.wants_write() {
                far.write_tls(&mut out).expect("memory");
            }
        }
        let (_, ns) = watch.per(records);
        println!("record of {size:>5} bytes      ns  {ns:.0}, {:.2} ns a byte", ns / size as f64);
    }
}

/// What the server does with what has come, timed; what it answers is left in `wire`.
fn step(far: &mut ServerConnection, wire: &mut Vec<u8>, start: Instant) -> u64 {
    let mut come = &wire[..];
    while !come.is_empty() {
        far.read_tls(&mut come).expect("memory");
        far.process_new_packets().expect("they agree");
    }
    wire.clear();
    while far.wants_write() {
        far.write_tls(wire).expect("memory");
    }
    start.elapsed().as_nanos() as u64
}

/// There and back: straight, and through the agent.
fn hop(tls: &ClientTls, identity: Identity, samples: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let mut client = TcpStream::connect(listener.local_addr().expect("it listens")).expect("loopback");
    let (mut far, _) = listener.accept().expect("it has connected");
    for socket in [&client, &far] {
        socket.set_nodelay(true).expect("TCP");
        socket.set_nonblocking(true).expect("a socket");
    }
    ping("straight     ", &mut client, &mut far, samples);

    let (sender, receiver) = arrivals();
    let doors = vec![("127.0.0.1:0".parse().expect("an address"), sender)];
    let settings = TlsSettings { sessions_max: 8, identity, reloads: channel().1, doors };
    let mut agent = TlsAgent::open(settings).expect("loopback");
    let address = agent.local_addrs().next().expect("one door");
    let stop = Arc::new(AtomicBool::new(false));
    let thread = std::thread::spawn({
        let (stop, clock) = (Arc::clone(&stop), Clock::machine());
        move || {
            while !stop.load(Ordering::Relaxed) {
                agent.do_work(clock.now());
            }
        }
    });
    let socket = TcpStream::connect(address).expect("loopback");
    socket.set_nodelay(true).expect("TCP");
    let mut client = tls.secure(socket, "localhost").expect("they agree").stream;
    client.set_nonblocking(true).expect("a socket");
    let mut far = receiver.recv().expect("it has come").stream;
    ping("through TLS  ", &mut client, &mut far, samples);
    stop.store(true, Ordering::Relaxed);
    thread.join().expect("it does not panic");
}

fn ping(what: &str, near: &mut (impl Read + Write), far: &mut (impl Read + Write), samples: usize) {
    let mut seen = histogram();
    for _ in 0..samples {
        let start = Instant::now();
        pass(near, far);
        pass(far, near);
        seen.record(start.elapsed().as_nanos() as u64).expect("it auto-resizes");
    }
    println!("there and back, {what} ns  mean {:.0}  {}", seen.mean(), quantiles(&seen));
}

/// A message from one end to the other, which spins for it.
fn pass(from: &mut impl Write, to: &mut impl Read) {
    from.write_all(&[7; MESSAGE_SIZE]).expect("there is room");
    let (mut space, mut count) = ([0; MESSAGE_SIZE], 0);
    while count < MESSAGE_SIZE {
        match to.read(&mut space[count..]) {
            Ok(0) => panic!("it has closed"),
            Ok(some) => count += some,
            Err(_) => std::hint::spin_loop(),
        }
    }
}
