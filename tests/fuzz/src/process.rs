//! What /proc says of a process, which can call itself what it likes.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use swift_records::catalogue::Server;
use swift_server::process::{CommandLine, Disposition, Pid, Runs, Stat, Unit, parse_user};
use swift_sys::signal::Signal;

use crate::cursor::Cursor;
use crate::folder::Folder;

/// Where the configs and programs lie that command lines are made of.
struct Ground {
    folder: Folder,
    words: Vec<Vec<u8>>,
}

static GROUND: LazyLock<Ground> = LazyLock::new(|| {
    let folder = Folder::new();
    folder.write("a.conf", b"");
    folder.write("other.conf", b"");
    let program = folder.write("swift-a", b"");
    fs::set_permissions(program, Permissions::from_mode(0o755)).expect("it is ours");
    // A text of the program's name, which a pager may show.
    fs::create_dir(folder.path().join("log")).expect("the directory is ours");
    folder.write("log/swift-a", b"");
    let linked = |from: &str, to: &str| {
        std::os::unix::fs::symlink(from, folder.path().join(to)).expect("the directory is ours");
    };
    linked("a.conf", "link.conf");
    linked("nowhere", "broken.conf");
    fs::hard_link(
        folder.path().join("a.conf"),
        folder.path().join("hard.conf"),
    )
    .expect("the directory is ours");
    let mut words: Vec<Vec<u8>> = [
        "", "-", "-u", "--", "swift-a", "swift-ab", "/swift-a", "swift-a/", "python3", "a.conf",
        "/a.conf", "verbose", ".",
    ]
    .map(|word| word.as_bytes().to_vec())
    .into();
    for name in [
        "",
        "a.conf",
        "link.conf",
        "hard.conf",
        "broken.conf",
        "other.conf",
        "swift-a",
        "log/swift-a",
        "gone/swift-a",
        "../swift-a",
        "./a.conf",
        "/a.conf",
        "a.conf/",
    ] {
        let path = format!("{}/{name}", folder.path().display());
        words.push(path.into_bytes());
    }
    Ground { folder, words }
});

/// A command line that counts as a server's is one: its first argument, or the script that follows it
/// and its options, has the program's name as its last part, and the first operand after that is the
/// config, by its bytes or as the same file.
///
/// Each byte of the input stands for a word of the line; those above are a word of bytes of its own.
///
/// Fails when `CommandLine::program` compares how a name begins, when `runs` looks for the config
/// anywhere after the program, and when `may_be_script` takes every file for a script.
pub fn command_line(data: &[u8]) {
    let me = Pid::own();
    let line = line(data);
    let args: Vec<&OsStr> = line.args().collect();
    // What the arguments are is not in doubt: NUL ends each.
    let mut again: Vec<u8> = args
        .iter()
        .flat_map(|a| [a.as_bytes(), b"\0"].concat())
        .collect();
    if !line.0.ends_with(b"\0") {
        again.pop();
    }
    assert_eq!(again, line.0);
    for config in ["a.conf", "broken.conf", "none.conf"] {
        let config = GROUND.folder.path().join(config);
        let server = Server::unlisted("a");
        // An error is for a folder that cannot be seen, or a path that is too long.
        let runs = matches!(line.runs(&server, &config, me), Ok(Runs::Config));
        assert!(
            !runs || by_definition(&args, &config),
            "{args:?} is not swift-a with {}",
            config.display()
        );
        // Where no script is in question, it is also the other way round.
        if let [program, argument, ..] = args[..]
            && last_part(program) == b"swift-a"
            && argument == config.as_os_str()
        {
            assert!(runs, "{args:?}");
        }
    }
}

fn line(data: &[u8]) -> CommandLine {
    let words = &GROUND.words;
    let mut cursor = Cursor::new(data);
    let mut line = Vec::new();
    let whole = cursor.below(2) == 0;
    while !cursor.is_empty() {
        match usize::from(cursor.byte()) {
            known if known < words.len() => line.extend_from_slice(&words[known]),
            _ => line.extend_from_slice(cursor.until(0)),
        }
        line.push(0);
    }
    if !whole {
        line.pop();
    }
    CommandLine(line)
}

