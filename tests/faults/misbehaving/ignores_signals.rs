//! Servers that do not go, and children that stay when they do.

use std::fs::{self, File};
use std::process::Stdio;

use crate::misbehaving::story::{Fixture, ends};

/// Everything that a process can refuse.
const ALL: &str = "ignore = TERM,HUP,USR1,USR2,INT,QUIT";

const IGNORES_ALL: &str = "
        $ swift-init object start
        Starting object-server...(etc/object-server/1.conf)
        = 0; 1
        $ swift-init object start
        object-server running (<1> - etc/object-server/1.conf)
        object-server already started...
        = 1; 1
        $ swift-init -k 0 object stop
        Signal object-server  pid: <1>  signal: 15
        Waited 0 seconds for object-server to die; giving up
        ! swift-init: object-server (etc/object-server/1.conf): has not ended in time: pid <1> is still there
        = 1; 1
        $ swift-init -k 0 object shutdown
        Signal object-server  pid: <1>  signal: 1
        Waited 0 seconds for object-server to die; giving up
        ! swift-init: object-server (etc/object-server/1.conf): has not ended in time: pid <1> is still there
        = 1; 1
        $ swift-init -k 0 object kill
        Signal object-server  pid: <1>  signal: 15
        Waited 0 seconds for object-server to die; giving up
        ! swift-init: object-server (etc/object-server/1.conf): has not ended in time: pid <1> is still there
        object-server running (<1> - etc/object-server/1.conf)
        = 1; 1
        $ swift-init -k 0 object restart
        Signal object-server  pid: <1>  signal: 15
        Waited 0 seconds for object-server to die; giving up
        ! swift-init: object-server (etc/object-server/1.conf): has not ended in time: pid <1> is still there
        object-server running (<1> - etc/object-server/1.conf)
        object-server already started...
        = 1; 1
        $ swift-init -k 0 --no-wait object reload
        Signal object-server  pid: <1>  signal: 1
        Waited 0 seconds for object-server to die; giving up
        ! swift-init: object-server (etc/object-server/1.conf): has not ended in time: pid <1> is still there
        object-server running (<1> - etc/object-server/1.conf)
        object-server already started...
        = 1; 1
        $ swift-init --reload-timeout=0.1 object reload-seamless
        Signal object-server  pid: <1>  signal: 10
        ! swift-init: object-server (etc/object-server/1.conf): not reloaded: took too long
        = 1; 1
        $ swift-init --no-wait object reload-seamless
        Signal object-server  pid: <1>  signal: 10
        = 0; 1
        $ rows | swift-signal --wait=0 stop
        object-server etc/object-server/1.conf run/object-server/1.pid <1> T survived timeout
        ! swift-signal: <1> (object-server) has not ended in time
        = 1; 1
        $ rows | swift-signal HUP | swift-spawn
        object-server etc/object-server/1.conf run/object-server/1.pid <1> T signalled -
        = 0; 1
        $ rows | swift-reload --timeout=0.1
        object-server etc/object-server/1.conf run/object-server/1.pid <1> T signalled -
        object-server etc/object-server/1.conf run/object-server/1.pid <1> T unreloaded timeout
        ! swift-reload: cannot reload <1> (object-server): it is not ready in time
        = 1; 1
        $ swift-init object status
        object-server running (<1> - etc/object-server/1.conf)
        = 0; 1
        $ swift-init -k 0 --kill-after-timeout object restart
        Signal object-server  pid: <1>  signal: 15
        Waited 0 seconds for object-server to die; killing
        Signal object-server  pid: <1>  signal: 9
        Starting object-server...(etc/object-server/1.conf)
        = 0; 1
        $ rows | swift-signal --wait=0 --kill stop
        object-server etc/object-server/1.conf run/object-server/1.pid <1> - killed -
        = 0; nothing
        ";

/// Fails when swift-signal counts one that has outlived its wait as ended, when swift-spawn starts what
/// swift-signal has not ended, and when --kill does not kill. The original starts nothing on `restart`
/// either, but its `kill` without a survivor's end exits 0, and --kill-after-timeout exits 1.
#[test]
fn a_server_that_ignores_signals_stays_tracked_or_is_killed() {
    let mut fixture = Fixture::new(&[ALL]);
    fixture.play(IGNORES_ALL);
}

/// Fails when only the server is killed and not its group, or when what has left the group is taken for
/// the server.
#[test]
fn workers_are_killed_with_their_group_and_what_has_left_it_is_not() {
    let workers = format!("{ALL}\nworkers = 2\nlinger = true");
    let own_group = format!("{ALL}\nhold_output = true\nown_group = true");
    let mut fixture = Fixture::new(&[&workers, &own_group]);
    let up = [fixture.fifo("up1"), fixture.fifo("up2")];
    for (number, settings, up) in [(1, &workers, &up[0]), (2, &own_group, &up[1])] {
        let lines = format!("{settings}\ntell = {}", up.display());
        fixture
            .sandbox
            .conf(&format!("object-server/{number}.conf"), &lines);
    }
    let mut start = fixture.tool("swift-init");
    let start = start.args(["object", "no-wait"]).stdout(Stdio::null());
    assert!(start.status().expect("it can be run").success());
    for up in &up {
        File::open(up).expect("it says that it is up");
    }
    fixture.play(
        "
        $ swift-init object status
        object-server running (<1> - etc/object-server/1.conf)
        object-server running (<2> - etc/object-server/2.conf)
        = 0; 1, 2, sleep, stray 1, stray 1
        $ swift-init -k 0 --kill-after-timeout object stop
        Signal object-server  pid: <1>  signal: 15
        Signal object-server  pid: <2>  signal: 15
        Waited 0 seconds for object-server to die; killing
        Signal object-server  pid: <1>  signal: 9
        Signal object-server  pid: <2>  signal: 9
        = 0; sleep
        $ swift-init object status
        No object-server running
        = 1; sleep
        ",
    );
}

