//! Errors as the providers' own clients read them.

use http::StatusCode;
use serde_json::json;

/// The words of one provider's errors. Which it is, is told by a request's path,
/// which each provider has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorFormat {
    /// `{"error": {"message", "type", "param", "code"}}`: OpenAI's, and whoever
    /// speaks as it does.
    OpenAi,
    /// `{"type": "error", "error": {"type", "message"}}`.
    Anthropic,
    /// `{"error": {"code", "message", "status"}}`, the status in gRPC's words.
    Google,
    /// `{"error": "…"}`.
    Ollama,
    /// `{"message": "…"}`: Cohere's, and Bedrock's.
    Message,
}

impl ErrorFormat {
    /// The format for requests of this path. OpenAI's, if nobody else's is.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        let has = |part: &str| path.contains(part);
        let ends = |name: &str| path.ends_with(name);
        if ends("/v1/messages") || has("/v1/messages/") {
            Self::Anthropic
        } else if has(":generateContent") || has(":streamGenerateContent") || ends("/v1beta/interactions") {
            Self::Google
        } else if ends("/api/chat") || ends("/api/generate") {
            Self::Ollama
        } else if ends("/v1/chat") || ends("/v2/chat") || has("/model/") {
            Self::Message
        } else {
            Self::OpenAi
        }
    }

    /// The JSON document for an error with this status. `code` names it for programs,
    /// where the format has a place for it; `message` says it to people.
    #[must_use]
    pub fn document(self, status: StatusCode, code: &str, message: &str) -> String {
        let document = match self {
            Self::OpenAi => {
                let kind = match status {
                    StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
                    status if status.is_client_error() => "invalid_request_error",
                    _ => "server_error",
                };
                json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
            }
            Self::Anthropic => {
                let kind = match status {
                    StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
                    StatusCode::SERVICE_UNAVAILABLE => "overloaded_error",
                    StatusCode::GATEWAY_TIMEOUT => "timeout_error",
                    StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
                    StatusCode::NOT_FOUND => "not_found_error",
                    status if status.is_client_error() => "invalid_request_error",
                    _ => "api_error",
                };
                json!({"type": "error", "error": {"type": kind, "message": message}})
            }
            Self::Google => {
                let name = match status {
                    StatusCode::TOO_MANY_REQUESTS => "RESOURCE_EXHAUSTED",
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY => "UNAVAILABLE",
                    StatusCode::GATEWAY_TIMEOUT => "DEADLINE_EXCEEDED",
                    StatusCode::NOT_FOUND => "NOT_FOUND",
                    status if status.is_client_error() => "INVALID_ARGUMENT",
                    _ => "INTERNAL",
                };
                json!({"error": {"code": status.as_u16(), "message": message, "status": name}})
            }
            Self::Ollama => json!({"error": message}),
            Self::Message => json!({"message": message}),
        };
        document.to_string()
    }
}
