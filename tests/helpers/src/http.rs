//! As much of an HTTP client as the tests need: whole requests, and an upload that stands half done.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::lab::Lab;

/// No answer of a healthy server takes this long, on the slowest machine.
const LIMIT: Duration = Duration::from_secs(300);

/// One request on a connection of its own: the status and the body.
pub fn request(lab: &Lab, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    ask(lab, method, path, body).expect("an answer")
}

fn ask(lab: &Lab, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
    let mut connection = connect(lab);
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    connection.write_all(head.as_bytes())?;
    connection.write_all(body)?;
    let status = status(&read_head(&mut connection)?);
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    Ok((status, answer))
}

/// True when the proxy says that it is well.
pub fn healthy(lab: &Lab) -> bool {
    request(lab, "GET", "/healthcheck", b"") == (200, b"OK".to_vec())
}

/// True when a process accepts the proxy's connections.
pub fn listens(lab: &Lab) -> bool {
    TcpStream::connect(lab.proxy_address()).is_ok()
}

/// The limit that the proxy says is in force.
pub fn max_header_size(lab: &Lab) -> u32 {
    limit_in(request(lab, "GET", "/info", b""))
}

/// Waits until the new generation answers with this limit after a reload.
pub fn await_max_header_size(lab: &Lab, limit: u32) {
    after_reload(lab, "/info", |answer| limit_in(answer) == limit);
}

/// Waits until the proxy says after a reload that it is well.
pub fn await_healthy(lab: &Lab) {
    after_reload(lab, "/healthcheck", |answer| {
        answer == (200, b"OK".to_vec())
    });
}

/// Asks until the answer is the right one. Swift's old generation closes its sockets a moment after the
/// new one is ready: what came to them is answered by it, or dropped when it was not taken yet.
fn after_reload(lab: &Lab, path: &str, is_right: impl Fn((u16, Vec<u8>)) -> bool) {
    let dropped = [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof];
    let deadline = Instant::now() + LIMIT;
    loop {
        match ask(lab, "GET", path, b"") {
            Ok(answer) if is_right(answer.clone()) => return,
            Ok(_) => {}
            Err(e) if dropped.contains(&e.kind()) => {}
            Err(e) => panic!("{path}: {e}"),
        }
        assert!(
            Instant::now() < deadline,
            "{path}: the old generation stays"
        );
    }
}

fn limit_in((status, body): (u16, Vec<u8>)) -> u32 {
    assert_eq!(status, 200);
    let info = String::from_utf8(body).expect("JSON is UTF-8");
    let (_, value) = info
        .split_once("\"max_header_size\": ")
        .expect("/info has the limit");
    let digits = value.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|n| n.parse().ok()).expect("a number")
}

/// An object on its way, half of it sent and a worker of the proxy busy with it.
#[derive(Debug)]
pub struct Upload {
    connection: TcpStream,
    body: Vec<u8>,
    sent: usize,
}

impl Upload {
    /// Sends the first half. The proxy's `100 Continue` shows that it is under way, through to the
    /// object server, and not just in some queue.
    pub fn begin(lab: &Lab, path: &str, body: &[u8]) -> Upload {
        let mut connection = connect(lab);
        let length = body.len();
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: lab\r\nContent-Length: {length}\r\n\
             Expect: 100-continue\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).expect("it listens");
        let head = read_head(&mut connection).expect("an answer");
        assert_eq!(status(&head), 100, "{head}");
        let sent = length / 2;
        connection.write_all(&body[..sent]).expect("it listens");
        Upload {
            connection,
            body: body.to_vec(),
            sent,
        }
    }

    /// Sends the rest and closes the connection: the status.
    pub fn finish(mut self) -> u16 {
        let rest = &self.body[self.sent..];
        self.connection.write_all(rest).expect("it still listens");
        status(&read_head(&mut self.connection).expect("an answer"))
    }
}

fn connect(lab: &Lab) -> TcpStream {
    let connection = TcpStream::connect(lab.proxy_address()).expect("the proxy listens");
    connection.set_read_timeout(Some(LIMIT)).expect("it can");
    connection.set_write_timeout(Some(LIMIT)).expect("it can");
    connection
}

/// The head of an answer, up to its empty line and not a byte further.
fn read_head(connection: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8(head).expect("a head is ASCII"))
}

fn status(head: &str) -> u16 {
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.unwrap_or_else(|| panic!("no status in {head:?}"))
}