/// In the foreground a server may be in the group of swift-init itself. Fails when the group of a
/// process that does not lead it is killed, and when that of one that leads it is not. The original
/// kills the group of nobody here: getpgid gives that of swift-init, and killpg is refused or ends it.
#[test]
fn a_server_without_a_group_is_killed_alone() {
    for (group, left) in [("", "sleep"), ("regroup = true", "nothing")] {
        let settings = format!("{ALL}\nno_setsid = true\nhold_output = true\n{group}");
        let mut fixture = Fixture::new(&[&settings]);
        let up = fixture.fifo("up");
        let settings = format!("{settings}\ntell = {}", up.display());
        fixture.sandbox.conf("object-server/1.conf", &settings);
        let mut init = fixture.tool("swift-init");
        let mut init = init
            .args(["object", "no-daemon"])
            .stdout(Stdio::null())
            .stderr(File::create(fixture.sandbox.path("told")).expect("it can be written"))
            .spawn()
            .expect("it can be started");
        File::open(up).expect("it says that it is up");
        let stop = format!(
            "
            $ swift-init -k 0 --kill-after-timeout object stop
            Signal object-server  pid: <1>  signal: 15
            Waited 0 seconds for object-server to die; killing
            Signal object-server  pid: <1>  signal: 9
            = 0; {left}
            "
        );
        fixture.play(&stop);
        // It was not hit itself, and tells how its server has ended.
        assert!(ends(init.id() as i32));
        assert_eq!(init.wait().expect("it is ours").code(), Some(1));
        let told = fs::read_to_string(fixture.sandbox.path("told")).expect("it was written");
        assert!(told.ends_with("ended by signal 9\n"), "{told}");
    }
}

/// TERM to `no-daemon` stops its servers. Fails when swift-init waits for one that does not go, or says
/// that all is well when it leaves.
#[test]
fn the_foreground_gives_up_on_one_that_does_not_go() {
    let running = "object-server running (<1> - etc/object-server/1.conf)\n= 0; 1";
    let none = "No object-server running\n= 1; nothing";
    for (option, code, left) in [(None, 1, running), (Some("--kill-after-timeout"), 0, none)] {
        let mut fixture = Fixture::new(&[ALL]);
        let up = fixture.fifo("up");
        let lines = format!("{ALL}\ntell = {}", up.display());
        fixture.sandbox.conf("object-server/1.conf", &lines);
        let mut init = fixture.tool("swift-init");
        let mut init = init
            .args(option)
            .args(["-k", "0", "object", "no-daemon"])
            .stdout(Stdio::null())
            .spawn()
            .expect("it can be started");
        File::open(up).expect("it says that it is up");
        let pid = nix::unistd::Pid::from_raw(init.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it is ours");
        assert!(ends(init.id() as i32));
        assert_eq!(init.wait().expect("it is ours").code(), Some(code));
        fixture.play(&format!("$ swift-init object status\n{left}"));
    }
}

/// What a server leaves behind holds its outputs open. Fails when swift-spawn waits for the end of the
/// output of a server that has ended. The original waits for it without end.
#[test]
fn a_child_that_holds_the_output_delays_no_command() {
    let mut fixture = Fixture::new(&[
        "hold_output = true\nprint = bye\\n\nexit = 3",
        "hold_output = true\nown_group = true\ndie_by = KILL",
    ]);
    fixture.play(
        "
        $ swift-init object start
        Starting object-server...(etc/object-server/1.conf)
        Starting object-server...(etc/object-server/2.conf)
        bye
        ! swift-init: object-server (etc/object-server/1.conf): failed to start: exit status 3
        ! swift-init: object-server (etc/object-server/2.conf): failed to start: ended by signal 9
        = 1; sleep, sleep
        $ rows | swift-spawn -q
        object-server etc/object-server/1.conf run/object-server/1.pid <1> T started -
        object-server etc/object-server/2.conf run/object-server/2.pid <2> T started -
        object-server etc/object-server/1.conf run/object-server/1.pid <1> T failed exit-3 bye\\n
        object-server etc/object-server/2.conf run/object-server/2.pid <2> T failed signal-9
        = 1; sleep, sleep, sleep, sleep
        $ swift-init object.1 once
        Starting object-server...(etc/object-server/1.conf)
        bye
        ! swift-init: object-server (etc/object-server/1.conf): failed to start: exit status 3
        = 1; sleep, sleep, sleep, sleep, sleep
        $ swift-init object.1 no-daemon
        Starting object-server...(etc/object-server/1.conf)
        bye
        ! swift-init: object-server (etc/object-server/1.conf): failed to start: exit status 3
        = 1; sleep, sleep, sleep, sleep, sleep, sleep
        $ swift-init object status
        No object-server running
        = 1; sleep, sleep, sleep, sleep, sleep, sleep
        ",
    );
}
