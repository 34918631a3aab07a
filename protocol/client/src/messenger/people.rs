//! From names to conversations; who is in them, and changes of that.

use super::{Member, Messenger, PATIENCE, lookups, members};
use crate::{
    chat,
    ids::{Expose, Seal, new_entry},
    problem::Problem,
    profile::{
        Profile, Withdrawn, contacts, rooms,
        tasks::{self, Outcome, Wanted, Wish},
        trust,
    },
    record::{self, Person, Recipient, Whom},
};
use fastchat_e2e::{AccountId, ConversationId, Credential, Username, groups::View};
use fastchat_wire::{LogId, chat::create::ConversationKind};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A change waits so much longer for each account that it is about: a thousand key packages are claimed and checked.
const PATIENCE_EACH: Duration = Duration::from_millis(100);

/// Accounts that a change brings in or takes out.
fn concerned(what: &Wanted) -> usize {
    match what {
        Wanted::Group(_, accounts) | Wanted::Add(accounts) | Wanted::Remove(accounts) => accounts.len(),
        _ => 0,
    }
}

/// Those who go by a name in a group are not, or not all, whom the name stands for.
fn ambiguous(whom: &Whom, called: &[&Person]) -> Problem {
    let ids: Vec<String> = called.iter().map(|person| Whom::exactly(person).to_string()).collect();
    Problem::declined(
        "ambiguous",
        format!(
            "whoever goes by {whom} in this group is not, or not alone, who this device knows by that name: name who is meant by id, {}",
            ids.join(" or ")
        ),
    )
}

impl Messenger {
    /// Finds the conversation; a direct chat is made where there is none.
    ///
    /// # Errors
    /// `not-found`: no such account, or no such group here. `ambiguous`: several groups of that name. `no-keys`,
    /// [`Problem::Distrusted`] where somebody in it is not who this device knows; `not-member` where this account is out.
    pub async fn conversation(&self, to: &Recipient) -> Result<ConversationId, Problem> {
        match to {
            Recipient::Person(name) => self.direct(name).await,
            Recipient::Group(_) => self.group(to).await,
        }
    }

    async fn group(&self, to: &Recipient) -> Result<ConversationId, Problem> {
        let rooms = self.shared.profile.run(Profile::rooms).await?;
        let room = record::find(&rooms, to)?;
        let conversation = room.conversation;
        if room.out {
            let title = room.title();
            return Err(Problem::declined(
                "not-member",
                format!("you are in {title} no longer: ask a member to be added again"),
            ));
        }
        self.settle_members(conversation).await?;
        Ok(conversation)
    }

    async fn direct(&self, name: &Username) -> Result<ConversationId, Problem> {
        let account = self.acquaint(name).await?;
        if account == self.me() {
            return Err(Problem::declined("bad-request", "that is you: write to somebody else"));
        }
        let known = self.shared.profile.run(move |profile| {
            profile.look(|groups, tx| {
                let known = rooms::direct(tx, account)?;
                let is_theirs = |view: View| view.mls_epoch > 0 && members::is_direct_with(&view, account);
                Ok(known.filter(|conversation| groups.view(tx, *conversation).is_ok_and(is_theirs)))
            })
        });
        if let Some(conversation) = known.await? {
            self.settle_members(conversation).await?;
            return Ok(conversation);
        }
        let connection = self.shared.connection().await?;
        let wanted = LogId(new_entry().0);
        let created = chat::create(&connection, wanted, ConversationKind::Direct, vec![account.wire()]).await?;
        let conversation = created.conversation.sealed();
        let wish = Wish {
            conversation,
            what: Wanted::Direct(account),
        };
        self.wish(wish).await?;
        Ok(conversation)
    }

