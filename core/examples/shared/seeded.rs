//! Cryptography whose random numbers follow from a seed. Whoever knows the seed knows all keys.

use std::sync::atomic::{AtomicU64, Ordering};

use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup, ring,
};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use x25519_dalek::{PublicKey, StaticSecret};

/// A provider for one server.
pub(crate) fn provider(seed: [u8; 32]) -> CryptoProvider {
    // rustls wants sources of random numbers for ever; there is one for each server.
    let seeded: &'static Seeded = Box::leak(Box::new(Seeded { seed, drawn: AtomicU64::new(0) }));
    CryptoProvider { secure_random: seeded, kx_groups: vec![seeded], ..ring::default_provider() }
}

#[derive(Debug)]
struct Seeded {
    seed: [u8; 32],
    drawn: AtomicU64,
}

impl Seeded {
    /// SHA-256 of the seed and a count.
    fn draw(&self) -> [u8; 32] {
        let count = self.drawn.fetch_add(1, Ordering::Relaxed);
        let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().expect("a suite of TLS 1.3");
        let hash = suite.common.hash_provider.hash(&[&self.seed[..], &count.to_be_bytes()].concat());
        hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

impl SecureRandom for Seeded {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        for part in buffer.chunks_mut(32) {
            part.copy_from_slice(&self.draw()[..part.len()]);
        }
        Ok(())
    }
}

impl SupportedKxGroup for Seeded {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = StaticSecret::from(self.draw());
        let public = PublicKey::from(&secret);
        Ok(Box::new(Exchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct Exchange {
    secret: StaticSecret,
    public: PublicKey,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let refused = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
        let Ok(peer) = <[u8; 32]>::try_from(peer) else { return Err(refused) };
        let shared = self.secret.diffie_hellman(&PublicKey::from(peer));
        // RFC 8446, section 7.4.2: all zeros means that the peer's key was of no use.
        if shared.was_contributory() { Ok(SharedSecret::from(&shared.as_bytes()[..])) } else { Err(refused) }
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}
