//! The `transom` command from end to end: the program itself is run, with its demo as the server.
#![cfg(all(feature = "cli", unix))]

mod bench;
mod cert;
mod connect;
mod demo;
mod routes;
mod support;
