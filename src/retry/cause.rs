//! What to call a failure.

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, ErrorKind};

use http::Response;

use crate::layer::ErrorType;

/// No connection was made, or it broke before the response's head came.
pub(super) const CONNECT: &str = "connect";
const TIMEOUT: &str = "timeout";
const ERROR: &str = "error";

/// An error of a service that answers requests, so that a retry can say its cause.
///
/// It is implemented for boxed errors, which are looked through along their
/// sources. A client whose error is of another type, such as reqwest's, is put
/// behind [`map_err`](tower::ServiceExt::map_err) that boxes it.
pub trait Failure {
    /// What failed:
    ///
    /// - `connect`: no connection was made, or it broke before the head of a
    ///   response came;
    /// - `timeout`: it took too long;
    /// - `error`: anything else.
    fn cause(&self) -> &'static str;
}

impl Failure for Box<dyn Error + Send + Sync> {
    fn cause(&self) -> &'static str {
        of_chain(&**self)
    }
}

impl Failure for io::Error {
    fn cause(&self) -> &'static str {
        of_chain(self)
    }
}

impl Failure for hyper_util::client::legacy::Error {
    fn cause(&self) -> &'static str {
        of_chain(self)
    }
}

impl Failure for Infallible {
    fn cause(&self) -> &'static str {
        match *self {}
    }
}

/// What a result failed with, whoever thinks that it did: `status_408`,
/// `status_409`, `status_429`, `status_5xx`, `status_4xx` for the others of
/// those, `status_other` for what is no error to HTTP; a response's
/// [`ErrorType`], if it has one; or the error's own cause.
pub(super) fn cause<R, E: Failure>(result: &Result<Response<R>, E>) -> &'static str {
    let response = match result {
        Ok(response) => response,
        Err(error) => return error.cause(),
    };
    if let Some(&ErrorType(kind)) = response.extensions().get() {
        return kind;
    }
    match response.status().as_u16() {
        408 => "status_408",
        409 => "status_409",
        429 => "status_429",
        400..=499 => "status_4xx",
        500..=599 => "status_5xx",
        _ => "status_other",
    }
}

/// The cause of the first error in the chain, from outside, that has one.
fn of_chain(outermost: &(dyn Error + 'static)) -> &'static str {
    let mut next = Some(outermost);
    while let Some(error) = next {
        if let Some(cause) = of_one(error) {
            return cause;
        }
        // What an I/O error wraps is not its source: that is the source's.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    ERROR
}

fn of_one(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return error.is_connect().then_some(CONNECT);
    }
    // A kept connection that the other side has closed, above all.
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        let broke = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
        return broke.then_some(CONNECT);
    }
    if error.is::<tower::timeout::error::Elapsed>() || error.is::<tokio::time::error::Elapsed>() {
        return Some(TIMEOUT);
    }
    match error.downcast_ref::<io::Error>()?.kind() {
        ErrorKind::AddrNotAvailable
        | ErrorKind::BrokenPipe
        | ErrorKind::ConnectionAborted
        | ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NotConnected => Some(CONNECT),
        ErrorKind::TimedOut => Some(TIMEOUT),
        _ => None,
    }
}
