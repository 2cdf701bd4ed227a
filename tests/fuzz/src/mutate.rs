//! Inputs from a fixed seed: the same ones in every run, on every machine.

/// Numbers without a pattern (xorshift64*).
pub struct Random(u64);

impl Random {
    /// The numbers of a seed, which is not 0.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() >> 33) as usize % end.max(1)
    }
}

/// Bytes that mean something to one parser or another.
const TELLING: &[u8] = b"\0\t\n\r\x1b -./0=[]{}\\\"'#;:(*)\x7f\x80\xc2\xff";

/// An input that differs a little from one of these, of which there is at least one.
pub fn mutation(of: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = of[random.below(of.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        match random.below(7) {
            0 if at < input.len() => input[at] = random.number() as u8,
            1 if at < input.len() => input[at] = TELLING[random.below(TELLING.len())],
            2 => input.insert(at, TELLING[random.below(TELLING.len())]),
            3 => {
                let end = (at + random.below(9)).min(input.len());
                input.drain(at..end);
            }
            4 => {
                let end = (at + random.below(17)).min(input.len());
                let again = input[at..end].to_vec();
                let to = random.below(input.len() + 1);
                input.splice(to..to, again);
            }
            5 => {
                let other = &of[random.below(of.len())];
                input.truncate(at);
                input.extend_from_slice(&other[random.below(other.len() + 1)..]);
            }
            _ => input.truncate(at),
        }
    }
    input
}
