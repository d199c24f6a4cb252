use std::sync::OnceLock;

/// How requests name the server under attack and its echo.
#[derive(Debug, Clone)]
pub struct Place {
    /// The value for `:authority`.
    pub authority: String,
    /// The path of a session that echoes streams and datagrams.
    pub echo: String,
}

impl Default for Place {
    fn default() -> Self {
        Self { authority: "localhost".to_owned(), echo: "/echo".to_owned() }
    }
}

impl Place {
    /// Makes all cases of this process name the server like this. Call it before the [`table`](super::table) is built,
    /// whose cases hold finished bytes; later calls change nothing.
    pub fn choose(self) {
        let _ = PLACE.set(self);
    }
}

/// The authority of hand-made requests.
pub(super) fn authority() -> &'static str {
    &place().authority
}

/// The path of the echo.
pub(super) fn echo() -> &'static str {
    &place().echo
}

fn place() -> &'static Place {
    PLACE.get_or_init(Place::default)
}

static PLACE: OnceLock<Place> = OnceLock::new();
