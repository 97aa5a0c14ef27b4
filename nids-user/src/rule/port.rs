//! Resolved port groups: one bit a port.

/// A set of ports.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PortSet {
    bits: Box<[u64; 1024]>,
}

impl PortSet {
    /// No port.
    pub fn empty() -> Self {
        Self { bits: Box::new([0; 1024]) }
    }
    /// Every port.
    pub fn any() -> Self {
        Self { bits: Box::new([u64::MAX; 1024]) }
    }
    /// Whether every port is in it.
    pub fn is_any(&self) -> bool {
        self.bits.iter().all(|word| *word == u64::MAX)
    }
    /// Whether no port is in it.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| *word == 0)
    }
    /// Whether `port` is in it.
    pub fn contains(&self, port: u16) -> bool {
        self.bits.get(usize::from(port >> 6)).is_some_and(|word| word >> (port & 63) & 1 == 1)
    }
    /// Adds the closed range.
    pub fn insert(&mut self, first: u16, last: u16) {
        for port in first..=last {
            if let Some(word) = self.bits.get_mut(usize::from(port >> 6)) {
                *word |= 1 << (port & 63);
            }
        }
    }
    /// All ports that are in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..=u16::MAX).filter(|port| self.contains(*port))
    }
}

impl std::fmt::Debug for PortSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PortSet({} ports)", self.iter().count())
    }
}
