//! The token of the admin side: who may change what the proxy does.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::net::TcpListener;

use crate::failure::Failure;

/// The longest that is read.
const LONGEST: u64 = 4096;

/// The token that `authorization: Bearer …` must bear. Of it only a seal is kept,
/// so that it can get into no message, and is compared in constant time.
#[derive(Clone)]
pub(in crate::proxy) struct Token(Arc<Mutex<Seal>>);

struct Seal {
    key: hmac::Key,
    tag: hmac::Tag,
}

impl Token {
    /// The token of an admin address: that of the file, if there is one, and only
    /// on loopback none.
    pub(in crate::proxy) fn for_listener(
        listener: &TcpListener,
        file: Option<&Path>,
    ) -> Result<Option<Self>, Failure> {
        let admin = listener.local_addr().map_err(|error| Failure::running("--admin", error))?;
        match file {
            Some(path) => Self::read(path).map(Some),
            None if is_loopback(admin) => Ok(None),
            None => Err(Failure::usage(
                format!("--admin {admin}"),
                "others can reach it, and nothing keeps them from changing the cap",
                "give --admin-token-file FILE, or an address on 127.0.0.1",
            )),
        }
    }

    /// Reads the token of a file, of which a line's end is no part.
    fn read(path: &Path) -> Result<Self, Failure> {
        Ok(Self(Arc::new(Mutex::new(Seal::read(path)?))))
    }

    /// Reads it anew, for all clones. Where that fails the old one stays.
    pub(in crate::proxy) fn replace(&self, path: &Path) -> Result<(), Failure> {
        let seal = Seal::read(path)?;
        *self.0.lock() = seal;
        Ok(())
    }

    /// Whether these headers bear it; absent where they bear none at all.
    pub(super) fn is_borne_by(&self, headers: &HeaderMap) -> Option<bool> {
        let (scheme, given) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let seal = self.0.lock();
        Some(hmac::verify(&seal.key, given.trim().as_bytes(), seal.tag.as_ref()).is_ok())
    }
}

/// Whether only this machine can reach an address.
pub(super) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

impl Seal {
    fn read(path: &Path) -> Result<Self, Failure> {
        let unusable = |why: &str| {
            let mend = "put one line in it, such as that of `openssl rand -hex 32`";
            Failure::usage(format!("--admin-token-file {}", path.display()), why, mend)
        };
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
        read.map_err(|error| unusable(&error.to_string()))?;
        let token = text.trim_end_matches(['\r', '\n']);
        match token {
            "" => return Err(unusable("it is empty")),
            _ if text.len() as u64 > LONGEST => return Err(unusable("it is too long for a token")),
            // A header could not bear it.
            _ if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                return Err(unusable("a token is of visible ASCII characters only"));
            }
            _ => {}
        }
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| Failure::running("--admin-token-file", "the system has no random numbers"))?;
        let tag = hmac::sign(&key, token.as_bytes());
        Ok(Self { key, tag })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
