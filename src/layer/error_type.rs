//! A response that stands for a failure can say which.

/// What failed, in a response's extensions.
///
/// A service that turns a failure into a response (a proxy's 502, say) puts it
/// there, and the record's `error_type` is this instead of the status.
///
/// ```
/// let mut response = http::Response::new(());
/// *response.status_mut() = http::StatusCode::BAD_GATEWAY;
/// response.extensions_mut().insert(tower_tps::layer::ErrorType("connect"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorType(pub &'static str);
