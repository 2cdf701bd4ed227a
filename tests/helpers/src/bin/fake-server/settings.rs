//! Settings by which a configuration file tells the fake server what to do.
//!
//! Lines of `key = value`. They hold when they stand before any section, in `[DEFAULT]`, or in a
//! section of the server's own name (`[object-replicator]` for swift-object-replicator). Everything
//! else is left alone, so that the file can be a Swift configuration as well. Of a directory, all
//! `*.conf` in it are read in order. A fifo is an event: to open its other end makes it happen.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{SigSet, Signal};

/// The effect of SIGUSR1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// `ok`: announces RELOADING=1, then READY=1 (the default).
    Ok,
    /// `fail`: announces RELOADING=1, then exits with 1.
    Fail,
    /// `die`: dies at once, by KILL.
    Die,
    /// `silent`: nothing at all.
    Silent,
    /// `default`: what the kernel does to a process that does not care.
    Default,
}

/// The settings of one server.
#[derive(Debug)]
pub struct Settings {
    /// `print = TEXT`: says this before anything else (`\n`, `\t`, `\\`, `\xHH` are understood).
    pub print: Vec<u8>,
    /// `print_error = TEXT`: says this on its standard error.
    pub print_error: Vec<u8>,
    /// `ready_after = FIFO`: waits for this event before it is ready.
    pub ready_after: Option<PathBuf>,
    /// `tell = FIFO`: makes this event happen once it is ready.
    pub tell: Option<PathBuf>,
    /// `exit = STATUS`: ends with this status instead of becoming ready.
    pub exit: Option<i32>,
    /// `die_by = SIGNAL`: ends by this signal instead of becoming ready.
    pub die_by: Option<Signal>,
    /// `exit_late = true`: closes its outputs before it ends.
    pub exit_late: bool,
    /// `ignore = SIGNAL,...`: these do nothing, from its start on.
    pub ignore: SigSet,
    /// `workers = N`: has N workers with its own command line, and replaces those that end.
    pub workers: usize,
    /// `never_close = true`: keeps its outputs open for ever.
    pub never_close: bool,
    /// `hold_output = true`: leaves a child behind that holds its outputs and does nothing.
    pub hold_output: bool,
    /// `own_group = true`: that child is in a process group of its own.
    pub own_group: bool,
    /// `no_setsid = true`: stays in the session that it was started in.
    pub no_setsid: bool,
    /// `user = UID`: becomes this user.
    pub user: Option<u32>,
    /// `once_exit = STATUS`: how a pass of `once` ends (0).
    pub once_exit: i32,
    /// `check_exit = STATUS`: how `--test-config` ends (0).
    pub check_exit: i32,
    /// `check_print = TEXT`: what `--test-config` says.
    pub check_print: Vec<u8>,
    /// `check_after = FIFO`: `--test-config` waits for this event.
    pub check_after: Option<PathBuf>,
    /// `check_record = FILE`: `--test-config` appends what it was started with.
    pub check_record: Option<PathBuf>,
    /// `reload = ok|fail|die|silent|default`: what SIGUSR1 does.
    pub reload: Reload,
    /// `reload_after = FIFO`: waits for this event between RELOADING=1 and READY=1.
    pub reload_after: Option<PathBuf>,
    /// `linger = true`: the workers stay when the server goes.
    pub linger: bool,
    /// `record = FILE`: appends what it was started with.
    pub record: Option<PathBuf>,
    /// `flood = BYTES`: says so many more bytes before it is ready.
    pub flood: u64,
    /// `check_flood = BYTES`: how much more `--test-config` says.
    pub check_flood: u64,
    /// `close_all = true`: closes every descriptor that it has before it does anything else.
    pub close_all: bool,
    /// `daemonise = true`: goes on as a child of its own, in another session, and ends with 0.
    pub daemonise: bool,
    /// `retitle = TEXT`: has this for its command line and its name, as setproctitle(3) makes it.
    pub retitle: Option<String>,
    /// `regroup = true`: moves into a process group of its own, if it may.
    pub regroup: bool,
}

