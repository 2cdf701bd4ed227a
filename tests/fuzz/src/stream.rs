//! Rows that arrive in pieces.

use swift_records::row::Row;
use swift_server::stream::{BadLine, Decoder, MAX_LINE};

use crate::cursor::Cursor;
use crate::mutate::Random;

/// What came out of a stream: its rows and bad lines, each with its number.
type Outcome = Vec<(u64, Result<Row, String>)>;

/// However a stream is cut, the same rows and bad lines come out of it with the same numbers, and
/// they are those of a plain reading: lines that end with a newline and are not too long.
///
/// Fails when `Decoder::push` forgets to take `taken` from `scanned`, when `next_row` counts the line
/// that it skips twice, when `finish` reads what is left as a row, and when lines of just `MAX_LINE`
/// bytes are refused.
pub fn check(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    let cuts = cursor.byte();
    let runs = if cuts < 0xc0 { 0 } else { 2 };
    let stream = widened(cursor.rest(), runs);
    let expected = plainly(&stream);
    assert_eq!(decoded(&stream, stream.len().max(1), None), expected);
    let mut random = Random::new(u64::from(cuts) + 1);
    match cuts % 4 {
        // A byte at a time is slow where a line is long.
        0 if stream.len() < 1 << 12 => {
            assert_eq!(decoded(&stream, 1, None), expected);
        }
        1 => assert_eq!(decoded(&stream, 1 << 14, None), expected),
        2 => {
            let most = 1 + random.below(64);
            let most = most.max(stream.len() / 256);
            assert_eq!(decoded(&stream, most, Some(&mut random)), expected);
        }
        _ => {
            let most = stream.len() / 2 + 1;
            assert_eq!(decoded(&stream, most, Some(&mut random)), expected);
        }
    }
}

/// The stream that an input stands for: so many times, 0xF8 to 0xFF, which no UTF-8 has, stand for a
/// run that makes a line about as long as it may be.
fn widened(data: &[u8], runs: usize) -> Vec<u8> {
    let mut stream = Vec::with_capacity(data.len());
    let mut left = runs;
    for &byte in data {
        if byte >= 0xf8 && left > 0 {
            left -= 1;
            stream.resize(stream.len() + MAX_LINE - 4 + usize::from(byte - 0xf8), b'x');
        } else {
            stream.push(byte);
        }
    }
    stream
}

/// The stream in pieces of `most` bytes, or of any length up to it.
fn decoded(stream: &[u8], most: usize, mut random: Option<&mut Random>) -> Outcome {
    let mut decoder = Decoder::default();
    let mut outcome = Outcome::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let wanted = random.as_mut().map_or(most, |r| 1 + r.below(most));
        let (piece, after) = rest.split_at(wanted.min(rest.len()));
        rest = after;
        decoder.push(piece);
        while let Some(row) = decoder.next_row() {
            outcome.push(match row {
                Ok(row) => (decoder.line(), Ok(row)),
                Err(BadLine { line, what }) => (line, Err(what)),
            });
        }
    }
    outcome.extend(decoder.finish().map(|bad| (bad.line, Err(bad.what))));
    assert_eq!(decoder.finish(), None);
    outcome
}

fn plainly(stream: &[u8]) -> Outcome {
    let mut outcome = Outcome::new();
    let mut rest = stream;
    for number in 1.. {
        let newline = rest.iter().position(|b| *b == b'\n');
        let length = newline.unwrap_or(rest.len());
        if length > MAX_LINE {
            outcome.push((number, Err(format!("longer than {MAX_LINE} bytes"))));
        } else if newline.is_some() {
            outcome.push((number, Row::read(&rest[..length])));
        } else if length > 0 {
            outcome.push((number, Err("ends without a newline".into())));
        }
        match newline {
            Some(at) => rest = &rest[at + 1..],
            None => break,
        }
    }
    outcome
}
