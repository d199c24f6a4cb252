//! A `ServerApp` on smol.
//!
//! With tokio in the program a worker's thread would be tokio's. So the runtime is named, and its executor is run by this
//! thread, as the thread of a worker does where there is smol alone.

use std::sync::Arc;

use smol::Executor;
use transom::Smol;

use super::app::{app, tls};
use super::{Failure, Setup, announce};

pub(super) fn serve(setup: &Setup) -> Result<(), Failure> {
    let executor = Arc::new(Executor::new());
    let runtime = Arc::new(Smol::with_executor(&executor));
    smol::block_on(executor.run(async {
        let app = app(setup).runtime(runtime);
        let server = app.bind(setup.listen, tls(setup)?).start()?;
        announce(server.local_addrs()[0]);
        server.wait().await?;
        Ok(())
    }))
}