impl Settings {
    /// The settings in this file for the program of this name. A file that cannot be read has none.
    ///
    /// # Panics
    /// On a value that makes no sense, since a test must not pass by mistake.
    pub fn read(conf: &Path, program: &str) -> Settings {
        let pairs = pairs(
            &text(conf),
            program.strip_prefix("swift-").unwrap_or(program),
        );
        let last = |key: &str| {
            pairs
                .iter()
                .rev()
                .find(|(known, _)| known == key)
                .map(|(_, value)| value.as_str())
        };
        let flag = |key| last(key).is_some_and(|value| value == "true");
        let path = |key| last(key).map(PathBuf::from);
        let number = |key: &str| last(key).map(|value| value.parse().expect("a number"));
        Settings {
            print: last("print").map_or_else(Vec::new, unescape),
            print_error: last("print_error").map_or_else(Vec::new, unescape),
            ready_after: path("ready_after"),
            tell: path("tell"),
            exit: number("exit"),
            die_by: last("die_by").map(signal),
            exit_late: flag("exit_late"),
            ignore: last("ignore")
                .into_iter()
                .flat_map(|list| list.split(','))
                .map(signal)
                .collect(),
            workers: last("workers").map_or(0, |value| value.parse().expect("a number")),
            never_close: flag("never_close"),
            hold_output: flag("hold_output"),
            own_group: flag("own_group"),
            no_setsid: flag("no_setsid"),
            user: last("user").map(|value| value.parse().expect("a number")),
            once_exit: number("once_exit").unwrap_or(0),
            check_exit: number("check_exit").unwrap_or(0),
            check_print: last("check_print").map_or_else(Vec::new, unescape),
            check_after: path("check_after"),
            check_record: path("check_record"),
            reload: last("reload").map_or(Reload::Ok, reload),
            reload_after: path("reload_after"),
            linger: flag("linger"),
            record: path("record"),
            flood: last("flood").map_or(0, |value| value.parse().expect("a number")),
            check_flood: last("check_flood").map_or(0, |value| value.parse().expect("a number")),
            close_all: flag("close_all"),
            daemonise: flag("daemonise"),
            retitle: last("retitle").map(str::to_owned),
            regroup: flag("regroup"),
        }
    }
}

fn text(conf: &Path) -> String {
    let Ok(entries) = fs::read_dir(conf) else {
        return fs::read_to_string(conf).unwrap_or_default();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        })
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap_or_default())
        .collect()
}

fn pairs(text: &str, server: &str) -> Vec<(String, String)> {
    let mut ours = true;
    let mut pairs = Vec::new();
    for line in text.lines() {
        if let Some(section) = line
            .trim()
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            ours = section == "DEFAULT" || section == server;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| ours) {
            pairs.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    pairs
}

fn signal(name: &str) -> Signal {
    let name = name.trim();
    format!("SIG{name}")
        .parse()
        .unwrap_or_else(|_| panic!("no signal: {name}"))
}

fn reload(name: &str) -> Reload {
    match name {
        "ok" => Reload::Ok,
        "fail" => Reload::Fail,
        "die" => Reload::Die,
        "silent" => Reload::Silent,
        "default" => Reload::Default,
        _ => panic!("no way to reload: {name}"),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'r') => bytes.push(b'\r'),
            Some(b'x') => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&digits, 16).expect("two hexadecimal digits"));
            }
            Some(other) => bytes.push(other),
            None => bytes.push(b'\\'),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_its_own_sections_only() {
        let text = "a = 1\n[object-server]\na = 2\n[proxy-server]\na = 3\n[DEFAULT]\nb = 4\n";
        let of = |server| {
            pairs(text, server)
                .into_iter()
                .map(|(_, value)| value)
                .collect::<String>()
        };
        assert_eq!(of("object-server"), "124");
        assert_eq!(of("object-auditor"), "14");
    }

    #[test]
    fn understands_escapes() {
        assert_eq!(unescape(r"a\n\xff\\b"), b"a\n\xff\\b");
    }
}
