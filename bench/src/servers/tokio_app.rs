//! A `ServerApp` on tokio.

use std::sync::Arc;

use transom::Tokio;

use super::app::{app, tls};
use super::{Failure, Setup, announce};

pub(super) async fn serve(setup: &Setup) -> Result<(), Failure> {
    let app = app(setup);
    // One worker is what the peers are: in the runtime that calls. More of them have threads of their own.
    let app = if setup.workers == 1 { app.runtime(Arc::new(Tokio::current().expect("called on one"))) } else { app };
    let server = app.bind(setup.listen, tls(setup)?).workers(setup.workers).start()?;
    announce(server.local_addrs()[0]);
    server.wait().await?;
    Ok(())
}
