//! One attempt to open a session: token, connection, Hello and the first flight, Welcome.
//!
//! Runs as a future that the driver owns and may drop at any point; what was opened is then closed. The tasks of
//! the first flight's lanes are the attempt's until the session has them, and tell the driver what comes back.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use fulmar_protocol::{
    ConversationId, DeviceId, ErrorCode, Extensions, Frame, Hello, Retry, ServerAddress, SoftwareName, Token,
    UserId, Welcome, encode_grease_frame,
};
use quinn::{Connection, ConnectionError, SendStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::driver::inputs::{self, Inputs, SendLaneTask};
use crate::error::ClientError;
use crate::token::TokenSource;
use crate::transport::{
    DialError, Dialled, Early, Endpoints, Failures, FrameReader, ReadError, Trial, close_for, dial,
    error_code,
};

/// What an attempt needs.
pub(super) struct Attempt {
    pub(super) endpoints: Endpoints,
    pub(super) servers: Vec<ServerAddress>,
    pub(super) token: TokenSource,
    pub(super) device: DeviceId,
    /// Whose state it is, where that is known.
    pub(super) user: Option<UserId>,
    pub(super) backlog_entries_max: u32,
    pub(super) client_name: SoftwareName,
    pub(super) grease: u32,
    pub(super) extensions: Extensions,
    /// The lanes that begin along with Hello.
    pub(super) flight: Vec<SendLaneTask>,
    pub(super) inputs: Inputs,
}

/// What was begun on a connection. Dropping it ends the lanes.
struct Begun {
    control: SendStream,
    frames: FrameReader,
    tasks: JoinSet<()>,
    lanes: BTreeMap<ConversationId, AbortHandle>,
}

/// A session that is open.
pub(super) struct Established {
    pub(super) connection: Connection,
    pub(super) control: SendStream,
    pub(super) frames: FrameReader,
    pub(super) welcome: Welcome,
    /// The first flight's lanes, and their tasks.
    pub(super) tasks: JoinSet<()>,
    pub(super) lanes: BTreeMap<ConversationId, AbortHandle>,
    /// Another server was sent a Hello, too, in early data.
    pub(super) stray: bool,
}

/// Why a session was not opened, or has ended.
#[derive(Debug, Clone)]
pub(super) enum Lost {
    /// TLS failed.
    Handshake(ClientError),
    /// The token source failed.
    Token(ClientError),
    /// The server closed the connection with a code.
    Closed { code: ErrorCode, message: String },
    /// Anything that may pass: the network, a time-out, a breach by the server.
    Passing(String),
}

impl Lost {
    /// Whether the same again would be refused again.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Closed { code, .. } if code.retry() == Retry::Never && !is_unknown(*code))
    }

    pub(super) fn from_connection(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => Self::Closed {
                code: error_code(close.error_code),
                message: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            other => Self::Passing(other.to_string()),
        }
    }
}

/// A code of a later edition may or may not be final; trying again, ever more seldom, is right either way.
fn is_unknown(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Unknown(_))
}

impl std::fmt::Display for Lost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Handshake(error) | Self::Token(error) => error.fmt(formatter),
            Self::Closed { code, message } if message.is_empty() => {
                write!(formatter, "closed by the server: {code}")
            }
            Self::Closed { code, message } => write!(formatter, "closed by the server: {code} ({message})"),
            Self::Passing(reason) => formatter.write_str(reason),
        }
    }
}

impl Attempt {
    pub(super) async fn run(self) -> Result<Established, Lost> {
        let token = self.token.token().await.map_err(Lost::Token)?;
        let timeout = crate::limits::ATTEMPT_TIMEOUT;
        let mut failures = Failures::default();
        match tokio::time::timeout(timeout, self.open(token, &mut failures)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(not_in_time(timeout, &failures)),
        }
    }

