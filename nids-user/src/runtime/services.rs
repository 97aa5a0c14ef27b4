//! What the sensor serves to others, opened while it still may: its control socket and its numbers over HTTP.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use nix::unistd::{Gid, Uid};
use tokio::sync::mpsc;

use crate::cli::exit::{Code, Failure};
use crate::config::{ControlSocket, ServiceSettings};
use crate::control::{self, Call, Listener};
use crate::telemetry::http;
use crate::telemetry::preflight::Finding;

/// Open sockets that nobody is served at yet.
#[derive(Debug)]
pub struct Services {
    control: Option<Listener>,
    metrics: Option<TcpListener>,
    /// Time between two EVE records with statistics.
    pub stats_interval: Duration,
    /// What was found at the start, to be told again later.
    pub preflight: Vec<Finding>,
}

impl Services {
    /// Opens what the settings ask for. The control socket is for `owner`.
    ///
    /// # Errors
    /// [`Code::CannotCreate`] where a place that the settings name cannot be had. At the usual place another
    /// sensor may be, and then this one runs without a control socket, and says so.
    pub fn open(settings: &ServiceSettings, owner: (Uid, Gid)) -> Result<Self, Failure> {
        let control = settings.control.path().map(|path| Listener::bind(path, owner));
        let control = match (control.transpose(), &settings.control) {
            (Ok(control), _) => control,
            (Err(error), ControlSocket::Usual) => {
                log::warn!("this sensor has no control socket: {error}");
                None
            }
            (Err(error), _) => {
                return Err(Failure::new(Code::CannotCreate, format!("{error}.")));
            }
        };
        let metrics = settings.metrics.map(listen).transpose()?;
        let stats_interval = settings.stats_interval;
        Ok(Self { control, metrics, stats_interval, preflight: Vec::new() })
    }

    /// Serves from now on, on the runtime this is called in. Calls go to `calls`.
    pub(super) fn serve(&mut self, calls: &mpsc::Sender<Call>) {
        if let Some(listener) = self.control.take() {
            log::info!("control socket: {}", listener.path().display());
            let served = control::serve(listener, calls.clone());
            tokio::spawn(async {
                if let Err(error) = served.await {
                    log::error!("the control socket cannot be served: {error}");
                }
            });
        }
        if let Some(listener) = self.metrics.take() {
            let served = http::serve(listener, calls.clone());
            tokio::spawn(async {
                if let Err(error) = served.await {
                    log::error!("numbers cannot be served over HTTP: {error}");
                }
            });
        }
    }
}

fn listen(place: SocketAddr) -> Result<TcpListener, Failure> {
    let failed = |error: io::Error| {
        let text = format!("numbers cannot be served at {place}: {error}.");
        Failure::new(Code::CannotCreate, text)
    };
    let listener = TcpListener::bind(place).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let place = listener.local_addr().map_err(failed)?;
    match place.ip().is_loopback() {
        true => log::info!("numbers: http://{place}/metrics"),
        false => log::warn!("numbers are served to whoever can reach http://{place}/metrics"),
    }
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> (Uid, Gid) {
        (Uid::effective(), Gid::effective())
    }

    #[test]
    fn a_place_that_is_named_must_be_had() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "").unwrap();
        let settings =
            ServiceSettings { control: ControlSocket::At(path), ..ServiceSettings::default() };
        let failure = Services::open(&settings, me()).unwrap_err();
        assert_eq!(failure.code, Code::CannotCreate);
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = ServiceSettings {
            control: ControlSocket::Off,
            metrics: Some(taken.local_addr().unwrap()),
            ..ServiceSettings::default()
        };
        let failure = Services::open(&settings, me()).unwrap_err();
        assert_eq!(failure.code, Code::CannotCreate);
        assert!(failure.message.contains("cannot be served"), "{failure}");
    }
}