    /// Devices that came, and accounts that left, since this device last looked: before something is said.
    async fn settle_members(&self, conversation: ConversationId) -> Result<(), Problem> {
        let connection = self.shared.connection().await?;
        match members::compare(&self.shared, &connection, conversation).await {
            Ok(()) => {}
            Err(problem) if problem.is_passing() || matches!(problem, Problem::Store(_)) => return Err(problem),
            // Those who are in can be written to, whoever can't be added.
            Err(problem) => tracing::warn!(%problem, %conversation, "the group does not follow the list of its members"),
        }
        let settled = self.until(Some(PATIENCE), move |profile| {
            profile.look(|groups, tx| {
                // Nothing is sealed for a device that this one knows to be sent away.
                let parts = |wish: &Wish| wish.conversation == conversation && matches!(wish.what, Wanted::SendAway(_));
                let parting = tasks::wishes(tx)?.iter().any(|(_, wish)| parts(wish));
                let under_way = groups.commit_under_way(tx, conversation)?;
                Ok((under_way.is_none() && !parting).then_some(()))
            })
        });
        settled.await?.ok_or_else(|| {
            Problem::declined(
                "timed-out",
                "a change of this conversation is on its way and does not arrive: nothing was sent, try again later",
            )
        })?;
        // Whoever was met in it is compared with the fleet's word before anything is said to them.
        lookups::acquaint(&self.shared, &connection).await?;
        let checked = self
            .shared
            .profile
            .run(move |profile| profile.read(|tx| trust::check(tx, conversation)));
        checked.await
    }

    /// Makes a group. Its name is sealed: the fleet does not know it.
    ///
    /// # Errors
    /// `not-found`, `no-keys`, [`Problem::Distrusted`]; [`Problem::Usage`] for a name that can't be one.
    pub async fn create_group(&self, name: &str, members: &[Username]) -> Result<ConversationId, Problem> {
        let name = record::group_name(name)?;
        let me = self.me();
        let mut accounts = self.accounts(members).await?;
        accounts.retain(|account| *account != me);
        let conversation = ConversationId(new_entry().0);
        let wish = Wish {
            conversation,
            what: Wanted::Group(name, accounts),
        };
        self.wish(wish).await?;
        Ok(conversation)
    }

    /// Adds members.
    ///
    /// # Errors
    /// `forbidden` where the own account is no admin; `not-found`, `no-keys`, `identity-changed`.
    pub async fn add(&self, conversation: ConversationId, members: &[Username]) -> Result<(), Problem> {
        let accounts = self.accounts(members).await?;
        let what = Wanted::Add(accounts);
        self.wish(Wish { conversation, what }).await
    }

    /// Removes members: they read nothing that follows.
    ///
    /// # Errors
    /// `forbidden` where the own account is no admin; `not-found` where one is no member; `ambiguous` where a name is not
    /// enough to say who; [`Problem::Usage`] for oneself.
    pub async fn remove(&self, conversation: ConversationId, members: &[Whom]) -> Result<(), Problem> {
        let accounts = self.present(conversation, members).await?;
        if accounts.contains(&self.me()) {
            return Err(Problem::Usage("nobody removes themselves: leave instead".to_owned()));
        }
        let what = Wanted::Remove(accounts);
        self.wish(Wish { conversation, what }).await
    }

    /// Makes members admins.
    ///
    /// # Errors
    /// `forbidden` where the own account is no admin; `not-found` where one is no member.
    pub async fn promote(&self, conversation: ConversationId, members: &[Whom]) -> Result<(), Problem> {
        let what = Wanted::Promote(self.present(conversation, members).await?);
        self.wish(Wish { conversation, what }).await
    }

    /// Makes admins plain members.
    ///
    /// # Errors
    /// `forbidden` where the own account is no admin, or the only one is meant; `not-found` where one is no member.
    pub async fn demote(&self, conversation: ConversationId, members: &[Whom]) -> Result<(), Problem> {
        let accounts = self.present(conversation, members).await?;
        let mut present = self.members(conversation).await?;
        present.retain(|member| member.admin);
        if !present.is_empty() && present.iter().all(|admin| accounts.contains(&admin.person.account)) {
            return Err(Problem::declined(
                "forbidden",
                "a group needs an admin: make another member admin first (`fastchat group promote`)",
            ));
        }
        let what = Wanted::Demote(accounts);
        self.wish(Wish { conversation, what }).await
    }

    /// Leaves a group; its last admin makes another member admin first. What was read stays in the profile.
    ///
    /// # Errors
    /// `forbidden` for a direct chat.
    pub async fn leave(&self, conversation: ConversationId) -> Result<(), Problem> {
        let what = Wanted::Leave;
        self.wish(Wish { conversation, what }).await
    }

