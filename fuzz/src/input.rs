//! How an input is cut into numbers and pieces.

/// The bytes of an input that are not used yet. Behind its end there are only zeros, so that every input says something.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn u8(&mut self) -> u8 {
        let [number] = self.array();
        number
    }

    /// A byte, if it is small; so that most numbers are.
    pub fn number(&mut self) -> u64 {
        match self.u8() {
            u8::MAX => u64::from_le_bytes(self.array()),
            small => small.into(),
        }
    }

    /// A seed's half of [`Input::number`].
    pub fn push_number(seed: &mut Vec<u8>, number: u64) {
        match u8::try_from(number) {
            Ok(small) if small < u8::MAX => seed.push(small),
            _ => {
                seed.push(u8::MAX);
                seed.extend(number.to_le_bytes());
            }
        }
    }

    /// A piece whose length comes before it, in two bytes.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = u16::from_le_bytes(self.array());
        self.take(length.into())
    }

    /// A seed's half of [`Input::piece`].
    pub fn push_piece(seed: &mut Vec<u8>, piece: &[u8]) {
        let length = u16::try_from(piece.len()).expect("seeds are small");
        seed.extend(length.to_le_bytes());
        seed.extend(piece);
    }

    fn array<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        let mut array = [0; LENGTH];
        let taken = self.take(LENGTH);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
