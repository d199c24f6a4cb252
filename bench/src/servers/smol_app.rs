//! A `ServerApp` on smol.
//!
//! With tokio in the program a worker's thread would be tokio's. So the runtime is made and named here, as a worker does it
//! where there is smol alone.

use std::sync::Arc;

use transom::Smol;

use super::app::{app, tls};
use super::{Failure, Setup, announce};

pub(super) fn serve(setup: &Setup) -> Result<(), Failure> {
    Smol::block_on(async |smol: Smol| {
        let app = app(setup).runtime(Arc::new(smol));
        let server = app.bind(setup.listen, tls(setup)?).start()?;
        announce(server.local_addrs()[0]);
        server.wait().await?;
        Ok(())
    })?
}