    /// Who is in, by the group's own state, ordered by name.
    ///
    /// # Errors
    /// `not-member`.
    pub async fn members(&self, conversation: ConversationId) -> Result<Vec<Member>, Problem> {
        let view = self.shared.profile.run(move |profile| {
            profile.look(|groups, tx| {
                let view = groups.view(tx, conversation)?;
                let (mut verified, mut disputed) = (BTreeSet::new(), BTreeSet::new());
                for subject in view.members.iter().map(Credential::subject) {
                    if trust::is_verified(tx, subject.account)? {
                        verified.insert(subject.account);
                    }
                    if contacts::account(tx, &subject.username)?.is_some_and(|owner| owner != subject.account) {
                        disputed.insert(subject.account);
                    }
                }
                Ok((view, verified, disputed))
            })
        });
        let (view, verified, disputed) = view.await?;
        let mut members = BTreeMap::<AccountId, Member>::new();
        for subject in view.members.iter().map(Credential::subject) {
            let member = members.entry(subject.account).or_insert_with(|| Member {
                person: Person {
                    account: subject.account,
                    username: Some(subject.username.clone()),
                },
                admin: view.charter.is_admin(subject.account),
                verified: verified.contains(&subject.account),
                disputed: disputed.contains(&subject.account),
                devices: 0,
            });
            member.devices += 1;
        }
        let mut members: Vec<Member> = members.into_values().collect();
        members.sort_by(|a, b| a.person.username.cmp(&b.person.username));
        for i in 1..members.len() {
            if members[i - 1].person.username == members[i].person.username {
                (members[i - 1].disputed, members[i].disputed) = (true, true);
            }
        }
        Ok(members)
    }

    /// The accounts of members.
    async fn present(&self, conversation: ConversationId, whom: &[Whom]) -> Result<Vec<AccountId>, Problem> {
        let members = self.members(conversation).await?;
        let mut accounts = Vec::with_capacity(whom.len());
        for whom in whom {
            let called: Vec<&Person> = members
                .iter()
                .map(|member| &member.person)
                .filter(|person| whom.is(person))
                .collect();
            let account = match (&called[..], whom) {
                ([], _) => {
                    let message = format!("{whom} is not in this group: see `fastchat group members`");
                    return Err(Problem::declined("not-found", message));
                }
                // What somebody calls themselves in a group is their own word: whom the name is, the pin or the fleet says.
                (_, Whom::Name(name)) => self.acquaint(name).await?,
                ([one], _) => one.account,
                _ => return Err(ambiguous(whom, &called)),
            };
            if !called.iter().any(|person| person.account == account) {
                return Err(ambiguous(whom, &called));
            }
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        Ok(accounts)
    }

    async fn wish(&self, wish: Wish) -> Result<(), Problem> {
        let conversation = wish.conversation;
        let patience = PATIENCE + PATIENCE_EACH * u32::try_from(concerned(&wish.what)).unwrap_or(u32::MAX);
        let id = self
            .shared
            .profile
            .run(move |profile| profile.change(|_, tx| tasks::wish(tx, &wish)))
            .await?;
        self.shared.ask(|errands| errands.wishes = true);
        if self.outcome_within(id, patience).await?.is_some() {
            // Newcomers are told what the group is called: a program that ends now would keep that to itself.
            let told = self.until(Some(PATIENCE), move |profile| {
                profile.look(|groups, tx| {
                    let is_told = !groups.conversations_to_send_to(tx)?.contains(&conversation);
                    // Where nothing is said, they are told once it goes on.
                    Ok((is_told || !trust::stops(tx, conversation)?.is_empty()).then_some(()))
                })
            });
            return told.await.map(drop);
        }
        match self.shared.profile.run(move |profile| profile.withdraw(id)).await? {
            Withdrawn::Settled(Outcome::Refused { code, message }) => Err(Problem::declined(code, message)),
            Withdrawn::Settled(_) => Ok(()),
            Withdrawn::Gone => Err(Problem::declined(
                "timed-out",
                "this could not be done in time, and is given up: nothing has changed, try again later",
            )),
            Withdrawn::UnderWay => Err(Problem::declined(
                "timed-out",
                "this is on its way and could not be done in time: it goes on with the next command that is online",
            )),
        }
    }
}
