//! Why a broker could not be dialled, and what to do about it.

use async_nats::{
    ConnectError, ConnectErrorKind,
    rustls::{CertificateError, Error as TlsError},
};
use fastchat_wire::control::NatsPlace;
use std::{error::Error, io};

/// One line for whoever set the bus; nothing of a login is in it.
pub(super) fn advice(error: &ConnectError, place: &NatsPlace) -> String {
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => refused_login(place),
        ConnectErrorKind::Tls => unreadable_ca(place),
        _ => match tls_error(error) {
            Some(TlsError::InvalidCertificate(reason)) => refused_certificate(reason, place),
            Some(_) => {
                "the broker's TLS is none that can be spoken here: it needs TLS 1.2 or 1.3, and may ask for no certificate".to_owned()
            }
            None => "can't connect to the broker: check that it runs at the address that --bus names, and that tls:// is what it speaks"
                .to_owned(),
        },
    }
}

fn refused_login(place: &NatsPlace) -> String {
    match (&place.credentials, &place.login) {
        (Some(file), _) => {
            format!("the broker refuses the credentials {file}: put those of a user that it knows into this file, it is read at each dial")
        }
        (None, Some(_)) => "the broker refuses the login: check what stands before the @ in --bus, and the broker's users".to_owned(),
        (None, None) => "the broker asks for a login: give nats://USER:PASSWORD@HOST or ?credentials=/FILE.creds in --bus".to_owned(),
    }
}

fn unreadable_ca(place: &NatsPlace) -> String {
    match &place.ca {
        Some(file) => {
            format!("can't use the certificate authorities {file} that --bus names: it must be a PEM file that this process may read")
        }
        None => "the system's certificate authorities can't be read: name those of the broker with ?ca=/FILE in --bus".to_owned(),
    }
}

fn refused_certificate(reason: &CertificateError, place: &NatsPlace) -> String {
    match reason {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the broker's certificate is for another name: write in --bus the name that it is for, or give the broker another one"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the broker's certificate has expired: give the broker a new one".to_owned()
        }
        _ => match &place.ca {
            Some(file) => {
                format!("the broker's certificate is from nobody whom {file} names: put the broker's certificate authority into this file")
            }
            None => {
                "nobody here knows who issued the broker's certificate: name its certificate authority with ?ca=/FILE in --bus".to_owned()
            }
        },
    }
}

/// What TLS said, where it was TLS: it comes inside of an I/O error, which hides it from `source`.
fn tls_error(error: &ConnectError) -> Option<&TlsError> {
    let mut source = error.source();
    while let Some(inner) = source {
        let hidden = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = hidden.and_then(|hidden| hidden.downcast_ref()) {
            return Some(tls);
        }
        source = inner.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::control::BusPlace;

    fn place(text: &str) -> NatsPlace {
        match BusPlace::parse(text) {
            Ok(BusPlace::Nats(place)) => place,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_trouble_has_its_advice_and_none_repeats_a_login() {
        let certificate = |reason| {
            let tls = TlsError::InvalidCertificate(reason);
            ConnectError::with_source(ConnectErrorKind::Io, io::Error::new(io::ErrorKind::InvalidData, tls))
        };
        let violation = || ConnectError::new(ConnectErrorKind::AuthorizationViolation);
        for (url, error, words) in [
            ("nats://b", violation(), "USER:PASSWORD@HOST"),
            ("nats://chat:s3cret@b", violation(), "before the @"),
            ("nats://s3cret@b?credentials=/c", violation(), "credentials /c"),
            ("tls://b", certificate(CertificateError::UnknownIssuer), "?ca=/FILE"),
            (
                "tls://s3cret@b?ca=/ca.pem",
                certificate(CertificateError::UnknownIssuer),
                "into this file",
            ),
            ("tls://b", certificate(CertificateError::NotValidForName), "another name"),
            ("tls://b", certificate(CertificateError::Expired), "has expired"),
            ("tls://b?ca=/ca.pem", ConnectError::new(ConnectErrorKind::Tls), "/ca.pem"),
            ("nats://s3cret@b", ConnectError::new(ConnectErrorKind::Io), "check that it runs"),
        ] {
            let advice = advice(&error, &place(url));
            assert!(advice.contains(words) && !advice.contains("s3cret"), "{url}: {advice}");
        }
    }
}
