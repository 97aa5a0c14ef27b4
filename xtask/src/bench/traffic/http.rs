//! HTTP sessions with several requests and bodies of mixed sizes, and text sessions with a login.

use super::tcp::{Ends, Tcp};
use super::{Conversation, Random};

/// One connection.
pub fn session(random: &mut Random, number: u32) -> Conversation {
    let port = if random.below(20) == 0 { 22 } else { 80 };
    let mut tcp = Tcp::open(Ends::apart(number, port), false, random);
    let attacks = talk(&mut tcp, port == 22, random);
    tcp.close();
    Conversation { frames: tcp.into_frames(), attacks }
}

/// What is said after the handshake; how many alerts it must raise.
pub fn talk(tcp: &mut Tcp, is_text: bool, random: &mut Random) -> u64 {
    let mut attacks = 0;
    if is_text {
        let name = if random.below(4) == 0 { "root" } else { "alice" };
        attacks += u64::from(name == "root");
        tcp.say(true, format!("USER {name}\r\n").as_bytes());
        tcp.say(false, b"331 go on\r\n");
    } else {
        for _ in 0..=random.below(5) {
            let attack = random.below(40) == 0;
            attacks += u64::from(attack);
            tcp.say(true, request(random, attack).as_bytes());
            let body = match random.below(10) {
                0..4 => random.below(600),
                4..8 => random.below(20_000),
                _ => random.below(200_000),
            };
            tcp.say(false, &response(random, body as usize));
        }
    }
    attacks
}

fn request(random: &mut Random, attack: bool) -> String {
    let path = if attack {
        "/static/../../../../etc/passwd".to_owned()
    } else {
        format!("/shop/item/{}?ref={:x}", random.below(100_000), random.next())
    };
    let cookie: String = (0..random.below(12)).map(|_| format!("{:016x}", random.next())).collect();
    format!(
        "GET {path} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; \
         rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n\
         Accept-Language: en-US,en;q=0.5\r\nCookie: session={cookie}\r\nConnection: keep-alive\r\n\r\n"
    )
}

fn response(random: &mut Random, body: usize) -> Vec<u8> {
    let mut text = format!(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: {body}\r\n\
         Connection: keep-alive\r\n\r\n"
    )
    .into_bytes();
    let end = text.len() + body;
    // Half text, half bytes as of a picture.
    let binary = random.below(2) == 0;
    while text.len() < end {
        if binary {
            text.extend(random.next().to_le_bytes());
        } else {
            let item = random.below(1_000_000);
            text.extend(
                format!("<li><a href=\"/shop/item/{item}\">Item {item}</a></li>\n").bytes(),
            );
        }
    }
    text.truncate(end);
    text
}
