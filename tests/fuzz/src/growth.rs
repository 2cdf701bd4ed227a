//! Work by size: each case does one thing once with an input that has so many bytes or parts.

use std::ffi::OsString;
use std::path::Path;

use swift_cli::text;
use swift_records::catalogue::{Catalogue, SITE_FILE, Server};
use swift_records::instance::pid_path;
use swift_records::row::Row;
use swift_records::state::State;
use swift_server::head_tail::HeadTail;
use swift_server::process::{CommandLine, Pid, Stat};
use swift_server::stream::Decoder;

use crate::folder::Folder;
use crate::tools;

/// Does one thing with so many bytes or parts.
type Case = fn(usize);

/// The cases, and how many bytes or parts each begins with.
const CASES: &[(&str, usize, Case)] = &[
    ("row-detail", 1 << 18, row_detail),
    ("row-columns", 1 << 18, row_columns),
    ("row-folders", 1 << 12, row_folders),
    ("stream-bytes", 1 << 18, stream_bytes),
    ("stream-rows", 1 << 13, stream_rows),
    ("stream-one-by-one", 1 << 13, stream_one_by_one),
    ("cmdline-arguments", 1 << 15, cmdline_arguments),
    ("cmdline-dashes", 1 << 15, cmdline_dashes),
    ("stat-name", 1 << 18, stat_name),
    ("site-servers", 1 << 11, site_servers),
    ("site-group", 1 << 11, site_group),
    ("site-groups", 1 << 11, site_groups),
    ("names", 1 << 12, selected_names),
    ("glob-stars", 1 << 14, glob_stars),
    ("section-lines", 1 << 14, section_lines),
    ("conf-options", 1 << 13, conf_options),
    ("conf-continued", 1 << 13, conf_continued),
    ("arguments", 1 << 13, arguments),
    ("arguments-cluster", 1 << 15, arguments_cluster),
    ("text", 1 << 18, escaped_text),
    ("excerpt-bytes", 1 << 18, excerpt_bytes),
];

/// Does one case once.
///
/// # Panics
/// When there is none of that name.
pub fn run(name: &str, size: usize) {
    let case = CASES.iter().find(|(known, ..)| *known == name);
    let (_, _, case) = case.unwrap_or_else(|| panic!("no case is named {name}"));
    case(size);
}

/// The names of all cases with their first sizes, a line each.
pub fn cases() -> String {
    let lines = CASES
        .iter()
        .map(|(name, size, _)| format!("{name} {size}\n"));
    lines.collect()
}

fn read(line: &[u8]) {
    if let Ok(row) = Row::read(line) {
        row.write(&mut Vec::new());
    }
}

fn row_detail(size: usize) {
    read(
        &[
            b"a\t-\t-\t-\t-\tfailed\t",
            b"\\x1b".repeat(size / 4).as_slice(),
        ]
        .concat(),
    );
}

fn row_columns(size: usize) {
    read(
        &[
            b"a\t-\t-\t-\t-\tfailed\t",
            b"-\t".repeat(size / 2).as_slice(),
        ]
        .concat(),
    );
}

fn row_folders(size: usize) {
    let folders = "/object-server".repeat(size);
    let row = Row {
        config: Some(format!("{folders}/1.conf").into()),
        pidfile: Some(format!("{folders}/2.pid").into()),
        ..Row::new("object-server", State::Running)
    };
    assert!(pid_path(&Server::unlisted("object-server"), &row).is_err());
}

fn decode(stream: &[u8], piece: usize) {
    let mut decoder = Decoder::default();
    for piece in stream.chunks(piece) {
        decoder.push(piece);
        while decoder.next_row().is_some() {}
    }
}

fn stream_bytes(size: usize) {
    decode(&vec![b'x'; size], 1);
}

const ROW: &[u8] = b"a\t-\t-\t-\t-\tstopped\tabsent\n";

fn stream_rows(size: usize) {
    decode(&ROW.repeat(size), 1 << 14);
}

