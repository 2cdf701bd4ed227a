//! Unix sockets, whose files others can remove and replace.

use crate::site::{ADDRESS, Site};

/// A server on a unix socket, and the path of that.
fn on_a_path(more: &str) -> (Site, String) {
    let site = Site::with(
        "hello-server",
        &format!(
            "listen = [\"unix:{{path}}\"]\ncommand = [\"{{program}}\", \"text={{text}}\"]\n{more}"
        ),
    );
    let path = site.sandbox.path("socket").display().to_string();
    site.conf(&[("path", &path)]);
    site.start();
    (site, path)
}

/// Has another server listen on the path.
fn replace(site: &Site, path: &str) {
    let other = format!(
        "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('{path}'); s.listen(5); \
         time.sleep(1000)"
    );
    site.must(&format!(
        "rm {path}; python3 -c \"{other}\" >other.out 2>&1 & echo $! >other.pid"
    ));
    site.until("both listen under that name", || {
        let count = format!("grep -c ' 0001 01 [0-9]* {path}$' /proc/net/unix");
        site.sh(&count).out().trim() == "2"
    });
}

/// Fails when whatever socket lies at the path is removed.
#[test]
fn a_socket_of_another_server_stays() {
    let (site, path) = on_a_path("");
    replace(&site, &path);
    site.must("swift-init hello-server stop");
    site.must(&format!("test -S {path}"));
}

/// Fails when a socket is kept by its address, which leads to it no more.
#[test]
fn a_socket_whose_file_is_gone_is_bound_anew() {
    let (site, path) = on_a_path("");
    let unix = format!("unix:{path}");
    site.must(&format!("rm {path}"));
    site.must("swift-init hello-server reload-seamless");
    assert!(site.get(&unix, "/").contains("generation=2"));
    site.until("the old workers have left", || site.is_at_rest());
    assert!(site.get(&unix, "/").contains("generation=2"));
    // The file of a generation that fails goes with it.
    site.must(&format!("rm {path}"));
    site.conf(&[("path", &path), ("program", "false")]);
    let refused = site.sh("swift-init hello-server reload-seamless");
    assert_eq!(refused.code(), 1, "{refused}");
    assert_eq!(site.sh(&format!("test -e {path}")).code(), 1);
    site.conf(&[("path", &path)]);
    site.must("swift-init hello-server reload-seamless");
    assert!(site.get(&unix, "/").contains("text=hello"));
    site.must("swift-init hello-server stop");
    assert_eq!(site.sh(&format!("test -e {path}")).code(), 1);
}

#[test]
fn a_path_that_another_server_has_refuses_the_reload() {
    let (site, path) = on_a_path("bind_timeout = 1\n");
    replace(&site, &path);
    let pid = site.pid();
    let refused = site.sh(&format!("swift-reload {pid}"));
    assert_eq!(refused.code(), 1, "{refused}");
    let why = format!("cannot listen on unix:{path}: Address already in use");
    assert!(refused.err().contains(&why), "{refused}");
    site.must(&format!("test -S {path}"));
}

/// Fails when connections that wait at an address which goes away are counted.
#[test]
fn what_waits_at_an_address_that_goes_away_is_not_handed_over() {
    let site = Site::new();
    site.conf(&[("workers", "1")]);
    let pid = site.start();
    let worker = site.told("pid");
    site.must(&format!(
        "kill -STOP {worker}; http-client get {ADDRESS} / >/dev/null 2>&1 &"
    ));
    site.until("a connection waits", || {
        // Of a listening socket these are the connections that wait.
        let queue = "awk '$2 ~ /:1F90$/ && $4 == \"0A\" { print substr($5, 10) }' /proc/net/tcp";
        site.must(queue).out().trim() == "00000001"
    });
    site.conf(&[("workers", "1"), ("bind_port", "8081")]);
    site.must(&format!("swift-reload {pid}"));
    let manager = site.status().rows().remove(0);
    assert!(
        manager[5].ends_with(" 0 waiting ones handed over"),
        "{manager:?}"
    );
    site.must(&format!("kill -CONT {worker}"));
    site.until("the old worker has left", || site.is_at_rest());
}

/// Fails when the file of a socket has the mode and the owner that the manager's umask and user give it.
#[test]
fn a_socket_is_for_those_whom_the_file_names() {
    let me = test_helpers::run(std::process::Command::new("id").arg("-un"));
    let user = match me.out().trim() {
        "root" => "nobody".to_owned(),
        other => other.to_owned(),
    };
    let with = |mode: &str| format!("user = \"{user}\"\nsocket_mode = \"{mode}\"\n");
    let (site, path) = on_a_path(&with("0640"));
    let seen = || site.must(&format!("stat -c '%U %a' {path}")).out();
    assert_eq!(seen(), format!("{user} 640\n"));
    let file = format!(
        "listen = [\"unix:{{path}}\"]\ncommand = [\"{{program}}\"]\n{}",
        with("0606")
    );
    site.file(&file);
    site.must("swift-init hello-server reload-seamless");
    assert_eq!(seen(), format!("{user} 606\n"));
    assert!(
        site.get(&format!("unix:{path}"), "/")
            .contains("generation=2")
    );
}

/// Fails when IPV6_V6ONLY is set whatever the file says, or when a kept socket is taken to have changed.
#[test]
fn all_addresses_of_ipv6_are_those_of_ipv4_too_unless_the_file_says_no() {
    let file = |only: &str| {
        format!("listen = [\"[::]:8080\"]\ncommand = [\"{{program}}\"]\nbind_timeout = 1\n{only}")
    };
    let site = Site::with("hello-server", &file(""));
    site.conf(&[]);
    let pid = site.start();
    for address in [ADDRESS, "[::1]:8080"] {
        assert!(site.get(address, "/").contains("generation=1"));
    }
    site.file(&file("ipv6_only = true\n"));
    let refused = site.sh(&format!("swift-reload {pid}"));
    assert_eq!(refused.code(), 1, "{refused}");
    let why = "cannot listen on [::]:8080: ipv6_only takes a stop and a start";
    assert!(refused.err().contains(why), "{refused}");
    site.must("swift-init hello-server stop");
    site.start();
    assert!(site.get("[::1]:8080", "/").contains("generation=1"));
    let refused = site.sh(&format!("http-client get {ADDRESS} /"));
    assert!(refused.err().contains("ConnectionRefused"), "{refused}");
}
