//! Opening UDP sockets, and what the kernel says of them. IPv4: multicast market data knows nothing else.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// One line of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineSettings {
    /// A multicast group and its port, or an own address for unicast. Port 0: any free one.
    pub address: SocketAddrV4,
    /// Where to join the group: the address of an interface; unspecified: the kernel chooses. Unused for unicast.
    pub interface: Ipv4Addr,
    /// The only sender of the group to listen to (source-specific multicast). Unused for unicast.
    pub source: Option<Ipv4Addr>,
}

/// Opens the socket of a line, non-blocking. `receive_buffer`: bytes asked for; what was granted tells [`granted`].
///
/// A multicast socket is bound to the group itself and sees nothing else that comes to its port; several programs of one
/// machine may listen to the same group.
pub fn open_line(line: &LineSettings, receive_buffer: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(receive_buffer)?;
    let group = line.address.ip();
    if group.is_multicast() {
        socket.set_reuse_address(true)?;
        socket.set_multicast_all_v4(false)?;
    }
    socket.bind(&line.address.into())?;
    join(&socket, line)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn join(socket: &Socket, line: &LineSettings) -> io::Result<()> {
    let group = line.address.ip();
    match line.source {
        _ if !group.is_multicast() => Ok(()),
        Some(source) => socket.join_ssm_v4(&source, group, &line.interface),
        None => socket.join_multicast_v4(group, &line.interface),
    }
}

/// Joins the group of a line once more, in case its interface went away and came back: with it the kernel forgets who had
/// joined there. True when that was so, false when the socket is a member still, or needs not be one.
///
/// # Errors
/// What the system says, as long as the interface is away.
pub fn rejoin(socket: &UdpSocket, line: &LineSettings) -> io::Result<bool> {
    if !line.address.ip().is_multicast() {
        return Ok(false);
    }
    match join(&SockRef::from(socket), line) {
        // It is a member; of a group with a source the kernel says so by the second. Without an interface it says ENODEV.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EADDRINUSE | libc::EADDRNOTAVAIL)) => Ok(false),
        joined => joined.map(|()| true),
    }
}

/// Opens the socket that requests go out from and answers come back to, non-blocking. It is bound to loopback when all
/// servers are there.
pub fn open_rerequest(servers: &[SocketAddrV4], receive_buffer: usize) -> io::Result<UdpSocket> {
    let loopback = servers.iter().all(|server| server.ip().is_loopback());
    let ip = if loopback { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let unicast = LineSettings { address: SocketAddrV4::new(ip, 0), interface: Ipv4Addr::UNSPECIFIED, source: None };
    open_line(&unicast, receive_buffer)
}

/// Bytes of receive buffer that the kernel granted, in its own count: Linux doubles what is asked for, up to twice
/// `net.core.rmem_max`, and takes its bookkeeping out of it.
pub fn granted(socket: &UdpSocket) -> io::Result<usize> {
    SockRef::from(socket).recv_buffer_size()
}

/// Datagrams that the kernel dropped because the socket's buffer was full, since it was opened. 0 when it does not say.
pub fn kernel_drops(socket: &UdpSocket) -> u64 {
    /// `asm-generic/socket.h`; not in `libc`.
    const SO_MEMINFO: libc::c_int = 55;
    const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;
    let mut meminfo = [0u32; DROPS + 1];
    let mut size = size_of_val(&meminfo) as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes to `meminfo` and the number written to `size`. Both are live,
    // writable and aligned for `u32` during the call, and `size` was just set to the array's size. The descriptor is open:
    // `socket` is borrowed. Any bytes are valid `u32`s.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_MEMINFO, meminfo.as_mut_ptr().cast(), &mut size)
    };
    if result == 0 { u64::from(meminfo[DROPS]) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> LineSettings {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        LineSettings { address, interface: Ipv4Addr::LOCALHOST, source: None }
    }

    #[test]
    fn a_full_buffer_drops_and_the_drops_are_counted() {
        let socket = open_line(&loopback(), 4_096).unwrap();
        assert!(granted(&socket).unwrap() >= 4_096);
        assert_eq!(kernel_drops(&socket), 0);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut received = 0;
        for _ in 0..100 {
            sender.send_to(&[0; 1_000], socket.local_addr().unwrap()).unwrap();
        }
        while socket.recv(&mut [0; 2_000]).is_ok() {
            received += 1;
        }
        assert!(received > 0);
        assert_eq!(kernel_drops(&socket), 100 - received);
    }

    #[test]
    fn two_sockets_of_a_machine_hear_the_same_group() {
        let group = SocketAddrV4::new(Ipv4Addr::new(239, 255, 73, 19), 0);
        let first = open_line(&LineSettings { address: group, ..loopback() }, 65_536).unwrap();
        let port = first.local_addr().unwrap().port();
        let address = SocketAddrV4::new(*group.ip(), port);
        let line = LineSettings { address, source: Some(Ipv4Addr::LOCALHOST), ..loopback() };
        let second = open_line(&line, 65_536).unwrap();
        let sender = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        sender.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        sender.send_to(b"tick", &address.into()).unwrap();
        for socket in [first, second] {
            let mut bytes = [0; 9];
            assert_eq!(socket.recv(&mut bytes).unwrap(), 4);
        }
    }
}
