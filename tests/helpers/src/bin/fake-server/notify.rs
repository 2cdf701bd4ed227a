//! The notifications of a Swift server.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends one notification to NOTIFY_SOCKET and to the abstract socket that a reloader binds. When
/// there is no listener, it is not needed.
pub fn send(text: &str) {
    let Ok(socket) = UnixDatagram::unbound() else {
        return;
    };
    if let Ok(path) = std::env::var("NOTIFY_SOCKET") {
        let _ = match path.strip_prefix('@') {
            Some(name) => send_abstract(&socket, name, text),
            None => socket.send_to(text.as_bytes(), path),
        };
    }
    let _ = send_abstract(
        &socket,
        &format!("swift-notifications\0{}", std::process::id()),
        text,
    );
}

fn send_abstract(socket: &UnixDatagram, name: &str, text: &str) -> std::io::Result<usize> {
    socket.send_to_addr(text.as_bytes(), &SocketAddr::from_abstract_name(name)?)
}
