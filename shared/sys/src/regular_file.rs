//! Files that are read whole, whatever lies in their place.

use std::fs::{File, FileType};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// No config of a server or of these tools is as long as this, in bytes.
pub const MAX_SIZE: u64 = 1 << 20;

/// Opens a regular file. The error says what else it is, and nothing is waited for.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    let file = options
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    require(kind)?;
    Ok(file)
}

/// Refuses what could make a reader wait for ever: all but a regular file and a directory.
pub fn require(kind: FileType) -> io::Result<()> {
    match kind {
        _ if kind.is_fifo() => Err(io::Error::other("a fifo")),
        _ if kind.is_file() || kind.is_dir() => Ok(()),
        _ => Err(io::Error::other("not a regular file")),
    }
}

/// Reads a regular file of at most [`MAX_SIZE`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length <= MAX_SIZE {
        file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    }
    if length.max(bytes.len() as u64) > MAX_SIZE {
        return Err(io::Error::other(format!("longer than {MAX_SIZE} bytes")));
    }
    Ok(bytes)
}

/// The same for a file that holds text.
pub fn read_text(path: &Path) -> io::Result<String> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "not valid UTF-8");
    String::from_utf8(read(path)?).map_err(not_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let told = |path: &Path| read(path).unwrap_err().to_string();
        std::fs::write(&path, "text").unwrap();
        assert_eq!(read(&path).unwrap(), b"text");
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(MAX_SIZE).unwrap();
        assert_eq!(read(&path).unwrap().len() as u64, MAX_SIZE);
        file.set_len(MAX_SIZE + 1).unwrap();
        assert_eq!(told(&path), "longer than 1048576 bytes");
        assert_eq!(told(directory.path()), "Is a directory (os error 21)");
        assert_eq!(told(Path::new("/dev/zero")), "not a regular file");
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(told(&path), "a fifo");
        std::fs::write(directory.path().join("bytes"), b"\xff").unwrap();
        let error = read_text(&directory.path().join("bytes")).unwrap_err();
        assert_eq!(error.to_string(), "not valid UTF-8");
    }
}
