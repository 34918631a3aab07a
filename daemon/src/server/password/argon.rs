//! Argon2id as PHC strings: plain functions on memory that the caller keeps.

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use fastchat_wire::Secret32;
use rand::{TryRng, rngs::SysRng};
use subtle::ConstantTimeEq;

/// 19 MiB, 2 passes, 1 lane, 32 bytes.
const M_KIB: u32 = 19 << 10;
const T: u32 = 2;
const P: u32 = 1;
const OUTPUT_BYTES: usize = 32;

/// What Argon2 works in; it grows to what the first computation needs.
pub(super) type Memory = Vec<Block>;

/// A fault of ours: a stored hash that can't be read, or no randomness.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    Randomness(#[from] rand::rngs::SysError),
    /// Argon2 refuses what it is given.
    #[error("argon2 can't work with these parameters")]
    Argon2(#[from] argon2::Error),
    /// Not a PHC string of Argon2id.
    #[error("the stored password hash can't be read")]
    Stored(#[from] argon2::password_hash::Error),
    /// Parts of a PHC string that can't be.
    #[error("the stored password hash can't be read or written")]
    Phc(#[from] argon2::password_hash::phc::Error),
    /// A PHC string without salt or hash, or of another algorithm.
    #[error("the stored password hash is not one of Argon2id")]
    Incomplete,
}

/// A stored hash, taken apart.
#[derive(Clone)]
pub(super) struct Hash {
    params: Params,
    salt: Salt,
    output: Output,
}

impl Hash {
    /// Takes a PHC string apart.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let phc = PasswordHash::new(text)?;
        let version = phc.version.map(Version::try_from).transpose()?;
        match (phc.algorithm == Algorithm::Argon2id.ident(), version, phc.salt, phc.hash) {
            (true, Some(Version::V0x13), Some(salt), Some(output)) => Ok(Self {
                params: Params::try_from(&phc)?,
                salt,
                output,
            }),
            _ => Err(Error::Incomplete),
        }
    }

    /// A hash of nothing, drawn at random: as much work as any other.
    pub(super) fn decoy() -> Result<Self, Error> {
        let mut output = [0; OUTPUT_BYTES];
        SysRng.try_fill_bytes(&mut output)?;
        Ok(Self {
            params: params()?,
            salt: fresh_salt()?,
            output: Output::new(&output)?,
        })
    }

    /// True where this is `auth`'s hash; compared in constant time.
    pub(super) fn is_of(&self, auth: &Secret32, memory: &mut Memory) -> Result<bool, Error> {
        let output = compute(&self.params, &self.salt, self.output.len(), auth, memory)?;
        Ok(output.as_bytes().ct_eq(self.output.as_bytes()).into())
    }
}

/// A PHC string over `auth`, with a salt of its own.
pub(super) fn hash(auth: &Secret32, memory: &mut Memory) -> Result<String, Error> {
    let (params, salt) = (params()?, fresh_salt()?);
    let output = compute(&params, &salt, OUTPUT_BYTES, auth, memory)?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params)?,
        salt: Some(salt),
        hash: Some(output),
    };
    Ok(phc.to_string())
}

fn params() -> Result<Params, Error> {
    Ok(Params::new(M_KIB, T, P, Some(OUTPUT_BYTES))?)
}

fn fresh_salt() -> Result<Salt, Error> {
    let mut salt = [0; Salt::RECOMMENDED_LENGTH];
    SysRng.try_fill_bytes(&mut salt)?;
    Ok(Salt::new(&salt)?)
}

fn compute(params: &Params, salt: &Salt, output_bytes: usize, auth: &Secret32, memory: &mut Memory) -> Result<Output, Error> {
    let blocks = params.block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::new());
    }
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..output_bytes).ok_or(argon2::Error::OutputTooLong)?;
    argon.hash_password_into_with_memory(auth.expose(), salt, output, memory)?;
    Ok(Output::new(output)?)
}
