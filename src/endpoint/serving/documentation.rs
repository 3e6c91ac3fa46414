//! What the endpoint can be asked, for programs and for people.

use axum::http::header;
use axum::response::IntoResponse;

/// `GET /openapi.json`: every route, its parameters, bodies and answers.
pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
}

/// `GET /`: a page to try the routes, made from `/openapi.json`. It loads nothing from elsewhere.
pub(super) async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'",
        ),
    ];
    (headers, include_str!("page.html"))
}
