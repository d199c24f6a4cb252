//! A `ServerApp` on tokio.

use super::app::{app, tls};
use super::{Failure, Setup, announce};

pub(super) async fn serve(setup: &Setup) -> Result<(), Failure> {
    let server = app(setup).bind(setup.listen, tls(setup)?).workers(setup.workers).start()?;
    announce(server.local_addrs()[0]);
    server.wait().await?;
    Ok(())
}
