//! One TCP connection, and what has come on it and was not yet taken.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};

/// How much is read at once. On the stack: connections are many.
const READ: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    pub(crate) received: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Connects; with `narrow`, by a receive buffer that is soon full.
    pub(crate) async fn connect(address: SocketAddr, narrow: bool) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if narrow {
            socket.set_recv_buffer_size(4096)?;
        }
        Self::new(socket.connect(address).await?)
    }

    pub(crate) async fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            bytes = &bytes[self.try_send(bytes)?..];
        }
        Ok(())
    }

    /// Sends what goes at once, and says how much that was.
    pub(crate) fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        would_block(self.stream.try_write(bytes)).map(Option::unwrap_or_default)
    }

    /// Waits for more bytes; 0 once there are none to come.
    pub(crate) async fn receive(&mut self) -> io::Result<usize> {
        self.receive_at_most(READ).await
    }

    pub(crate) async fn receive_at_most(&mut self, most: usize) -> io::Result<usize> {
        loop {
            self.stream.readable().await?;
            let mut bytes = [0; READ];
            if let Some(count) = would_block(self.stream.try_read(&mut bytes[..most]))? {
                self.received.extend_from_slice(&bytes[..count]);
                return Ok(count);
            }
        }
    }

    /// Waits until the other end has closed or reset. Bytes that come are an error.
    pub(crate) async fn gone(&self) -> io::Result<()> {
        loop {
            self.stream.readable().await?;
            match would_block(self.stream.try_read(&mut [0])) {
                Ok(Some(0)) | Err(_) => return Ok(()),
                Ok(Some(_)) => return Err(wrong("bytes where none may come")),
                Ok(None) => {}
            }
        }
    }

    /// Takes the head of a message, without the empty line; none if it ended before.
    pub(crate) async fn head(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.received.split_off(end + 4);
                let mut head = std::mem::replace(&mut self.received, rest);
                head.truncate(end);
                return String::from_utf8(head).map(Some).map_err(|_| wrong("a head that is no text"));
            }
            if self.receive().await? == 0 {
                return if self.received.is_empty() { Ok(None) } else { Err(wrong("half a head")) };
            }
        }
    }

    /// Closes with a reset rather than in good order.
    pub(crate) fn reset(self) -> io::Result<()> {
        self.set_reset()
    }

    /// From now on, closing is a reset.
    pub(crate) fn set_reset(&self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }
}

/// The value of a header in a head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.trim()))
}

pub(crate) fn wrong(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}

fn would_block(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
