//! Logs of connections in a program without the feature `qlog`.

use std::io;
use std::path::Path;

use transom_core::Endpoint;

/// A directory for logs, of which there is none.
#[derive(Debug, Clone)]
pub(crate) enum QlogDirectory {}

impl QlogDirectory {
    pub(crate) fn open(_: &Path) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this program was built without the feature qlog"))
    }

    pub(crate) fn attach(&self, _: &mut Endpoint) {
        match *self {}
    }
}
