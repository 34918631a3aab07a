//! Signals of a conversation: each counter once, sent and received.

use super::{Error, Groups, rows};
use crate::{
    id::{ConversationId, DeviceId},
    mls::MemberDevice,
    signal::{LABEL, Signal, SignalPlace, open_signal, seal_signal, signal_sender},
    store::{Reader, Writer},
};

impl Groups {
    /// Seals a signal; gives the server's epoch, and the block. Its counter is used up, whether it is sent or not.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Out`], [`Error::Store`].
    pub fn seal_signal(&mut self, tx: &Writer<'_>, conversation: ConversationId, signal: Signal) -> Result<(u64, Vec<u8>), Error> {
        let device = self.me().device;
        let position = rows::position(tx, conversation)?;
        let group = self.take_live(tx, conversation, &position)?;
        let epoch = group.epoch();
        let key = group.export(LABEL, device.as_bytes());
        self.keep_live(conversation, &position, group);
        let counter = next(tx, conversation, epoch, device)?;
        rows::put_signal(tx, conversation, device, epoch, counter)?;
        let place = SignalPlace {
            conversation,
            epoch,
            device,
            counter,
        };
        Ok((position.server_epoch, seal_signal(&*key?, &place, &signal.encode())))
    }

    /// Opens somebody else's signal: whose it is, and what it says. None for what does not open in this epoch, comes
    /// again or late, or is of no member.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Out`], [`Error::Store`].
    pub fn open_signal(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        block: &[u8],
    ) -> Result<Option<(MemberDevice, Signal)>, Error> {
        let Some((device, counter)) = signal_sender(block).filter(|(device, _)| *device != self.me().device) else {
            return Ok(None);
        };
        let position = rows::position(tx, conversation)?;
        let group = self.take_live(tx, conversation, &position)?;
        let epoch = group.epoch();
        let credentials = group.credentials();
        let key = group.export(LABEL, device.as_bytes());
        self.keep_live(conversation, &position, group);
        let credentials = credentials?;
        let sender = credentials.iter().find(|member| member.subject().device == device);
        let Some(sender) = sender.map(|member| MemberDevice {
            account: member.subject().account,
            device,
        }) else {
            return Ok(None);
        };
        if counter < next(tx, conversation, epoch, device)? {
            return Ok(None);
        }
        let place = SignalPlace {
            conversation,
            epoch,
            device,
            counter,
        };
        let Some(signal) = open_signal(&*key?, &place, block).and_then(|plain| Signal::parse(&plain)) else {
            return Ok(None);
        };
        rows::put_signal(tx, conversation, device, epoch, counter)?;
        Ok(Some((sender, signal)))
    }
}

/// The least counter of a device in an epoch that was not used.
fn next(tx: &Reader<'_>, conversation: ConversationId, epoch: u64, device: DeviceId) -> Result<u64, Error> {
    let used = rows::signal(tx, conversation, device)?;
    Ok(used
        .filter(|(of, _)| *of == epoch)
        .map_or(1, |(_, counter)| counter.saturating_add(1)))
}
