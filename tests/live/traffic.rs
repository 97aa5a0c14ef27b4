//! Frames of every kind, from a seed: well-formed ones, and ones that lie, end early or are mangled.

/// SplitMix64: small, fast, and the same on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
    /// One time in `times`.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
    pub fn byte(&mut self) -> u8 {
        self.next() as u8
    }
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
    /// Mostly one of a few, so that the same come again in tables and in frames.
    pub fn port(&mut self) -> u16 {
        if self.one_in(4) {
            self.next() as u16
        } else {
            self.pick(&[22, 53, 80, 443, 8080, 40_000])
        }
    }
}

/// One frame; about half of them are well-formed.
pub fn frame(random: &mut Random) -> Vec<u8> {
    let mut frame = random.bytes(12);
    for _ in 0..random.pick(&[0, 0, 0, 0, 1, 1, 2, 2, 3]) {
        frame.extend(random.pick(&[0x8100_u16, 0x8100, 0x88a8, 0x9100]).to_be_bytes());
        frame.extend(random.bytes(2));
    }
    match random.below(16) {
        0 => {
            let known =
                [0x0806, 0x88cc, 0x8863, 0x8847, 0x8864, 0x88e7, 0x0026, 0x05ff, 0x0600, 0x894f];
            let ether_type =
                if random.one_in(2) { random.pick(&known) } else { random.next() as u16 };
            frame.extend(ether_type.to_be_bytes());
            let count = random.below(60);
            frame.extend(random.bytes(count));
        }
        1..=9 => ipv4(random, &mut frame),
        _ => ipv6(random, &mut frame),
    }
    if random.one_in(3) {
        // What Ethernet pads short frames with.
        while frame.len() < 60 {
            frame.push(0);
        }
    }
    if random.one_in(6) {
        frame.truncate(14 + random.below(frame.len().saturating_sub(13)));
    }
    if random.one_in(6) {
        for _ in 0..=random.below(3) {
            let at = 12 + random.below((frame.len() - 12).min(80));
            frame[at] = random.byte();
        }
    }
    while frame.len() < 14 {
        frame.push(0);
    }
    frame
}

/// A length that mostly is `true_one`.
fn length(random: &mut Random, true_one: usize) -> u16 {
    let length = match random.below(12) {
        0 => 0,
        1 => random.below(64),
        2 => true_one + random.below(64),
        3 => true_one.saturating_sub(random.below(16)),
        4 => random.next() as usize,
        _ => true_one,
    };
    length as u16
}

fn ipv4(random: &mut Random, frame: &mut Vec<u8>) {
    let protocol = protocol(random, false);
    let options = random.pick(&[0, 0, 0, 0, 1, 2, 10]) * 4;
    let body = transport(random, protocol);
    let words = (20 + options) / 4;
    frame.extend(0x0800_u16.to_be_bytes());
    let version = if random.one_in(40) { random.byte() & 0xf0 } else { 0x40 };
    let words = if random.one_in(30) { random.below(16) } else { words };
    frame.extend([version | words as u8, random.byte()]);
    let total = length(random, 20 + options + body.len());
    frame.extend(total.to_be_bytes());
    frame.extend(random.bytes(2));
    // Don't fragment and the reserved bit make no fragment.
    let fragment = match random.below(12) {
        0 => random.next() as u16,
        1 => 0x2000,
        2 => 1,
        3 => 0xc000,
        _ => random.pick(&[0, 0x4000]),
    };
    frame.extend(fragment.to_be_bytes());
    frame.extend([random.byte(), protocol]);
    frame.extend(random.bytes(2 + 8 + options));
    frame.extend(body);
}

fn ipv6(random: &mut Random, frame: &mut Vec<u8>) {
    let extensions: Vec<u8> = (0..random.pick(&[0, 0, 0, 0, 1, 1, 2, 3, 5, 6, 7, 8]))
        .map(|_| random.pick(&[0, 43, 60, 51, 44, 60]))
        .collect();
    let last = protocol(random, true);
    let mut chain = Vec::new();
    for (place, extension) in extensions.iter().enumerate() {
        let next = extensions.get(place + 1).copied().unwrap_or(last);
        let words = random.pick(&[0_u8, 0, 0, 1, 3]);
        match extension {
            44 => {
                let offset = match random.below(3) {
                    0 => random.next() as u16,
                    1 => 1,
                    // No fragment; the two reserved bits do not count.
                    _ => random.pick(&[0, 2, 4, 6]),
                };
                chain.extend([next, random.byte()]);
                chain.extend(offset.to_be_bytes());
                chain.extend(random.bytes(4));
            }
            51 => {
                chain.extend([next, words]);
                chain.extend(random.bytes((usize::from(words) + 2) * 4 - 2));
            }
            _ => {
                chain.extend([next, words]);
                chain.extend(random.bytes((usize::from(words) + 1) * 8 - 2));
            }
        }
    }
    let body = transport(random, last);
    frame.extend(0x86dd_u16.to_be_bytes());
    let version = if random.one_in(40) { random.byte() & 0xf0 } else { 0x60 };
    frame.extend([version | random.byte() & 0x0f]);
    frame.extend(random.bytes(3));
    let payload = length(random, chain.len() + body.len());
    frame.extend(payload.to_be_bytes());
    frame.extend([extensions.first().copied().unwrap_or(last), random.byte()]);
    frame.extend(random.bytes(32));
    frame.extend(chain);
    frame.extend(body);
}

fn protocol(random: &mut Random, v6: bool) -> u8 {
    match random.below(12) {
        0..=4 => 6,
        5..=7 => 17,
        8 => random.pick(&[1, 58]),
        9 => {
            if v6 {
                58
            } else {
                1
            }
        }
        10 => random.pick(&[2, 47, 50, 51, 59, 89, 132, 135]),
        _ => random.byte(),
    }
}

/// A transport header and payload for this protocol.
fn transport(random: &mut Random, protocol: u8) -> Vec<u8> {
    let mut body = Vec::new();
    match protocol {
        6 => {
            let words = random.pick(&[5_u8, 5, 5, 5, 8, 15, 4, 0]);
            body.extend(random.port().to_be_bytes());
            body.extend(random.port().to_be_bytes());
            body.extend(random.bytes(8));
            let flags = random.pick(&[0x10, 0x10, 0x18, 0x02, 0x12, 0x11, 0x04, 0x00, 0xf8]);
            body.extend([words << 4, flags]);
            body.extend(random.bytes(6));
            let options = (usize::from(words) * 4).saturating_sub(20);
            body.extend(random.bytes(options));
        }
        17 => {
            body.extend(random.port().to_be_bytes());
            body.extend(random.port().to_be_bytes());
            body.extend(random.bytes(4));
        }
        1 | 58 => {
            body.extend([random.pick(&[0, 3, 8, 11, 128, 129, 135, 255])]);
            body.extend(random.bytes(7));
        }
        _ => {}
    }
    let payload = match random.below(40) {
        0 => random.below(1500),
        1..=15 => 0,
        16..=20 => 1,
        _ => random.below(40),
    };
    body.extend(random.bytes(payload));
    body
}