/// The definition, word by word. A script that is there and cannot be executed is none. Which words an
/// option takes along is a table's business: here, a script and a config may follow any of them.
fn by_definition(args: &[&OsStr], config: &Path) -> bool {
    let named = |at: usize| last_part(args[at]) == b"swift-a";
    let can_run = |at: usize| match fs::symlink_metadata(Path::new(args[at])) {
        Ok(_) => {
            fs::metadata(Path::new(args[at])).is_ok_and(|m| m.is_file() && m.mode() & 0o111 != 0)
        }
        Err(_) => true,
    };
    // What stands between is options, and the words of some.
    let is_option = |arg: &&OsStr| arg.as_bytes().starts_with(b"-");
    let leads_to = |from: usize, to: usize| {
        let between = &args[from..to];
        between.first().is_none_or(is_option) && between.windows(2).all(|w| w.iter().any(is_option))
    };
    let has_config = |program: usize| {
        let mut places = program + 1..args.len();
        places.any(|at| is_file(args[at], config) && leads_to(program + 1, at))
    };
    let mut scripts = 1..args.len();
    (!args.is_empty() && named(0) && has_config(0))
        || scripts.any(|at| named(at) && can_run(at) && leads_to(1, at) && has_config(at))
}

fn is_file(arg: &OsStr, config: &Path) -> bool {
    let same = |one: fs::Metadata, other: fs::Metadata| {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    };
    let meta = |path: PathBuf| fs::metadata(path).ok();
    let here = meta(Path::new(arg).into()).filter(|_| !arg.is_empty());
    arg == config.as_os_str()
        || here
            .zip(meta(config.into()))
            .is_some_and(|(one, other)| same(one, other))
}

fn last_part(arg: &OsStr) -> &[u8] {
    let bytes = arg.as_bytes();
    let after = bytes
        .iter()
        .rposition(|b| *b == b'/')
        .map_or(0, |slash| slash + 1);
    &bytes[after..]
}

/// The unit of a process is a service that its control group names: one whole component, the first
/// below the slices, or the first such one below a user's manager.
///
/// Fails when `of_path` takes the last component, looks past a scope, and believes a path that begins
/// above the root.
pub fn unit(data: &[u8]) {
    if let Some(unit) = Unit::parse(data) {
        let text = String::from_utf8_lossy(data);
        let is_named = |line: &str| {
            let path = line.splitn(3, ':').nth(2).unwrap_or_default();
            let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
            let below = parts.iter().position(|part| !part.ends_with(".slice"));
            let at_top = below.is_some_and(|below| parts[below].ends_with(&unit.name));
            let in_manager = unit.user.is_some() && parts.iter().any(|p| p.ends_with(&unit.name));
            !parts.contains(&"..") && (at_top || in_manager)
        };
        assert!(text.lines().any(is_named), "{unit:?}");
        let drives = |c: char| c.is_control() || c.is_whitespace();
        assert!(unit.name.ends_with(".service") && !unit.name.contains(drives));
    }

    let mut cursor = Cursor::new(data);
    let slices = ["", "/system.slice", "/a.slice/a-b.slice"];
    let above = cursor.choose(&slices);
    let user = [None, Some(1000)][cursor.below(2)];
    let beneath = cursor.choose(&["", "/payload", "/.control/x", "/y.service"]);
    let name: String = cursor
        .rest()
        .iter()
        .map(|b| char::from(b"abz09:-.\\"[usize::from(*b) % 9]))
        .take(200)
        .collect();
    let name = format!("x{name}.service");
    let manager = user.map_or(String::new(), |uid| {
        format!("/user.slice/user-{uid}.slice/user@{uid}.service")
    });
    for line in ["0::", "3:name=systemd:"] {
        let line = format!("1:cpu:/z.service\n{line}{manager}{above}/{name}{beneath}\n");
        let unit = Unit::parse(line.as_bytes()).expect("it is in a unit");
        assert_eq!((unit.name, unit.user), (name.clone(), user));
    }
}

