//! What can be measured.

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Scenario {
    Streams,
    #[value(name = "datagrams-32")]
    Datagrams32,
    #[value(name = "datagrams-1100")]
    Datagrams1100,
    Upload,
    Download,
    Handshakes,
}

impl Scenario {
    pub(super) const ALL: [Self; 6] =
        [Self::Streams, Self::Datagrams32, Self::Datagrams1100, Self::Upload, Self::Download, Self::Handshakes];

    /// As the command line has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::Datagrams32 => "datagrams-32",
            Self::Datagrams1100 => "datagrams-1100",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Handshakes => "handshakes",
        }
    }

    /// How many are under way at a time, unless told.
    pub(super) fn in_flight(self) -> u16 {
        match self {
            Self::Upload | Self::Download => 1,
            _ => 64,
        }
    }

    /// What the server has to have for it.
    pub(super) fn needs(self) -> &'static str {
        match self {
            Self::Streams => "an echo of bidirectional streams at the URL",
            Self::Datagrams32 | Self::Datagrams1100 => "an echo of datagrams at the URL",
            Self::Upload => "a route `sink` beside the URL that reads streams away",
            Self::Download => {
                "a route `source/BYTES` beside the URL that sends a unidirectional stream of so many bytes"
            }
            Self::Handshakes => "a route at the URL",
        }
    }

    /// Whether bytes are what counts.
    pub(super) fn is_bulk(self) -> bool {
        matches!(self, Self::Upload | Self::Download)
    }

    /// Whether something may be lost in it.
    pub(super) fn is_lossy(self) -> bool {
        matches!(self, Self::Datagrams32 | Self::Datagrams1100)
    }

    /// Where its sessions go.
    pub(super) fn url(self, url: &str) -> String {
        match self {
            Self::Upload => beside(url, "sink"),
            Self::Download => beside(url, &format!("source/{SOURCE_BYTES}")),
            _ => url.to_owned(),
        }
    }
}

/// The URL with another last part of its path, and without a query.
fn beside(url: &str, name: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = url[authority..].rfind('/').map_or(url.len(), |at| authority + at);
    format!("{}/{name}", &url[..path])
}

/// More than anybody can send in the time: 1 TiB.
const SOURCE_BYTES: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for scenario in Scenario::ALL {
            assert_eq!(Scenario::from_str(scenario.name(), false), Ok(scenario));
        }
        assert_eq!(Scenario::value_variants(), Scenario::ALL);
    }

    #[test]
    fn routes_are_found_beside_the_echo() {
        for (url, expected) in [
            ("https://a.example/echo", "https://a.example/sink"),
            ("https://a.example:4433", "https://a.example:4433/sink"),
            ("https://[::1]:4433/", "https://[::1]:4433/sink"),
            ("https://a.example/bench/echo?token=a/b", "https://a.example/bench/sink"),
        ] {
            assert_eq!(Scenario::Upload.url(url), expected);
            assert_eq!(Scenario::Streams.url(url), url);
        }
    }
}
