//! Which requests of which clients have been applied, so that none is applied again.

use crate::codec::{self, Encode};
use crate::mvcc::REVISION_MAX;

/// So many requests of one client are remembered, which may be unanswered at a time.
pub const REQUESTS_MAX: usize = 64;
/// So many clients are remembered: those whose requests were applied last. A tab that has sent none for as long as so many
/// others have is taken for a new one.
const CLIENTS_MAX: usize = 64;

/// A response of so many bytes is kept with its request: it is what they have that give no values back, of a put 13. Larger
/// ones would make the notes of all requests that are remembered, 4,096, more than a medium should be given at a time.
pub(crate) const KEPT_BYTES_MAX: usize = 128;

/// What is known of a request. A client's numbers are dense, and taken in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known<'a> {
    /// It comes after all that were applied.
    New,
    /// It was applied, with which the store came to this revision. The response is empty where it is not kept.
    Applied { revision: u64, response: &'a [u8] },
    /// One after it was applied, and it was not.
    Refused,
    /// It comes before all that are remembered: it was answered long ago.
    Old,
}

/// Clients, the one heard of last at the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests {
    clients: Vec<Client>,
}

#[derive(Debug, Clone)]
struct Client {
    id: u64,
    /// Numbers ascending.
    applied: Vec<Applied>,
}

#[derive(Debug, Clone)]
struct Applied {
    number: u64,
    revision: u64,
    response: Box<[u8]>,
}

/// A response as it is kept with its request: nothing, where it is too long.
pub(crate) fn kept<R: Encode>(response: &R) -> Vec<u8> {
    let mut packed = Vec::new();
    if codec::encode_within(response, KEPT_BYTES_MAX, &mut packed) { packed } else { Vec::new() }
}

impl Requests {
    /// A request was applied, with which the store came to this revision.
    pub fn note(&mut self, client: u64, number: u64, revision: u64, response: &[u8]) {
        let place = self.clients.iter().position(|known| known.id == client);
        let known = place.map(|place| self.clients.remove(place));
        let mut known = known.unwrap_or(Client { id: client, applied: Vec::new() });
        // What was not written by an engine may say anything.
        if known.applied.last().is_none_or(|last| last.number < number) && number <= REVISION_MAX {
            let response = if response.len() <= KEPT_BYTES_MAX { response.into() } else { Box::default() };
            known.applied.push(Applied { number, revision, response });
        }
        if known.applied.len() > REQUESTS_MAX {
            known.applied.remove(0);
        }
        if self.clients.len() == CLIENTS_MAX {
            self.clients.remove(0);
        }
        self.clients.push(known);
    }

    /// What is known of a request.
    pub fn known(&self, client: u64, number: u64) -> Known<'_> {
        let Some(known) = self.clients.iter().find(|known| known.id == client) else { return Known::New };
        match known.applied.binary_search_by_key(&number, |applied| applied.number) {
            Ok(place) => {
                let Applied { revision, response, .. } = &known.applied[place];
                Known::Applied { revision: *revision, response }
            }
            Err(place) if place == known.applied.len() => Known::New,
            Err(_) if number + REQUESTS_MAX as u64 <= self.last(client) => Known::Old,
            Err(_) => Known::Refused,
        }
    }

    /// The newest request of a client that was applied; 0: none is known.
    pub fn last(&self, client: u64) -> u64 {
        let known = self.clients.iter().find(|known| known.id == client);
        known.and_then(|known| known.applied.last()).map_or(0, |last| last.number)
    }

    /// Every client, number, revision and response, in an order that gives the same when it is noted.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, u64, &[u8])> {
        self.clients.iter().flat_map(|Client { id, applied }| {
            applied.iter().map(|known| (*id, known.number, known.revision, &*known.response))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_as_long_as_it_may_be_sent_again() {
        let mut requests = Requests::default();
        assert_eq!((requests.known(7, 1), requests.last(7)), (Known::New, 0));
        for number in 1..=100 {
            requests.note(7, 2 * number, 10 + number, &number.to_le_bytes());
        }
        let applied = |number: &'static [u8; 8], revision| Known::Applied { revision, response: number };
        let rows = [
            (7, 200, applied(b"d\0\0\0\0\0\0\0", 110)),
            (7, 202, Known::New),
            (7, 199, Known::Refused),
            (7, 138, applied(b"E\0\0\0\0\0\0\0", 79)),
            (7, 137, Known::Refused),
            (7, 135, Known::Old),
            (8, 1, Known::New),
        ];
        for (client, number, expected) in rows {
            assert_eq!(requests.known(client, number), expected, "{client} {number}");
        }
        assert_eq!(requests.last(7), 200);
        let mut again = Requests::default();
        requests.iter().for_each(|(client, number, revision, response)| again.note(client, number, revision, response));
        assert!(again.iter().eq(requests.iter()));
        (100..164).for_each(|client| requests.note(client, 1, 1, b""));
        assert_eq!((requests.known(7, 200), requests.iter().count()), (Known::New, 64), "others have come since");
    }

    #[test]
    fn only_short_responses_are_kept() {
        let mut requests = Requests::default();
        let response = [7; KEPT_BYTES_MAX + 1];
        for (number, length, expected) in [(1, 0, 0), (2, 128, 128), (3, 129, 0)] {
            requests.note(7, number, 2, &response[..length]);
            let known = Known::Applied { revision: 2, response: &response[..expected] };
            assert_eq!(requests.known(7, number), known, "{length} bytes");
        }
        let lengths = [112, 120, 121].map(|length| kept(&&response[..length]).len());
        assert_eq!(lengths, [120, 128, 0], "and a length of 8 bytes before them");
    }
}
