//! A directory for what has to lie in a file to be read.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A temporary directory, in memory where the system has such a place: a fuzzer writes a file a
/// thousand times in a second.
pub struct Folder(TempDir);

impl Folder {
    /// An empty one.
    pub fn new() -> Folder {
        let mut make = tempfile::Builder::new();
        make.prefix("swift-fuzz-");
        let folder = make.tempdir_in("/dev/shm").or_else(|_| make.tempdir());
        Folder(folder.expect("a temporary directory"))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file in it, and gives its path.
    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).expect("the directory is ours");
        path
    }
}
