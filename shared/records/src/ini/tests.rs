//! Configs are read as Python reads them.

use std::path::Path;

use super::*;

fn ini(text: &str) -> Result<Ini, (usize, String)> {
    let mut ini = Ini::new([("here", "/etc/swift".to_owned())]);
    match ini.add(Path::new("a.conf"), text.as_bytes()) {
        Ok(()) => Ok(ini),
        Err(fault) => Err((fault.place.line, fault.what)),
    }
}

fn get(ini: &Ini, section: &str, key: &str) -> Option<(String, usize)> {
    let value = ini.get(section, key).unwrap()?;
    Some((value.text, value.place.line))
}

fn app(text: &str, key: &str) -> Option<String> {
    let ini = ini(text).unwrap();
    let value = ini.app_value("app:proxy-server", key).unwrap()?;
    Some(value.text)
}

#[test]
fn a_section_is_a_name_in_brackets() {
    let has = |text: &str| ini(text).unwrap().has_section("object-expirer");
    assert!(has("# a\n[DEFAULT]\n\nx = 1\n[object-expirer]\n"));
    assert!(has("  [object-expirer] ; why"));
    assert!(has("[a]\nx : 1\r\n[object-expirer]\r\n"));
    assert!(has("[a]\rx : 1\r[object-expirer]"));
    assert!(!has(""));
    assert!(!has(
        "[object-expirers]\n[Object-Expirer]\n#[object-expirer]\n"
    ));
    assert!(!has("[a]\nx =\n  [object-expirer]\n"));
}

#[test]
fn what_makes_no_sense_is_named() {
    let none = "no section has begun here".to_owned();
    assert_eq!(ini("\nx = 1\n").unwrap_err(), (2, none));
    let neither = || "neither an option nor a section".to_owned();
    assert_eq!(ini("[a]\nx\n").unwrap_err(), (2, neither()));
    assert_eq!(ini("[a]\n= 1\n").unwrap_err(), (2, neither()));
}

#[test]
fn values_are_read_as_python_reads_them() {
    let text = "[DEFAULT]\nUser: me ; you\nmany = 1\n  2\n# not this\n\n  3\n\n\
                a=b:c\nempty =\n[x]\n  user = you\n";
    let ini = ini(text).unwrap();
    assert_eq!(get(&ini, "x", "User"), Some(("me ; you".into(), 2)));
    assert_eq!(get(&ini, "x", "many"), Some(("1\n2\n\n3".into(), 3)));
    assert_eq!(get(&ini, "x", "a"), Some(("b:c".into(), 9)));
    assert_eq!(get(&ini, "x", "empty"), Some((String::new(), 10)));
    assert_eq!(get(&ini, "x", "user"), Some(("you".into(), 12)));
    assert_eq!(get(&ini, "DEFAULT", "user"), None);
    assert_eq!(get(&ini, "none", "a"), Some(("b:c".into(), 9)));
    assert!(ini.is_own("x", "user") && !ini.is_own("x", "a"));
    assert_eq!(ini.keys("x").len(), 5);
}

#[test]
fn a_later_file_wins_and_what_stands_twice_in_one_is_told() {
    let mut ini = Ini::default();
    ini.add(Path::new("1"), b"[a]\nx = 1\n").unwrap();
    ini.add(Path::new("2"), b"[a]\nx = 2\n").unwrap();
    assert_eq!(get(&ini, "a", "x"), Some(("2".into(), 2)));
    assert_eq!(ini.duplicate, None);
    ini.add(
        Path::new("3"),
        b"[DEFAULT]\n[a]\nx = 1\nx = 2\n[DEFAULT]\n[a]\n",
    )
    .unwrap();
    let first = ini.duplicate.unwrap();
    assert_eq!(first.place.to_string(), "3:4");
    assert_eq!(first.what, "x stands in section a before");
}

#[test]
fn names_in_parentheses_are_replaced() {
    let text = "[DEFAULT]\nbase = 80\nport = %(base)s81\nhalf = 50%\ntwice = %%(%(base)s)\n\
                home = %(here)s/x\nloop = %(loop)s\ngone = %(nothing)s\nbad = %(base)d\n\
                [a]\nbase = 90\n";
    let ini = ini(text).unwrap();
    let value = |section: &str, key: &str| get(&ini, section, key).unwrap().0;
    assert_eq!(value("DEFAULT", "port"), "8081");
    assert_eq!(value("a", "port"), "9081");
    assert_eq!(value("a", "half"), "50%");
    assert_eq!(value("a", "twice"), "%(90)");
    assert_eq!(value("a", "home"), "/etc/swift/x");
    for (key, what) in [
        ("loop", "loop: its references are deeper than 10"),
        ("gone", "gone: no key is named nothing"),
        ("bad", "bad: % is followed neither by % nor by (NAME)s"),
    ] {
        assert_eq!(ini.get("a", key).unwrap_err().what, what);
    }
}

#[test]
fn what_grows_without_bound_is_cut_short() {
    let mut text = "[DEFAULT]\na0 = 0123456789\n".to_owned();
    for level in 1..10 {
        let reference = format!("%(a{})s", level - 1);
        text += &format!("a{level} = {}\n", reference.repeat(10));
    }
    let ini = ini(&text).unwrap();
    let what = ini.get("DEFAULT", "a9").unwrap_err().what;
    assert_eq!(what, "a9: it is longer than 65536 bytes");
}

#[test]
fn for_an_app_the_default_wins_unless_it_is_set() {
    let text = "[DEFAULT]\nuser = one\n[app:proxy-server]\nuse = egg:swift#proxy\n";
    assert_eq!(app(text, "user").as_deref(), Some("one"));
    assert_eq!(
        app(&format!("{text}user = two\n"), "user").as_deref(),
        Some("one")
    );
    assert_eq!(
        app(&format!("{text}set user = two\n"), "user").as_deref(),
        Some("two")
    );
    assert_eq!(
        app(&format!("{text}workers = 2\n"), "workers").as_deref(),
        Some("2")
    );
    assert_eq!(app(&format!("{text}get user = x\n"), "user"), None);
    assert_eq!(app(text, "workers"), None);
}

#[test]
fn an_app_may_use_another_section() {
    let text = "[DEFAULT]\nuser = one\n[app:proxy-server]\nuse = base\nset workers = 1\n\
                [app:base]\nset user = two\nbacklog = 7\nworkers = 3\n";
    assert_eq!(app(text, "user").as_deref(), Some("two"));
    assert_eq!(app(text, "backlog").as_deref(), Some("7"));
    assert_eq!(app(text, "workers").as_deref(), Some("3"));
    let elsewhere = text.replace("use = base", "use = config:other.conf");
    assert_eq!(app(&elsewhere, "user"), None);
    let circle = text.replace("[app:base]\n", "[app:base]\nuse = base\n");
    assert_eq!(app(&circle, "max_clients"), None);
}
