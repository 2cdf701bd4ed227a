//! What other programs say, and how it is shown.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{LazyLock, Mutex};

use swift_cli::text::{backslash_replace, for_terminal, last_line, one_line, quote};
use swift_server::head_tail::{HeadTail, KEPT};
use swift_server::notify::{Notice, Notifications, REFUSED};
use swift_server::process::Pid;
use swift_sys::error::reason_of;

use crate::cursor::Cursor;
use crate::mutate::Random;

/// Text for a person: no control character is left that drives a terminal, none that turns text around
/// and fools its reader, one line is one line, and what needs no escape is not touched.
///
/// Fails when `for_terminal` lets U+0080 to U+009F through, when it escapes the tab, when `one_line`
/// leaves a newline, and when `backslash_replace` drops bytes.
pub fn text(data: &[u8]) {
    let replaced = backslash_replace(data);
    let mut naive = String::new();
    for chunk in data.utf8_chunks() {
        naive += chunk.valid();
        naive.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    assert_eq!(replaced, naive);
    let shown = for_terminal(&replaced);
    // Bidi_Control of the Unicode Character Database, and the separators of lines and paragraphs.
    const FOOLS: [u32; 14] = [
        0x61c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066,
        0x2067, 0x2068, 0x2069,
    ];
    let steers = |c: char| c.is_control() || FOOLS.contains(&(c as u32));
    let drives = |c: char| steers(c) && c != '\n' && c != '\t';
    assert!(!shown.contains(drives));
    if !replaced.contains(drives) {
        assert_eq!(shown, replaced);
    }
    assert_eq!(
        shown.matches(['\n', '\t']).count(),
        replaced.matches(['\n', '\t']).count()
    );
    for line in [one_line(data), quote(data)] {
        assert!(!line.contains(steers), "{line}");
    }
    assert_eq!(for_terminal(&shown), shown);
    let last = last_line(data);
    assert!(!last.contains(&b'\n') && data.trim_ascii_end().ends_with(last));
    assert_eq!(last.is_empty(), data.trim_ascii().is_empty());
    let _ = reason_of(&replaced);
}

/// A server's output in bounded memory: the first and last 32 KiB of it and how much is missing, in
/// whatever pieces it comes.
///
/// Each two bytes of the input say how long a piece is.
///
/// Fails when `HeadTail::push` forgets what it drops from the tail, and when a piece that is longer
/// than the tail leaves the old one in its place.
pub fn excerpt(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    let mut excerpt = HeadTail::default();
    let mut all = Vec::new();
    let mut random = Random::new(7);
    while !cursor.is_empty() && all.len() < 1 << 19 {
        let length = match cursor.byte() {
            long @ 0xe0.. => {
                KEPT - 16 + usize::from(long & 31) + usize::from(cursor.byte() % 3) * KEPT
            }
            short => usize::from(short) * usize::from(cursor.byte()),
        };
        let piece: Vec<u8> = (0..length).map(|_| random.number() as u8).collect();
        excerpt.push(&piece);
        all.extend_from_slice(&piece);
    }
    let mut expected = all[..all.len().min(KEPT)].to_vec();
    let left_out = all.len().saturating_sub(2 * KEPT);
    if left_out > 0 {
        expected.extend(format!("\n[{left_out} bytes left out]\n").bytes());
    }
    expected.extend_from_slice(&all[(KEPT + left_out).min(all.len())..]);
    assert!(excerpt.text() == expected, "{} bytes", all.len());
    assert_eq!(excerpt.is_empty(), all.is_empty());
}

static NOTICES: LazyLock<Mutex<(Notifications, UnixDatagram)>> = LazyLock::new(|| {
    let number = std::process::id();
    let pid = Pid::new(number as i32).expect("a process has a number");
    let notifications = Notifications::bind(pid).expect("nobody else has this process's name");
    let sender = UnixDatagram::unbound().expect("a socket");
    let name = format!("swift-notifications\0{number}");
    let address = SocketAddr::from_abstract_name(name).expect("the name fits");
    sender
        .connect_addr(&address)
        .expect("it was bound just now");
    Mutex::new((notifications, sender))
});

/// Notifications, sent to a real socket: each line counts by itself, byte for byte, and what is
/// longer than a notification may be is cut.
///
/// Fails when `Notice::parse` compares how a line begins, and when empty lines are notices.
pub fn notify(data: &[u8]) {
    let both = NOTICES.lock().unwrap_or_else(|e| e.into_inner());
    let (notifications, sender) = &*both;
    sender.send(data).expect("it is read each time");
    let found = notifications
        .receive()
        .expect("it is ours")
        .expect("it was sent");
    let lines = data[..data.len().min(8192)]
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty());
    let expected: Vec<Notice> = lines
        .map(|line| match line {
            b"READY=1" => Notice::Ready,
            b"RELOADING=1" => Notice::Reloading,
            b"STOPPING=1" => Notice::Stopping,
            _ => Notice::Other(line.to_vec()),
        })
        .collect();
    assert_eq!(found, expected);
    for notice in &found {
        if let (Some(why), Notice::Other(line)) = (notice.refused(), notice) {
            assert!(line.starts_with(REFUSED.as_bytes()) && line.trim_ascii_end().ends_with(why));
        }
    }
    assert_eq!(notifications.receive().expect("it is ours"), None);
}
