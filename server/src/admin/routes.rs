//! The requests and their answers.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use fulmar_protocol::{SessionNumber, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::info;

use super::guard::{Hosts, guard};
use super::{AdminApi, AdminFailure};

/// How long a request's body may be, in bytes.
const REQUEST_BODY_BYTES_MAX: usize = 4 * 1024;
/// How many sessions one answer lists at most.
const SESSIONS_MAX: usize = 1_000;

type Api = Arc<dyn AdminApi>;

pub(super) fn router(api: Api, hosts: Hosts) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/admin/sessions", get(sessions))
        .route("/admin/revoke", post(revoke))
        .route("/admin/drain", post(drain))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "no such path") })
        .method_not_allowed_fallback(|| async {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "the path takes another method")
        })
        .layer(DefaultBodyLimit::max(REQUEST_BODY_BYTES_MAX))
        .layer(from_fn_with_state(hosts, guard))
        .with_state(api)
}

/// An answer that says what is wrong, and what to do if that is known.
pub(super) fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(api): State<Api>) -> Response {
    let parts = api.readiness();
    let ready = parts.iter().all(|part| part.problem.is_none());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready, "parts": parts }))).into_response()
}

async fn metrics(State(api): State<Api>) -> Response {
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], api.metrics()).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    after: u64,
    #[serde(default = "whole_page")]
    limit: usize,
}

fn whole_page() -> usize {
    SESSIONS_MAX
}

async fn sessions(State(api): State<Api>, page: Result<Query<Page>, QueryRejection>) -> Response {
    match page {
        Ok(Query(Page { after, limit })) if (1..=SESSIONS_MAX).contains(&limit) => {
            Json(api.sessions(SessionNumber::new(after), limit)).into_response()
        }
        Ok(_) => refusal(StatusCode::BAD_REQUEST, &format!("limit may be 1 to {SESSIONS_MAX}")),
        Err(rejection) => refusal(StatusCode::BAD_REQUEST, &rejection.body_text()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeRequest {
    user: String,
}

async fn revoke(State(api): State<Api>, body: Result<Bytes, BytesRejection>) -> Response {
    let user = match parse::<RevokeRequest>(body).map(|request| UserId::parse(&request.user)) {
        Ok(Ok(user)) => user,
        Ok(Err(cause)) => return refusal(StatusCode::BAD_REQUEST, &cause.to_string()),
        Err(invalid) => return invalid.into_response(),
    };
    info!(%user, "revoking a user's tokens, as an operator asked");
    answer(api.revoke(user).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainRequest {}

async fn drain(State(api): State<Api>, body: Result<Bytes, BytesRejection>) -> Response {
    if let Err(invalid) = parse::<DrainRequest>(body) {
        return invalid.into_response();
    }
    info!("draining, as an operator asked");
    answer(api.drain().await)
}

/// Why a body is not what the path takes.
struct BodyInvalid(StatusCode, String);

impl IntoResponse for BodyInvalid {
    fn into_response(self) -> Response {
        refusal(self.0, &self.1)
    }
}

fn parse<T: for<'de> Deserialize<'de>>(body: Result<Bytes, BytesRejection>) -> Result<T, BodyInvalid> {
    let body = body.map_err(|rejection| BodyInvalid(rejection.status(), rejection.body_text()))?;
    serde_json::from_slice(&body).map_err(|error| BodyInvalid(StatusCode::BAD_REQUEST, error.to_string()))
}

fn answer<T: Serialize>(outcome: Result<T, AdminFailure>) -> Response {
    match outcome {
        Ok(answer) => Json(answer).into_response(),
        Err(failure) => refusal(StatusCode::SERVICE_UNAVAILABLE, &failure.to_string()),
    }
}