/// Whoever takes only one row after each piece still has to move no more than arrives.
fn stream_one_by_one(size: usize) {
    let mut decoder = Decoder::default();
    for piece in ROW.repeat(size).chunks(ROW.len() * 2) {
        decoder.push(piece);
        decoder.next_row();
    }
    while decoder.next_row().is_some() {}
}

fn runs(line: Vec<u8>) {
    let me = Pid::own();
    let _ = CommandLine(line).runs(&Server::unlisted("a"), Path::new("/a.conf"), me);
}

fn cmdline_arguments(size: usize) {
    runs(b"swift-a\0".repeat(size));
}

fn cmdline_dashes(size: usize) {
    runs(b"-\0".repeat(size));
}

fn stat_name(size: usize) {
    let line = format!("1 ({}) S 1 1", ")".repeat(size));
    assert_eq!(Stat::parse(line.as_bytes()), None);
}

fn load(text: &str) -> Catalogue {
    let folder = Folder::new();
    folder.write(SITE_FILE, text.as_bytes());
    Catalogue::load(folder.path()).expect("it makes sense")
}

fn servers(size: usize) -> String {
    (0..size).map(|n| format!("[server.a-{n}]\n")).collect()
}

fn site_servers(size: usize) {
    load(&servers(size));
}

fn site_group(size: usize) {
    let members: String = (0..size).map(|n| format!("\"a-{n}\", ")).collect();
    let catalogue = load(&format!("{}[groups]\nweb = [{members}]\n", servers(size)));
    assert_eq!(catalogue.members("web").map(|m| m.len()), Some(size));
}

fn site_groups(size: usize) {
    let groups: String = (0..size)
        .map(|n| format!("g-{n} = [\"proxy-server\"]\n"))
        .collect();
    assert_eq!(
        load(&format!("[groups]\n{groups}")).groups().count(),
        size + 3
    );
}

fn selected_names(size: usize) {
    let catalogue = Catalogue::load(Path::new("/nonexistent")).expect("it is compiled in");
    let words: Vec<String> = (0..size).map(|n| format!("a-{n}")).collect();
    let selection = catalogue.select(words.iter().map(String::as_str));
    assert_eq!(selection.names.len(), size);
}

fn glob_stars(size: usize) {
    let catalogue = Catalogue::load(Path::new("/nonexistent")).expect("it is compiled in");
    catalogue.select(["*o*e".repeat(size / 4).as_str()]);
}

fn in_file(text: &str, read: impl Fn(&Path)) {
    read(&Folder::new().write("a.conf", text.as_bytes()));
}

fn section_lines(size: usize) {
    let text = format!("[a]\n{}", "x = 1\n  y\n".repeat(size / 2));
    in_file(&text, |file| {
        let ini = swift_records::config::read(file).expect("it is a config");
        assert!(!ini.has_section("b"));
    });
}

fn conf_options(size: usize) {
    let options: String = (0..size).map(|n| format!("o{n} = 1\n")).collect();
    in_file(&format!("[DEFAULT]\n{options}"), |file| {
        assert_eq!(
            swift_serve::conf::read(file).map(|values| values.len()),
            Ok(size)
        );
    });
}

fn conf_continued(size: usize) {
    let text = format!("[DEFAULT]\nx = 1\n{}", "  y\n".repeat(size));
    in_file(&text, |file| assert!(swift_serve::conf::read(file).is_ok()));
}

fn parse(words: Vec<OsString>) {
    assert!(tools::init::COMMAND_LINE.parse(words).is_ok());
}

fn arguments(size: usize) {
    parse(vec!["--config-n=1".into(); size]);
}

fn arguments_cluster(size: usize) {
    parse(vec![format!("-{}", "v".repeat(size)).into()]);
}

fn escaped_text(size: usize) {
    assert!(text::one_line(&b"\x1b\xff\n\t".repeat(size / 4)).len() > size);
}

fn excerpt_bytes(size: usize) {
    let mut excerpt = HeadTail::default();
    (0..size).for_each(|_| excerpt.push(b"x"));
    assert!(!excerpt.text().is_empty());
}
