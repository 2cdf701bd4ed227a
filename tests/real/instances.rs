//! Several instances of one server: each is started, shown and stopped for itself.

use std::fs;

use test_helpers::lab::Lab;

/// Turns the one object server into four with ports of their own, the last one's config a directory.
fn four_object_servers(lab: &Lab) {
    let single = lab.etc().join("object-server.conf");
    let text = fs::read_to_string(&single).expect("the lab has one");
    fs::remove_file(single).expect("it can be removed");
    let dir = lab.etc().join("object-server");
    fs::create_dir_all(dir.join("4.conf.d")).expect("it can be made");
    for (file, port) in [
        ("1.conf", 6210),
        ("2.conf", 6220),
        ("3.conf", 6230),
        ("4.conf.d/server.conf", 6240),
    ] {
        let text = text.replace("bind_port = 6200", &format!("bind_port = {port}"));
        fs::write(dir.join(file), text).expect("it can be written");
    }
}

#[test]
fn start_brings_back_what_is_missing_and_leaves_the_rest() {
    let lab = Lab::new();
    four_object_servers(&lab);
    let started = lab.must("swift-init object-server start").out();
    let starting = "Starting object-server...(/etc/swift/object-server/";
    assert_eq!(started.matches(starting).count(), 4, "{started}");
    let first = lab.server("object-server/1");
    let second = lab.server("object-server/2");

    lab.must("swift-init object.2 stop");
    assert!(first.runs() && !second.runs());
    let status = lab.must("swift-init object-server status").out();
    assert_eq!(status.matches("object-server running (").count(), 3);

    let started = lab.must("swift-init object-server start").out();
    assert!(
        started.contains(&format!("{starting}2.conf)\n")),
        "{started}"
    );
    assert_eq!(started.matches(starting).count(), 1, "{started}");
    assert!(first.runs());

    let directory = "/etc/swift/object-server/4.conf.d";
    let status = lab.must("swift-init object-server status -c 4").out();
    assert!(status.contains(&format!(" - {directory})\n")), "{status}");
    let rows = lab.must("swift-resolve-servers object.4 | swift-pidfile");
    assert_eq!(rows.rows()[0][1], directory);
    assert_eq!(rows.rows()[0][5], "running");

    lab.must("swift-init object-server stop");
    assert_eq!(lab.processes(), []);
}
