use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::Error;

/// Errors as RFC 9457 problem documents: what failed and what to do.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::BadRequest(_) | Self::TooNew { .. } | Self::TooOld { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::UnknownEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy | Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Poisoned(_) | Self::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLate(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::InUse(_) | Self::Listen { .. } | Self::ClockAhead { .. } => StatusCode::CONFLICT,
            Self::Store { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut response = document(status, &self.to_string());
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized(_) => {
                let challenge = HeaderValue::from_static("Bearer realm=\"fullcircle\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::Busy | Self::Full(_) | Self::Poisoned(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds")]
            Self::TooMany { wait, .. } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.ceil().max(1.0) as u64));
            }
            _ => {}
        }
        response
    }
}

/// A problem document.
pub(super) fn document(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
        // Where clients of the Open Inference Protocol look for it.
        "error": detail,
    });
    let mut response = (status, Json(body)).into_response();
    let problem = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, problem);
    response
}
