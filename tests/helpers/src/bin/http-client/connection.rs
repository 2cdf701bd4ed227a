//! One connection to a server.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The longest that one answer may take. Only a lost request takes so long: it bounds the test.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// No connection.
    Connect(Error),
    /// The request could not be sent, or not a byte of an answer came: a server that closes a
    /// connection which it had kept open looks like that.
    Unanswered(Error),
    /// The answer broke off, or is none.
    Broken(Error),
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its body.
    pub body: Vec<u8>,
    /// True when the server will take another request on this connection.
    pub keeps: bool,
}

/// A connection.
pub struct Connection {
    stream: Box<dyn Stream>,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Connection {
    /// Connects to `HOST:PORT` or `unix:PATH`.
    pub fn open(address: &str) -> Result<Connection> {
        let stream: Box<dyn Stream> = match address.strip_prefix("unix:") {
            Some(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
            None => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        };
        Ok(Connection { stream })
    }

    /// Asks for a path, and reads all of the answer.
    pub fn get(&mut self, path: &str, keep: bool) -> std::result::Result<Answer, Failure> {
        let connection = if keep { "keep-alive" } else { "close" };
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: {connection}\r\n\r\n");
        let sent = self.stream.write_all(request.as_bytes());
        sent.map_err(Failure::Unanswered)?;
        let mut answer = Vec::new();
        loop {
            if let Some(whole) = parse(&answer).map_err(Failure::Broken)? {
                return Ok(whole);
            }
            let mut buffer = [0; 4096];
            let read = match self.stream.read(&mut buffer) {
                Ok(0) => Err(Error::from(ErrorKind::UnexpectedEof)),
                read => read,
            };
            match read {
                Ok(length) => answer.extend_from_slice(&buffer[..length]),
                Err(error) if answer.is_empty() => return Err(Failure::Unanswered(error)),
                Err(error) => return Err(Failure::Broken(error)),
            }
        }
    }
}

/// The answer, when it is complete.
fn parse(bytes: &[u8]) -> Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200 ") {
        return Err(Error::other(head));
    }
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(key, value)| (key == name).then(|| value.trim().to_owned()))
    };
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
    let length = length.ok_or_else(|| Error::other("an answer without a length"))?;
    let body = &bytes[end + 4..];
    Ok((body.len() >= length).then(|| Answer {
        body: body[..length].to_vec(),
        keeps: header("connection").as_deref() != Some("close"),
    }))
}
