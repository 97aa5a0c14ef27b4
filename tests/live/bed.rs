//! The test bed itself: it carries traffic, and leaves nothing behind.

use super::netns::{Bed, CLIENT, CLIENT_IFACE, SERVER, SERVER_IFACE};
use super::service::{Nginx, TcpServer, curl, send};
use super::vlan::VlanInterface;

#[test]
fn carries_http_and_tcp_over_both_versions_of_ip() {
    if !super::bed_ready(&["nginx", "curl"]) {
        return;
    }
    let bed = Bed::new().unwrap();
    let _nginx = Nginx::start(&bed.server, &[80]).unwrap();
    let _tcp = TcpServer::start(&bed.server, 22).unwrap();
    for server in SERVER {
        assert_eq!(curl(&bed.client, server, 80, "/").unwrap().0, 200);
        assert_eq!(curl(&bed.client, server, 80, "/../../etc/passwd").unwrap().0, 400);
        assert_ne!(send(&bed.client, server, 22, b"USER root\r\n").unwrap(), 0);
    }
}

#[test]
fn carries_tcp_inside_a_vlan() {
    if !super::bed_ready(&[]) {
        return;
    }
    let bed = Bed::bare(false).unwrap();
    let _client = VlanInterface::new(&bed.client, CLIENT_IFACE, 5, &CLIENT[..1]).unwrap();
    let _server = VlanInterface::new(&bed.server, SERVER_IFACE, 5, &SERVER[..1]).unwrap();
    let _tcp = TcpServer::start(&bed.server, 22).unwrap();
    assert_ne!(send(&bed.client, SERVER[0], 22, b"hello\r\n").unwrap(), 0);
}

#[test]
fn leaves_nothing_behind() {
    if !super::bed_ready(&[]) {
        return;
    }
    let bed = Bed::new().unwrap();
    let (path, mut sleeper) =
        (bed.server.path(), bed.server.command("sleep").arg("60").spawn().unwrap());
    assert!(path.exists());
    drop(bed);
    assert!(!path.exists());
    assert!(!sleeper.wait().unwrap().success(), "what ran inside was killed");
}
