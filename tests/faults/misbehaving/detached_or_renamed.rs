//! Servers that cannot be followed, and those that only look so.

use crate::misbehaving::story::Fixture;

/// What a server that puts itself into the background leaves in its pid file is the pid of a process
/// that has ended, so nothing leads to what goes on. It is ended again. Fails when it is left; the
/// original leaves it, with exit status 0.
#[test]
fn a_server_that_goes_into_the_background_is_stopped() {
    let mut fixture = Fixture::new(&["daemonise = true", ""]);
    fixture.play(
        "
        $ swift-init object start
        Starting object-server...(etc/object-server/1.conf)
        Starting object-server...(etc/object-server/2.conf)
        ! swift-init: object-server (etc/object-server/1.conf): failed to start, since it would not be found again: it went on in another process, which its pid file does not name
        = 1; 2
        $ swift-init object status
        object-server running (<2> - etc/object-server/2.conf)
        = 0; 2
        ",
    );
}

/// A daemon that does so in its one pass has ended well.
#[test]
fn a_pass_that_ends_well_is_no_failure() {
    let mut fixture = Fixture::new(&["print = done\\n"]);
    fixture.play(
        "
        $ swift-init object-updater once
        Running object-updater once...(etc/object-server/1.conf)
        done
        = 0; nothing
        ",
    );
}

/// One that takes another command line is followed by its tag. Fails when the tag is not looked at.
#[test]
fn a_renamed_server_is_found_by_its_tag() {
    let mut fixture = Fixture::new(&["retitle = kworker/0:1"]);
    fixture.play(
        "
        $ swift-init object start
        Starting object-server...(etc/object-server/1.conf)
        = 0; 1
        $ rows | swift-signal CONT
        object-server etc/object-server/1.conf run/object-server/1.pid <1> T signalled -
        = 0; 1
        $ swift-init object status
        object-server running (<1> - etc/object-server/1.conf)
        = 0; 1
        $ swift-init object start
        object-server running (<1> - etc/object-server/1.conf)
        object-server already started...
        = 1; 1
        $ swift-init -k 3600 object stop
        Signal object-server  pid: <1>  signal: 15
        object-server (<1>) appears to have stopped
        = 0; nothing
        ",
    );
}

/// It has no output whose end could tell more than that it is ready. Fails when the end of the output
/// of a process that lives counts as its death.
#[test]
fn a_server_that_closes_all_descriptors_is_managed() {
    let mut fixture = Fixture::new(&["close_all = true", "close_all = true"]);
    fixture.play(
        "
        $ swift-init object start
        Starting object-server...(etc/object-server/1.conf)
        Starting object-server...(etc/object-server/2.conf)
        = 0; 1, 2
        $ swift-init object reload-seamless
        Signal object-server  pid: <1>  signal: 10
        Signal object-server  pid: <2>  signal: 10
        = 0; 1, 2
        $ swift-init -k 3600 object restart
        Signal object-server  pid: <1>  signal: 15
        Signal object-server  pid: <2>  signal: 15
        object-server (<1>) appears to have stopped
        object-server (<2>) appears to have stopped
        Starting object-server...(etc/object-server/1.conf)
        Starting object-server...(etc/object-server/2.conf)
        = 0; 1, 2
        $ swift-init object status
        object-server running (<1> - etc/object-server/1.conf)
        object-server running (<2> - etc/object-server/2.conf)
        = 0; 1, 2
        $ rows | swift-signal stop | swift-spawn
        object-server etc/object-server/1.conf run/object-server/1.pid <1> T started -
        object-server etc/object-server/1.conf run/object-server/1.pid <1> T ready -
        object-server etc/object-server/2.conf run/object-server/2.pid <2> T started -
        object-server etc/object-server/2.conf run/object-server/2.pid <2> T ready -
        = 0; 1, 2
        $ swift-init -k 3600 object stop
        Signal object-server  pid: <1>  signal: 15
        Signal object-server  pid: <2>  signal: 15
        object-server (<1>) appears to have stopped
        object-server (<2>) appears to have stopped
        = 0; nothing
        ",
    );
}

/// One that closes its outputs and dies right then counts as failed when it has printed something,
/// since it is watched for a while then; the next command knows it either way. Fails when its pid file
/// is believed.
#[test]
fn a_server_that_dies_just_after_ready_is_reported() {
    let mut fixture = Fixture::new(&["exit_late = true\nprint = up\\n\ndie_by = KILL"]);
    fixture.play(
        "
        $ swift-init object start
        Starting object-server...(etc/object-server/1.conf)
        up
        ! swift-init: object-server (etc/object-server/1.conf): failed to start: ended by signal 9
        = 1; nothing
        $ swift-init -v object status
        No object-server running
        = 1; nothing
        $ swift-init -k 3600 object restart
        No object-server running
        Starting object-server...(etc/object-server/1.conf)
        up
        ! swift-init: object-server (etc/object-server/1.conf): failed to start: ended by signal 9
        = 1; nothing
        $ swift-init -k 3600 object stop
        No object-server running
        = 1; nothing
        ",
    );
}
