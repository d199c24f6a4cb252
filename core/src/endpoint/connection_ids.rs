//! Connection ids that say which worker issued them.

use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};

use crate::Worker;
use crate::worker::ID_LENGTH;

/// Issues the connection ids of one worker.
pub(super) struct WorkerIds {
    worker: Worker,
    issued: u64,
}

impl WorkerIds {
    pub(super) fn new(worker: Worker) -> Self {
        Self { worker, issued: 0 }
    }
}

impl ConnectionIdGenerator for WorkerIds {
    fn generate_cid(&mut self) -> ConnectionId {
        self.issued += 1;
        ConnectionId::new(&self.worker.id(self.issued))
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        // What was handed on to us by mistake is not ours either.
        if self.worker.read(id) == Some(self.worker.index()) { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        ID_LENGTH
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}
