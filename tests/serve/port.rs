//! An address that changes: the new one answers from the reload on, and the old one resets nobody.

use crate::site::{ADDRESS, Site};

#[test]
fn a_changed_port_answers_and_the_old_one_resets_no_connection() {
    let site = Site::new();
    let pid = site.start();
    let load = site.load(ADDRESS, 16, 16);
    site.conf(&[("bind_port", "8081")]);
    site.must("swift-init hello-server reload-seamless");
    assert!(site.get("127.0.0.1:8081", "/").contains("generation=2"));
    assert_eq!(site.pid(), pid);
    site.until("the old address is closed", || {
        let outcome = site.sh(&format!("http-client get {ADDRESS} /"));
        assert!(
            outcome.code() == 0 || outcome.err().contains("ConnectionRefused"),
            "{outcome}"
        );
        outcome.code() != 0
    });
    // From then on all are refused, which is as it should be.
    let counts = load.end();
    crate::site::report(counts.line.trim());
    assert_eq!(
        counts.reset + counts.raced + counts.other,
        0,
        "{}",
        counts.line
    );
    assert!(counts.answered > 0, "{}", counts.line);
    site.until("the standby has left", || site.is_at_rest());
}

#[test]
fn an_address_that_is_added_or_goes_leaves_the_others_alone() {
    let site = Site::with(
        "hello-server",
        "listen = [\"127.0.0.1:8080\", \"127.0.0.1:{bind_port}\"]\n\
         command = [\"{program}\", \"text={text}\"]\n",
    );
    site.conf(&[("bind_port", "8081")]);
    site.start();
    let load = site.load(ADDRESS, 8, 8);
    for port in ["8082", "8081", "8082"] {
        site.conf(&[("bind_port", port)]);
        site.must("swift-init hello-server reload-seamless");
        assert!(
            site.get(&format!("127.0.0.1:{port}"), "/")
                .contains("text=hello")
        );
        site.until("the reload is over", || site.is_at_rest());
    }
    load.end().all_answered();
}
