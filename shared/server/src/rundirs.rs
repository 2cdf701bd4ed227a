//! The run directories that rows lead to, each opened once.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::rundir::RunDir;

/// Open run directories by their paths.
#[derive(Debug, Default)]
pub struct RunDirs(HashMap<PathBuf, Rc<RunDir>>);

impl RunDirs {
    /// The directory of that path; none when it does not exist.
    pub fn get(&mut self, path: &Path) -> io::Result<Option<Rc<RunDir>>> {
        if let Some(known) = self.0.get(path) {
            return Ok(Some(known.clone()));
        }
        let opened = RunDir::open(path)?.map(Rc::new);
        if let Some(opened) = &opened {
            self.0.insert(path.to_owned(), opened.clone());
        }
        Ok(opened)
    }
}
