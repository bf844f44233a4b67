//! The engine: it answers as it is asked to, and counts what it has in flight.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::chunked::Chunked;
use super::connection::{Connection, header, wrong};
use super::script::{self, Asked};
use super::wheel::{Flow, Wheel};

struct Engine {
    wheel: Wheel,
    in_flight: Cell<u64>,
    most: Cell<u64>,
    answered: Cell<u64>,
}

/// One request in flight.
pub(crate) struct Held {
    engine: Rc<Engine>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.engine.in_flight.set(self.engine.in_flight.get() - 1);
    }
}

impl Engine {
    fn hold(self: &Rc<Self>) -> Held {
        let in_flight = self.in_flight.get() + 1;
        self.in_flight.set(in_flight);
        self.most.set(self.most.get().max(in_flight));
        self.answered.set(self.answered.get() + 1);
        Held { engine: self.clone() }
    }
}

/// Prints its address, and serves until killed.
pub(crate) async fn run(rate: u64) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let engine = Rc::new(Engine {
        wheel: Wheel::new(rate),
        in_flight: Cell::new(0),
        most: Cell::new(0),
        answered: Cell::new(0),
    });
    let turning = engine.clone();
    spawn_local(async move { turning.wheel.turn().await });
    loop {
        let (stream, _) = listener.accept().await?;
        let engine = engine.clone();
        spawn_local(async move {
            // How a connection ends is the other end's to see.
            let _ = serve(&engine, stream).await;
        });
    }
}

async fn serve(engine: &Rc<Engine>, stream: TcpStream) -> io::Result<()> {
    let mut connection = Connection::new(stream)?;
    while let Some(head) = connection.head().await? {
        if head.starts_with("GET ") {
            let counts = serde_json::json!({
                "in_flight": engine.in_flight.get(), "most": engine.most.get(), "answered": engine.answered.get(),
            });
            connection.send(&with_length(counts.to_string().as_bytes())).await?;
            continue;
        }
        let body = body(&mut connection, &head).await?;
        let asked: Asked = serde_json::from_slice(&body)?;
        let held = engine.hold();
        if asked.wait > 0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(asked.wait)) => {}
                gone = connection.gone() => return gone,
            }
        }
        if asked.reset_at == Some(0) {
            return connection.reset();
        }
        connection = if asked.stream {
            stream_out(engine, connection, asked, held).await?
        } else {
            whole(&connection, &asked, held).await?;
            connection
        };
    }
    Ok(())
}

async fn body(connection: &mut Connection, head: &str) -> io::Result<Vec<u8>> {
    let Some(length) = header(head, "content-length") else {
        let (mut chunks, mut body) = (Chunked::default(), Vec::new());
        loop {
            chunks.decode(&mut connection.received, &mut body)?;
            if chunks.is_ended() {
                return Ok(body);
            }
            if connection.receive().await? == 0 {
                return Err(wrong("half a request"));
            }
        }
    };
    let length: usize = length.parse().map_err(|_| wrong("a length that is none"))?;
    while connection.received.len() < length {
        if connection.receive().await? == 0 {
            return Err(wrong("half a request"));
        }
    }
    let rest = connection.received.split_off(length);
    Ok(std::mem::replace(&mut connection.received, rest))
}

/// Hands the connection to the wheel until the stream has ended.
async fn stream_out(
    engine: &Rc<Engine>,
    connection: Connection,
    asked: Asked,
    held: Held,
) -> io::Result<Connection> {
    connection.send(script::STREAM_HEAD).await?;
    let flow = Flow::new(connection, asked, held);
    engine.wheel.join(&flow);
    tokio::select! {
        ended = flow.ended() => ended?,
        gone = flow.connection.gone() => {
            gone?;
            return Err(wrong("gone before the end"));
        }
    }
    if asked.reset_at.is_some() {
        return Err(wrong("reset as asked"));
    }
    Rc::into_inner(flow).map(|flow| flow.connection).ok_or_else(|| wrong("a stream that is still due"))
}

async fn whole(connection: &Connection, asked: &Asked, held: Held) -> io::Result<()> {
    let answer = with_length(&script::whole(asked));
    let (most, last) = answer.split_at(answer.len() - 1);
    tokio::select! {
        sent = connection.send(most) => sent?,
        gone = connection.gone() => {
            gone?;
            return Err(wrong("gone before the end"));
        }
    }
    // Before the end can be seen, and another request be sent for it.
    drop(held);
    connection.send(last).await
}

fn with_length(body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}