/// /proc/PID/stat and /proc/PID/status: nothing panics, whatever they hold; and what a process calls
/// itself does not change what is read of it, whole or cut short.
///
/// Fails when `Stat::parse` looks for the first `)`, when it asks for no blank after it, when it takes
/// a number that does not fit, and when `Disposition::parse` or `parse_user` look for their keys
/// within lines.
pub fn status(data: &[u8]) {
    if let Some(stat) = Stat::parse(data) {
        let after = data
            .iter()
            .rposition(|b| *b == b')')
            .expect("it ends the name");
        let after = String::from_utf8_lossy(&data[after + 1..]).into_owned();
        let fields: Vec<&str> = after.split_ascii_whitespace().collect();
        let number = |field: usize| fields[field - 3].parse::<i128>().expect("it was taken");
        let numbers = [stat.parent, stat.group, stat.session].map(i128::from);
        assert_eq!(numbers, [number(4), number(5), number(6)]);
        let numbers = [stat.flags, stat.start].map(i128::from);
        assert_eq!(numbers, [number(9), number(22)]);
    }
    let _ = Disposition::parse(data, Signal::TERM);
    let _ = parse_user(data);

    let mut cursor = Cursor::new(data);
    let state = cursor.choose(b"RSDZTtXxKWPI");
    let numbers: [i32; 3] = std::array::from_fn(|_| cursor.number() as i32);
    let (flags, start) = (cursor.number() as u32, cursor.number());
    let [parent, group, session] = numbers;
    let name = cursor.rest();
    let mut line = b"4711 (".to_vec();
    line.extend_from_slice(name);
    let fields = format!(
        ") {} {parent} {group} {session} 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 1 0 {start} 9 10 11\n",
        char::from(state)
    );
    line.extend_from_slice(fields.as_bytes());
    let stat = Stat::parse(&line).expect("it is a line of the kernel's");
    assert_eq!(
        (stat.state, stat.parent, stat.group, stat.session),
        (state, parent, group, session)
    );
    assert_eq!((stat.flags, stat.start), (flags.into(), start));
    assert_eq!(stat.pre_exec, name == b"swift-starting");
    // Cut short anywhere between the name and the start, it is no line.
    let (from, to) = (
        7 + name.len(),
        line.len() - format!("{start} 9 10 11\n").len(),
    );
    let cut = from + start as usize % (to - from + 1);
    assert_eq!(Stat::parse(&line[..cut]), None);
    dispositions(name, group, flags.into(), start);
}

fn dispositions(name: &[u8], uid: i32, caught: u64, ignored: u64) {
    // The kernel escapes a newline in a name, and a backslash.
    let name: Vec<u8> = name.iter().copied().filter(|b| *b != b'\n').collect();
    let uid = uid as u32;
    let mut text = b"Name:\t".to_vec();
    text.extend_from_slice(&name);
    let rest = format!(
        "\nUid:\t0\t{uid}\t7\t{uid}\nGid:\t6\t6\t6\t6\nGroups:\t6 8 \nSigBlk:\t{:016x}\n\
         SigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n",
        !caught
    );
    text.extend_from_slice(rest.as_bytes());
    for number in 1..=64 {
        let signal = Signal::from_number(number).expect("there are 64");
        let found = Disposition::parse(&text, signal).expect("it is the kernel's");
        let bit = |mask: u64| mask >> (number - 1) & 1 == 1;
        let expected = (bit(caught), !bit(caught), bit(ignored));
        assert_eq!((found.caught, found.blocked, found.ignored), expected);
    }
    let user = parse_user(&text).expect("it is the kernel's");
    let whose = if uid == 0 { 7 } else { uid };
    assert_eq!((user.uid, user.gid, user.groups), (whose, 6, vec![6, 8]));
}
