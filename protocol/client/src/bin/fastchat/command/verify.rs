//! `fastchat verify @user`

use crate::{
    args::username,
    context::Context,
    stop::Stop,
    terminal::{prompt, qr},
};
use anstyle::{AnsiColor, Style};
use fastchat_client::{
    problem::Problem,
    profile::Profile,
    trust::{Claim, Distrust, Known, Why},
};
use fastchat_e2e::{AccountId, SafetyNumber, Username};
use serde_json::json;
use std::{
    io::{self, IsTerminal},
    sync::Arc,
};

const DIGITS: Style = Style::new().bold();
const CHANGED: Style = AnsiColor::Red.on_default().bold();
/// Groups of digits in a line.
const GROUPS_IN_LINE: usize = 4;

/// Compare a safety number: is @user who they say, with nobody in between?
///
/// Both of you see the same sixty digits unless somebody stands between you: compare them over another channel (a call,
/// a letter, side by side), or hold up the QR code. Where they are the same, @user is marked as verified.
///
/// Where somebody's identity is not the one that this device knows, a warning says so, and nothing is sent in
/// conversations with them until you have accepted the change with --accept; that takes the mark away, unless the
/// digits are compared in the same step.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat verify @bob                          shows digits and QR code, and asks
  fastchat verify @bob --number \"12345 …\"       compares with what @bob has sent you
  fastchat verify @bob --accept                 believes @bob's changed identity
  fastchat verify @bob --json | jq -r .number   for scripts: shows, and changes nothing"))]
pub(crate) struct Args {
    /// Who
    #[arg(value_name = "@user", value_parser = username)]
    who: Username,
    /// The digits that @user sees; others are refused, the same ones mark @user as verified
    #[arg(long, value_name = "DIGITS", conflicts_with = "yes")]
    number: Option<SafetyNumber>,
    /// Mark @user as verified without asking: you have compared the digits
    #[arg(long)]
    yes: bool,
    /// Believe a changed identity, and go on sending
    #[arg(long)]
    accept: bool,
    /// Show no QR code
    #[arg(long)]
    no_qr: bool,
}

/// Whom the digits are about.
enum Subject {
    /// Whom this device knows.
    Known(Known),
    /// What is claimed and was not accepted.
    Claimed(Claim),
}

impl Subject {
    fn account(&self) -> AccountId {
        match self {
            Self::Known(known) => known.account,
            Self::Claimed(claim) => claim.account,
        }
    }

    fn number(&self) -> SafetyNumber {
        match self {
            Self::Known(known) => known.number,
            Self::Claimed(claim) => claim.number,
        }
    }

    fn why(&self) -> Option<Why> {
        match self {
            Self::Known(_) => None,
            Self::Claimed(claim) => Some(claim.why),
        }
    }
}

pub(crate) async fn run(context: &Context<'_>, args: Args) -> Result<(), Stop> {
    let profile = Arc::new(context.profile()?);
    let subject = find(context, &profile, &args).await?;
    // What the other side sees: another number than the own one is refused.
    let number = args.number.unwrap_or_else(|| subject.number());
    let is_compared = args.number.is_some() || args.yes;
    match subject {
        Subject::Claimed(claim) if args.accept => {
            profile.accept(&args.who, &number, is_compared)?;
            let claim = Subject::Claimed(claim);
            show(context, &args, &claim, is_compared)?;
            context.screen.confirm(&format!("accepted: this is @{} from now on", args.who));
            Ok(())
        }
        Subject::Claimed(claim) => {
            let distrust = distrust(&claim);
            show(context, &args, &Subject::Claimed(claim), false)?;
            Err(Problem::from(distrust).into())
        }
        Subject::Known(known) => {
            if is_compared {
                profile.verify(&args.who, &number)?;
            }
            let is_verified = known.verified || is_compared;
            show(context, &args, &Subject::Known(known), is_verified)?;
            if is_verified {
                context.screen.confirm(&format!("@{} is verified", args.who));
                return Ok(());
            }
            if is_attended(context) && prompt::agrees(&format!("Does @{} see the same digits? [y/N] ", args.who)).await? {
                profile.verify(&args.who, &number)?;
                context.screen.confirm(&format!("@{} is verified", args.who));
            }
            Ok(())
        }
    }
}

/// Whom the name stands for; the server is asked where this device does not know.
async fn find(context: &Context<'_>, profile: &Arc<Profile>, args: &Args) -> Result<Subject, Stop> {
    let who = &args.who;
    if profile.me()?.is_some_and(|me| me.username == *who) {
        return Err(Problem::Usage("that is you: name somebody else".to_owned()).into());
    }
    let mut standing = profile.standing(who)?;
    if standing.known.is_none() && standing.claims.is_empty() {
        let mut online = context.online()?;
        let met = match online.ready().await {
            Ok(()) => online.watch.during(online.messenger.acquaint(who)).await.map(drop),
            Err(problem) => Err(problem),
        };
        online.close().await;
        standing = profile.standing(who)?;
        if standing.known.is_none() && standing.claims.is_empty() {
            met?;
        }
    }
    let is_of_known = |claim: &Claim| standing.known.as_ref().is_none_or(|known| known.account == claim.account);
    let claim = match (&standing.claims[..], args.accept) {
        ([], true) => {
            context
                .screen
                .note(&format!("@{who} is who this device knows: there is nothing to accept"));
            None
        }
        ([one], true) => Some(one),
        (several, true) => {
            let message = format!(
                "{} different identities are claimed for @{who}: leave the conversations with those that you don't believe, then try again",
                several.len()
            );
            return Err(Problem::declined("ambiguous", message).into());
        }
        (claims, false) => claims.iter().find(|claim| claim.stops && is_of_known(claim)),
    };
    match (claim.cloned(), standing.known) {
        (Some(claim), _) => Ok(Subject::Claimed(claim)),
        (None, Some(known)) => {
            for claim in &standing.claims {
                let distrust = distrust(claim);
                context
                    .screen
                    .note(&format!("these digits are those of the @{who} whom you know. But {distrust}"));
            }
            Ok(Subject::Known(known))
        }
        (None, None) => {
            let message = format!("this device knows nobody as @{who}: check the name");
            Err(Problem::declined("not-found", message).into())
        }
    }
}

fn distrust(claim: &Claim) -> Distrust {
    Distrust {
        conversation: None,
        account: claim.account,
        username: claim.username.clone(),
        why: claim.why,
    }
}

/// The digits, and a code of them for a camera where somebody looks on.
fn show(context: &Context<'_>, args: &Args, subject: &Subject, is_verified: bool) -> Result<(), Stop> {
    let number = subject.number();
    let line = json!({
        "username": args.who.as_str(), "account": subject.account(), "number": number.to_string(), "verified": is_verified,
        "claimed": subject.why().filter(|_| !args.accept),
    });
    context.screen.result(&line, || {
        let groups = number.groups();
        let lines: Vec<String> = groups.chunks(GROUPS_IN_LINE).map(|groups| groups.join(" ")).collect();
        let mut text = match subject.why() {
            Some(_) if !args.accept => format!("{CHANGED}The digits of what is claimed, which you have not accepted:{CHANGED:#}\n\n"),
            _ => String::new(),
        };
        text.push_str(&format!("{DIGITS}{}{DIGITS:#}", lines.join("\n")));
        if !args.no_qr && io::stdout().is_terminal() {
            text.push_str(&format!("\n\n{}", qr::lines(&number.digits())));
        }
        text
    })
}

fn is_attended(context: &Context<'_>) -> bool {
    !context.screen.is_json() && context.screen.is_attended() && io::stdin().is_terminal()
}