    async fn open(self, token: Token, failures: &mut Failures) -> Result<Established, Lost> {
        let hello = self.hello(token);
        // Only whose user is known may send early; and nothing but what the registry says may come twice.
        let (attempt, flight) = (&self, &hello);
        let early = self.user.is_some().then(|| -> Early<'_, Begun> {
            Box::new(move |connection| Box::pin(async move { attempt.begin(&connection, flight).await.ok() }))
        });
        let Some(Dialled { connection, begun, stray }) =
            dial(&self.endpoints, &self.servers, early, failures).await
        else {
            return Err(from_dial(failures));
        };
        let trial = Trial::of(&self.endpoints, &connection);
        let opened = self.greet(&connection, begun, &hello).await;
        if opened.as_ref().err().is_none_or(Lost::is_final) {
            trial.passed();
        }
        let (Begun { control, frames, tasks, lanes }, welcome) = opened?;
        Ok(Established { connection, control, frames, welcome, tasks, lanes, stray })
    }

    /// Says Hello, unless that went early, and waits for Welcome.
    async fn greet(
        &self,
        connection: &Connection,
        begun: Option<Begun>,
        hello: &Bytes,
    ) -> Result<(Begun, Welcome), Lost> {
        let mut begun = match begun {
            Some(begun) => begun,
            // Without a ticket nothing was written yet; what was written as early data and not taken is as if it
            // had not been.
            None => {
                let mut greased = BytesMut::from(hello.as_ref());
                encode_grease_frame(self.grease, b"grease", &mut greased);
                self.begin(connection, &greased.freeze()).await?
            }
        };
        let welcome = first_frame(connection, &mut begun.frames).await?;
        Ok((begun, welcome))
    }

    fn hello(&self, token: Token) -> Bytes {
        let hello = Hello {
            token,
            device_id: self.device,
            backlog_entries_max: self.backlog_entries_max,
            client: self.client_name.clone(),
            extensions: self.extensions,
            user_id: self.user.clone(),
        };
        let mut bytes = BytesMut::new();
        Frame::Hello(hello).encode(&mut bytes);
        bytes.freeze()
    }

    /// Writes Hello, and begins the lanes of the first flight.
    async fn begin(&self, connection: &Connection, hello: &Bytes) -> Result<Begun, Lost> {
        let (mut control, answers) =
            connection.open_bi().await.map_err(|error| Lost::from_connection(&error))?;
        if control.id().index() != 0 {
            // A lane of a first flight that was not taken, and that waited for room, was quicker. A server would take
            // it for a breach; nothing is wrong with the same again.
            let cause = "a lane took the place of the control stream";
            fulmar_transport::close(connection, quinn::VarInt::from_u32(ErrorCode::NoError.code()), b"");
            return Err(Lost::Passing(cause.to_owned()));
        }
        // Control goes before everything else.
        let _ = control.set_priority(2);
        if let Err(error) = control.write_chunk(hello.clone()).await {
            // The server may have closed with its reason already.
            let lost = connection
                .close_reason()
                .map_or_else(|| Lost::Passing(error.to_string()), |reason| Lost::from_connection(&reason));
            return Err(lost);
        }
        let mut tasks = JoinSet::new();
        let mut lanes = BTreeMap::new();
        for lane in &self.flight {
            let task = inputs::run_send_lane(connection.clone(), lane.clone(), self.inputs.clone());
            lanes.insert(lane.conversation, tasks.spawn(task));
        }
        Ok(Begun { control, frames: FrameReader::new(answers), tasks, lanes })
    }
}

async fn first_frame(connection: &Connection, frames: &mut FrameReader) -> Result<Welcome, Lost> {
    match frames.next().await {
        Ok(Some(Frame::Welcome(welcome))) => Ok(welcome),
        Ok(_) => {
            let cause = "the first frame is not Welcome";
            close_for(connection, ErrorCode::FrameUnexpected, cause);
            Err(Lost::Passing(cause.to_owned()))
        }
        Err(ReadError::Breach(error)) => {
            close_for(connection, error.code(), &error.to_string());
            Err(Lost::Passing(error.to_string()))
        }
        Err(ReadError::Lost(error)) => Err(Lost::from_connection(&error)),
        Err(error @ (ReadError::Reset(_) | ReadError::EarlyRefused)) => Err(Lost::Passing(error.to_string())),
    }
}

/// Why there is no connection: the one failure that says most, or all of them.
fn from_dial(failures: &Failures) -> Lost {
    match failures.gravest() {
        Some(error) => match (error.handshake(), error) {
            (Some(error), _) => Lost::Handshake(error),
            (None, DialError::Connection { cause, .. }) => Lost::from_connection(cause),
            (None, other) => Lost::Passing(other.to_string()),
        },
        None => Lost::Passing(failures.to_string()),
    }
}

fn not_in_time(timeout: std::time::Duration, failures: &Failures) -> Lost {
    let failed = failures.to_string();
    let separator = if failed.is_empty() { "" } else { "; " };
    Lost::Passing(format!("no answer within {} s{separator}{failed}", timeout.as_secs()))
}
