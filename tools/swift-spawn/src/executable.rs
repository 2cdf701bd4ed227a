//! Why a program cannot be executed. The kernel's error does not say whether it means the program or the
//! interpreter that its first line names (execve(2)).

use std::io;
use std::path::Path;

use swift_cli::program::is_executable;
use swift_server::process;
use swift_sys::error::reason_of;

/// Names the file because of which a program could not be executed, and says why.
pub fn explain(program: &Path, error: &io::Error) -> String {
    let shown = program.display();
    let why = reason_of(error);
    let state = |path: &Path| match std::fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Some("does not exist"),
        Ok(_) if !is_executable(path) => Some("is not executable"),
        _ => None,
    };
    if let Some(state) = state(program) {
        return format!("{shown} {state}");
    }
    let words = process::shebang(program);
    match words.as_deref().and_then(<[_]>::first).map(Path::new) {
        Some(path) => match state(path) {
            Some(state) => format!("the interpreter {} of {shown} {state}", path.display()),
            None => format!("{shown} or its interpreter {}: {why}", path.display()),
        },
        // A program for the dynamic linker, or for another machine.
        None if error.kind() == io::ErrorKind::NotFound => {
            format!("the loader that {shown} names does not exist")
        }
        None => format!("{shown}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// Fails when the file that is named is not the one that is missing or not executable.
    #[test]
    fn the_file_is_named_that_is_to_blame() {
        let directory = tempfile::tempdir().unwrap();
        let (program, other) = (directory.path().join("swift-a"), directory.path().join("b"));
        std::fs::write(&other, "").unwrap();
        let (shown, other) = (program.display(), other.display());
        let said = |text: &str, mode: u32| {
            std::fs::write(&program, text).unwrap();
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&program, permissions).unwrap();
            let error = std::process::Command::new(&program).spawn().unwrap_err();
            explain(&program, &error)
        };
        for (text, mode, wanted) in [
            (
                "#! /no/python3 -s\n",
                0o755,
                format!("the interpreter /no/python3 of {shown} does not exist"),
            ),
            (
                &format!("#!{other}\n"),
                0o755,
                format!("the interpreter {other} of {shown} is not executable"),
            ),
            ("#!/bin/sh\n", 0o644, format!("{shown} is not executable")),
            ("no program\n", 0o755, format!("{shown}: Exec format error")),
        ] {
            assert_eq!(said(text, mode), wanted);
        }
        std::fs::remove_file(&program).unwrap();
        let error = std::process::Command::new(&program).spawn().unwrap_err();
        assert_eq!(explain(&program, &error), format!("{shown} does not exist"));
    }
}
