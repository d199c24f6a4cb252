//! What runs before a server listens and after it has stopped.

#[macro_use]
mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{echo, sleep, within, yield_now};
use transom::{Arrival, Client, Decision, Middleware, ServeError, Server, ServerApp, StatefulMiddleware, Tls};

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: &str) {
        self.0.lock().unwrap().push(what.to_owned());
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().join(" ")
    }
}

/// Notes its start and its stop.
struct Noting {
    log: Log,
    fails: bool,
}

impl Middleware for Noting {
    fn decide(&self, _: &Arrival<'_>) -> Decision {
        self.log.note("asked");
        Decision::Continue
    }
}

impl StatefulMiddleware for Noting {
    async fn start(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        yield_now().await;
        self.log.note("start");
        if self.fails { Err("no disk".into()) } else { Ok(()) }
    }

    async fn stop(&self) {
        yield_now().await;
        self.log.note("stop");
    }
}

fn app(log: &Log) -> ServerApp<Log> {
    ServerApp::with_state(log.clone())
        .route("/", echo)
        .on_startup(async |log: Log| log.note("up1"))
        .on_shutdown(async |log: Log| log.note("down1"))
        .stateful_middleware(Noting { log: log.clone(), fails: false })
        .on_startup(async |log: Log| log.note("up2"))
        .on_shutdown(async |log: Log| log.note("down2"))
}

fn tls() -> Tls {
    Tls::self_signed(["localhost", "127.0.0.1"]).unwrap()
}

async fn launch(app: ServerApp<Log>) -> Result<Server, ServeError> {
    within(app.bind("127.0.0.1:0", tls()).launch()).await
}

async fn hooks_run_in_order_and_back() {
    let log = Log::default();
    let tls = tls();
    let client = Client::builder().certificate_hash(tls.certificate_sha256());
    let server = within(app(&log).bind("127.0.0.1:0", tls).launch()).await.unwrap();
    assert_eq!(log.text(), "up1 start up2");
    let url = format!("https://{}/", server.local_addrs()[0]);
    drop(within(client.connect(&url)).await.unwrap());
    server.handle().shutdown(Duration::from_secs(3600));
    within(server.wait()).await.unwrap();
    assert_eq!(log.text(), "up1 start up2 asked down2 stop down1");
    within(server.wait()).await.unwrap();
    assert_eq!(log.text(), "up1 start up2 asked down2 stop down1", "once");
}

async fn a_server_that_is_dropped_still_shuts_down() {
    let log = Log::default();
    drop(launch(app(&log)).await.unwrap());
    within(async {
        while !log.text().ends_with("down1") {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn a_failing_startup_ends_what_was_begun() {
    let log = Log::default();
    let app = app(&log)
        .on_startup(async |_| Err::<(), _>("the database is away"))
        .on_shutdown(async |log: Log| log.note("never"))
        .on_startup(async |log: Log| log.note("never"));
    let error = launch(app).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the server does not start: startup hook at app/tests/hooks.rs:"), "{text}");
    assert!(text.ends_with(" failed: the database is away"), "{text}");
    assert_eq!(log.text(), "up1 start up2 down2 stop down1");
}

async fn middleware_that_cannot_start_was_not_begun() {
    let log = Log::default();
    let failing = Noting { log: log.clone(), fails: true };
    let app =
        ServerApp::with_state(log.clone()).on_shutdown(async |log: Log| log.note("down")).stateful_middleware(failing);
    let text = launch(app).await.unwrap_err().to_string();
    assert!(text.contains("start of the middleware added at app/tests/hooks.rs:"), "{text}");
    assert!(text.ends_with(" failed: no disk"), "{text}");
    assert_eq!(log.text(), "start down");
}

async fn hooks_that_panic_or_never_end_have_failed() {
    for (app, reason) in [
        (
            ServerApp::with_state(Log::default()).on_startup(async |_: Log| -> () { panic!("oh no") }),
            "it panicked: oh no",
        ),
        (
            ServerApp::with_state(Log::default())
                .hook_timeout(Duration::from_millis(20))
                .on_startup(async |_| std::future::pending::<()>().await),
            "it was not done after 20ms",
        ),
    ] {
        let text = launch(app).await.unwrap_err().to_string();
        assert!(text.ends_with(reason), "{text}");
    }
}

async fn a_failing_shutdown_lets_the_others_run_and_is_told() {
    let log = Log::default();
    let app = app(&log)
        .hook_timeout(Duration::from_millis(50))
        .on_shutdown(async |_| Err::<(), _>("second failure"))
        .on_shutdown(async |_: Log| -> () { panic!("first failure") })
        .on_shutdown(async |log: Log| log.note("down3"));
    let server = launch(app).await.unwrap();
    server.handle().close_now();
    let text = within(server.wait()).await.unwrap_err().to_string();
    assert!(text.starts_with("the server has stopped, but shutdown hook at app/tests/hooks.rs:"), "{text}");
    assert!(text.ends_with("it panicked: first failure"), "{text}");
    assert_eq!(log.text(), "up1 start up2 down3 down2 stop down1");
}

async fn a_port_in_use_ends_what_was_begun() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let log = Log::default();
    let address = taken.local_addr().unwrap();
    let error = within(app(&log).bind(address, tls()).launch()).await.unwrap_err();
    assert!(error.to_string().contains(&format!("cannot listen on {address}")), "{error}");
    assert_eq!(log.text(), "up1 start up2 down2 stop down1");
}

async fn an_app_with_hooks_has_to_be_awaited() {
    let log = Log::default();
    let error = app(&log).bind("127.0.0.1:0", tls()).start().unwrap_err();
    assert!(matches!(error, ServeError::HooksNeedLaunch), "{error}");
    assert!(error.to_string().contains("use launch().await"), "{error}");
    let signal = sleep(Duration::from_millis(20));
    let serve = app(&log).bind("127.0.0.1:0", tls()).with_graceful_shutdown(signal, Duration::ZERO);
    within(serve.into_future()).await.unwrap();
    assert_eq!(log.text(), "up1 start up2 down2 stop down1");
}

#[cfg(feature = "tokio")]
#[test]
fn run_runs_the_hooks_too() {
    let log = Log::default();
    let stop = async { sleep(Duration::from_millis(20)).await };
    let serve = app(&log).bind("127.0.0.1:0", tls()).workers(2).with_graceful_shutdown(stop, Duration::ZERO);
    serve.run().unwrap();
    assert_eq!(log.text(), "up1 start up2 down2 stop down1");
}

async fn nested_apps_bring_their_hooks() {
    let log = Log::default();
    let inner = ServerApp::with_state(Log::default()).on_startup(async |log: Log| log.note("inner")).route("/", echo);
    let app = app(&log).nest("/in", inner).on_startup(async |log: Log| log.note("up3"));
    let server = launch(app).await.unwrap();
    assert_eq!(log.text(), "up1 start up2 inner up3", "with the state of the outer app");
    drop(server);
}

on_each_runtime! {
    hooks_run_in_order_and_back,
    a_server_that_is_dropped_still_shuts_down,
    a_failing_startup_ends_what_was_begun,
    middleware_that_cannot_start_was_not_begun,
    hooks_that_panic_or_never_end_have_failed,
    a_failing_shutdown_lets_the_others_run_and_is_told,
    an_app_with_hooks_has_to_be_awaited,
    nested_apps_bring_their_hooks,
    ; sockets:
    a_port_in_use_ends_what_was_begun,
}
