//! Which requests of which clients have been applied, so that none is applied again.

use crate::mvcc::REVISION_MAX;

/// So many requests of one client are remembered, which may be unanswered at a time.
pub const REQUESTS_MAX: usize = 64;
/// So many clients are remembered: those whose requests were applied last. A tab that has sent none for as long as so many
/// others have is taken for a new one.
const CLIENTS_MAX: usize = 64;

/// What is known of a request. A client's numbers are dense, and taken in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// It comes after all that were applied.
    New,
    /// It was applied, with which the store came to this revision.
    Applied { revision: u64 },
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
    /// Numbers and revisions, ascending.
    applied: Vec<(u64, u64)>,
}

impl Requests {
    /// A request was applied, with which the store came to this revision.
    pub fn note(&mut self, client: u64, number: u64, revision: u64) {
        let place = self.clients.iter().position(|known| known.id == client);
        let known = place.map(|place| self.clients.remove(place));
        let mut known = known.unwrap_or(Client { id: client, applied: Vec::new() });
        // What was not written by an engine may say anything.
        if known.applied.last().is_none_or(|(last, _)| *last < number) && number <= REVISION_MAX {
            known.applied.push((number, revision));
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
    pub fn known(&self, client: u64, number: u64) -> Known {
        let Some(known) = self.clients.iter().find(|known| known.id == client) else { return Known::New };
        match known.applied.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(place) => Known::Applied { revision: known.applied[place].1 },
            Err(place) if place == known.applied.len() => Known::New,
            Err(_) if number + REQUESTS_MAX as u64 <= self.last(client) => Known::Old,
            Err(_) => Known::Refused,
        }
    }

    /// The newest request of a client that was applied; 0: none is known.
    pub fn last(&self, client: u64) -> u64 {
        let known = self.clients.iter().find(|known| known.id == client);
        known.and_then(|known| known.applied.last()).map_or(0, |(number, _)| *number)
    }

    /// Every client, number and revision, in an order that gives the same when it is noted.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let client = |client: &Client| client.id;
        self.clients.iter().flat_map(move |known| {
            known.applied.iter().map(move |(number, revision)| (client(known), *number, *revision))
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
            requests.note(7, 2 * number, 10 + number);
        }
        let rows = [
            (7, 200, Known::Applied { revision: 110 }),
            (7, 202, Known::New),
            (7, 199, Known::Refused),
            (7, 138, Known::Applied { revision: 79 }),
            (7, 137, Known::Refused),
            (7, 135, Known::Old),
            (8, 1, Known::New),
        ];
        for (client, number, expected) in rows {
            assert_eq!(requests.known(client, number), expected, "{client} {number}");
        }
        assert_eq!(requests.last(7), 200);
        let mut again = Requests::default();
        requests.iter().for_each(|(client, number, revision)| again.note(client, number, revision));
        assert!(again.iter().eq(requests.iter()));
        (100..164).for_each(|client| requests.note(client, 1, 1));
        assert_eq!((requests.known(7, 200), requests.iter().count()), (Known::New, 64), "others have come since");
    }
}
