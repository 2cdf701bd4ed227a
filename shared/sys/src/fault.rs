//! Points of [`super::failpoint`] between clone and exec, where nothing may
//! allocate: what they need is prepared before. There are none in a build
//! without the feature `faults`.

#[cfg(not(feature = "faults"))]
mod points {
    /// Nothing.
    pub struct Points;

    impl Points {
        /// Prepares nothing.
        pub fn prepare() -> Points {
            Points
        }

        /// A point at which nothing happens.
        ///
        /// # Safety
        /// There is nothing to be careful about.
        #[inline(always)]
        pub unsafe fn at(&self, _point: &str) {}
    }
}

#[cfg(feature = "faults")]
mod points {
    use std::ffi::{CString, c_int};
    use std::os::unix::ffi::OsStringExt as _;

    use crate::failpoint::{GO, place};

    const NAMES: [&str; 4] = [
        "child-begun",
        "child-numbered",
        "child-tracked",
        "child-ready",
    ];

    /// The fifos of a child's points. A regular file in their place does nothing.
    pub struct Points(Vec<(&'static str, CString, CString)>);

    impl Points {
        /// Looks which points are wanted, in the parent.
        pub fn prepare() -> Points {
            let one = |name: &'static str| {
                let path = place(name).filter(|path| path.exists())?;
                let path = path.into_os_string().into_vec();
                let go = [&path[..], GO.as_bytes()].concat();
                Some((name, CString::new(path).ok()?, CString::new(go).ok()?))
            };
            Points(NAMES.into_iter().filter_map(one).collect())
        }

        /// A point of that name: tells the child's number and waits.
        ///
        /// # Safety
        /// Only to be called in the child of a clone.
        pub unsafe fn at(&self, point: &str) {
            debug_assert!(NAMES.contains(&point));
            let Some((_, reached, go)) = self.0.iter().find(|(name, ..)| *name == point) else {
                return;
            };
            // SAFETY: the paths are terminated, and the buffers as long as is said.
            unsafe {
                let mut digits = [0u8; 16];
                let text = crate::pid::own_digits(&mut digits);
                let fifo = libc::open(reached.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                libc::write(fifo, text.as_ptr().cast(), text.len());
                libc::write(fifo, c"\n".as_ptr().cast(), 1);
                libc::close(fifo);
                let mut byte: c_int = 0;
                let fifo = libc::open(go.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
                libc::read(fifo, (&raw mut byte).cast(), 1);
                libc::close(fifo);
            }
        }
    }
}

pub use points::Points;
