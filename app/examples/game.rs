//! A game: players send where they want to go, and twenty times a second all of them hear where everybody is.
//!
//! Both ways with datagrams: a position that is late is worth nothing, the next one is on its way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use transom::{AllowOrigins, Group, ServerApp, Session, SessionError, State, Tls};

#[derive(Clone, Default)]
struct Game {
    players: Group,
    /// By the number that a player gets on joining.
    positions: Arc<Mutex<BTreeMap<u32, (i32, i32)>>>,
}

impl Game {
    fn positions(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, (i32, i32)>> {
        self.positions.lock().expect("nobody panics with the lock")
    }

    async fn tick(self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            let positions = self.positions();
            let lines: Vec<String> = positions.iter().map(|(number, (x, y))| format!("{number} {x} {y}")).collect();
            self.players.send_datagram(lines.join("\n"));
        }
    }
}

async fn play(session: Session, State(game): State<Game>) -> Result<(), SessionError> {
    let number = {
        let mut positions = game.positions();
        let number = positions.keys().next_back().map_or(1, |last| last + 1);
        positions.insert(number, (0, 0));
        number
    };
    game.players.join(&session);
    let result = moves(&session, &game, number).await;
    game.positions().remove(&number);
    result
}

/// Takes steps such as `1 0`, and leaves out what is none.
async fn moves(session: &Session, game: &Game, number: u32) -> Result<(), SessionError> {
    while let Some(step) = session.recv_datagram().await? {
        let text = std::str::from_utf8(&step).unwrap_or_default();
        let step = text.split_once(' ').and_then(|(x, y)| Some((x.parse::<i8>().ok()?, y.parse::<i8>().ok()?)));
        if let (Some((dx, dy)), Some((x, y))) = (step, game.positions().get_mut(&number)) {
            *x = x.saturating_add(dx.signum().into());
            *y = y.saturating_add(dy.signum().into());
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("localhost:4433"));
    let tls = Tls::self_signed(["localhost", "127.0.0.1"])?;
    println!("serverCertificateHashes: {}", tls.certificate_sha256_hex());
    let game = Game::default();
    tokio::spawn(game.clone().tick());
    ServerApp::with_state(game).middleware(AllowOrigins::any()).route("/play", play).bind(address, tls).await?;
    Ok(())
}
